//! The whole sky, in equal areas.

use std::fmt::Write;

use maud::{Markup, html};

use super::chart::frame;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;

/// Where a place in degrees is drawn: Hammer's equal-area variant of Aitoff's projection. East is to
/// the left and 12 h in the middle, so that the winter and spring sky is not torn.
pub(crate) fn project((ra, dec): (f64, f64)) -> (f64, f64) {
    let scale = (WIDTH - 24.0) / (4.0 * 2f64.sqrt());
    let lambda = -(ra - 180.0).to_radians();
    let (sin_half, cos_half) = (lambda / 2.0).sin_cos();
    let (sin_dec, cos_dec) = dec.to_radians().sin_cos();
    let z = (1.0 + cos_dec * cos_half).sqrt();
    let (x, y) = (2.0 * 2f64.sqrt() * cos_dec * sin_half / z, 2f64.sqrt() * sin_dec / z);
    (WIDTH / 2.0 + x * scale, HEIGHT / 2.0 - y * scale)
}

/// The sky with its meridians and parallels, and what is drawn on it.
pub(crate) fn draw(words: &str, inside: &Markup) -> Markup {
    let degrees = |from: i32, to: i32| (from..=to).step_by(3).map(f64::from);
    let meridian = |ra: f64| path(degrees(-90, 90).map(|dec| (ra, dec)));
    let parallel = |dec: f64| path(degrees(0, 360).map(|ra| (ra, dec)));
    frame(
        WIDTH,
        HEIGHT,
        words,
        &html! {
            @for dec in [-60.0, -30.0, 0.0, 30.0, 60.0] { path.grid d=(parallel(dec)) {} }
            @for hour in (0..=24).step_by(3) { path.grid d=(meridian(f64::from(hour) * 15.0)) {} }
            @for hour in (3..=21).step_by(3) {
                @let (x, y) = project((f64::from(hour) * 15.0, 0.0));
                text.tick x=(format!("{x:.1}")) y=(format!("{:.1}", y - 3.0)) text-anchor="middle" { (hour) "h" }
            }
            @for dec in [-60.0, -30.0, 30.0, 60.0] {
                @let (x, y) = project((180.0, dec));
                text.tick x=(format!("{:.1}", x + 3.0)) y=(format!("{:.1}", y - 3.0)) { (format!("{dec:+}\u{b0}").replace('-', "\u{2212}")) }
            }
            (inside)
        },
    )
}

/// A line through places in degrees, as a path.
pub(crate) fn path(places: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (number, (x, y)) in places.into_iter().map(project).enumerate() {
        let letter = if number == 0 { 'M' } else { 'L' };
        // Writing to a string cannot fail.
        let _ = write!(path, "{letter}{x:.1} {y:.1}");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projection_has_equal_areas_and_east_to_the_left() {
        assert_eq!(project((180.0, 0.0)), (WIDTH / 2.0, HEIGHT / 2.0));
        assert!(project((190.0, 0.0)).0 < WIDTH / 2.0);
        assert!(project((180.0, 10.0)).1 < HEIGHT / 2.0);
        // A small square of degrees keeps its area in units of cos(dec).
        let area = |ra: f64, dec: f64| {
            let at = |ra, dec| project((ra, dec));
            let (a, b, d) = (at(ra, dec), at(ra + 0.01, dec), at(ra, dec + 0.01));
            ((b.0 - a.0) * (d.1 - a.1) - (b.1 - a.1) * (d.0 - a.0)).abs() / dec.to_radians().cos()
        };
        let middle = area(180.0, 0.0);
        for (ra, dec) in [(20.0, 5.0), (300.0, -60.0), (100.0, 75.0)] {
            assert!((area(ra, dec) / middle - 1.0).abs() < 2e-3, "{ra} {dec}");
        }
    }
}
