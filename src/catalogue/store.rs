//! The folder of one catalogue: its lock, its ledger, its segments, and recovery after a crash.

use std::fs::File;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::CatalogueError;
use super::columns::Schema;
use super::seal::{Counts, Expected, Provenance, seal};
use super::segment::write_segment;
use crate::failpoint::crash_point;
use crate::input::Digest;
use crate::ledger::{Input, Ledger, LedgerError};
use crate::outcome::Outcome;

/// A catalogue's folder that cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process writes there.
    #[error("{0}: another process is writing this catalogue; wait for it or choose another --out")]
    Locked(PathBuf),
    /// The catalogue was begun with something else.
    #[error("{folder}: this catalogue was made with {found}, not {wanted}; choose another --out")]
    OtherModel {
        /// The folder.
        folder: PathBuf,
        /// What it was made with.
        found: String,
        /// What was asked for now.
        wanted: String,
    },
    /// Files could not be read or written.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The ledger could not be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// An open catalogue: one writer at a time.
pub struct Store {
    folder: PathBuf,
    schema: Schema,
    ledger: Ledger,
    next_segment: u64,
    /// The lock lives and dies with this handle, so with the process.
    _lock: File,
}

const LEDGER: &str = "ledger.sqlite";
const SEGMENTS: &str = "segments";

impl Store {
    /// Opens or creates the catalogue in `folder` for a model, and recovers from a crash: files
    /// that the ledger does not name are removed, and segments whose bytes are not those that were
    /// committed are forgotten, so that their inputs are processed again.
    ///
    /// # Errors
    /// [`StoreError`] when the folder is in use, belongs to another model, or cannot be written.
    pub fn open(folder: &Path, model_id: &str, schema: Schema) -> Result<Self, StoreError> {
        let segments = folder.join(SEGMENTS);
        std::fs::create_dir_all(&segments).map_err(CatalogueError::io(&segments))?;
        let lock_path = folder.join(".lock");
        let lock = File::create(&lock_path).map_err(CatalogueError::io(&lock_path))?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => StoreError::Locked(folder.to_owned()),
            std::fs::TryLockError::Error(error) => CatalogueError::io(&lock_path)(error).into(),
        })?;
        let ledger = Ledger::open(&folder.join(LEDGER))?;
        ledger.set_note("model", model_id)?;
        let found = ledger.note("model")?.unwrap_or_default();
        if found != model_id {
            let (folder, wanted) = (folder.to_owned(), model_id.to_owned());
            return Err(StoreError::OtherModel { folder, found, wanted });
        }
        let mut store =
            Self { folder: folder.to_owned(), schema, ledger, next_segment: 1, _lock: lock };
        store.recover()?;
        Ok(store)
    }

    /// The ledger's path, for read-only connections of other threads.
    pub fn ledger_path(&self) -> PathBuf {
        self.folder.join(LEDGER)
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Makes the outcomes of whole files durable.
    ///
    /// # Errors
    /// [`StoreError`]; the inputs do not count as done then.
    pub fn commit(&mut self, outcomes: &[Outcome], inputs: &[Input]) -> Result<(), StoreError> {
        let name = format!("segment-{:08}.parquet", self.next_segment);
        let folder = self.folder.join(SEGMENTS);
        crash_point!("commit-begins");
        let segment = write_segment(&folder, name, &self.schema, outcomes)?;
        self.next_segment += 1;
        crash_point!("commit-renamed");
        self.ledger.commit(&segment, inputs)?;
        crash_point!("commit-done");
        tracing::debug!(segment = segment.name, spectra = outcomes.len(), "committed segment");
        Ok(())
    }

    /// Writes the catalogue and the table of rejects from all segments.
    ///
    /// # Errors
    /// [`StoreError`]; segments and ledger stay as they are then.
    pub fn seal(&self, provenance: &Provenance) -> Result<Counts, StoreError> {
        let folder = self.folder.join(SEGMENTS);
        let segments = self.ledger.segments()?;
        let paths = segments.into_iter().map(|segment| folder.join(segment.name)).collect();
        let (_, spectra) = self.ledger.totals()?;
        let expected = Expected { spectra, superseded: self.ledger.superseded()? };
        Ok(seal(&self.folder, paths, &self.schema, provenance, &expected)?)
    }

    fn recover(&mut self) -> Result<(), StoreError> {
        let folder = self.folder.join(SEGMENTS);
        let mut known = std::collections::HashSet::new();
        for segment in self.ledger.segments()? {
            let path = folder.join(&segment.name);
            let found = Digest::of_file(&path);
            if found.as_ref().is_ok_and(|digest| *digest == segment.digest) {
                known.insert(segment.name);
                continue;
            }
            let inputs = self.ledger.forget(&segment)?;
            tracing::warn!(
                segment = segment.name,
                inputs,
                "segment is damaged or gone, its inputs will be processed again"
            );
        }
        for entry in std::fs::read_dir(&folder).map_err(CatalogueError::io(&folder))? {
            let entry = entry.map_err(CatalogueError::io(&folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !known.contains(&name) {
                tracing::info!(file = name, "removed a file that no commit names");
                let path = entry.path();
                std::fs::remove_file(&path).map_err(CatalogueError::io(&path))?;
            }
        }
        let number = |name: &String| name.get(8..16)?.parse::<u64>().ok();
        self.next_segment = known.iter().filter_map(number).max().unwrap_or(0) + 1;
        Ok(())
    }
}
