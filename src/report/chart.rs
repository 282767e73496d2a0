//! Plots as inline SVG. Colours are classes of the page's style sheet, so that one drawing serves
//! light, dark and paper; that is why the SVG is written here and not by a plotting library, whose
//! colours are fixed when it draws.

use std::collections::BTreeMap;
use std::fmt::Write;

use maud::{Markup, html};

/// One axis: from one end to the other, which may be the smaller value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis<'a> {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) title: &'a str,
}

impl<'a> Axis<'a> {
    /// An axis over these values with some air; `None` if there are none.
    pub(crate) fn over(values: impl IntoIterator<Item = f64>, title: &'a str) -> Option<Self> {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let (low, high) = finite
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            return None;
        }
        // A few equal values must not make an axis of their last digits.
        let size = low.abs().max(high.abs()).max(0.1) * 0.02;
        let air = if high - low < size { size } else { (high - low) * 0.06 };
        Some(Self { from: low - air, to: high + air, title })
    }

    /// The same in the other direction, as magnitudes and temperatures run.
    pub(crate) fn reversed(self) -> Self {
        Self { from: self.to, to: self.from, ..self }
    }

    /// Where on the axis a value is, from 0 to 1.
    pub(crate) fn part(&self, value: f64) -> f64 {
        (value - self.from) / (self.to - self.from)
    }

    /// Whether a value lies on the axis.
    pub(crate) fn holds(&self, value: f64) -> bool {
        (-1e-9..=1.0 + 1e-9).contains(&self.part(value))
    }

    /// Round values along the axis, about so many, and how many decimals they need.
    fn ticks(&self, about: f64) -> (Vec<f64>, usize) {
        let (low, high) = (self.from.min(self.to), self.from.max(self.to));
        let rough = (high - low) / about;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power);
        let first = (low / step).ceil();
        let ticks = (0..40_u8).map(|number| (first + f64::from(number)) * step);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 12")]
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        (ticks.take_while(|tick| *tick <= high + step * 1e-9).collect(), decimals)
    }
}

/// A plot of one size with two axes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plot<'a> {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) x: Axis<'a>,
    pub(crate) y: Axis<'a>,
}

/// More points than this are drawn as the density of points.
const SPARSE: usize = 2000;
/// Side of a square of density, and how many shades there are.
const SQUARE: f64 = 4.0;
const SHADES: usize = 6;
/// Fewer points than this are drawn larger.
const FEW: usize = 100;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;

impl Plot<'_> {
    fn x_of(&self, value: f64) -> f64 {
        LEFT + self.x.part(value) * (self.width - LEFT - RIGHT)
    }

    fn y_of(&self, value: f64) -> f64 {
        self.height - BOTTOM - self.y.part(value) * (self.height - TOP - BOTTOM)
    }

    /// The whole drawing: axes, what is inside, and words for who cannot see it.
    pub(crate) fn draw(&self, words: &str, inside: &Markup) -> Markup {
        let (right, floor) = (self.width - RIGHT, self.height - BOTTOM);
        let (x_ticks, x_decimals) = self.x.ticks((self.width / 90.0).max(3.0));
        let (y_ticks, y_decimals) = self.y.ticks((self.height / 45.0).max(3.0));
        frame(
            self.width,
            self.height,
            words,
            &html! {
                @for tick in y_ticks {
                    @let y = fixed(self.y_of(tick));
                    line.grid x1=(LEFT) x2=(right) y1=(y) y2=(y) {}
                    text.tick x=(LEFT - 6.0) y=(y) dy="0.35em" text-anchor="end" { (tick_text(tick, y_decimals)) }
                }
                @for tick in x_ticks {
                    @let x = fixed(self.x_of(tick));
                    line.grid x1=(x) x2=(x) y1=(TOP) y2=(floor) {}
                    text.tick x=(x) y=(floor + 15.0) text-anchor="middle" { (tick_text(tick, x_decimals)) }
                }
                (inside)
                path.axis d={ "M" (LEFT) " " (TOP) "V" (floor) "H" (right) } {}
                (self.titles(floor))
            },
        )
    }

    fn titles(&self, floor: f64) -> Markup {
        let (x, y) = (f64::midpoint(LEFT, self.width - RIGHT), f64::midpoint(TOP, floor));
        html! {
            text.title x=(x) y=(self.height - 5.0) text-anchor="middle" { (self.x.title) }
            text.title x="12" y=(y) text-anchor="middle" transform={ "rotate(-90 12 " (y) ")" } { (self.y.title) }
        }
    }

    /// Points of one colour. What lies outside the axes is not drawn.
    pub(crate) fn points(
        &self,
        class: &str,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Markup {
        let inside = points.into_iter().filter(|(x, y)| self.x.holds(*x) && self.y.holds(*y));
        dots(class, inside.map(|(x, y)| (self.x_of(x), self.y_of(y))))
    }

    /// Points as points where they are few, else squares whose shade tells how many there are.
    pub(crate) fn density(&self, points: &[(f64, f64)]) -> Markup {
        let inside = points.iter().filter(|(x, y)| self.x.holds(*x) && self.y.holds(*y));
        let places = inside.map(|(x, y)| (self.x_of(*x), self.y_of(*y)));
        if points.len() <= SPARSE { dots("clean", places) } else { shaded(places) }
    }

    /// A box between two corners.
    pub(crate) fn bar(&self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Markup {
        let clamp = |axis: &Axis<'_>, value: f64| {
            value.clamp(axis.from.min(axis.to), axis.from.max(axis.to))
        };
        let (left, right) = (self.x_of(clamp(&self.x, x1)), self.x_of(clamp(&self.x, x2)));
        let (top, bottom) = (self.y_of(clamp(&self.y, y1)), self.y_of(clamp(&self.y, y2)));
        html! {
            rect class=(class) x=(fixed(left.min(right))) y=(fixed(top.min(bottom)))
                width=(fixed((right - left).abs())) height=(fixed((bottom - top).abs())) {}
        }
    }

    /// A line through points.
    pub(crate) fn line(&self, class: &str, points: &[(f64, f64)]) -> Markup {
        let mut path = String::new();
        for (number, (x, y)) in points.iter().enumerate() {
            let letter = if number == 0 { 'M' } else { 'L' };
            // Writing to a string cannot fail.
            let _ = write!(path, "{letter}{:.1} {:.1}", self.x_of(*x), self.y_of(*y));
        }
        html! { path class=(class) d=(path) {} }
    }
}

