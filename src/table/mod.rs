//! Tables as they come: FITS, Parquet or CSV, by their first bytes; FITS and CSV may be gzipped. They
//! are read row by row in bounded memory, and only the columns that are wanted.

mod csv;
mod fits;
mod parquet;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use thiserror::Error;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
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
    pub(crate) fn may_be_number(self) -> bool {
        matches!(self, Self::Float | Self::Whole | Self::Unknown)
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// As the table states it, else empty.
    pub(crate) unit: String,
    /// Unified content descriptor, as the table states it, else empty.
    pub(crate) ucd: String,
    /// Name in a published catalogue, as catalogues of Starmill give it, else empty.
    pub(crate) alias: String,
    pub(crate) kind: Kind,
}

/// Positions of the columns that are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) numbers: Vec<usize>,
    pub(crate) texts: Vec<usize>,
}

/// A row: the wanted columns in the order in which they are wanted. A missing number is NaN, a missing
/// text is empty.
pub(crate) struct Record<'a> {
    pub(crate) numbers: &'a [f64],
    pub(crate) texts: &'a [String],
}

/// What takes a row.
type Visit<'a, E> = dyn FnMut(&Record<'_>) -> Result<(), E> + 'a;

/// A table that cannot be read or used; the phrase ends with the remedy.
#[derive(Debug, Error)]
#[error("{}: {problem}", path.display())]
pub struct TableError {
    path: PathBuf,
    problem: String,
}

impl TableError {
    pub(crate) fn new(path: &Path, problem: String) -> Self {
        Self { path: path.to_owned(), problem }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Fits,
    Parquet,
    Csv,
}

/// A table that is there.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) columns: Vec<Column>,
    format: Format,
}

/// What ends the reading of a table.
enum Stop<E> {
    /// What was looked for has been found.
    Found,
    /// An error of whoever takes the rows.
    Error(E),
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, TableError> {
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
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn read<E: From<TableError>>(
        &self,
        wanted: &Wanted,
        visit: &mut Visit<'_, E>,
    ) -> Result<(), E> {
        match self.format {
            Format::Fits => fits::read(&self.path, wanted, visit),
            Format::Parquet => parquet::read(&self.path, wanted, visit),
            Format::Csv => csv::read(&self.path, self.columns.len(), wanted, visit),
        }
    }
}

/// The bytes of a table, inflated.
fn bytes(path: &Path) -> Result<Box<dyn BufRead>, TableError> {
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

fn unreadable(path: &Path, error: &std::io::Error) -> TableError {
    TableError::new(path, format!("{error}; check that it is a file that may be read"))
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> TableError {
    TableError::new(path, format!("{error}; fetch or write the table again"))
}
