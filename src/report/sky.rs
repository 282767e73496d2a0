//! Which stars lie at the same place of the sky.

use std::collections::HashMap;

/// Places of the night's stars, found again by position. A place is a unit vector in a grid of
/// cubes, so that neither the pole nor the meridian is special.
#[derive(Debug)]
pub struct Sky {
    /// Twice the radius: what lies within the radius of a place is in one of eight cubes around it.
    side: f64,
    cubes: HashMap<[i32; 3], Vec<u32>>,
    places: Vec<[f64; 3]>,
    /// Square of the chord that the radius subtends.
    chord: f64,
}

impl Sky {
    /// The places (right ascension and declination, degrees), to be matched within a radius in
    /// arcseconds. Places that are not finite match nothing.
    pub fn new(places: impl IntoIterator<Item = (f64, f64)>, radius: f64) -> Self {
        let angle = (radius / 3600.0).to_radians();
        let mut sky = Self {
            side: (2.0 * angle).max(1e-8),
            cubes: HashMap::new(),
            places: Vec::new(),
            chord: (2.0 * (angle / 2.0).sin()).powi(2),
        };
        for (number, (ra, dec)) in (0..).zip(places) {
            let place = direction(ra, dec);
            if place.iter().all(|part| part.is_finite()) {
                let cube = place.map(|part| sky.cube(part));
                sky.cubes.entry(cube).or_default().push(number);
            }
            sky.places.push(place);
        }
        sky
    }

    /// The nearest star within the radius, by its number.
    pub fn nearest(&self, ra: f64, dec: f64) -> Option<usize> {
        self.within(ra, dec).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(number, _)| number)
    }

    /// All stars within the radius.
    pub fn all(&self, ra: f64, dec: f64) -> Vec<usize> {
        let mut found: Vec<usize> = self.within(ra, dec).map(|(number, _)| number).collect();
        found.sort_unstable();
        found
    }

    fn within(&self, ra: f64, dec: f64) -> impl Iterator<Item = (usize, f64)> {
        let place = direction(ra, dec);
        let finite = place.iter().all(|part| part.is_finite());
        let corners = if finite { 0..8_u8 } else { 0..0 };
        corners.flat_map(move |corner| {
            let step = |axis: usize| if corner >> axis & 1 == 1 { 0.5 } else { -0.5 };
            let cube = [0, 1, 2].map(|axis| self.cube(place[axis] + step(axis) * self.side));
            let numbers = self.cubes.get(&cube).map_or(&[][..], Vec::as_slice);
            numbers.iter().filter_map(move |&number| {
                let other = self.places[number as usize];
                let square: f64 = (0..3).map(|axis| (place[axis] - other[axis]).powi(2)).sum();
                (square <= self.chord).then_some((number as usize, square))
            })
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most 1e8, or saturated")]
    fn cube(&self, part: f64) -> i32 {
        (part / self.side).floor() as i32
    }
}

fn direction(ra: f64, dec: f64) -> [f64; 3] {
    let ((sin_ra, cos_ra), (sin_dec, cos_dec)) =
        (ra.to_radians().sin_cos(), dec.to_radians().sin_cos());
    [cos_dec * cos_ra, cos_dec * sin_ra, sin_dec]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_within_the_radius_wherever_they_are() {
        let second = 1.0 / 3600.0;
        for (ra, dec) in
            [(0.0, 0.0), (359.999_99, 41.2), (141.017, 26.6), (12.0, 89.999), (0.0, -90.0)]
        {
            let sky = Sky::new([(ra, dec), (f64::NAN, 1.0), (ra, dec - 10.0 * second)], 1.0);
            let east = second / f64::to_radians(dec).cos().max(1e-4);
            assert_eq!(sky.nearest(ra, dec), Some(0));
            assert_eq!(sky.nearest((ra + 0.9 * east) % 360.0, dec), Some(0), "{ra} {dec}");
            assert_eq!(sky.nearest(ra, dec + 0.99 * second), Some(0), "{ra} {dec}");
            assert_eq!(sky.nearest(ra, dec + 1.01 * second), None, "{ra} {dec}");
            assert_eq!(sky.nearest(f64::NAN, dec), None);
        }
    }

    #[test]
    fn the_grid_finds_what_comparing_all_with_all_finds() {
        let mut state = 1_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let places: Vec<(f64, f64)> =
            (0..800).map(|_| (uniform() * 0.01, 30.0 + uniform() * 0.01)).collect();
        let sky = Sky::new(places.iter().copied(), 1.0);
        let mut pairs = 0;
        for &(ra, dec) in &places {
            let expected: Vec<usize> = (0..places.len())
                .filter(|&other| {
                    let (other_ra, other_dec) = places[other];
                    let east = (ra - other_ra) * f64::to_radians(dec).cos();
                    east.hypot(dec - other_dec) * 3600.0 <= 1.0
                })
                .collect();
            pairs += expected.len();
            assert_eq!(sky.all(ra, dec), expected);
        }
        assert!(pairs > places.len() + 100);
    }
}
