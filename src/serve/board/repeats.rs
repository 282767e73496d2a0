//! Stars that were seen in an earlier night: do their labels stay where they were?

use std::collections::VecDeque;

use super::status::{Drift, Label};
use crate::night::Night;
use crate::report::statistics::{Shift, shift};
use crate::sky::Sky;

/// Stars whose last values are kept.
pub(super) const STARS: usize = 20_000;
/// Pairs that the statistics are over.
pub(super) const PAIRS: usize = 200;
/// What they take, with the values of 32 labels.
pub(super) const BYTES: usize =
    STARS * (size_of::<Option<Star>>() + Sky::PLACE_BYTES + 32 * size_of::<f32>());

struct Star {
    night: Night,
    values: Box<[f32]>,
}

/// The last values of the stars seen last, and the last differences.
pub(super) struct Repeats {
    // A ring; a star that was seen again leaves a hole.
    stars: Vec<Option<Star>>,
    // The place of the next star, which is that of the one seen longest ago.
    next: usize,
    // Where they are, by place in the ring.
    sky: Sky,
    pairs: u64,
    differences: Vec<VecDeque<f32>>,
}

impl Repeats {
    /// For so many labels of stars that are one within a radius in arcseconds.
    pub(super) fn new(labels: usize, radius: f64) -> Self {
        Self {
            stars: Vec::new(),
            next: 0,
            sky: Sky::new(radius),
            pairs: 0,
            differences: vec![VecDeque::new(); labels],
        }
    }

    /// Notes a star at a position in degrees. If it was seen in an earlier night, its differences
    /// count; several exposures of one night are all compared with what comes after that night.
    pub(super) fn see(&mut self, ra: f64, dec: f64, night: Night, values: &[f32]) {
        if let Some(place) = self.sky.nearest(ra, dec) {
            // A catch-up brings an older night: what is newer stays.
            if self.stars[place].as_ref().is_some_and(|earlier| earlier.night > night) {
                return;
            }
            self.sky.take(number(place));
            if let Some(earlier) = self.stars[place].take().filter(|earlier| earlier.night < night)
            {
                self.compare(&earlier.values, values);
            }
        }
        self.keep(ra, dec, Star { night, values: values.into() });
    }

    /// What the labels do, in their order.
    pub(super) fn drift(&self, labels: &[Label]) -> Vec<Drift> {
        let labels = labels.iter().zip(&self.differences);
        labels
            .map(|(label, differences)| {
                let nothing = Shift { count: 0, median: 0.0, scatter: 0.0, error: 0.0 };
                let shift = shift(differences.iter().map(|&d| f64::from(d))).unwrap_or(nothing);
                Drift {
                    label: label.name.clone(),
                    unit: label.unit.clone(),
                    repeats: self.pairs,
                    recent: shift.count,
                    median: shift.median,
                    scatter: shift.scatter,
                    error: shift.error,
                }
            })
            .collect()
    }

    fn compare(&mut self, old: &[f32], new: &[f32]) {
        self.pairs += 1;
        for ((kept, old), new) in self.differences.iter_mut().zip(old).zip(new) {
            let difference = new - old;
            if difference.is_finite() {
                if kept.len() == PAIRS {
                    kept.pop_front();
                }
                kept.push_back(difference);
            }
        }
    }

    fn keep(&mut self, ra: f64, dec: f64, star: Star) {
        self.sky.put(number(self.next), ra, dec);
        if self.next == self.stars.len() {
            self.stars.push(Some(star));
        } else {
            self.stars[self.next] = Some(star);
        }
        self.next = (self.next + 1) % STARS;
    }
}

/// The number of a place in the ring.
#[expect(clippy::cast_possible_truncation, reason = "the ring is far smaller")]
fn number(place: usize) -> u32 {
    place as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const RADIUS: f64 = 2.0;

    fn night(day: u32) -> Night {
        Night::of_date(&format!("2026-11-{day:02}")).unwrap()
    }

    fn labels() -> [Label; 1] {
        [Label { name: "teff".into(), unit: "K".into() }]
    }

    #[test]
    fn a_star_of_an_earlier_night_is_compared_and_one_of_this_night_is_not() {
        let mut repeats = Repeats::new(1, RADIUS);
        repeats.see(10.0, 40.0, night(1), &[5000.0]);
        repeats.see(10.0, 40.0, night(1), &[5010.0]);
        assert_eq!(repeats.drift(&labels())[0].repeats, 0);
        repeats.see(10.0 + 1.0 / 3600.0, 40.0 - 1.0 / 3600.0, night(2), &[5030.0]);
        let drift = &repeats.drift(&labels())[0];
        assert_eq!((drift.repeats, drift.recent, drift.median), (1, 1, 20.0));
        // Yesterday's, caught up on today, changes nothing.
        repeats.see(10.0, 40.0, night(1), &[0.0]);
        repeats.see(10.0, 40.0, night(3), &[5030.0]);
        assert_eq!(repeats.drift(&labels())[0].median, 10.0);
    }

    #[test]
    fn stars_are_told_apart_by_their_distance_on_the_sky() {
        let matches = |a: (f64, f64), b: (f64, f64)| {
            let mut repeats = Repeats::new(1, RADIUS);
            repeats.see(a.0, a.1, night(1), &[1.0]);
            repeats.see(b.0, b.1, night(2), &[1.0]);
            repeats.drift(&labels())[0].repeats == 1
        };
        let arcsecond = 1.0 / 3600.0;
        for dec in [-89.9, -60.0, 0.0, 30.0, 75.0, 89.9] {
            let stretch = 1.0 / f64::to_radians(dec).cos();
            for ra in [0.0, 359.999_999, 12.345_678] {
                let east = |arcseconds: f64| (ra + arcseconds * arcsecond * stretch, dec);
                assert!(matches((ra, dec), east(1.9)), "{ra} {dec}");
                assert!(matches((ra, dec), east(-1.9)), "{ra} {dec}");
                assert!(matches((ra, dec), (ra, dec + 1.9 * arcsecond)), "{ra} {dec}");
                assert!(!matches((ra, dec), east(2.2)), "{ra} {dec}");
                assert!(!matches((ra, dec), (ra, dec - 2.2 * arcsecond)), "{ra} {dec}");
            }
        }
    }

    #[test]
    fn the_stars_and_the_pairs_are_bounded() {
        let mut repeats = Repeats::new(1, RADIUS);
        let ra = |star: usize| star as f64 * 0.01;
        for star in 0..STARS + 1000 {
            repeats.see(ra(star), 0.0, night(1), &[1.0]);
        }
        assert_eq!(repeats.stars.len(), STARS);
        repeats.see(ra(0), 0.0, night(2), &[1.0]);
        assert_eq!(repeats.pairs, 0, "the first was forgotten");
        for star in STARS - 1000..STARS {
            repeats.see(ra(star), 0.0, night(2), &[2.0]);
        }
        assert_eq!(repeats.pairs, 1000);
        assert_eq!(repeats.drift(&labels())[0].recent, PAIRS);
        assert!(repeats.stars.len() <= STARS);
        // Seen again and again, a star takes no more room.
        for day in 3..28 {
            (0..1000).for_each(|star| repeats.see(ra(5000 + star), 0.0, night(day), &[3.0]));
        }
        assert!(repeats.stars.len() <= STARS);
    }

    #[test]
    fn without_repeats_there_is_no_drift() {
        let drift = &Repeats::new(1, RADIUS).drift(&labels())[0];
        assert_eq!((drift.recent, drift.median, drift.scatter, drift.error), (0, 0.0, 0.0, 0.0));
    }
}
