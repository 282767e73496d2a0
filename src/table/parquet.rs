//! A Parquet file.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Column, Kind, Record, TableError, Visit, Wanted, damaged, number, unreadable};

/// Rows that are in memory at once.
const BATCH: usize = 2048;

pub(super) fn columns(path: &Path) -> Result<Vec<Column>, TableError> {
    Ok(open(path)?.schema().fields().iter().map(|field| describe(field)).collect())
}

fn describe(field: &Field) -> Column {
    let note = |key: &str| field.metadata().get(key).cloned().unwrap_or_default();
    let kind = match field.data_type() {
        DataType::Float32 | DataType::Float64 => Kind::Float,
        DataType::Boolean => Kind::Whole,
        kind if kind.is_integer() => Kind::Whole,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        _ => Kind::Other,
    };
    Column {
        name: field.name().clone(),
        unit: note("unit"),
        ucd: note("ucd"),
        alias: note("alias"),
        kind,
    }
}

pub(super) fn read<E: From<TableError>>(
    path: &Path,
    wanted: &Wanted,
    visit: &mut Visit<'_, E>,
) -> Result<(), E> {
    let builder = open(path)?;
    let roots: Vec<usize> = wanted.numbers.iter().chain(&wanted.texts).copied().collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots.iter().copied());
    let reader = builder.with_projection(mask).with_batch_size(BATCH).build();
    // The columns come in the order of the file, each once.
    let mut sorted = roots;
    sorted.sort_unstable();
    sorted.dedup();
    let place = |root: &usize| sorted.partition_point(|other| other < root);
    let (mut row_numbers, mut row_texts) = (Vec::new(), Vec::new());
    for batch in reader.map_err(|error| damaged(path, &error))? {
        let batch = batch.map_err(|error| damaged(path, &error))?;
        let column = |root: &usize| batch.column(place(root));
        let numbers: Vec<Vec<f64>> =
            wanted.numbers.iter().map(|root| numbers(column(root))).collect();
        let texts: Vec<&ArrayRef> = wanted.texts.iter().map(column).collect();
        for row in 0..batch.num_rows() {
            row_numbers.clear();
            row_numbers.extend(numbers.iter().map(|values| values[row]));
            row_texts.clear();
            row_texts.extend(texts.iter().map(|array| text(array, row)));
            visit(&Record { numbers: &row_numbers, texts: &row_texts })?;
        }
    }
    Ok(())
}

/// A column as numbers.
fn numbers(array: &ArrayRef) -> Vec<f64> {
    fn all<T: ArrowPrimitiveType>(
        array: &ArrayRef,
        value: impl Fn(T::Native) -> f64,
    ) -> Option<Vec<f64>> {
        let values = array.as_primitive_opt::<T>()?;
        Some(values.iter().map(|cell| number(cell.map(&value))).collect())
    }
    let logical = || {
        let values = array.as_boolean_opt()?.iter();
        Some(values.map(|cell| number(cell.map(f64::from))).collect())
    };
    let found = all::<Float32Type>(array, f64::from)
        .or_else(|| all::<Float64Type>(array, |value| value))
        .or_else(|| all::<Int64Type>(array, |value| value as f64))
        .or_else(|| all::<Int32Type>(array, f64::from))
        .or_else(|| all::<Int16Type>(array, f64::from))
        .or_else(|| all::<Int8Type>(array, f64::from))
        .or_else(|| all::<UInt64Type>(array, |value| value as f64))
        .or_else(|| all::<UInt32Type>(array, f64::from))
        .or_else(|| all::<UInt16Type>(array, f64::from))
        .or_else(|| all::<UInt8Type>(array, f64::from))
        .or_else(logical);
    found.unwrap_or_else(|| vec![f64::NAN; array.len()])
}

/// A cell as text: whole numbers with all their digits, since identifiers have up to 19.
fn text(array: &ArrayRef, row: usize) -> String {
    fn whole<T: ArrowPrimitiveType>(array: &ArrayRef, row: usize) -> Option<String>
    where
        T::Native: ToString,
    {
        Some(array.as_primitive_opt::<T>()?.value(row).to_string())
    }
    if array.is_null(row) {
        return String::new();
    }
    let words = array
        .as_string_opt::<i32>()
        .map(|words| words.value(row))
        .or_else(|| Some(array.as_string_opt::<i64>()?.value(row)))
        .or_else(|| Some(array.as_string_view_opt()?.value(row)));
    words
        .map(|words| words.trim().to_owned())
        .or_else(|| whole::<Int64Type>(array, row))
        .or_else(|| whole::<Int32Type>(array, row))
        .or_else(|| whole::<Int16Type>(array, row))
        .or_else(|| whole::<UInt64Type>(array, row))
        .or_else(|| whole::<UInt32Type>(array, row))
        .or_else(|| whole::<Float64Type>(array, row))
        .unwrap_or_default()
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, TableError> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(path, &error))
}
