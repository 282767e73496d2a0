//! Which spectrum a name means, by a sealed catalogue.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use thiserror::Error;

use super::batch::ROW_GROUP;
use super::columns::{FILE, FILE_BLAKE3, FILE_INDEX, REDUCTION, SPECTRUM_ID};
use super::{CATALOGUE, CatalogueError, REJECTS, path_of_text};

/// Columns that identify a spectrum by a number.
const NUMBERS: [&str; 2] = ["obsid", "gaia_source_id"];
/// Spectra of one name that are told, and those that are kept while reading.
const NAMED: usize = 8;
const MOST: usize = 4096;

/// A spectrum that a catalogue knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Its identifier; rejects may have none.
    pub spectrum_id: String,
    /// Its file, as it was named to the run.
    pub file: PathBuf,
    /// Which spectrum of the file.
    pub index: usize,
    /// BLAKE3 of the file at that time; `None` if it could not be read.
    pub blake3: Option<String>,
    /// Whether no other reduction of the observation is newer.
    newest: bool,
}

/// A name that means no spectrum, or more than one.
#[derive(Debug, Error)]
pub enum LookupError {
    /// The catalogue cannot be read.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// Neither a row nor a reject has it.
    #[error(
        "there is no file {name}, and {folder} has no spectrum of this spectrum_id or obsid; \
         `starmill catalogue show` shows some that it has, or give the file"
    )]
    Absent {
        /// The name.
        name: String,
        /// The catalogue.
        folder: PathBuf,
    },
    /// Several have it.
    #[error(
        "{name} means several spectra: {some}; give the spectrum_id of one, or its file with --index"
    )]
    Several {
        /// The name.
        name: String,
        /// Some of them.
        some: String,
    },
    /// What the catalogue has for the file's name is none.
    #[error(
        "{folder} names the file of {name} in a way that cannot be read back; give the file itself"
    )]
    NoName {
        /// The name.
        name: String,
        /// The catalogue.
        folder: PathBuf,
    },
}

/// Finds a spectrum by its `spectrum_id`, or by its `obsid` or `gaia_source_id`, among the rows of the
/// catalogue in `folder`, else among its rejects. Of several reductions it is the newest.
///
/// # Errors
/// [`LookupError`] when there is none, or more than one.
pub fn look_up(folder: &Path, name: &str) -> Result<Located, LookupError> {
    for table in [CATALOGUE, REJECTS] {
        let mut found = matches(folder, table, name)?;
        if found.iter().any(|located| located.newest) {
            found.retain(|located| located.newest);
        }
        match found.len() {
            0 => {}
            1 => return Ok(found.remove(0)),
            several => {
                let words = |located: &Located| {
                    let Located { spectrum_id, file, index, .. } = located;
                    format!("{spectrum_id} ({}, index {index})", file.display())
                };
                let mut some: Vec<String> = found.iter().take(NAMED).map(words).collect();
                if several > NAMED {
                    some.push(format!("and {} more", several - NAMED));
                }
                return Err(LookupError::Several { name: name.into(), some: some.join(", ") });
            }
        }
    }
    Err(LookupError::Absent { name: name.into(), folder: folder.into() })
}

fn matches(folder: &Path, table: &str, name: &str) -> Result<Vec<Located>, LookupError> {
    let path = folder.join(format!("{table}.parquet"));
    let file = File::open(&path).map_err(CatalogueError::io(&path))?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(CatalogueError::parquet(&path))?;
    let columns =
        [SPECTRUM_ID, FILE, FILE_INDEX, FILE_BLAKE3, REDUCTION].into_iter().chain(NUMBERS);
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    let batches = builder.with_projection(mask).with_batch_size(ROW_GROUP).build();
    let (number, mut found) = (name.parse().ok(), Vec::new());
    for batch in batches.map_err(CatalogueError::parquet(&path))? {
        let batch = batch.map_err(CatalogueError::parquet(&path))?;
        let is_it = |&row: &usize| {
            text(&batch, SPECTRUM_ID, row) == Some(name)
                || number.is_some() && NUMBERS.iter().any(|of| long(&batch, of, row) == number)
        };
        for row in (0..batch.num_rows()).filter(is_it).take(MOST - found.len()) {
            let located = located(&batch, row);
            found.push(located.ok_or_else(|| LookupError::NoName {
                name: name.to_owned(),
                folder: folder.to_owned(),
            })?);
        }
    }
    Ok(found)
}

/// What a row says of its origin; `None` if it is no origin.
fn located(batch: &RecordBatch, row: usize) -> Option<Located> {
    let blake3 = text(batch, FILE_BLAKE3, row)?;
    Some(Located {
        spectrum_id: text(batch, SPECTRUM_ID, row).unwrap_or("unnamed").to_owned(),
        file: path_of_text(text(batch, FILE, row)?)?,
        index: usize::try_from(integer(batch, FILE_INDEX, row)?).ok()?,
        // Zeros stand for a file that could not be read.
        blake3: blake3.bytes().any(|digit| digit != b'0').then(|| blake3.to_owned()),
        newest: integer(batch, REDUCTION, row).is_none_or(|number| number <= 1),
    })
}

fn text<'a>(batch: &'a RecordBatch, name: &str, row: usize) -> Option<&'a str> {
    let column = batch.column_by_name(name)?;
    column.is_valid(row).then(|| column.as_string::<i32>().value(row))
}

fn integer(batch: &RecordBatch, name: &str, row: usize) -> Option<i32> {
    let column = batch.column_by_name(name)?;
    column.is_valid(row).then(|| column.as_primitive::<Int32Type>().value(row))
}

fn long(batch: &RecordBatch, name: &str, row: usize) -> Option<i64> {
    let column = batch.column_by_name(name)?;
    column.is_valid(row).then(|| column.as_primitive::<Int64Type>().value(row))
}
