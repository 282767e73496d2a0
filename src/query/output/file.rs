//! An answer as Parquet or FITS.
//!
//! Rows go into Parquet as they come. Where the type of a column shows at the end, or FITS wants to
//! know how wide texts are, that file is read once more, some thousand rows at a time.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::KeyValue;

use super::store::{Seen, Store};
use super::unique;
use crate::catalogue::{
    CatalogueError, ColumnHead, FitsTable, Provenance, TextWidths, Unfinished, beside, note_text,
    published_properties,
};
use crate::query::{Answered, QueryError, Sink, Value};

/// Rows of a row group, unless they take more than the bytes.
const GROUP_ROWS: usize = 65_536;
const GROUP_BYTES: usize = 64 << 20;
/// Rows, and their bytes, that are in memory before Parquet has them.
const ROWS: usize = 4096;
const BYTES: usize = 8 << 20;
/// Rows that are read back at once.
const AGAIN: usize = 1024;

/// A file that is being written; it gets its name when it is whole.
pub struct TableFile {
    file: Unfinished,
    is_fits: bool,
    provenance: Provenance,
    columns: Vec<Answered>,
    stores: Vec<Store>,
    seen: Vec<Seen>,
    spool: Option<Spool>,
    rows: u64,
    held: (usize, usize),
}

/// A Parquet file.
struct Spool {
    file: Unfinished,
    writer: ArrowWriter<File>,
    schema: SchemaRef,
}

impl TableFile {
    /// Begins a file of FITS or Parquet, which says keyword, value and comment of what made it.
    pub fn new(path: &Path, is_fits: bool, entries: Vec<(String, String, String)>) -> Self {
        Self {
            file: Unfinished::new(path),
            is_fits,
            provenance: Provenance { entries },
            columns: Vec::new(),
            stores: Vec::new(),
            seen: Vec::new(),
            spool: None,
            rows: 0,
            held: (0, 0),
        }
    }

    fn flush(&mut self) -> Result<(), QueryError> {
        self.held = (0, 0);
        let arrays: Vec<ArrayRef> = self.stores.iter_mut().flat_map(Store::finish).collect();
        match &mut self.spool {
            Some(spool) => spool.write(arrays),
            None => Ok(()),
        }
    }

    /// Ends the file, gives it its name and says how many rows it has.
    ///
    /// # Errors
    /// [`QueryError`] when it cannot be written.
    pub fn finish(mut self) -> Result<u64, QueryError> {
        self.flush()?;
        let Some(mut spool) = self.spool.take() else { return Ok(0) };
        let has_any = self.stores.iter().any(|store| matches!(store, Store::Any(..)));
        if has_any {
            spool = self.retyped(spool)?;
        }
        let parquet = spool.close(&self.provenance)?;
        if self.is_fits {
            self.write_fits(&parquet.temporary)?;
        } else {
            std::fs::rename(&parquet.temporary, &self.file.temporary)
                .map_err(QueryError::io(&self.file.path))?;
        }
        self.file.publish()?;
        Ok(self.rows)
    }

    /// The same rows with one column for each expression, of the type that its values have.
    fn retyped(&self, spool: Spool) -> Result<Spool, QueryError> {
        let schema = Arc::clone(&spool.schema);
        let untyped = spool.close(&self.provenance)?;
        let names = unique(self.columns.iter().map(|column| column.name.clone()));
        let (mut fields, mut typed) = (schema.fields().iter(), Vec::new());
        for ((store, seen), name) in self.stores.iter().zip(&self.seen).zip(names) {
            let Some(first) = fields.next() else { break };
            typed.push(if matches!(store, Store::Any(..)) {
                // The other two of the three.
                fields.nth(1);
                Arc::new(Field::new(name, seen.kind(), true))
            } else {
                Arc::clone(first)
            });
        }
        let file = Unfinished::new(&beside(&self.file.path, ".typed"));
        let mut spool = Spool::create(file, Arc::new(Schema::new(typed)))?;
        for batch in read(&untyped.temporary)? {
            let batch = batch.map_err(CatalogueError::in_memory)?;
            spool.write(self.typed(batch.columns()))?;
        }
        Ok(spool)
    }

    /// Columns with the three of an expression made one.
    fn typed(&self, mut arrays: &[ArrayRef]) -> Vec<ArrayRef> {
        let mut typed = Vec::with_capacity(self.stores.len());
        for (store, seen) in self.stores.iter().zip(&self.seen) {
            let (parts, rest) = match store {
                Store::Any(..) => arrays.split_at(3),
                _ => arrays.split_at(1),
            };
            arrays = rest;
            typed.push(match parts {
                [one] => Arc::clone(one),
                parts => seen.array(parts),
            });
        }
        typed
    }

