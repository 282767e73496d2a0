//! From outcomes to durable segments.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use starmill_actors::{Halt, Outlet, Stage};

use super::Counters;
use crate::catalogue::{Store, StoreError, path_text};
use crate::input::Digest;
use crate::ledger::Input;
use crate::outcome::{Estimate, Item, Outcome};

/// When finished spectra are committed.
#[derive(Debug, Clone, Copy)]
pub struct CommitRule {
    /// As soon as so many wait.
    pub spectra: usize,
    /// As soon as one waits so long.
    pub age: Duration,
}

/// Rejects of one code that are logged one by one; more are only counted, so that a bad archive
/// does not flood the log.
const LOGGED_REJECTS: u64 = 20;

/// Gathers the outcomes of whole files and commits them.
pub struct Write {
    store: Arc<Mutex<Store>>,
    rule: CommitRule,
    counters: Arc<Counters>,
    /// Outcomes of files of which some are still on their way, by sequence.
    partial: HashMap<u64, Vec<Outcome>>,
    waiting: Vec<Outcome>,
    inputs: Vec<Input>,
    seen: HashSet<(String, Digest)>,
    oldest: Option<Instant>,
}

impl Write {
    /// The writer of a catalogue.
    pub fn new(store: Arc<Mutex<Store>>, rule: CommitRule, counters: Arc<Counters>) -> Self {
        Self {
            store,
            rule,
            counters,
            partial: HashMap::new(),
            waiting: Vec::new(),
            inputs: Vec::new(),
            seen: HashSet::new(),
            oldest: None,
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // A panic while committing leaves the store as a crash would: recovery handles it.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gather(&mut self, outcome: &Outcome) -> Result<(), StoreError> {
        let file = Arc::clone(&outcome.origin.file);
        let gathered = self.partial.entry(file.sequence).or_default();
        gathered.push(outcome.clone());
        if gathered.len() < file.spectra {
            return Ok(());
        }
        let outcomes = self.partial.remove(&file.sequence).unwrap_or_default();
        let input = Input {
            digest: file.digest,
            path: path_text(&file.path),
            first: file.first,
            spectra: file.spectra,
            total: file.total,
        };
        // The same file named twice in one run, or an unreadable one that was so before.
        let known = !self.seen.insert((input.path.clone(), input.digest))
            || self.store().ledger().is_done(input.digest, &input.path, input.first)?;
        if known {
            Counters::count(&self.counters.files_skipped);
            return Ok(());
        }
        self.waiting.extend(outcomes);
        self.inputs.push(input);
        self.oldest.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn commit_if_due(&mut self) -> Result<(), StoreError> {
        let old = self.oldest.is_some_and(|since| since.elapsed() >= self.rule.age);
        if old || self.waiting.len() >= self.rule.spectra { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.inputs.is_empty() {
            return Ok(());
        }
        self.store().commit(&self.waiting, &self.inputs)?;
        for outcome in &self.waiting {
            match &outcome.content {
                Ok(_) => Counters::count(&self.counters.rows),
                Err(reject) => self.log_reject(outcome, reject),
            }
        }
        let done = self.inputs.len() as u64;
        self.counters.files_done.fetch_add(done, std::sync::atomic::Ordering::Relaxed);
        self.waiting.clear();
        self.inputs.clear();
        self.seen.clear();
        self.oldest = None;
        Ok(())
    }

    fn log_reject(&self, outcome: &Outcome, reject: &crate::reject::Reject) {
        let entry = reject.code.entry();
        let count = self.counters.count_reject(reject.code);
        if count <= LOGGED_REJECTS {
            tracing::warn!(
                file = %outcome.origin.file.path.display(),
                index = outcome.origin.index,
                code = entry.name,
                detail = reject.detail,
                remedy = entry.remedy,
                "spectrum rejected"
            );
        }
        if count == LOGGED_REJECTS {
            tracing::warn!(
                code = entry.name,
                "further rejects of this code are only counted, all are in the table of rejects"
            );
        }
    }
}

impl Stage for Write {
    type In = Item<Estimate>;
    type Out = Infallible;

    fn process(
        &mut self,
        batch: &mut [Self::In],
        _: &mut Outlet<'_, Infallible>,
    ) -> Result<(), Halt> {
        let _span = tracing::info_span!("write").entered();
        for outcome in batch {
            self.gather(outcome)?;
            self.commit_if_due()?;
        }
        Ok(())
    }

    fn idle(&mut self, _: &mut Outlet<'_, Infallible>) -> Result<(), Halt> {
        Ok(self.commit_if_due()?)
    }

    fn finish(&mut self, _: &mut Outlet<'_, Infallible>) -> Result<(), Halt> {
        Ok(self.commit()?)
    }

    /// Outcomes go nowhere from here: a writer that panics loses what it had not committed, and the
    /// run ends without it; the ledger makes the next run do these inputs again.
    fn salvage(_: Self::In, _: usize, _: &str) -> Vec<Infallible> {
        Vec::new()
    }
}
