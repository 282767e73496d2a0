//! One table on its way into both formats.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;

use super::batch::{judged_schema, published, writer_properties};
use super::columns::{Column, Schema};
use super::durable::temporary_name;
use super::fits_table::{ColumnHead, FitsTable, TextWidths};
use super::judge::Verdict;
use super::merge::MERGED_ROWS;
use super::{CatalogueError, Provenance};

/// One table on its way into both formats.
pub(super) struct Sink {
    columns: Vec<Column>,
    projection: Vec<usize>,
    pub(super) parquet: PathBuf,
    fits: PathBuf,
    writer: ArrowWriter<File>,
    widths: TextWidths,
    extname: &'static str,
    pub(super) count: u64,
}

impl Sink {
    pub(super) fn create<'a>(
        folder: &Path,
        stem: &'static str,
        schema: &Schema,
        columns: impl Iterator<Item = &'a Column>,
        provenance: &Provenance,
    ) -> Result<Self, CatalogueError> {
        let columns: Vec<Column> = columns.cloned().collect();
        let all = judged_schema(schema);
        let parquet = folder.join(format!("{stem}.parquet"));
        let temporary = temporary_name(&parquet);
        let projection: Vec<usize> =
            columns.iter().filter_map(|column| all.index_of(&column.name).ok()).collect();
        let notes: Vec<(String, String)> = provenance
            .entries
            .iter()
            .map(|(keyword, value, _)| {
                (format!("starmill.{}", keyword.to_lowercase()), value.clone())
            })
            .collect();
        let schema = all
            .project(&projection)
            .map_err(CatalogueError::parquet(&parquet))?
            .with_metadata(notes.iter().cloned().collect::<HashMap<_, _>>());
        let file = File::create(&temporary).map_err(CatalogueError::io(&temporary))?;
        let mut writer =
            ArrowWriter::try_new(file, Arc::new(schema), Some(writer_properties(published())))
                .map_err(CatalogueError::parquet(&parquet))?;
        // Readers that know Arrow see the notes of its schema, all others those of the file.
        for (key, value) in notes {
            writer.append_key_value_metadata(KeyValue::new(key, value));
        }
        let widths = TextWidths::new(columns.len());
        let fits = folder.join(format!("{stem}.fits"));
        Ok(Self { columns, projection, parquet, fits, writer, widths, extname: stem, count: 0 })
    }

    pub(super) fn write(
        &mut self,
        batch: &RecordBatch,
        verdicts: &[Verdict],
        wanted: impl Fn(&Verdict) -> bool,
    ) -> Result<(), CatalogueError> {
        let mask: BooleanArray = verdicts.iter().map(|verdict| Some(wanted(verdict))).collect();
        let batch = batch
            .project(&self.projection)
            .and_then(|batch| filter_record_batch(&batch, &mask))
            .map_err(CatalogueError::parquet(&self.parquet))?;
        self.widths.observe(&batch);
        self.count += batch.num_rows() as u64;
        self.writer.write(&batch).map_err(CatalogueError::parquet(&self.parquet))
    }

    /// Closes Parquet and writes FITS from it, both under temporary names.
    pub(super) fn finish(
        self,
        provenance: &Provenance,
        give_up: &dyn Fn() -> bool,
    ) -> Result<(), CatalogueError> {
        let temporary = temporary_name(&self.parquet);
        self.writer.close().map_err(CatalogueError::parquet(&self.parquet))?;
        let file = File::open(&temporary).map_err(CatalogueError::io(&temporary))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(|builder| builder.with_batch_size(MERGED_ROWS).build())
            .map_err(CatalogueError::parquet(&temporary))?;
        let fits = temporary_name(&self.fits);
        let heads: Vec<ColumnHead> = self.columns.iter().map(ColumnHead::from).collect();
        let mut table = FitsTable::create(&fits, self.extname, &heads, &self.widths, provenance)?;
        for batch in reader {
            if give_up() {
                return Err(CatalogueError::GivenUp);
            }
            table.append(&batch.map_err(CatalogueError::parquet(&temporary))?)?;
        }
        table.close()
    }
}
