//! A short table of rows for a terminal.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{CATALOGUE, CatalogueError};
use crate::quality::Quality;

/// Rows of a catalogue as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Aligned lines, the header first.
    pub lines: Vec<String>,
    /// Rows in the whole catalogue.
    pub total: usize,
}

/// Columns that say nothing to an eye in a hurry.
const HIDDEN: [&str; 22] = [
    "survey",
    "release",
    "lmjd",
    "planid",
    "spid",
    "fiberid",
    "date_obs",
    "snr_u",
    "snr_r",
    "snr_i",
    "snr_z",
    "z",
    "z_err",
    "fibermask",
    "n_pixels",
    "n_bad_pixels",
    "n_empty_bins",
    "reduction",
    "model",
    "file",
    "file_index",
    "file_blake3",
];

/// Reads the first rows of the catalogue in `folder`.
///
/// # Errors
/// [`CatalogueError`] when there is no catalogue or it cannot be read.
pub fn show(folder: &Path, rows: usize) -> Result<Shown, CatalogueError> {
    let path = folder.join(format!("{CATALOGUE}.parquet"));
    let file = File::open(&path).map_err(CatalogueError::io(&path))?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(CatalogueError::parquet(&path))?;
    let total = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let reader = builder
        .with_limit(rows)
        .with_batch_size(rows.max(1))
        .build()
        .map_err(CatalogueError::parquet(&path))?;
    let mut table: Vec<Vec<String>> = Vec::new();
    for batch in reader {
        let batch = batch.map_err(CatalogueError::parquet(&path))?;
        let shown: Vec<usize> = (0..batch.num_columns())
            .filter(|&index| !HIDDEN.contains(&batch.schema().field(index).name().as_str()))
            // Columns of many values would push all others off the screen.
            .filter(|&index| !batch.column(index).data_type().is_nested())
            .collect();
        if table.is_empty() {
            let name = |&index: &usize| batch.schema().field(index).name().clone();
            table.push(shown.iter().map(name).collect());
        }
        for row in 0..batch.num_rows() {
            table.push(shown.iter().map(|&column| cell(&batch, column, row)).collect());
        }
    }
    Ok(Shown { lines: align(&table), total })
}

pub(super) fn cell(batch: &RecordBatch, column: usize, row: usize) -> String {
    let array = batch.column(column);
    if array.is_null(row) {
        return "-".into();
    }
    let schema = batch.schema();
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Int32 if schema.field(column).name() == "flags" => {
            Quality::from_value(array.as_primitive::<Int32Type>().value(row)).to_string()
        }
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Float32 => number(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => format!("{:.5}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        other => format!("{other:?}"),
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn align(table: &[Vec<String>]) -> Vec<String> {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| table.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
        cells.collect::<Vec<_>>().join("  ")
    };
    table.iter().map(line).collect()
}
