//! The rows of a catalogue that are evaluated.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::bins::ColumnBins;
use super::listed::Listed;
use super::names::{self, Finder};
use super::{EvaluateError, Selection};
use crate::catalogue::{CATALOGUE, MANIFEST};
use crate::table::{Column, Kind, Record, Source, TableError, Wanted};

/// The most rows that are evaluated at once; their labels and errors are in memory.
pub(super) const MOST_ROWS: usize = 4_000_000;
/// More labels than any model has.
const MOST_LABELS: usize = 64;

/// A label of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// Its column.
    pub name: String,
    /// Its unit, empty if the catalogue states none.
    pub unit: String,
    /// Its name in a published catalogue, else empty.
    #[serde(skip)]
    pub alias: String,
}

/// Rows of a catalogue that were left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Because of `flag_bad`.
    pub bad: u64,
    /// Because their S/N is below the limit, or unknown where there is a limit.
    pub low_snr: u64,
    /// Because they are not in the list of those to evaluate.
    pub unlisted: u64,
}

/// Bins of a column, and whether the catalogue has it.
#[derive(Debug, Clone)]
pub(super) struct BinColumn {
    pub(super) bins: ColumnBins,
    pub(super) is_here: bool,
}

/// The rows, column by column. A missing number is NaN.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) labels: Vec<Label>,
    /// Rows of the table.
    pub(super) read: u64,
    pub(super) left_out: LeftOut,
    /// Model and version, where the table says so.
    pub(super) model: String,
    /// Which columns are the S/N.
    pub(super) snr_columns: String,
    /// Whether the table has `flag_bad`.
    pub(super) has_flags: bool,
    pub(super) has_places: bool,
    pub(super) snr: Vec<f32>,
    pub(super) places: Vec<(f64, f64)>,
    /// Whether a row is a sum of exposures; where the table does not say, all of them are.
    pub(super) coadd: Vec<bool>,
    /// The key, if there is one.
    pub(super) keys: Vec<String>,
    /// The list of rows to evaluate, and its column.
    pub(super) only: Option<String>,
    /// By which columns residuals are binned, beside the usual ones.
    pub(super) bin_columns: Vec<BinColumn>,
    values: Vec<f32>,
    errors: Vec<f32>,
    binned_by: Vec<f32>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.snr.len()
    }

    pub(super) fn value(&self, row: usize, label: usize) -> f64 {
        f64::from(self.values[row * self.labels.len() + label])
    }

    /// The error that is quoted for a value.
    pub(super) fn error(&self, row: usize, label: usize) -> f64 {
        f64::from(self.errors[row * self.labels.len() + label])
    }

    /// The value by which a row is binned; NaN if the catalogue does not have that column.
    pub(super) fn binned_by(&self, row: usize, column: usize) -> f64 {
        f64::from(self.binned_by[row * self.bin_columns.len() + column])
    }

    /// Position of the label of this name.
    pub(super) fn label(&self, name: &str) -> Option<usize> {
        self.labels.iter().position(|label| label.name == name)
    }

    /// The labels, for an error.
    pub(super) fn names(&self) -> String {
        self.labels.iter().map(|label| label.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Reads the rows that are selected, with a column as their key if one is named.
    pub(super) fn read(
        path: &Path,
        selection: &Selection,
        key: Option<&str>,
        bins: &[ColumnBins],
    ) -> Result<Self, EvaluateError> {
        let source = Source::open(path)?;
        let finder = Finder::new(&source, &[]);
        let labels = labels_of(&source.columns);
        if labels.is_empty() {
            let wanted = "label, such as teff";
            let remedy = "name a catalogue that Starmill made, or a table with such columns";
            return Err(EvaluateError::no_column(&source, wanted, remedy));
        }
        if labels.len() > MOST_LABELS {
            let what = format!(
                "{} labels, the most is {MOST_LABELS}; name a narrower table",
                labels.len()
            );
            return Err(TableError::new(path, what).into());
        }
        let listed = selection.only.as_ref().map(|list| Listed::read(list, &source)).transpose()?;
        let layout = Layout::of(&source, &finder, &labels, (selection, listed), (key, bins))?;
        let bin_columns = bins.iter().zip(&layout.bins);
        let only = selection.only.as_ref().zip(layout.listed.as_ref());
        let mut rows = Self {
            bin_columns: bin_columns
                .map(|(bins, at)| BinColumn { bins: bins.clone(), is_here: at.is_some() })
                .collect(),
            only: only.map(|(path, (_, listed))| format!("{}, {}", path.display(), listed.column)),
            snr_columns: layout.snr_columns(&source),
            has_flags: layout.bad.is_some(),
            has_places: layout.ra.is_some() && layout.dec.is_some(),
            labels: labels
                .iter()
                .map(|&at| &source.columns[at])
                .map(|column| Label {
                    name: column.name.to_lowercase(),
                    unit: column.unit.clone(),
                    alias: column.alias.clone(),
                })
                .collect(),
            ..Self::default()
        };
        source.read(&layout.wanted, &mut |record| rows.take(path, &layout, record, selection))?;
        Ok(rows)
    }

    #[expect(clippy::cast_possible_truncation, reason = "labels are single precision")]
    fn take(
        &mut self,
        path: &Path,
        layout: &Layout,
        record: &Record<'_>,
        selection: &Selection,
    ) -> Result<(), EvaluateError> {
        self.read += 1;
        let number = |at: Option<usize>| at.map_or(f64::NAN, |at| record.numbers[at]);
        if selection.good && number(layout.bad) > 0.5 {
            self.left_out.bad += 1;
            return Ok(());
        }
        if let Some((at, listed)) = &layout.listed
            && !listed.holds(&record.texts[*at])
        {
            self.left_out.unlisted += 1;
            return Ok(());
        }
        let snr = layout.snr.of(&number);
        if let Some(least) = selection.min_snr
            && (snr.is_nan() || snr < least)
        {
            self.left_out.low_snr += 1;
            return Ok(());
        }
        if self.len() == MOST_ROWS {
            let what = format!("it has more than {MOST_ROWS} rows; leave rows out with --min-snr");
            return Err(TableError::new(path, what).into());
        }
        if let Some(model) = layout.model.filter(|_| self.model.is_empty()) {
            self.model.clone_from(&record.texts[model]);
        }
        self.snr.push(snr as f32);
        self.places.push((number(layout.ra), number(layout.dec)));
        self.coadd.push(number(layout.coadd) != 0.0);
        if let Some((at, is_file)) = layout.key {
            let text = record.texts[at].as_str();
            self.keys.push(if is_file { file_key(text).to_owned() } else { text.to_owned() });
        }
        self.values.extend(layout.values.iter().map(|&at| record.numbers[at] as f32));
        self.errors.extend(layout.errors.iter().map(|&at| number(at) as f32));
        self.binned_by.extend(layout.bins.iter().map(|&at| number(at) as f32));
        Ok(())
    }
}

/// The table of a catalogue: a folder stands for the one that is sealed in it.
pub(super) fn table_of(catalogue: &Path) -> Result<PathBuf, EvaluateError> {
    if !catalogue.is_dir() {
        return Ok(catalogue.to_owned());
    }
    if !catalogue.join(MANIFEST).is_file() {
        return Err(EvaluateError::NotSealed(catalogue.to_owned()));
    }
    Ok(catalogue.join(format!("{CATALOGUE}.parquet")))
}

/// Names of files are compared without folder and compression, which differ from place to place.
pub(super) fn file_key(text: &str) -> &str {
    let name = text.rsplit('/').next().unwrap_or(text);
    name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name)
}

