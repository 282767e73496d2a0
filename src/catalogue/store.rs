//! The folder of one catalogue: its lock, its ledger and its segments.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use thiserror::Error;

use super::columns::Schema;
use super::durable::{create_folders, remove, sync_folder};
use super::recover::{Recovered, open_ledger, reconcile, remove_scratch};
use super::seal::{Counts, Made, Sealing, seal};
use super::segment::{self, Encoded, Segment};
use super::shard_file::{ShardNote, Written};
use super::{CatalogueError, LEDGER, LOCK, SEGMENTS, compact, shard_file};
use crate::failpoint::crash_point;
use crate::input::Digest;
use crate::ledger::{Input, Ledger, LedgerError};
use crate::outcome::Outcome;

/// A catalogue's folder that cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process works there.
    #[error(
        "{0}: another process is writing or verifying this catalogue; wait for it or choose \
         another --out"
    )]
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
    /// The outcomes to commit are not those of the inputs to commit.
    #[error(
        "the outcomes of {encoded} inputs were to be committed as those of {named} other ones; \
         nothing was committed, report this"
    )]
    OtherInputs {
        /// How many inputs the outcomes belong to.
        encoded: usize,
        /// How many were named.
        named: usize,
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
    model_id: String,
    schema: Schema,
    ledger: Ledger,
    next_segment: u64,
    recovered: Recovered,
    /// Folders of the volumes that this one supplements.
    earlier: Vec<PathBuf>,
    /// The segments in the order of their commits, each with its number of spectra.
    segments: Vec<(Segment, u64)>,
    /// A merged segment of which the ledger may know only after a crash.
    doubtful: Option<Segment>,
    /// Segments that the ledger does not name any more.
    replaced: Vec<Segment>,
    /// The lock lives and dies with this handle, so with the process.
    _lock: File,
}

impl Store {
    /// Opens or creates the catalogue in `folder` for a model, and recovers from a crash or from
    /// damage; [`super::protocol::STEPS`] says how.
    ///
    /// # Errors
    /// [`StoreError`] when the folder is in use, belongs to another model, or cannot be written.
    pub fn open(folder: &Path, model_id: &str, schema: Schema) -> Result<Self, StoreError> {
        let begin = Instant::now();
        create_folders(&folder.join(SEGMENTS))?;
        crash_point!("open-folders");
        let lock = lock(folder)?;
        let mut recovered = Recovered { orphans: remove_scratch(folder)?, ..Recovered::default() };
        let (mut ledger, rebuilt) = open_ledger(folder)?;
        recovered.ledger = rebuilt;
        crash_point!("open-ledger");
        ledger.set_note("model", model_id)?;
        // SQLite syncs the ledger, but not the folder that holds its name.
        sync_folder(folder)?;
        let found = ledger.note("model")?.unwrap_or_default();
        if found != model_id {
            let (folder, wanted) = (folder.to_owned(), model_id.to_owned());
            return Err(StoreError::OtherModel { folder, found, wanted });
        }
        let next_segment = reconcile(folder, &mut ledger, &mut recovered)?;
        recovered.took = begin.elapsed();
        Ok(Self {
            folder: folder.to_owned(),
            model_id: model_id.to_owned(),
            schema,
            segments: ledger.sizes()?,
            ledger,
            next_segment,
            recovered,
            doubtful: None,
            replaced: Vec::new(),
            earlier: Vec::new(),
            _lock: lock,
        })
    }

