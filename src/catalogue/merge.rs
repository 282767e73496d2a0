//! Merging sorted segments into one sorted stream of batches, in bounded memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::{BinaryArray, RecordBatch};
use arrow_select::interleave::interleave_record_batch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};

use super::CatalogueError;
use super::batch::{SORT_KEY, TRANSIENT, writer_properties};
use super::columns::{FILE, FILE_BLAKE3};

/// Segments merged at once: bounds open files and memory whatever their number.
const FAN_IN: usize = 32;
/// Rows that leave the merge together. A small number keeps the memory of a large catalogue near
/// that of a small one.
pub(super) const MERGED_ROWS: usize = 1024;
/// Rows of each segment held in memory.
const READ_ROWS: usize = 512;

/// What a merge reads of its segments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// The columns; empty for all of them.
    columns: &'static [&'static str],
    /// Rows of each segment in memory.
    rows: usize,
    /// How the names of its merged files go on.
    scratch: &'static str,
}

/// All of every row.
pub(super) const ROWS: Reading = Reading { columns: &[], rows: READ_ROWS, scratch: "" };
/// Of segments of any model: the place of a row in the order, and its file.
pub(super) const KEYS: Reading =
    Reading { columns: &[SORT_KEY, FILE, FILE_BLAKE3], rows: 64, scratch: "keys-" };

/// Merges any number of segments, by way of merged files in `scratch` where they are many.
pub(super) fn merge(
    mut paths: Vec<PathBuf>,
    reading: Reading,
    scratch: &Path,
    give_up: &dyn Fn() -> bool,
) -> Result<Merge, CatalogueError> {
    let mut generation = 0;
    while paths.len() > FAN_IN {
        let mut merged = Vec::new();
        for (number, group) in paths.chunks(FAN_IN).enumerate() {
            let label = reading.scratch;
            let path = scratch.join(format!("{SCRATCH}{label}{generation}-{number}.parquet.tmp"));
            write_merged(group, reading, &path, give_up)?;
            if generation > 0 {
                for path in group {
                    std::fs::remove_file(path).map_err(CatalogueError::io(path))?;
                }
            }
            merged.push(path);
        }
        paths = merged;
        generation += 1;
    }
    Merge::open(&paths, reading)
}

/// How the names of merged files begin.
const SCRATCH: &str = "merge-";

/// Whether a name is that of a merged file.
pub(super) fn is_scratch(name: &Path) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(SCRATCH) && name.ends_with(".parquet.tmp"))
}

fn write_merged(
    group: &[PathBuf],
    reading: Reading,
    path: &Path,
    give_up: &dyn Fn() -> bool,
) -> Result<(), CatalogueError> {
    let mut merge = Merge::open(group, reading)?;
    let file = File::create(path).map_err(CatalogueError::io(path))?;
    let Some(first) = merge.next_batch()? else {
        return Ok(());
    };
    let mut writer = ArrowWriter::try_new(file, first.schema(), Some(writer_properties(TRANSIENT)))
        .map_err(CatalogueError::parquet(path))?;
    let mut next = Some(first);
    while let Some(batch) = next {
        if give_up() {
            return Err(CatalogueError::GivenUp);
        }
        writer.write(&batch).map_err(CatalogueError::parquet(path))?;
        next = merge.next_batch()?;
    }
    writer.close().map_err(CatalogueError::parquet(path))?;
    Ok(())
}

/// Rows in memory during a merge of whole rows beside one of keys.
pub(super) const HELD_ROWS: usize = FAN_IN * (ROWS.rows + KEYS.rows) + 2 * MERGED_ROWS;

/// A k-way merge in progress.
pub struct Merge {
    cursors: Vec<Cursor>,
    /// The next key of each segment that still has one.
    heap: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
}

/// The position in one segment.
struct Cursor {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    row: usize,
}

impl Merge {
    fn open(paths: &[PathBuf], reading: Reading) -> Result<Self, CatalogueError> {
        let mut merge = Self { cursors: Vec::new(), heap: BinaryHeap::new() };
        for path in paths {
            let file = File::open(path).map_err(CatalogueError::io(path))?;
            let builder = ParquetRecordBatchReaderBuilder::try_new(file)
                .map_err(CatalogueError::parquet(path))?;
            let mask = match reading.columns {
                [] => ProjectionMask::all(),
                columns => {
                    ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied())
                }
            };
            let reader = builder
                .with_projection(mask)
                .with_batch_size(reading.rows)
                .build()
                .map_err(CatalogueError::parquet(path))?;
            let mut cursor = Cursor { path: path.clone(), reader, batch: None, row: 0 };
            cursor.load()?;
            merge.cursors.push(cursor);
            merge.push_key(merge.cursors.len() - 1);
        }
        Ok(merge)
    }

    fn push_key(&mut self, cursor: usize) {
        if let Some(key) = self.cursors[cursor].key() {
            self.heap.push(Reverse((key, cursor)));
        }
    }

    /// The next rows in order; `None` at the end.
    ///
    /// # Errors
    /// [`CatalogueError`] when a file cannot be read.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, CatalogueError> {
        let mut batches: Vec<RecordBatch> = Vec::new();
        // Which of `batches` is the current one of each cursor.
        let mut current: Vec<Option<usize>> = vec![None; self.cursors.len()];
        let mut indices = Vec::new();
        while indices.len() < MERGED_ROWS {
            let Some(Reverse((_, index))) = self.heap.pop() else {
                break;
            };
            let cursor = &mut self.cursors[index];
            let Some(batch) = &cursor.batch else { continue };
            let slot = *current[index].get_or_insert_with(|| {
                batches.push(batch.clone());
                batches.len() - 1
            });
            indices.push((slot, cursor.row));
            cursor.row += 1;
            if cursor.row == batch.num_rows() {
                cursor.load()?;
                current[index] = None;
            }
            self.push_key(index);
        }
        if indices.is_empty() {
            return Ok(None);
        }
        let references: Vec<&RecordBatch> = batches.iter().collect();
        let path = self.cursors.first().map(|cursor| cursor.path.clone()).unwrap_or_default();
        interleave_record_batch(&references, &indices)
            .map(Some)
            .map_err(CatalogueError::parquet(&path))
    }
}

impl Cursor {
    fn load(&mut self) -> Result<(), CatalogueError> {
        self.row = 0;
        self.batch = loop {
            match self.reader.next().transpose().map_err(CatalogueError::parquet(&self.path))? {
                Some(batch) if batch.num_rows() == 0 => {}
                other => break other,
            }
        };
        Ok(())
    }

    fn key(&self) -> Option<Vec<u8>> {
        Some(keys(self.batch.as_ref()?).value(self.row).to_vec())
    }
}

/// The sort keys of a batch.
///
/// # Panics
/// If the batch does not come from a segment.
pub(crate) fn keys(batch: &RecordBatch) -> &BinaryArray {
    batch.column_by_name(SORT_KEY).expect("segments have a sort key").as_binary()
}
