//! Outcomes as Arrow record batches.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder,
    StringBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int32Array, RecordBatch, StringArray, UInt64Array,
};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use super::columns::{Cell, Column, Kind, Schema};
use crate::outcome::{Outcome, SourceFile};

/// Name of the column by which segments are sorted and merged; it is in segments alone.
pub(crate) const SORT_KEY: &str = "sort_key";

/// Which part of its file an outcome belongs to, and how many outcomes the whole file gives: with
/// these a segment says by itself which inputs it makes done.
pub(super) const PART_FIRST: &str = "part_first";
pub(super) const PART_TOTAL: &str = "part_total";

/// The Arrow schema of a segment: every column but those that only the seal knows, the part of the
/// file and the sort key.
fn segment_fields(schema: &Schema) -> Vec<Field> {
    let mut fields: Vec<Field> = schema.segment_columns().map(field).collect();
    fields.push(Field::new(PART_FIRST, DataType::UInt64, false));
    fields.push(Field::new(PART_TOTAL, DataType::UInt64, false));
    fields.push(Field::new(SORT_KEY, DataType::Binary, false));
    fields
}

/// The Arrow schema of the rows of a segment once they are judged: at their end the columns that
/// only the seal knows.
pub(super) fn judged_schema(schema: &Schema) -> SchemaRef {
    let mut fields = segment_fields(schema);
    fields.extend(schema.columns.iter().filter(|column| column.at_seal).map(field));
    Arc::new(arrow_schema::Schema::new(fields))
}

/// What Arrow says of a column.
pub(crate) fn field(column: &Column) -> Field {
    let data_type = match column.kind {
        Kind::Text => DataType::Utf8,
        Kind::Int64 => DataType::Int64,
        Kind::Int32 => DataType::Int32,
        Kind::Float32 => DataType::Float32,
        Kind::Float64 => DataType::Float64,
        Kind::Logical => DataType::Boolean,
        Kind::Floats(width) => vector_type(DataType::Float32, width),
        Kind::Integers(width) => vector_type(DataType::Int32, width),
    };
    let notes = [
        ("unit", column.unit.clone()),
        ("ucd", column.ucd.clone()),
        ("description", column.description.clone()),
        ("alias", column.alias.clone()),
        ("shape", column.shape_text()),
    ];
    let notes = notes.into_iter().filter(|(_, note)| !note.is_empty());
    let metadata: HashMap<String, String> =
        notes.map(|(key, note)| (key.to_owned(), note)).collect();
    let nullable = !matches!(column.kind, Kind::Logical | Kind::Floats(_) | Kind::Integers(_));
    Field::new(&column.name, data_type, nullable).with_metadata(metadata)
}

fn vector_type(element: DataType, width: usize) -> DataType {
    let width = i32::try_from(width).unwrap_or(i32::MAX);
    DataType::FixedSizeList(vector_item(element), width)
}

fn vector_item(element: DataType) -> Arc<Field> {
    // The name that other writers of Parquet give to the items of a list.
    Arc::new(Field::new("element", element, false))
}

/// Builds a batch in the order of the sort keys.
pub(super) fn sorted_batch(
    schema: &Schema,
    outcomes: &[Outcome],
) -> Result<RecordBatch, ArrowError> {
    let mut keyed: Vec<(Vec<u8>, &Outcome)> =
        outcomes.iter().map(|outcome| (sort_key(outcome), outcome)).collect();
    keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut arrays: Vec<ArrayRef> = schema
        .segment_columns()
        .map(|column| array(column, keyed.iter().map(|(_, outcome)| *outcome)))
        .collect();
    let part = |number: fn(&SourceFile) -> usize| -> ArrayRef {
        let numbers = keyed.iter().map(|(_, outcome)| number(&outcome.origin.file) as u64);
        Arc::new(UInt64Array::from_iter_values(numbers))
    };
    arrays.push(part(|file| file.first));
    arrays.push(part(|file| file.total));
    let mut keys = BinaryBuilder::new();
    for (key, _) in &keyed {
        keys.append_value(key);
    }
    arrays.push(Arc::new(keys.finish()));
    RecordBatch::try_new(Arc::new(arrow_schema::Schema::new(segment_fields(schema))), arrays)
}

/// Bytes of the date of the reduction in a sort key, and of the digest behind it.
const DATE_BYTES: usize = 32;
const DIGEST_BYTES: usize = 32;

/// The canonical order: by name of the observation; within it rows before rejects, the newest
/// reduction first, then by digest, position in the file and path. Nothing in it depends on when
/// or by which worker a spectrum was processed.
fn sort_key(outcome: &Outcome) -> Vec<u8> {
    let mut key = outcome.spectrum_id().into_bytes();
    key.push(0);
    key.push(u8::from(outcome.content.is_err()));
    let date = outcome.identity.meta.date_reduced.as_deref().unwrap_or_default().as_bytes();
    key.extend((0..DATE_BYTES).map(|position| !date.get(position).copied().unwrap_or(0)));
    key.extend(outcome.origin.file.digest.0);
    key.extend((outcome.origin.index as u64).to_be_bytes());
    key.extend(outcome.origin.file.path.as_os_str().as_encoded_bytes());
    key
}

