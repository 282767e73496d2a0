//! Stars that were seen in an earlier night: do their labels stay where they were?

use std::collections::{HashMap, VecDeque};

use super::status::{Drift, Label};
use crate::night::Night;
use crate::report::statistics::{Shift, shift};

/// Stars whose last values are kept.
pub(super) const STARS: usize = 20_000;
/// Pairs that the statistics are over.
pub(super) const PAIRS: usize = 200;
/// Positions that are so close are one star, arcseconds: less than a fibre of LAMOST (3.3) sees.
const RADIUS: f64 = 2.0;

/// The square of the sky that a position lies in; its side is [`RADIUS`].
type Cell = (i32, i32);

struct Star {
    ra: f64,
    dec: f64,
    night: Night,
    values: Box<[f32]>,
}

/// The last values of the stars seen last, and the last differences.
pub(super) struct Repeats {
    // By order of being seen; a star that was seen again leaves a hole.
    stars: VecDeque<Option<(Cell, Star)>>,
    // Number of the star in the order of being seen, of which `forgotten` are no longer there.
    places: HashMap<Cell, u64>,
    forgotten: u64,
    pairs: u64,
    differences: Vec<VecDeque<f32>>,
}

impl Repeats {
    /// For so many labels.
    pub(super) fn new(labels: usize) -> Self {
        Self {
            stars: VecDeque::new(),
            places: HashMap::new(),
            forgotten: 0,
            pairs: 0,
            differences: vec![VecDeque::new(); labels],
        }
    }

    /// Notes a star at a position in degrees. If it was seen in an earlier night, its differences
    /// count; several exposures of one night are all compared with what comes after that night.
    pub(super) fn see(&mut self, ra: f64, dec: f64, night: Night, values: &[f32]) {
        if !(ra.is_finite() && (-90.0..=90.0).contains(&dec)) {
            return;
        }
        if let Some(earlier) = self.take(ra, dec) {
            if earlier.night < night {
                self.compare(&earlier.values, values);
            } else if earlier.night > night {
                // A catch-up brings an older night: what is newer stays.
                self.keep(earlier);
                return;
            }
        }
        self.keep(Star { ra, dec, night, values: values.into() });
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

    fn keep(&mut self, star: Star) {
        if self.stars.len() == STARS {
            if let Some((cell, _)) = self.stars.pop_front().flatten() {
                self.places.remove(&cell);
            }
            self.forgotten += 1;
        }
        let cell = cell(star.ra, star.dec);
        let number = self.forgotten + self.stars.len() as u64;
        if let Some(other) = self.places.insert(cell, number) {
            // Two stars in one cell, further apart than a radius: the one seen last is kept.
            self.remove(other);
        }
        self.stars.push_back(Some((cell, star)));
    }

    fn take(&mut self, ra: f64, dec: f64) -> Option<Star> {
        let step = RADIUS / 3600.0;
        // Cells of neighbouring bands differ in width, so each band is asked for itself.
        let near = [-1.0, 0.0, 1.0].into_iter().flat_map(|band| {
            let dec = dec + band * step;
            let width = width((dec / step).floor());
            [-1.0, 0.0, 1.0].map(|column| cell(ra + column * width, dec))
        });
        let numbers = near.filter_map(|cell| self.places.get(&cell).copied());
        let distance = |number: u64| {
            let (_, star) = self.stars.get(self.index(number)?)?.as_ref()?;
            Some((separation((ra, dec), (star.ra, star.dec)), number))
        };
        let nearest = numbers.filter_map(distance).min_by(|a, b| a.0.total_cmp(&b.0));
        let (_, number) = nearest.filter(|(distance, _)| *distance <= RADIUS)?;
        let (cell, star) = self.remove(number)?;
        self.places.remove(&cell);
        Some(star)
    }

    fn remove(&mut self, number: u64) -> Option<(Cell, Star)> {
        let index = self.index(number)?;
        self.stars.get_mut(index)?.take()
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.forgotten)?).ok()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a sky has 648 000 cells around")]
fn cell(ra: f64, dec: f64) -> Cell {
    let step = RADIUS / 3600.0;
    let band = (dec / step).floor();
    ((ra.rem_euclid(360.0) / width(band)).floor() as i32, band as i32)
}

/// Degrees of right ascension of a cell of a band of declination: a whole number of them goes
/// around, and none is narrower than [`RADIUS`].
fn width(band: f64) -> f64 {
    let step = RADIUS / 3600.0;
    let (below, above) = (band * step, (band + 1.0) * step);
    let narrowest = below.abs().max(above.abs()).min(90.0).to_radians().cos();
    360.0 / (360.0 * narrowest / step).floor().max(1.0)
}

/// Arcseconds between two positions that are close to each other.
fn separation(a: (f64, f64), b: (f64, f64)) -> f64 {
    let around = (a.0 - b.0 + 180.0).rem_euclid(360.0) - 180.0;
    let across = around * f64::midpoint(a.1, b.1).to_radians().cos();
    across.hypot(a.1 - b.1) * 3600.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn night(day: u32) -> Night {
        Night::of_date(&format!("2026-11-{day:02}")).unwrap()
    }

    fn labels() -> [Label; 1] {
        [Label { name: "teff".into(), unit: "K".into() }]
    }

    #[test]
    fn a_star_of_an_earlier_night_is_compared_and_one_of_this_night_is_not() {
        let mut repeats = Repeats::new(1);
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
            let mut repeats = Repeats::new(1);
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
        let mut repeats = Repeats::new(1);
        let ra = |star: usize| star as f64 * 0.01;
        for star in 0..STARS + 1000 {
            repeats.see(ra(star), 0.0, night(1), &[1.0]);
        }
        assert_eq!(repeats.places.len(), STARS);
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
        assert!(repeats.stars.len() <= STARS && repeats.places.len() <= STARS);
    }

    #[test]
    fn without_repeats_there_is_no_drift() {
        let drift = &Repeats::new(1).drift(&labels())[0];
        assert_eq!((drift.recent, drift.median, drift.scatter, drift.error), (0, 0.0, 0.0, 0.0));
    }
}
