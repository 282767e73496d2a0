//! Which stars lie at the same place of the sky.

use std::collections::HashMap;

/// Stars by number, found again by position. A place is a unit vector in a grid of cubes, so that
/// neither the pole nor the meridian is special.
#[derive(Debug)]
pub(crate) struct Sky {
    /// Twice the radius: what lies within the radius of a place is in one of eight cubes around it.
    side: f64,
    /// Square of the chord that the radius subtends.
    chord: f64,
    cubes: HashMap<[i32; 3], Vec<u32>>,
    /// By number of the star.
    places: Vec<Option<[f64; 3]>>,
}

impl Sky {
    /// What a place takes at most: its vector, and an entry of its own in a map that doubles.
    pub(crate) const PLACE_BYTES: usize =
        2 * (size_of::<Option<[f64; 3]>>() + size_of::<([i32; 3], Vec<u32>)>()) + 16;

    /// A sky without stars, which match within a radius in arcseconds.
    pub(crate) fn new(radius: f64) -> Self {
        let angle = (radius / 3600.0).to_radians();
        Self {
            side: (2.0 * angle).max(1e-8),
            chord: (2.0 * (angle / 2.0).sin()).powi(2),
            cubes: HashMap::new(),
            places: Vec::new(),
        }
    }

    /// Stars at these places (right ascension and declination, degrees), numbered in their order.
    pub(crate) fn of(places: impl IntoIterator<Item = (f64, f64)>, radius: f64) -> Self {
        let mut sky = Self::new(radius);
        for (number, (ra, dec)) in (0..).zip(places) {
            sky.put(number, ra, dec);
        }
        sky
    }

    /// Puts a star at a place, from wherever it was. What is no place of the sky matches nothing.
    pub(crate) fn put(&mut self, number: u32, ra: f64, dec: f64) {
        self.take(number);
        let index = number as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, None);
        }
        if let Some(place) = direction(ra, dec) {
            self.places[index] = Some(place);
            self.cubes.entry(self.cube(place)).or_default().push(number);
        }
    }

    /// Takes a star away.
    pub(crate) fn take(&mut self, number: u32) {
        let Some(place) = self.places.get_mut(number as usize).and_then(Option::take) else {
            return;
        };
        let cube = self.cube(place);
        if let Some(numbers) = self.cubes.get_mut(&cube) {
            numbers.retain(|&other| other != number);
            if numbers.is_empty() {
                self.cubes.remove(&cube);
            }
        }
    }

    /// The nearest star within the radius, by its number.
    pub(crate) fn nearest(&self, ra: f64, dec: f64) -> Option<usize> {
        self.within(ra, dec).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(number, _)| number)
    }

    /// All stars within the radius.
    pub(crate) fn all(&self, ra: f64, dec: f64) -> Vec<usize> {
        let mut found: Vec<usize> = self.within(ra, dec).map(|(number, _)| number).collect();
        found.sort_unstable();
        found
    }

    /// All stars within the radius, with the squares of their chords on the unit sphere.
    pub(crate) fn within(&self, ra: f64, dec: f64) -> impl Iterator<Item = (usize, f64)> {
        direction(ra, dec).into_iter().flat_map(move |place| {
            (0..8_u8).flat_map(move |corner| {
                let step = |axis: usize| if corner >> axis & 1 == 1 { 0.5 } else { -0.5 };
                let cube = self.cube([0, 1, 2].map(|axis| place[axis] + step(axis) * self.side));
                let numbers = self.cubes.get(&cube).map_or(&[][..], Vec::as_slice);
                numbers.iter().filter_map(move |&number| {
                    let other = self.places[number as usize]?;
                    let square: f64 = (0..3).map(|axis| (place[axis] - other[axis]).powi(2)).sum();
                    (square <= self.chord).then_some((number as usize, square))
                })
            })
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most 1e8, or saturated")]
    fn cube(&self, place: [f64; 3]) -> [i32; 3] {
        place.map(|part| (part / self.side).floor() as i32)
    }
}

/// The unit vector of a place in degrees; `None` for what is no place.
fn direction(ra: f64, dec: f64) -> Option<[f64; 3]> {
    if !(ra.is_finite() && (-90.0..=90.0).contains(&dec)) {
        return None;
    }
    let ((sin_ra, cos_ra), (sin_dec, cos_dec)) =
        (ra.to_radians().sin_cos(), dec.to_radians().sin_cos());
    Some([cos_dec * cos_ra, cos_dec * sin_ra, sin_dec])
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
            let sky = Sky::of([(ra, dec), (f64::NAN, 1.0), (ra, dec - 10.0 * second)], 1.0);
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
        let sky = Sky::of(places.iter().copied(), 1.0);
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
    #[test]
    fn a_star_that_was_moved_or_taken_is_not_where_it_was() {
        let second = 1.0 / 3600.0;
        let mut sky = Sky::of([(10.0, 20.0), (10.0, 20.0 + 0.5 * second)], 1.0);
        assert_eq!(sky.all(10.0, 20.0), [0, 1]);
        sky.put(0, 10.0, -20.0);
        assert_eq!((sky.all(10.0, 20.0), sky.nearest(10.0, -20.0)), (vec![1], Some(0)));
        sky.take(1);
        sky.take(1);
        sky.take(77);
        assert_eq!(sky.nearest(10.0, 20.0), None);
        for (ra, dec) in [(10.0, 90.1), (f64::INFINITY, 0.0), (0.0, f64::NAN)] {
            sky.put(0, ra, dec);
            assert_eq!(sky.nearest(ra, dec), None);
        }
        assert!(sky.cubes.is_empty(), "what is gone takes no room");
    }
}