    fn write_fits(&self, parquet: &Path) -> Result<(), QueryError> {
        let reader = read(parquet)?;
        let schema = reader.schema();
        let mut widths = TextWidths::new(schema.fields().len());
        for batch in reader {
            widths.observe(&printable(&batch.map_err(CatalogueError::in_memory)?)?);
        }
        let names = unique(schema.fields().iter().map(|field| plain(field.name())));
        let heads = schema.fields().iter().zip(names);
        let heads: Vec<ColumnHead> =
            heads.map(|(field, name)| ColumnHead { name, ..ColumnHead::of_field(field) }).collect();
        let entries = self.provenance.entries.iter().cloned();
        // A query may have several lines, and letters that FITS lacks.
        let entries = entries.map(|(keyword, value, note)| (keyword, note_text(&value), note));
        let provenance = Provenance { entries: entries.collect() };
        let target = &self.file.temporary;
        let mut table = FitsTable::create(target, "catalogue", &heads, &widths, &provenance)?;
        for batch in read(parquet)? {
            table.append(&printable(&batch.map_err(CatalogueError::in_memory)?)?)?;
        }
        Ok(table.close()?)
    }
}

impl Sink for TableFile {
    fn begin(&mut self, columns: &[Answered]) -> Result<(), QueryError> {
        self.columns = columns.to_vec();
        self.stores = columns.iter().map(|column| Store::of(column.field.as_deref())).collect();
        self.seen = vec![Seen::default(); columns.len()];
        let names = unique(columns.iter().map(|column| column.name.clone()));
        let fields = self.stores.iter().zip(columns).zip(&names);
        let fields: Vec<Field> = fields
            .flat_map(|((store, column), name)| store.fields(name, column.field.as_deref()))
            .collect();
        let file = Unfinished::new(&beside(&self.file.path, ".spool"));
        self.spool = Some(Spool::create(file, Arc::new(Schema::new(fields)))?);
        Ok(())
    }

    fn row(&mut self, values: &[Value<'_>]) -> Result<bool, QueryError> {
        let (rows, bytes) = &mut self.held;
        *rows += 1;
        for (at, value) in values.iter().enumerate() {
            *bytes += self.stores[at].push(value, &mut self.seen[at], &self.columns[at])?;
        }
        self.rows += 1;
        if *rows >= ROWS || *bytes >= BYTES {
            self.flush()?;
        }
        Ok(true)
    }
}

impl Spool {
    fn create(file: Unfinished, schema: SchemaRef) -> Result<Self, QueryError> {
        let target = File::create(&file.temporary).map_err(QueryError::io(&file.temporary))?;
        let properties = Some(published_properties(GROUP_ROWS));
        let writer = ArrowWriter::try_new(target, Arc::clone(&schema), properties)
            .map_err(CatalogueError::parquet(&file.temporary))?;
        Ok(Self { file, writer, schema })
    }

    fn write(&mut self, arrays: Vec<ArrayRef>) -> Result<(), QueryError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(CatalogueError::in_memory)?;
        let failed = CatalogueError::parquet(&self.file.temporary);
        let written = self.writer.write(&batch).and_then(|()| {
            if self.writer.in_progress_size() < GROUP_BYTES { Ok(()) } else { self.writer.flush() }
        });
        Ok(written.map_err(failed)?)
    }

    fn close(mut self, provenance: &Provenance) -> Result<Unfinished, QueryError> {
        for (keyword, value, _) in &provenance.entries {
            let key = format!("starmill.{}", keyword.to_lowercase());
            self.writer.append_key_value_metadata(KeyValue::new(key, value.clone()));
        }
        self.writer.close().map_err(CatalogueError::parquet(&self.file.temporary))?;
        Ok(self.file)
    }
}

fn read(path: &Path) -> Result<ParquetRecordBatchReader, QueryError> {
    let file = File::open(path).map_err(QueryError::io(path))?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(QueryError::parquet(path))?;
    builder.with_batch_size(AGAIN).build().map_err(QueryError::parquet(path))
}

/// Texts as FITS can hold them.
fn printable(batch: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let arrays = batch.columns().iter().map(|array| match array.data_type() {
        DataType::Utf8 if !array.as_string::<i32>().is_ascii() => {
            let texts = array.as_string::<i32>().iter().map(|text| text.map(note_text));
            Arc::new(texts.collect::<StringArray>()) as ArrayRef
        }
        _ => Arc::clone(array),
    });
    let batch = RecordBatch::try_new(batch.schema(), arrays.collect());
    Ok(batch.map_err(CatalogueError::in_memory)?)
}

/// A name of letters, digits and underscores, as the FITS Standard recommends.
fn plain(name: &str) -> String {
    let letter = |it: char| if it.is_ascii_alphanumeric() { it } else { '_' };
    let name: String = name.chars().map(letter).collect();
    let name = if name.starts_with('_') && name.len() > 1 && !name.ends_with('_') {
        name.as_str()
    } else {
        name.trim_matches('_')
    };
    let name: String = name.chars().take(60).collect();
    if name.is_empty() { "column".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_fits_are_plain() {
        let cases = [
            ("teff", "teff"),
            ("count(*)", "count"),
            ("_healpix_29", "_healpix_29"),
            ("*", "column"),
        ];
        for (name, expected) in cases {
            assert_eq!(plain(name), expected);
        }
        assert_eq!(plain("a + b / 2"), "a___b___2");
    }
}
