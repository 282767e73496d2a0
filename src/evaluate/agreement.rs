//! Labels of a catalogue against those of a reference, in numbers.

use serde::Serialize;

use super::abundances::{Element, elements, fe_h_of};
use super::bins::{By, Range};
use super::matching::{Mapped, Reference};
use super::rows::{Label, Rows};
use super::statistics::{Pulls, Summary, correlation};

/// How far labels agree with those of a reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// The reference as it was named.
    pub path: String,
    /// SHA-256 of its table.
    pub sha256: String,
    /// Rows of its table.
    pub rows: u64,
    /// How rows were matched.
    pub matched_by: String,
    /// Rows of the catalogue that have a partner.
    pub matched: usize,
    /// Those of them for which there was more than one.
    pub ambiguous: usize,
    /// Labels of the catalogue that the reference does not have.
    pub missing: Vec<String>,
    /// One for each label that both have.
    pub labels: Vec<LabelAgreement>,
    /// Of every two abundances [X/H]: how they go together among the matched rows.
    pub correlations: Vec<Correlation>,
}

/// How far one label agrees: residuals are the catalogue's value less the reference's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelAgreement {
    /// The label.
    #[serde(flatten)]
    pub label: Label,
    /// What it is compared with.
    pub reference: Mapped,
    /// All residuals; `None` if no matched row has both values.
    pub all: Option<Summary>,
    /// Residuals by the root of the sum of both squared errors, or by that of the catalogue alone
    /// where the reference quotes none; `None` where the catalogue quotes none.
    pub pulls: Option<Pulls>,
    /// Residuals by S/N, and by the labels of the reference.
    pub bins: Vec<Binned>,
}

/// Residuals by one quantity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Binned {
    /// The quantity.
    pub by: By,
    /// Its bins.
    pub bins: Vec<Bin>,
}

/// Residuals within one range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// The range.
    #[serde(flatten)]
    pub range: Range,
    /// Its residuals; `None` if there are none.
    pub summary: Option<Summary>,
}

/// How two abundances go together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Correlation {
    /// The two, as `c_h`.
    pub labels: [String; 2],
    /// Pearson's coefficient in the catalogue.
    pub catalogue: Option<f64>,
    /// In the reference.
    pub reference: Option<f64>,
}

/// A catalogue beside its reference.
#[derive(Clone, Copy)]
pub(super) struct Both<'a> {
    pub(super) rows: &'a Rows,
    pub(super) reference: &'a Reference,
}

impl<'a> Both<'a> {
    /// The rows that have a partner.
    pub(super) fn matched(self) -> impl Iterator<Item = usize> + Clone + 'a {
        self.reference.matched.iter().map(|row| *row as usize)
    }

    pub(super) fn residual(self, row: usize, label: usize) -> f64 {
        self.rows.value(row, label) - self.reference.value(row, label)
    }

    /// The residual by its error.
    pub(super) fn pull(self, row: usize, label: usize) -> f64 {
        let own = self.rows.error(row, label);
        let other = self.reference.error(row, label);
        let error = if other > 0.0 { own.hypot(other) } else { own };
        if own > 0.0 { self.residual(row, label) / error } else { f64::NAN }
    }

    /// What residuals are binned by; `None` if the reference does not have it.
    pub(super) fn quantity(self, by: By) -> Option<impl Fn(usize) -> f64 + 'a> {
        let label = match by {
            By::Snr => None,
            By::Teff | By::Logg | By::FeH => {
                let has = |mapped: &Mapped| mapped.label == by.name();
                self.reference.mapped.iter().find(|mapped| has(mapped))?;
                Some(self.rows.label(by.name())?)
            }
        };
        Some(move |row: usize| match label {
            None => f64::from(self.rows.snr[row]),
            Some(label) => self.reference.value(row, label),
        })
    }

    /// The residuals of a label by one quantity.
    fn binned(self, label: usize, by: By) -> Option<Binned> {
        let quantity = self.quantity(by)?;
        let ranges = by.ranges();
        let mut residuals = vec![Vec::new(); ranges.len()];
        for row in self.matched() {
            let value = quantity(row);
            if let Some(bin) = ranges.iter().position(|range| range.contains(value)) {
                residuals[bin].push(self.residual(row, label));
            }
        }
        let bins = ranges.into_iter().zip(residuals);
        let bin = |(range, residuals)| Bin { range, summary: Summary::of(residuals) };
        Some(Binned { by, bins: bins.map(bin).collect() })
    }

    fn label(self, reference: &Mapped) -> Option<LabelAgreement> {
        let number = self.rows.label(&reference.label)?;
        Some(LabelAgreement {
            label: self.rows.labels[number].clone(),
            reference: reference.clone(),
            all: Summary::of(self.matched().map(|row| self.residual(row, number))),
            pulls: Pulls::of(self.matched().map(|row| self.pull(row, number))),
            bins: By::ALL.into_iter().filter_map(|by| self.binned(number, by)).collect(),
        })
    }

    /// [X/H] of two elements in the matched rows: of the catalogue and of the reference.
    pub(super) fn abundance(self, element: &Element, row: usize) -> (f64, f64) {
        let fe_h = fe_h_of(self.rows);
        let own = element.of_h(|label| self.rows.value(row, label), fe_h);
        (own, element.of_h(|label| self.reference.value(row, label), fe_h))
    }

    fn correlations(self) -> Vec<Correlation> {
        let elements = elements(self.rows, &self.reference.mapped);
        let mut found = Vec::new();
        for (number, first) in elements.iter().enumerate() {
            for second in &elements[number + 1..] {
                let pairs = self.matched().map(|row| {
                    let ((x, x_reference), (y, y_reference)) =
                        (self.abundance(first, row), self.abundance(second, row));
                    ((x, y), (x_reference, y_reference))
                });
                found.push(Correlation {
                    labels: [first, second].map(|element| format!("{}_h", element.symbol)),
                    catalogue: correlation(pairs.clone().map(|(own, _)| own)),
                    reference: correlation(pairs.map(|(_, reference)| reference)),
                });
            }
        }
        found
    }
}

impl Agreement {
    pub(super) fn of(both: Both<'_>, path: String, sha256: String, matched_by: String) -> Self {
        let Both { rows, reference } = both;
        let is_mapped = |label: &&Label| reference.mapped.iter().all(|m| m.label != label.name);
        let missing = rows.labels.iter().filter(is_mapped).map(|label| label.name.clone());
        Self {
            path,
            sha256,
            rows: reference.read,
            matched_by,
            matched: reference.matched.len(),
            ambiguous: reference.ambiguous,
            missing: missing.collect(),
            labels: reference.mapped.iter().filter_map(|mapped| both.label(mapped)).collect(),
            correlations: both.correlations(),
        }
    }
}
