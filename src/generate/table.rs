//! Labels from a CSV or Parquet table, in bounded memory.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::GenerateError;
use crate::records::{RecordError, Records};

/// Rows of Parquet that are read together.
const ROWS: usize = 1024;

/// What takes a row: its number, from 1, and the values of the wanted columns, those of them that
/// there are, in the order in which they were asked for.
type Visit<'a> = dyn FnMut(u64, &[f64]) -> Result<(), GenerateError> + 'a;

/// What stops the reading of records.
enum Stop {
    /// The one that was looked for has been found.
    Found,
    /// The record itself.
    Record(RecordError),
    /// What the caller makes of a row.
    Caller(GenerateError),
}

impl From<RecordError> for Stop {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

/// The names of its columns.
pub(super) fn names(path: &Path) -> Result<Vec<String>, GenerateError> {
    if is_parquet(path)? {
        let builder = open_parquet(path)?;
        return Ok(builder.schema().fields().iter().map(|field| field.name().clone()).collect());
    }
    let mut names = Vec::new();
    let result = Records::new(b',').read(&mut open(path)?, &mut |fields| {
        let text = |field: &&[u8]| String::from_utf8_lossy(field).trim().to_owned();
        names = fields.iter().map(text).collect();
        Err(Stop::Found)
    });
    match result {
        Ok(()) => Err(problem(path, "it is empty; give a first line with the names of labels")),
        Err(Stop::Found) => {
            // A byte order mark, which spreadsheets write.
            if let Some(first) = names.first_mut() {
                *first = first.trim_start_matches('\u{feff}').to_owned();
            }
            Ok(names)
        }
        Err(stop) => Err(stopped(path, stop)),
    }
}

/// Calls `visit` for each row with the columns at these positions.
pub(super) fn for_each(
    path: &Path,
    positions: &[Option<usize>],
    visit: &mut Visit,
) -> Result<(), GenerateError> {
    let positions: Vec<usize> = positions.iter().flatten().copied().collect();
    if is_parquet(path)? {
        return parquet_rows(path, &positions, visit);
    }
    let (mut row, mut width, mut values) = (0, 0, Vec::new());
    let result = Records::new(b',').read(&mut open(path)?, &mut |fields| {
        if width == 0 {
            width = fields.len();
            return Ok(());
        }
        row += 1;
        if fields.len() != width {
            let found = fields.len();
            return Err(Stop::Caller(problem(
                path,
                &format!("row {row} has {found} fields, the first line has {width}; correct it"),
            )));
        }
        values.clear();
        for &position in &positions {
            values.push(number(path, row, fields[position]).map_err(Stop::Caller)?);
        }
        visit(row, &values).map_err(Stop::Caller)
    });
    result.map_err(|stop| stopped(path, stop))
}

/// A field as a number; an empty one is not a number.
fn number(path: &Path, row: u64, field: &[u8]) -> Result<f64, GenerateError> {
    let text = String::from_utf8_lossy(field);
    let text = text.trim();
    if text.is_empty() {
        return Ok(f64::NAN);
    }
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        problem(path, &format!("{shown:?} in row {row} is no number; correct it"))
    })
}

fn parquet_rows(path: &Path, positions: &[usize], visit: &mut Visit) -> Result<(), GenerateError> {
    let builder = open_parquet(path)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), positions.iter().copied());
    let reader = builder.with_projection(mask).with_batch_size(ROWS).build();
    // The columns come in the order of the file.
    let mut sorted = positions.to_vec();
    sorted.sort_unstable();
    let order: Vec<usize> =
        positions.iter().map(|position| sorted.partition_point(|other| other < position)).collect();
    let (mut row, mut values) = (0, Vec::new());
    for batch in reader.map_err(|error| damaged(path, &error))? {
        let batch = batch.map_err(|error| damaged(path, &error))?;
        let names = batch.schema();
        let columns = order
            .iter()
            .map(|&at| numbers(path, names.field(at).name(), batch.column(at)))
            .collect::<Result<Vec<_>, _>>()?;
        for at in 0..batch.num_rows() {
            row += 1;
            values.clear();
            values.extend(columns.iter().map(|column| column[at]));
            visit(row, &values)?;
        }
    }
    Ok(())
}

/// A column as numbers; a missing one is not a number.
fn numbers(path: &Path, name: &str, column: &ArrayRef) -> Result<Vec<f64>, GenerateError> {
    let or_nan = |value: Option<f64>| value.unwrap_or(f64::NAN);
    if let Some(values) = column.as_primitive_opt::<Float64Type>() {
        return Ok(values.iter().map(or_nan).collect());
    }
    if let Some(values) = column.as_primitive_opt::<Float32Type>() {
        return Ok(values.iter().map(|value| or_nan(value.map(f64::from))).collect());
    }
    if let Some(values) = column.as_primitive_opt::<Int64Type>() {
        return Ok(values.iter().map(|value| or_nan(value.map(|value| value as f64))).collect());
    }
    if let Some(values) = column.as_primitive_opt::<Int32Type>() {
        return Ok(values.iter().map(|value| or_nan(value.map(f64::from))).collect());
    }
    let found = column.data_type();
    Err(problem(path, &format!("the column {name} is {found}; write it as 64-bit floats")))
}

fn is_parquet(path: &Path) -> Result<bool, GenerateError> {
    let mut magic = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    file.take(4).read_to_end(&mut magic).map_err(|error| unreadable(path, &error))?;
    Ok(magic == b"PAR1")
}

fn open(path: &Path) -> Result<BufReader<File>, GenerateError> {
    File::open(path).map(BufReader::new).map_err(|error| unreadable(path, &error))
}

fn open_parquet(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, GenerateError> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(path, &error))
}

fn problem(path: &Path, problem: &str) -> GenerateError {
    GenerateError::Table { path: path.to_owned(), problem: problem.to_owned() }
}

fn unreadable(path: &Path, error: &std::io::Error) -> GenerateError {
    problem(path, &format!("{error}; check that it exists and may be read"))
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> GenerateError {
    problem(path, &format!("{error}; write the table again"))
}

fn stopped(path: &Path, stop: Stop) -> GenerateError {
    match stop {
        Stop::Caller(error) => error,
        Stop::Record(RecordError::Io(error)) => unreadable(path, &error),
        Stop::Record(error) => damaged(path, &error),
        Stop::Found => damaged(path, &"it ended early"),
    }
}
