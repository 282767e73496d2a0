//! Spectra as Parquet: a row for each, `flux` as a list, the wavelengths in its metadata.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;

use super::GenerateError;
use super::output::{Head, Layout, Rows, item};
use crate::catalogue::{CatalogueError, Unfinished, published_properties};

/// What a row group takes before it is written, bytes.
const GROUP_BYTES: usize = 32 << 20;

/// An open file.
pub(super) struct ParquetFile {
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    spectra: u64,
    file: Unfinished,
}

impl ParquetFile {
    pub(super) fn create(path: &Path, layout: &Layout) -> Result<Self, GenerateError> {
        let file = Unfinished::new(path);
        let created = File::create(&file.temporary)
            .map_err(|source| CatalogueError::Io { path: file.temporary.clone(), source })?;
        let notes: Vec<(String, String)> = layout
            .provenance
            .entries
            .iter()
            .map(|(keyword, value, _)| {
                (format!("starmill.{}", keyword.to_lowercase()), value.clone())
            })
            .collect();
        let fields: Vec<Field> =
            layout.columns().into_iter().map(|column| field(column, layout)).collect();
        let metadata: HashMap<_, _> = notes.iter().cloned().collect();
        let schema = Arc::new(Schema::new(fields).with_metadata(metadata));
        let rows = (GROUP_BYTES / layout.row_bytes()).max(1);
        let properties = published_properties(rows);
        let mut writer = ArrowWriter::try_new(created, Arc::clone(&schema), Some(properties))
            .map_err(failed(&file.path))?;
        // Readers that know Arrow see the notes of its schema, all others those of the file.
        for (key, value) in notes {
            writer.append_key_value_metadata(KeyValue::new(key, value));
        }
        Ok(Self { writer, schema, spectra: 0, file })
    }

    pub(super) fn append(&mut self, rows: &Rows<'_>) -> Result<(), GenerateError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), rows.arrays())
            .map_err(|error| failed(&self.file.path)(error.into()))?;
        self.writer.write(&batch).map_err(failed(&self.file.path))?;
        self.spectra += batch.num_rows() as u64;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<u64, GenerateError> {
        self.writer.close().map_err(failed(&self.file.path))?;
        self.file.publish()?;
        Ok(self.spectra)
    }
}

fn field(column: Head, layout: &Layout) -> Field {
    let mut notes = vec![("description".to_owned(), column.description)];
    notes.extend((!column.unit.is_empty()).then(|| ("unit".to_owned(), column.unit)));
    notes.extend((!column.ucd.is_empty()).then(|| ("ucd".to_owned(), column.ucd)));
    let kind = match column.name.as_str() {
        "row" => DataType::Int64,
        _ if column.is_spectrum => {
            // Shortest digits that read back as the same number.
            let digits: Vec<String> = layout.wavelength.iter().map(f64::to_string).collect();
            notes.push(("wavelength".to_owned(), format!("[{}]", digits.join(","))));
            notes.push(("wavelength_unit".to_owned(), "Angstrom (vacuum)".to_owned()));
            // A manifest has at most 2^17 pixels.
            let pixels = i32::try_from(layout.wavelength.len()).unwrap_or(i32::MAX);
            DataType::FixedSizeList(item(), pixels)
        }
        _ => DataType::Float64,
    };
    let notes: HashMap<String, String> = notes.into_iter().collect();
    Field::new(column.name, kind, false).with_metadata(notes)
}

fn failed(path: &Path) -> impl FnOnce(parquet::errors::ParquetError) -> GenerateError + '_ {
    move |source| GenerateError::Parquet { path: path.to_owned(), source }
}