    /// Sealing takes the rows of these volumes into account, the oldest first, so that of an
    /// observation that one of them has no second row counts as the newest unless it is.
    pub fn supplement(&mut self, earlier: Vec<PathBuf>) {
        self.earlier = earlier;
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What opening had to mend.
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// The ledger's path, for read-only connections of other threads.
    pub fn ledger_path(&self) -> PathBuf {
        self.folder.join(LEDGER)
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Encodes the outcomes of whole files, which writes nothing: if one of them makes the encoder
    /// panic, the caller can find which.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be encoded.
    pub fn encode(&self, outcomes: &[Outcome]) -> Result<Encoded, StoreError> {
        Ok(segment::encode(&self.schema, &self.model_id, outcomes)?)
    }

    /// Makes encoded outcomes durable and their inputs done. After an error the same call may be
    /// tried again: what it left is overwritten.
    ///
    /// # Errors
    /// [`StoreError`]; the inputs do not count as done then.
    pub fn commit_encoded(
        &mut self,
        encoded: &Encoded,
        inputs: &[Input],
    ) -> Result<(), StoreError> {
        if Input::digest_of(inputs) != Input::digest_of(encoded.inputs()) {
            let (encoded, named) = (encoded.inputs().len(), inputs.len());
            return Err(StoreError::OtherInputs { encoded, named });
        }
        let segment = encoded.segment(self.next_segment);
        segment::write(&self.folder.join(SEGMENTS), &segment, encoded)?;
        if let Err(error) = self.ledger.commit(&segment, inputs) {
            // An orphan of a commit that is perhaps tried again with other outcomes.
            let _ = remove(&self.folder.join(SEGMENTS).join(&segment.name));
            return Err(error.into());
        }
        self.next_segment += 1;
        crash_point!("commit-done");
        tracing::debug!(segment = segment.name, inputs = inputs.len(), "committed segment");
        let spectra = inputs.iter().map(|input| input.spectra as u64).sum();
        self.segments.push((segment, spectra));
        Ok(())
    }

    /// Merges segments of fewer than `below` spectra where enough of them have gathered: one step,
    /// over fewer than twice as many spectra. Returns whether there was anything to do.
    ///
    /// # Errors
    /// [`StoreError`]; the segments stay as they are then.
    pub fn compact(&mut self, below: usize) -> Result<bool, StoreError> {
        if !self.remove_replaced()? {
            return Ok(false);
        }
        let spectra: Vec<u64> = self.segments.iter().map(|(_, spectra)| *spectra).collect();
        let Some(range) = compact::plan(&spectra, below as u64) else {
            return Ok(false);
        };
        let old: Vec<Segment> =
            self.segments[range.clone()].iter().map(|(segment, _)| segment.clone()).collect();
        let folder = self.folder.join(SEGMENTS);
        let inputs = self.ledger.inputs_in(&old)?;
        let encoded = compact::merge(&folder, &old, &self.model_id, &inputs)?;
        if Input::digest_of(&inputs) != Input::digest_of(encoded.inputs()) {
            let (encoded, named) = (encoded.inputs().len(), inputs.len());
            return Err(StoreError::OtherInputs { encoded, named });
        }
        // The number of the first keeps its place in the order of commits.
        let segment = encoded.segment(old[0].number().unwrap_or(self.next_segment));
        if let Err(error) = compact::write(&folder, &segment, &encoded) {
            self.replaced.push(segment);
            let _ = self.remove_replaced();
            return Err(error.into());
        }
        if let Err(error) = self.ledger.replace(&old, &segment) {
            // It stays until it is certain that no later process finds the ledger naming it.
            self.doubtful = Some(segment);
            let _ = self.remove_replaced();
            return Err(error.into());
        }
        crash_point!("compact-replaced");
        tracing::debug!(segment = segment.name, segments = old.len(), "merged small segments");
        let sum = spectra[range.clone()].iter().sum();
        self.segments.splice(range, [(segment, sum)]);
        self.replaced = old;
        self.remove_replaced()?;
        crash_point!("compact-done");
        Ok(true)
    }

    /// Removes segments that no commit names. What cannot be removed now is removed later. Returns
    /// whether none is left.
    fn remove_replaced(&mut self) -> Result<bool, StoreError> {
        if self.doubtful.is_some() {
            if !self.ledger.settle()? {
                return Ok(false);
            }
            self.replaced.extend(self.doubtful.take());
        }
        while let Some(segment) = self.replaced.last() {
            remove(&self.folder.join(SEGMENTS).join(&segment.name))?;
            self.replaced.pop();
            crash_point!("compact-removed");
        }
        Ok(true)
    }

    /// Encodes and commits the outcomes of whole files.
    ///
    /// # Errors
    /// [`StoreError`]; the inputs do not count as done then.
    pub fn commit(&mut self, outcomes: &[Outcome], inputs: &[Input]) -> Result<(), StoreError> {
        let encoded = self.encode(outcomes)?;
        self.commit_encoded(&encoded, inputs)
    }

    /// Makes a content that a path had before its current one again: the file was replaced and then
    /// restored. Its outcomes are in a segment already.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is changed then.
    pub fn promote(&mut self, digest: Digest, path: &str) -> Result<(), StoreError> {
        self.ledger.promote(digest, path)?;
        Ok(())
    }

    /// Writes all outcomes to one file of a backfill, durably but under whatever name is given.
    ///
    /// # Errors
    /// [`StoreError`]; segments and ledger stay as they are.
    pub fn export(
        &self,
        path: &Path,
        shard: &Written<'_>,
        give_up: &dyn Fn() -> bool,
    ) -> Result<ShardNote, StoreError> {
        shard_file::write(self, path, shard, give_up)
    }

    /// Publishes the catalogue and the table of rejects from all segments, with the manifest that
    /// vouches for them. `give_up` is asked again and again while nothing is published yet.
    ///
    /// # Errors
    /// [`StoreError`]; segments and ledger stay as they are then, and so does what was published
    /// unless the error came while names were exchanged.
    pub fn seal(&self, made: &Made, give_up: &dyn Fn() -> bool) -> Result<Counts, StoreError> {
        Ok(seal(&Sealing {
            folder: &self.folder,
            segments: &self.folder.join(SEGMENTS),
            schema: &self.schema,
            model_id: &self.model_id,
            made,
            ledger: &self.ledger,
            earlier: &self.earlier,
            give_up,
        })?)
    }
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let lock = File::create(&path).map_err(CatalogueError::io(&path))?;
    lock.try_lock().map_err(|error| match error {
        std::fs::TryLockError::WouldBlock => StoreError::Locked(folder.to_owned()),
        std::fs::TryLockError::Error(error) => CatalogueError::io(&path)(error).into(),
    })?;
    Ok(lock)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_compact;
