//! Labels of a catalogue against those of a reference, in numbers.

use serde::Serialize;

use super::abundances::{Element, elements, fe_h_of};
use super::bins::{By, Range};
use super::matching::{Mapped, Reference};
use super::rows::{BinColumn, Label, Rows};
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
    /// Residuals by S/N, by the labels of the reference, and by the columns that were asked for.
    pub bins: Vec<Binned>,
}

/// Residuals by one quantity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Binned {
    /// The quantity: `snr`, a label, or a column that was asked for.
    pub by: String,
    /// Whose value of it.
    pub of: Whose,
    /// Its bins.
    pub bins: Vec<Bin>,
}

/// Whose value of a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    /// The catalogue's.
    Catalogue,
    /// The reference's.
    Reference,
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

    /// The residuals of a label by one of the usual quantities.
    fn binned(self, label: usize, by: By) -> Option<Binned> {
        let bins = self.bins(label, by.ranges(), self.quantity(by)?);
        let of = if by == By::Snr { Whose::Catalogue } else { Whose::Reference };
        Some(Binned { by: by.name().to_owned(), of, bins })
    }

    /// The value of a row in a column that was asked for.
    pub(super) fn binned_by(self, row: usize, column: usize) -> f64 {
        if self.rows.bin_columns[column].is_here {
            self.rows.binned_by(row, column)
        } else {
            self.reference.binned_by(row, column)
        }
    }

    /// The same by a column that was asked for.
    fn binned_by_column(self, label: usize, column: usize) -> Binned {
        let BinColumn { bins, is_here } = &self.rows.bin_columns[column];
        let value = |row: usize| self.binned_by(row, column);
        let of = if *is_here { Whose::Catalogue } else { Whose::Reference };
        Binned { by: bins.column.clone(), of, bins: self.bins(label, bins.ranges(), value) }
    }

    fn bins(self, label: usize, ranges: Vec<Range>, quantity: impl Fn(usize) -> f64) -> Vec<Bin> {
        let mut residuals = vec![Vec::new(); ranges.len()];
        for row in self.matched() {
            let value = quantity(row);
            if let Some(bin) = ranges.iter().position(|range| range.contains(value)) {
                residuals[bin].push(self.residual(row, label));
            }
        }
        let bins = ranges.into_iter().zip(residuals);
        bins.map(|(range, residuals)| Bin { range, summary: Summary::of(residuals) }).collect()
    }

    fn label(self, reference: &Mapped) -> Option<LabelAgreement> {
        let number = self.rows.label(&reference.label)?;
        let columns = 0..self.rows.bin_columns.len();
        let usual = By::ALL.into_iter().filter_map(|by| self.binned(number, by));
        Some(LabelAgreement {
            label: self.rows.labels[number].clone(),
            reference: reference.clone(),
            all: Summary::of(self.matched().map(|row| self.residual(row, number))),
            pulls: Pulls::of(self.matched().map(|row| self.pull(row, number))),
            bins: usual
                .chain(columns.map(|column| self.binned_by_column(number, column)))
                .collect(),
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
