//! Rows and rejects of many shards in the canonical order, judged as a seal judges them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;
use parquet::arrow::ArrowWriter;

use super::CatalogueError;
use super::batch::{SORT_KEY, TRANSIENT, judged_schema, writer_properties};
use super::columns::Schema;
use super::judge::{Judge, Verdict};
use super::judged::judged;
use super::merge::{Merge, ROWS, keys, merge};
use super::reductions::{Reductions, Superseded};
use super::shard_file::Origin;

/// The merge of shards, one batch after the other.
pub struct Judged {
    merge: Merge,
    judge: Judge<'static>,
    schema: SchemaRef,
    rows: Vec<usize>,
    rejects: Vec<usize>,
    last: Vec<u8>,
    copies: u64,
}

/// What became of some outcomes.
pub struct JudgedBatch {
    /// Rows with the columns of the catalogue, and their sort key.
    pub rows: RecordBatch,
    /// Rejects with the columns of the table of rejects.
    pub rejects: RecordBatch,
}

impl Judged {
    /// Opens the files of shards.
    ///
    /// # Errors
    /// [`CatalogueError`] when they cannot be read, or merged in `scratch`.
    pub fn open(
        shards: Vec<PathBuf>,
        schema: &Schema,
        origin: &Origin,
        scratch: &Path,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Self, CatalogueError> {
        let judged_schema = judged_schema(schema);
        let at = |name: &str| judged_schema.index_of(name).ok();
        let rows = schema.rows().filter_map(|column| at(&column.name)).chain(at(SORT_KEY));
        let rejects = schema.rejects().filter_map(|column| at(&column.name));
        let (rows, rejects) = (rows.collect(), rejects.collect());
        Ok(Self {
            merge: merge(shards, ROWS, scratch, give_up)?,
            // A shard leaves out what its files do not hold any more, and there are no volumes.
            judge: Judge::new(Reductions::of(&origin.settings), Superseded::none(), None),
            schema: judged_schema,
            rows,
            rejects,
            last: Vec::new(),
            copies: 0,
        })
    }

    /// The next rows and rejects; `None` at the end.
    ///
    /// # Errors
    /// [`CatalogueError`] when a shard cannot be read or has other columns than the model.
    pub fn next_batch(&mut self) -> Result<Option<JudgedBatch>, CatalogueError> {
        let Some(batch) = self.merge.next_batch()? else { return Ok(None) };
        let batch = self.without_copies(&batch).map_err(CatalogueError::in_memory)?;
        let verdicts = self.judge.judge(&batch)?;
        let judged = judged(&batch, &verdicts, &self.schema).map_err(CatalogueError::in_memory)?;
        let part = |columns: &[usize], wanted: fn(&Verdict) -> bool| {
            let mask: BooleanArray = verdicts.iter().map(|it| Some(wanted(it))).collect();
            judged.project(columns).and_then(|batch| filter_record_batch(&batch, &mask))
        };
        let rows = part(&self.rows, |verdict| matches!(verdict, Verdict::Row { .. }));
        let rejects = part(&self.rejects, |verdict| matches!(verdict, Verdict::Reject(_)));
        let (rows, rejects) =
            (rows.map_err(CatalogueError::in_memory)?, rejects.map_err(CatalogueError::in_memory)?);
        Ok(Some(JudgedBatch { rows, rejects }))
    }

    /// Outcomes that several shards have alike: a large table that cannot be read is one reject in
    /// each shard with rows of it.
    pub fn copies(&self) -> u64 {
        self.copies
    }

    fn without_copies(&mut self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let keys = keys(batch);
        let mut kept = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let key = keys.value(row);
            let is_copy = self.last == key;
            self.copies += u64::from(is_copy);
            if !is_copy {
                self.last.clear();
                self.last.extend_from_slice(key);
            }
            kept.push(!is_copy);
        }
        filter_record_batch(batch, &BooleanArray::from(kept))
    }
}

/// Writes rows, sorted by their keys, to a file that [`merge_runs`] merges.
///
/// # Errors
/// [`CatalogueError`].
pub fn write_run(batches: &[RecordBatch], path: &Path) -> Result<(), CatalogueError> {
    let Some(first) = batches.first() else { return Ok(()) };
    let all = concat_batches(&first.schema(), batches).map_err(CatalogueError::in_memory)?;
    let mut order: Vec<u32> = (0..u32::try_from(all.num_rows()).unwrap_or(u32::MAX)).collect();
    let sort_keys = keys(&all);
    order.sort_unstable_by_key(|&row| sort_keys.value(row as usize));
    let sorted =
        take_record_batch(&all, &UInt32Array::from(order)).map_err(CatalogueError::in_memory)?;
    let file = std::fs::File::create(path).map_err(CatalogueError::io(path))?;
    let properties = Some(writer_properties(TRANSIENT));
    let mut writer = ArrowWriter::try_new(file, sorted.schema(), properties)
        .map_err(CatalogueError::parquet(path))?;
    writer.write(&sorted).map_err(CatalogueError::parquet(path))?;
    writer.close().map_err(CatalogueError::parquet(path))?;
    Ok(())
}

/// Merges files of [`write_run`].
///
/// # Errors
/// [`CatalogueError`].
pub fn merge_runs(
    runs: Vec<PathBuf>,
    scratch: &Path,
    give_up: &dyn Fn() -> bool,
) -> Result<Merge, CatalogueError> {
    merge(runs, ROWS, scratch, give_up)
}

/// The columns of rows as they leave a merge of shards, without those that are not published.
pub fn published_schema(batch: &RecordBatch) -> (SchemaRef, Vec<usize>) {
    let schema = batch.schema();
    let kept: Vec<usize> =
        (0..schema.fields().len()).filter(|&at| schema.field(at).name() != SORT_KEY).collect();
    let published = schema.project(&kept).map_or_else(|_| Arc::clone(&schema), Arc::new);
    (published, kept)
}