/// The name of the observation in a sort key.
pub(super) fn name_in(key: &[u8]) -> &[u8] {
    key.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Whether a sort key is that of a row.
pub(super) fn is_row(key: &[u8]) -> bool {
    key.get(name_in(key).len() + 1) == Some(&0)
}

/// The part of a sort key that ends with the digest: equal in equal contents of an observation.
pub(super) fn content_in(key: &[u8]) -> &[u8] {
    &key[..key.len().min(name_in(key).len() + 2 + DATE_BYTES + DIGEST_BYTES)]
}

/// A column of text.
///
/// # Panics
/// If the batch does not come from a segment.
pub(super) fn text_column<'a>(batch: &'a RecordBatch, name: &str) -> &'a StringArray {
    batch.column_by_name(name).expect("segments have every column").as_string()
}

fn array<'a>(column: &Column, outcomes: impl Iterator<Item = &'a Outcome>) -> ArrayRef {
    let cells = outcomes.map(|outcome| column.value(outcome));
    #[expect(clippy::cast_possible_truncation, reason = "the column's type is 32 bits wide")]
    match column.kind {
        Kind::Text => {
            let mut builder = StringBuilder::new();
            cells.for_each(|cell| match cell {
                Cell::Text(value) => builder.append_option(value),
                _ => builder.append_null(),
            });
            Arc::new(builder.finish())
        }
        Kind::Int64 => {
            let mut builder = Int64Builder::new();
            cells.for_each(|cell| builder.append_option(integer(&cell)));
            Arc::new(builder.finish())
        }
        Kind::Int32 => {
            let mut builder = Int32Builder::new();
            let narrow = |value: i64| i32::try_from(value).ok();
            cells.for_each(|cell| builder.append_option(integer(&cell).and_then(narrow)));
            Arc::new(builder.finish())
        }
        Kind::Float32 => {
            let mut builder = Float32Builder::new();
            cells.for_each(|cell| builder.append_option(float(&cell).map(|value| value as f32)));
            Arc::new(builder.finish())
        }
        Kind::Float64 => {
            let mut builder = Float64Builder::new();
            cells.for_each(|cell| builder.append_option(float(&cell)));
            Arc::new(builder.finish())
        }
        Kind::Logical => {
            let mut builder = BooleanBuilder::new();
            cells.for_each(|cell| builder.append_value(cell == Cell::Logical(true)));
            Arc::new(builder.finish())
        }
        Kind::Floats(width) => {
            let values = values(cells, width);
            let values = Float32Array::from_iter_values(values);
            vector(DataType::Float32, width, Arc::new(values))
        }
        Kind::Integers(width) => {
            let values = values(cells, width).map(|value| value as i32);
            vector(DataType::Int32, width, Arc::new(Int32Array::from_iter_values(values)))
        }
    }
}

/// The values of cells, `width` of each: rejects have none, and none of theirs is ever shown.
fn values(cells: impl Iterator<Item = Cell>, width: usize) -> impl Iterator<Item = f32> {
    cells.flat_map(move |cell| {
        let mut values = match cell {
            Cell::Values(values) => values,
            _ => Vec::new(),
        };
        values.resize(width, f32::NAN);
        values
    })
}

fn vector(element: DataType, width: usize, values: ArrayRef) -> ArrayRef {
    let size = i32::try_from(width).unwrap_or(i32::MAX);
    Arc::new(FixedSizeListArray::new(vector_item(element), size, values, None))
}

fn integer(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Int(value) => *value,
        _ => None,
    }
}

fn float(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Float(value) => *value,
        _ => None,
    }
}

/// How Parquet is written, everywhere. Dictionaries are off because they make float columns both
/// larger and four times slower; statistics of whole row groups help those who query.
pub(super) fn writer_properties(compression: Compression) -> WriterProperties {
    properties(compression, ROW_GROUP)
}

/// How a published table with this many rows in a row group is written.
pub(crate) fn published_properties(row_group: usize) -> WriterProperties {
    properties(published(), row_group)
}

fn properties(compression: Compression, row_group: usize) -> WriterProperties {
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("starmill ", env!("CARGO_PKG_VERSION")).into())
        .set_compression(compression)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(row_group))
        .build()
}

/// How the published tables are compressed.
pub(super) fn published() -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default())
}

/// Segments and merged runs are read again soon: compressing them would take more time, and for
/// every open one more memory, than it saves space.
pub(super) const TRANSIENT: Compression = Compression::UNCOMPRESSED;

/// Rows in a Parquet row group: fixed, so that equal rows give equal bytes.
pub(super) const ROW_GROUP: usize = 8192;
