//! Repeat visits: what the labels of one star differ by from visit to visit, which no reference is
//! needed for.
//!
//! Two visits have the errors s1 and s2, so their difference has the variance s1^2 + s2^2, and the
//! root mean square of such differences, divided by the root of 2, is the error of one visit. It is
//! compared with the errors that the catalogue quotes. What all visits of a star have in common, such
//! as the faults of a model, does not show here.

use std::collections::HashMap;

use serde::Serialize;

use super::bins::{By, Range};
use super::rows::{Label, Rows};
use super::statistics::{Pair, Scatter};
use super::{EvaluateError, Match};
use crate::report::statistics::median;
use crate::sky::Sky;

/// Visits of one star that are paired with each other.
const MOST_VISITS: usize = 64;
/// Pairs in all.
const MOST_PAIRS: usize = 4_000_000;

/// Repeat visits in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Repeats {
    /// How visits of a star were found.
    pub matched_by: String,
    /// Stars with more than one visit.
    pub stars: usize,
    /// Their visits.
    pub visits: usize,
    /// Pairs of visits.
    pub pairs: usize,
    /// Visits of these stars that were not paired, because there are too many.
    pub unpaired: usize,
    /// Pairs without S/N, which are in no bin.
    pub without_snr: usize,
    /// One for each label.
    pub labels: Vec<LabelRepeats>,
}

/// Repeat visits in one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelRepeats {
    /// The label.
    #[serde(flatten)]
    pub label: Label,
    /// All pairs; `None` if none has this label twice.
    pub all: Option<Scatter>,
    /// Pairs by their S/N.
    pub by_snr: Vec<SnrBin>,
}

/// Pairs within a range of S/N.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SnrBin {
    /// The range.
    #[serde(flatten)]
    pub range: Range,
    /// Median S/N of its pairs.
    pub snr: Option<f64>,
    /// Its pairs; `None` if there are none.
    pub scatter: Option<Scatter>,
}

impl Repeats {
    /// Pairs the rows of a catalogue that are visits of one star.
    pub(super) fn of(rows: &Rows, how: &Match) -> Result<Self, EvaluateError> {
        let stars = match how {
            Match::Key { .. } => by_key(rows),
            Match::Sky { .. } if !rows.has_places => return Err(EvaluateError::NoPlaces),
            Match::Sky { radius } => by_place(rows, *radius),
        };
        let mut pairing = Pairing::default();
        for visits in &stars {
            pairing.add(rows, visits);
        }
        if pairing.pairs.is_empty() {
            return Err(EvaluateError::NoRepeats { rows: rows.len(), how: how.to_string() });
        }
        let snr: Vec<f64> = pairing.pairs.iter().map(|pair| pair_snr(rows, *pair)).collect();
        let labels = rows.labels.iter().enumerate().map(|(number, label)| {
            let of = |&(first, second): &(u32, u32)| pair_of(rows, number, first, second);
            let in_range = |range: Range| {
                let pairs = pairing.pairs.iter().zip(snr.iter().copied());
                let chosen = || {
                    let inside = pairs.clone().filter(|(_, snr)| range.contains(*snr));
                    inside.map(|(pair, snr)| (of(pair), snr))
                };
                let known = chosen().filter(|(pair, _)| pair.difference.is_finite());
                let snr = median(known.map(|(_, snr)| snr));
                SnrBin { range, snr, scatter: Scatter::of(chosen().map(|(pair, _)| pair)) }
            };
            LabelRepeats {
                label: label.clone(),
                all: Scatter::of(pairing.pairs.iter().map(of)),
                by_snr: By::Snr.ranges().into_iter().map(in_range).collect(),
            }
        });
        Ok(Self {
            matched_by: how.to_string(),
            stars: pairing.stars,
            visits: pairing.visits,
            pairs: pairing.pairs.len(),
            unpaired: pairing.unpaired,
            without_snr: snr.iter().filter(|snr| snr.is_nan()).count(),
            labels: labels.collect(),
        })
    }
}

/// Rows with the same key, in the order of the catalogue. An empty key is none.
fn by_key(rows: &Rows) -> Vec<Vec<u32>> {
    let mut stars = Stars::default();
    let mut known: HashMap<(&str, bool), usize> = HashMap::new();
    for (row, (key, coadd)) in (0..).zip(rows.keys.iter().zip(&rows.coadd)) {
        if !key.is_empty() {
            let star = *known.entry((key, *coadd)).or_insert(stars.0.len());
            stars.visit(star, row);
        }
    }
    stars.0
}

/// Rows at the same place. The first row at a place is where its star is; a later row is a visit of
/// the nearest star within the radius, or the first one of another star. So the number of visits
/// costs nothing, and a chain of neighbours is not one star.
fn by_place(rows: &Rows, radius: f64) -> Vec<Vec<u32>> {
    let mut stars = Stars::default();
    // A sum of exposures and the exposures themselves are not independent.
    let mut skies = [(Sky::new(radius), Vec::new()), (Sky::new(radius), Vec::new())];
    for (row, ((ra, dec), coadd)) in (0..).zip(rows.places.iter().zip(&rows.coadd)) {
        let (sky, known) = &mut skies[usize::from(*coadd)];
        let star = if let Some(number) = sky.nearest(*ra, *dec) {
            known[number]
        } else {
            if let Ok(number) = u32::try_from(known.len()) {
                sky.put(number, *ra, *dec);
            }
            known.push(stars.0.len());
            stars.0.len()
        };
        stars.visit(star, row);
    }
    stars.0
}

/// The visits of each star.
#[derive(Default)]
struct Stars(Vec<Vec<u32>>);

impl Stars {
    fn visit(&mut self, star: usize, row: u32) {
        if star == self.0.len() {
            self.0.push(Vec::new());
        }
        self.0[star].push(row);
    }
}

#[derive(Default)]
struct Pairing {
    pairs: Vec<(u32, u32)>,
    stars: usize,
    visits: usize,
    unpaired: usize,
}

impl Pairing {
    fn add(&mut self, rows: &Rows, visits: &[u32]) {
        let has_label = |row: &&u32| {
            (0..rows.labels.len()).any(|label| rows.value(**row as usize, label).is_finite())
        };
        let visits: Vec<u32> = visits.iter().filter(has_label).copied().collect();
        if visits.len() < 2 {
            return;
        }
        self.stars += 1;
        self.visits += visits.len();
        let paired = &visits[..visits.len().min(MOST_VISITS)];
        if self.pairs.len() + paired.len() * (paired.len() - 1) / 2 > MOST_PAIRS {
            self.unpaired += visits.len();
            return;
        }
        self.unpaired += visits.len() - paired.len();
        for (number, first) in paired.iter().enumerate() {
            self.pairs.extend(paired[number + 1..].iter().map(|second| (*first, *second)));
        }
    }
}

fn pair_of(rows: &Rows, label: usize, first: u32, second: u32) -> Pair {
    let (first, second) = (first as usize, second as usize);
    Pair {
        difference: rows.value(second, label) - rows.value(first, label),
        errors: [rows.error(first, label), rows.error(second, label)],
    }
}

/// The S/N at which one visit has the mean variance of the two, where errors go with 1 / (S/N).
fn pair_snr(rows: &Rows, (first, second): (u32, u32)) -> f64 {
    let [a, b] = [first, second].map(|row| f64::from(rows.snr[row as usize]));
    if a <= 0.0 || b <= 0.0 {
        return 0.0;
    }
    (2.0 / (a.powi(-2) + b.powi(-2))).sqrt()
}

#[cfg(test)]
#[path = "repeats_tests.rs"]
mod tests;
