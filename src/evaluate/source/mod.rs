//! Tables as they come: FITS, Parquet or CSV, by their first bytes; FITS and CSV may be gzipped. They
//! are read row by row in bounded memory, and only the columns that are wanted.

mod csv;
mod fits;
mod parquet;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::EvaluateError;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers with a fraction.
    Float,
    /// Whole numbers, or true and false.
    Whole,
    /// Text.
    Text,
    /// Fields of CSV, which may be anything.
    Unknown,
    /// Several values a row, or a type that is not read.
    Other,
}

impl Kind {
    pub(super) fn may_be_number(self) -> bool {
        matches!(self, Self::Float | Self::Whole | Self::Unknown)
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// As the table states it, else empty.
    pub(super) unit: String,
    /// Unified content descriptor, as the table states it, else empty.
    pub(super) ucd: String,
    /// Name in a published catalogue, as catalogues of Starmill give it, else empty.
    pub(super) alias: String,
    pub(super) kind: Kind,
}

/// Positions of the columns that are read.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) numbers: Vec<usize>,
    pub(super) texts: Vec<usize>,
}

/// A row: the wanted columns in the order in which they are wanted. A missing number is NaN, a missing
/// text is empty.
pub(super) struct Record<'a> {
    pub(super) numbers: &'a [f64],
    pub(super) texts: &'a [String],
}

/// What takes a row.
type Visit<'a> = dyn FnMut(&Record<'_>) -> Result<(), EvaluateError> + 'a;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Fits,
    Parquet,
    Csv,
}

/// A table that is there.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) columns: Vec<Column>,
    format: Format,
}

/// What ends the reading of a table.
enum Stop {
    /// What was looked for has been found.
    Found,
    /// An error.
    Error(EvaluateError),
}

impl From<EvaluateError> for Stop {
    fn from(error: EvaluateError) -> Self {
        Self::Error(error)
    }
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, EvaluateError> {
        let mut magic = Vec::new();
        bytes(path)?.take(9).read_to_end(&mut magic).map_err(|error| unreadable(path, &error))?;
        let (format, columns) = match magic.as_slice() {
            magic if magic.starts_with(b"PAR1") => (Format::Parquet, parquet::columns(path)?),
            b"SIMPLE  =" => (Format::Fits, fits::columns(path)?),
            _ => (Format::Csv, csv::columns(path)?),
        };
        Ok(Self { path: path.to_owned(), columns, format })
    }

    /// The column of this name, whatever its case.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn read(&self, wanted: &Wanted, visit: &mut Visit) -> Result<(), EvaluateError> {
        match self.format {
            Format::Fits => fits::read(&self.path, wanted, visit),
            Format::Parquet => parquet::read(&self.path, wanted, visit),
            Format::Csv => csv::read(&self.path, self.columns.len(), wanted, visit),
        }
    }
}

/// The bytes of a table, inflated.
fn bytes(path: &Path) -> Result<Box<dyn BufRead>, EvaluateError> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut file = BufReader::with_capacity(1 << 16, file);
    let is_gzip =
        file.fill_buf().map_err(|error| unreadable(path, &error))?.starts_with(&[0x1f, 0x8b]);
    if is_gzip {
        return Ok(Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file))));
    }
    Ok(Box::new(file))
}

/// A number of a table. Surveys write -9999 and the like where there is none.
fn number(value: Option<f64>) -> f64 {
    value.filter(|value| value.is_finite() && *value > -9990.0).unwrap_or(f64::NAN)
}

fn unreadable(path: &Path, error: &std::io::Error) -> EvaluateError {
    EvaluateError::table(path, format!("{error}; check that it is a file that may be read"))
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> EvaluateError {
    EvaluateError::table(path, format!("{error}; fetch or write the table again"))
}