/// A drawing of this size that grows with the page.
pub(crate) fn frame(width: f64, height: f64, words: &str, inside: &Markup) -> Markup {
    html! {
        svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(words) {
            (inside)
        }
    }
}

/// Squares in shades that go with the logarithm of how many points are in them.
fn shaded(places: impl Iterator<Item = (f64, f64)>) -> Markup {
    let mut counts: BTreeMap<(u16, u16), u32> = BTreeMap::new();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels of a plot")]
    let square = |place: f64| (place / SQUARE).floor() as u16;
    for (x, y) in places {
        *counts.entry((square(x), square(y))).or_default() += 1;
    }
    let most = f64::from(counts.values().copied().max().unwrap_or(1)).ln().max(1e-9);
    let mut paths = vec![String::new(); SHADES];
    for ((x, y), count) in counts {
        let part = f64::from(count).ln() / most * (SHADES - 1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 5")]
        let path = &mut paths[part.round() as usize];
        let (x, y) = (f64::from(x) * SQUARE, f64::from(y) * SQUARE);
        // Writing to a string cannot fail.
        let _ = write!(path, "M{x} {y}h{SQUARE}v{SQUARE}h-{SQUARE}z");
    }
    html! {
        @for (shade, path) in paths.iter().enumerate() {
            @if !path.is_empty() { path class={ "d" (shade) } d=(path) {} }
        }
    }
}

/// Round points of one colour as one path: the smallest way to write ten thousand.
pub(crate) fn dots(class: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Markup {
    let mut path = String::new();
    let mut count = 0;
    for (x, y) in points {
        // Writing to a string cannot fail.
        let _ = write!(path, "M{x:.1} {y:.1}h0");
        count += 1;
    }
    if path.is_empty() {
        return html! {};
    }
    let few = if count < FEW { " few" } else { "" };
    html! { path class={ "dots " (class) (few) } d=(path) {} }
}

fn fixed(value: f64) -> String {
    format!("{value:.1}")
}

fn tick_text(value: f64, decimals: usize) -> String {
    // Rounding may leave a negative zero.
    let value = if value.abs() < 1e-12 { 0.0 } else { value };
    format!("{value:.decimals$}").replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        let ticks = |from, to| Axis { from, to, title: "" }.ticks(5.0);
        assert_eq!(ticks(0.0, 10.0), (vec![0.0, 2.0, 4.0, 6.0, 8.0, 10.0], 0));
        assert_eq!(ticks(5900.0, 3700.0).0, [4000.0, 4500.0, 5000.0, 5500.0]);
        let (values, decimals) = ticks(-0.31, 0.29);
        assert_eq!((values.len(), decimals), (3, 1));
        assert_eq!(tick_text(-0.2, 1), "\u{2212}0.2");
        assert!(Axis::over([f64::NAN], "").is_none());
        let one = Axis::over([5.0, 5.0], "").unwrap();
        assert!(one.from < 5.0 && one.to > 5.0 && !one.ticks(4.0).0.is_empty());
    }

    #[test]
    fn points_outside_the_axes_are_not_drawn() {
        let axis = Axis { from: 0.0, to: 1.0, title: "" };
        let plot = Plot { width: 100.0, height: 100.0, x: axis, y: axis };
        let drawn = plot.points("a", [(0.5, 0.5), (2.0, 0.5), (f64::NAN, 0.5)]).into_string();
        assert_eq!(drawn.matches('M').count(), 1, "{drawn}");
        assert!(plot.points("a", [(9.0, 9.0)]).into_string().is_empty());
    }
}
