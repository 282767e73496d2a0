//! Sorting by place: runs that fit in memory, then their merge.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch};

use super::ReleaseError;
use super::cells::{COUNTS, HEALPIX, counted};
use crate::catalogue::{Merge, merge_runs, write_run};

/// Rows that are sorted in memory: some hundred MB with a few hundred columns.
const ROWS: usize = 1 << 16;

/// Rows on their way into sorted files.
pub(super) struct Runs {
    scratch: PathBuf,
    batches: Vec<RecordBatch>,
    rows: usize,
    written: Vec<PathBuf>,
    counts: Vec<u64>,
}

impl Runs {
    pub(super) fn new(scratch: &Path) -> Self {
        let (batches, written, counts) = (Vec::new(), Vec::new(), vec![0; COUNTS]);
        Self { scratch: scratch.to_owned(), batches, rows: 0, written, counts }
    }

    /// Takes rows with their cells.
    pub(super) fn take(&mut self, batch: RecordBatch) -> Result<(), ReleaseError> {
        for healpix in cells(&batch).iter().flatten() {
            if let Some(count) = counted(healpix).and_then(|cell| self.counts.get_mut(cell)) {
                *count += 1;
            }
        }
        self.rows += batch.num_rows();
        self.batches.push(batch);
        if self.rows >= ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), ReleaseError> {
        if self.rows == 0 {
            return Ok(());
        }
        let path = self.scratch.join(format!("run-{:06}.parquet", self.written.len()));
        write_run(&std::mem::take(&mut self.batches), &path)?;
        self.rows = 0;
        self.written.push(path);
        Ok(())
    }

    /// How many rows each counted cell has so far.
    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// All rows in the order of their places.
    pub(super) fn merge(mut self, give_up: &dyn Fn() -> bool) -> Result<Merge, ReleaseError> {
        self.write()?;
        Ok(merge_runs(self.written, &self.scratch, give_up)?)
    }
}

/// The cells of a batch.
pub(super) fn cells(batch: &RecordBatch) -> Int64Array {
    let column = batch.column_by_name(HEALPIX);
    let cells = column.and_then(|column| column.as_primitive_opt::<Int64Type>());
    cells.cloned().unwrap_or_else(|| Int64Array::new_null(batch.num_rows()))
}