/// Whether a column holds names of files.
pub(super) fn is_file(column: &str) -> bool {
    ["file", "filename"].iter().any(|name| column.eq_ignore_ascii_case(name))
}

/// The labels: in a catalogue of Starmill what stands between the counts of pixels and the novelty,
/// elsewhere what has the name of a label. How well a forward model fits stands there too, but its
/// descriptors are not those of physical quantities.
fn labels_of(columns: &[Column]) -> Vec<usize> {
    let place = |name: &str| columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
    let named = |at: &usize| names::is_label(&columns[*at].name);
    let is_number = |at: &usize| matches!(columns[*at].kind, Kind::Float | Kind::Unknown);
    let is_physical = |at: &usize| match columns[*at].kind {
        Kind::Unknown => named(at),
        _ => columns[*at].ucd.is_empty() || columns[*at].ucd.starts_with("phys"),
    };
    let is_error = |at: &usize| {
        let name = columns[*at].name.to_lowercase();
        name.strip_suffix("_err").is_some_and(|label| place(label).is_some())
    };
    match (place("n_empty_bins"), place("novelty")) {
        (Some(before), Some(behind)) if before < behind => {
            let between = (before + 1..behind).filter(is_number).filter(is_physical);
            between.filter(|at| !is_error(at)).collect()
        }
        _ => (0..columns.len()).filter(is_number).filter(named).collect(),
    }
}

