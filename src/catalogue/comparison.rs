//! One outcome against what a sealed catalogue says of the same spectrum.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;

use super::batch::{ROW_GROUP, sorted_batch};
use super::columns::{CODE, FILE, FILE_BLAKE3, FILE_INDEX, FLAG_BAD, FLAGS, Schema};
use super::text::cell;
use super::{CATALOGUE, CatalogueError, REJECTS};
use crate::outcome::Outcome;
use crate::quality::Quality;
use crate::reject::Code;

/// What a catalogue says of a spectrum, beside what was made of it now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Comparison {
    /// The catalogue has no spectrum of this file and place.
    Absent,
    /// The row, or the reject, is the same to the last bit.
    Equal {
        /// The table that has it.
        table: &'static str,
        /// How many columns were compared.
        columns: usize,
    },
    /// Some columns differ.
    Differs {
        /// The table that has it.
        table: &'static str,
        /// How many columns were compared.
        columns: usize,
        /// Those that differ.
        differences: Vec<Difference>,
    },
    /// One is a row and the other a reject, or they are rejects for different reasons.
    Otherwise {
        /// Why the catalogue has no row; `None` if it has one.
        catalogue: Option<&'static str>,
        /// Why there is none now; `None` if there is one.
        now: Option<&'static str>,
    },
}

/// A column that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The column.
    pub column: String,
    /// What the catalogue has.
    pub catalogue: String,
    /// What was found now.
    pub now: String,
}

/// Quality bits that follow from other reductions of the observation, so that they are known at the
/// seal alone.
const AT_SEAL: i32 = Quality::OLDER_REDUCTION.value() | Quality::NEWER_REDUCTION.value();

/// Compares an outcome with the sealed catalogue in `folder`, column by column and bit by bit. The
/// path of the file is not compared, since it may be given in many ways.
///
/// # Errors
/// [`CatalogueError`] when a table is missing, or cannot be read.
pub fn compare(
    folder: &Path,
    schema: &Schema,
    outcome: &Outcome,
) -> Result<Comparison, CatalogueError> {
    let now = sorted_batch(schema, std::slice::from_ref(outcome));
    let now = now.map_err(CatalogueError::parquet(folder))?;
    let has_row = find(&folder.join(format!("{CATALOGUE}.parquet")), outcome)?;
    let (table, then) = match has_row {
        Some(row) => (CATALOGUE, row),
        None => match find(&folder.join(format!("{REJECTS}.parquet")), outcome)? {
            Some(row) => (REJECTS, row),
            None => return Ok(Comparison::Absent),
        },
    };
    let reason_now = outcome.content.as_ref().err().map(|reject| reject.code.entry().name);
    let reason_then = code(&then).map(|code| code.entry().name);
    if reason_now != reason_then {
        return Ok(Comparison::Otherwise { catalogue: reason_then, now: reason_now });
    }
    Ok(columns(table, &then, &now))
}

fn columns(table: &'static str, then: &RecordBatch, now: &RecordBatch) -> Comparison {
    let (schema, mut compared, mut differences) = (now.schema(), 0, Vec::new());
    for (column, field) in schema.fields().iter().enumerate() {
        let name = field.name().as_str();
        let Ok(place) = then.schema().index_of(name) else { continue };
        // That a row is bad follows from its flags, those of the seal included.
        if [FILE, FLAG_BAD].contains(&name) {
            continue;
        }
        compared += 1;
        let is_same = match name {
            FLAGS => flags(then) == flags(now),
            _ => then.column(place).to_data() == now.column(column).to_data(),
        };
        if !is_same {
            differences.push(Difference {
                column: name.to_owned(),
                catalogue: shown(then, place),
                now: shown(now, column),
            });
        }
    }
    if differences.is_empty() {
        return Comparison::Equal { table, columns: compared };
    }
    Comparison::Differs { table, columns: compared, differences }
}

/// A cell as text, with all digits of what an eye would take for equal.
fn shown(batch: &RecordBatch, column: usize) -> String {
    let array = batch.column(column);
    match array.data_type() {
        arrow_schema::DataType::Float32 if array.is_valid(0) => {
            array.as_primitive::<arrow_array::types::Float32Type>().value(0).to_string()
        }
        arrow_schema::DataType::Float64 if array.is_valid(0) => {
            array.as_primitive::<arrow_array::types::Float64Type>().value(0).to_string()
        }
        kind if kind.is_nested() => "several values".into(),
        _ => cell(batch, column, 0),
    }
}

fn flags(batch: &RecordBatch) -> Option<i32> {
    integer(batch, FLAGS, 0).map(|flags| flags & !AT_SEAL)
}

fn code(batch: &RecordBatch) -> Option<Code> {
    // Segments have a code of 0 for rows, the published catalogue has no such column.
    integer(batch, CODE, 0).and_then(|code| Code::from_number(u8::try_from(code).ok()?))
}

fn integer(batch: &RecordBatch, name: &str, row: usize) -> Option<i32> {
    let column = batch.column_by_name(name)?;
    column.is_valid(row).then(|| column.as_primitive::<Int32Type>().value(row))
}

/// The row of the spectrum's file and place in a published table.
fn find(path: &Path, outcome: &Outcome) -> Result<Option<RecordBatch>, CatalogueError> {
    let open = || -> Result<_, CatalogueError> {
        let file = File::open(path).map_err(CatalogueError::io(path))?;
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(CatalogueError::parquet(path))
    };
    let builder = open()?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), [FILE_BLAKE3, FILE_INDEX]);
    let keys = builder.with_projection(mask).with_batch_size(ROW_GROUP);
    let digest = outcome.origin.file.digest.to_string();
    let mut before = 0;
    for batch in keys.build().map_err(CatalogueError::parquet(path))? {
        let batch = batch.map_err(CatalogueError::parquet(path))?;
        let digests = batch.column_by_name(FILE_BLAKE3).map(AsArray::as_string::<i32>);
        let is_it = |row: usize| {
            digests.is_some_and(|digests| digests.is_valid(row) && digests.value(row) == digest)
                && integer(&batch, FILE_INDEX, row).map(i64::from)
                    == i64::try_from(outcome.origin.index).ok()
        };
        if let Some(row) = (0..batch.num_rows()).find(|&row| is_it(row)) {
            let one = open()?.with_offset(before + row).with_limit(1);
            let mut batches = one.build().map_err(CatalogueError::parquet(path))?;
            return batches.next().transpose().map_err(CatalogueError::parquet(path));
        }
        before += batch.num_rows();
    }
    Ok(None)
}
