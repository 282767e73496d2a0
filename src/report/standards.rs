//! Standards: stars whose labels are known, so that a drift of instrument or model shows.

use super::past::Past;
use super::statistics::{Shift, median, shift};
use super::table::Label;
use super::{ReportSettings, Standard};

/// A label of a standard: what is expected, what was found, tonight and before.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    pub(super) standard: &'a Standard,
    pub(super) label: usize,
    pub(super) expected: f64,
    pub(super) expected_error: f64,
    /// Clean observations of this night.
    pub(super) tonight: usize,
    /// Their median.
    pub(super) found: Option<f64>,
    /// The median of the clean observations of earlier nights.
    pub(super) before: Option<f64>,
    /// Clean observations of earlier nights.
    pub(super) earlier: usize,
    /// Found less expected, by night; the last is this one. For the plot.
    pub(super) history: Vec<(usize, f64)>,
}

impl Comparison<'_> {
    /// Found less expected.
    pub(super) fn difference(&self) -> Option<f64> {
        self.found.map(|found| found - self.expected)
    }

    /// This night less the earlier ones.
    pub(super) fn drift(&self) -> Option<f64> {
        Some(self.found? - self.before?)
    }
}

/// Every configured label of every standard, in the order of the configuration.
pub(super) fn compare<'a>(
    settings: &'a ReportSettings,
    labels: &[Label],
    past: &Past,
) -> Vec<Comparison<'a>> {
    let mut comparisons = Vec::new();
    for (number, standard) in settings.standards.iter().enumerate() {
        for (label, column) in labels.iter().enumerate() {
            let Some(&[expected, expected_error]) = standard.labels.get(&column.name) else {
                continue;
            };
            let visits =
                || past.visits.iter().filter(|visit| visit.standard == number && !visit.bad);
            let value = |values: &[f32]| f64::from(values[label]);
            let of = |is_tonight: bool| {
                let visits = visits().filter(move |visit| visit.night.is_none() == is_tonight);
                visits.map(|visit| value(&visit.values)).collect::<Vec<_>>()
            };
            let (tonight, earlier) = (of(true), of(false));
            comparisons.push(Comparison {
                standard,
                label,
                expected,
                expected_error,
                tonight: tonight.len(),
                earlier: earlier.len(),
                found: median(tonight),
                before: median(earlier),
                history: visits()
                    .map(|visit| {
                        let night = visit.night.unwrap_or(past.nights.len());
                        (night, value(&visit.values) - expected)
                    })
                    .collect(),
            });
        }
    }
    comparisons
}

/// How far a label of all standards has moved against earlier nights.
pub(super) fn drift(comparisons: &[Comparison<'_>], label: usize) -> Option<Shift> {
    let of_label = comparisons.iter().filter(|comparison| comparison.label == label);
    shift(of_label.filter_map(Comparison::drift))
}

/// How far a label of all standards lies from what is expected.
pub(super) fn offset(comparisons: &[Comparison<'_>], label: usize) -> Option<Shift> {
    let of_label = comparisons.iter().filter(|comparison| comparison.label == label);
    shift(of_label.filter_map(Comparison::difference))
}