/// Where the S/N of a row stands: in one column, else in that of g, else in the worse of two arms, else
/// in that of the median pixel.
struct Snr {
    one: Option<usize>,
    arms: [Option<usize>; 2],
    median: Option<usize>,
}

impl Snr {
    fn of(&self, number: &impl Fn(Option<usize>) -> f64) -> f64 {
        let ways = [number(self.one), number(self.arms[0]).min(number(self.arms[1]))];
        let found = ways.into_iter().find(|snr| !snr.is_nan());
        found.unwrap_or_else(|| number(self.median))
    }
}

/// Where what is needed stands in a record.
struct Layout {
    wanted: Wanted,
    values: Vec<usize>,
    errors: Vec<Option<usize>>,
    snr: Snr,
    bad: Option<usize>,
    coadd: Option<usize>,
    ra: Option<usize>,
    dec: Option<usize>,
    model: Option<usize>,
    key: Option<(usize, bool)>,
    bins: Vec<Option<usize>>,
    listed: Option<(usize, Listed)>,
}

impl Layout {
    fn of(
        source: &Source,
        finder: &Finder,
        labels: &[usize],
        (selection, listed): (&Selection, Option<Listed>),
        (key, bins): (Option<&str>, &[ColumnBins]),
    ) -> Result<Self, EvaluateError> {
        let mut wanted = Wanted::default();
        let mut want = |at: Option<usize>| {
            at.map(|at| {
                wanted.numbers.push(at);
                wanted.numbers.len() - 1
            })
        };
        let values = labels.iter().filter_map(|&at| want(Some(at))).collect();
        let mut errors = Vec::new();
        for &at in labels {
            errors.push(want(finder.error(&source.columns[at].name, "", at)?));
        }
        let known = |name: &str| finder.number(name, &[names::plain(name)]);
        let snr = match &selection.snr {
            Some(name) => {
                Snr { one: want(Some(finder.named(name)?)), arms: [None, None], median: None }
            }
            None => Snr {
                one: want(known("snr_g")?.or(known("snr")?)),
                arms: [want(known("snr_blue")?), want(known("snr_red")?)],
                median: want(known("snr_xp")?),
            },
        };
        let (bad, coadd) = (want(known("flag_bad")?), want(known("coadd")?));
        let (ra, dec) = (want(finder.place(&names::RA)?), want(finder.place(&names::DEC)?));
        let mut bin_places = Vec::with_capacity(bins.len());
        for ColumnBins { column, .. } in bins {
            let here = source.position(column).map(|_| finder.named(column)).transpose()?;
            bin_places.push(want(here));
        }
        let mut want_text = |at: usize| {
            wanted.texts.push(at);
            wanted.texts.len() - 1
        };
        let model = source.position("model").map(&mut want_text);
        let key = match key {
            Some(name) => Some((want_text(finder.any(name)?), is_file(name))),
            None => None,
        };
        let listed = match listed {
            Some(listed) => Some((want_text(finder.any(&listed.column)?), listed)),
            None => None,
        };
        let bins = bin_places;
        Ok(Self { wanted, values, errors, snr, bad, coadd, ra, dec, model, key, bins, listed })
    }

    fn snr_columns(&self, source: &Source) -> String {
        let name = |at: usize| source.columns[self.wanted.numbers[at]].name.to_lowercase();
        let arms: Vec<String> = self.snr.arms.into_iter().flatten().map(name).collect();
        let arms = match arms.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            both => Some(format!("the smaller of {}", both.join(" and "))),
        };
        let ways = [self.snr.one.map(name), arms, self.snr.median.map(name)];
        ways.into_iter().flatten().collect::<Vec<_>>().join(", else ")
    }
}

#[cfg(test)]
impl Rows {
    /// No rows yet, of this label.
    pub(super) fn of_label(label: Label) -> Self {
        Self { labels: vec![label], has_places: true, ..Self::default() }
    }

    /// Adds a row with one label.
    pub(super) fn push(&mut self, key: &str, place: (f64, f64), snr: f32, value: f32, error: f32) {
        self.keys.push(key.into());
        self.places.push(place);
        self.snr.push(snr);
        self.coadd.push(true);
        self.values.push(value);
        self.errors.push(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_the_same_wherever_and_however_compressed_they_lie() {
        for name in ["spec-1.fits", "a/b/spec-1.fits.gz", "/spec-1.fits.zst"] {
            assert_eq!(file_key(name), "spec-1.fits");
        }
        assert!(is_file("FILENAME") && is_file("file") && !is_file("obsid"));
    }

    #[test]
    fn labels_are_physical_and_what_says_how_well_a_model_fits_is_none() {
        let column = |name: &str, ucd: &str, kind| {
            let [unit, alias] = [const { String::new() }; 2];
            Column { name: name.into(), unit, ucd: ucd.into(), alias, kind }
        };
        let names = ["n_empty_bins", "teff", "teff_err", "v_mic", "chi2", "region", "novelty"];
        let ucds =
            ["", "phys.temperature", "stat.error;phys.temperature", "", "stat.fit.chi2", "", ""];
        let of = |kind| {
            let columns = names.iter().zip(ucds).map(|(name, ucd)| column(name, ucd, kind));
            labels_of(&columns.collect::<Vec<_>>())
        };
        // All of them numbers with a fraction, so also the region; then as CSV, which tells names alone.
        assert_eq!(of(Kind::Float), [1, 3, 5]);
        assert_eq!(of(Kind::Unknown), [1, 3]);
        assert!(of(Kind::Other).is_empty());
    }

    #[test]
    fn the_snr_is_that_of_g_else_of_the_worse_arm() {
        let snr = Snr { one: Some(0), arms: [Some(1), Some(2)], median: None };
        let number = |at: Option<usize>, numbers: &[f64]| at.map_or(f64::NAN, |at| numbers[at]);
        let of = |numbers: [f64; 3]| snr.of(&|at: Option<usize>| number(at, &numbers));
        assert_eq!(of([30.0, 5.0, 6.0]), 30.0);
        assert_eq!(of([f64::NAN, 8.0, 6.0]), 6.0);
        assert_eq!(of([f64::NAN, f64::NAN, 6.0]), 6.0);
        assert!(of([f64::NAN; 3]).is_nan());
        let snr = Snr { median: Some(3), ..snr };
        let of = |numbers: [f64; 4]| snr.of(&|at: Option<usize>| number(at, &numbers));
        assert_eq!(of([f64::NAN, f64::NAN, 6.0, 7.0]), 6.0);
        assert_eq!(of([f64::NAN, f64::NAN, f64::NAN, 7.0]), 7.0);
    }
}
