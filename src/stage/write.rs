//! From outcomes to durable segments.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use starmill_actors::{Halt, Outlet, Stage};

use super::{Counters, Desk, Persevere, Rack};
use crate::night::Night;
use crate::outcome::{Estimate, Item, Outcome, SourceFile};
use crate::reject::Reject;

/// When finished spectra are committed.
#[derive(Debug, Clone, Copy)]
pub struct CommitRule {
    /// As soon as so many wait.
    pub spectra: usize,
    /// As soon as one waits so long.
    pub age: Duration,
    /// Segments of fewer spectra are merged.
    pub compact_below: usize,
}

/// Rejects of one code that are logged one by one; more are only counted, so that a bad archive
/// does not flood the log.
const LOGGED_REJECTS: u64 = 20;

/// Is told in the writer's thread what has become durable; it must be quick.
pub trait Witness: Send + Sync {
    /// These outcomes are committed.
    fn committed(&self, outcomes: &[Outcome]);
    /// All outcomes of this file are committed: some of them now, or all of them before.
    fn finished(&self, file: &SourceFile, is_new: bool);
    /// Whether small segments may be merged: not while somebody reads them one after the other.
    fn lets_merge(&self) -> bool {
        true
    }
}

/// Nobody listens.
impl Witness for () {
    fn committed(&self, _: &[Outcome]) {}
    fn finished(&self, _: &SourceFile, _: bool) {}
}

/// Gathers the outcomes of whole parts on their desks and commits them.
pub struct Write {
    rack: Arc<Mutex<Rack>>,
    rule: CommitRule,
    persevere: Persevere,
    witness: Arc<dyn Witness>,
}

type NoOutlet<'a> = Outlet<'a, Infallible>;

impl Write {
    /// The writer at a rack of desks.
    pub fn new(
        rack: Arc<Mutex<Rack>>,
        rule: CommitRule,
        persevere: Persevere,
        witness: Arc<dyn Witness>,
    ) -> Self {
        Self { rack, rule, persevere, witness }
    }

    fn rack(&self) -> MutexGuard<'_, Rack> {
        // What is on the desks is whole at every place that can panic.
        self.rack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the desk of a night, for which another may have to go.
    fn open(
        &self,
        rack: &mut Rack,
        night: Option<Night>,
        out: &mut NoOutlet<'_>,
    ) -> Result<(), Halt> {
        if rack.is_open(night) {
            return Ok(());
        }
        if rack.is_full() {
            self.commit_all(rack, out)?;
            rack.put_one_away();
        }
        let mut rest = |length| out.rest(length);
        self.persevere.until_done(&mut rest, || rack.desk(night).map(|_| ()))?;
        Ok(())
    }

    fn commit_if_due(&self, rack: &mut Rack, out: &mut NoOutlet<'_>) -> Result<(), Halt> {
        if rack.waiting() >= self.rule.spectra {
            return self.commit_all(rack, out);
        }
        let due = |desk: &&mut Desk| desk.age() >= self.rule.age;
        rack.desks().filter(due).try_for_each(|desk| self.commit(desk, out))
    }

    fn commit_all(&self, rack: &mut Rack, out: &mut NoOutlet<'_>) -> Result<(), Halt> {
        rack.desks().try_for_each(|desk| self.commit(desk, out))
    }

    fn commit(&self, desk: &mut Desk, out: &mut NoOutlet<'_>) -> Result<(), Halt> {
        if desk.waiting() == 0 {
            return Ok(());
        }
        fail::fail_point!("commit-slow");
        let encoded = desk.encode()?;
        let mut rest = |length| out.rest(length);
        self.persevere.until_done(&mut rest, || desk.commit(&encoded))?;
        let outcomes = desk.clear();
        for outcome in &outcomes {
            self.tell(outcome);
        }
        self.witness.committed(&outcomes);
        self.tell_finished(desk);
        self.merge_segments(desk);
        Ok(())
    }

    fn merge_segments(&self, desk: &mut Desk) {
        if self.witness.lets_merge() {
            desk.merge_segments(self.rule.compact_below);
        }
    }

    fn tell_finished(&self, desk: &mut Desk) {
        for (file, is_new) in desk.take_finished() {
            self.witness.finished(&file, is_new);
        }
    }

    fn tell(&self, outcome: &Outcome) {
        match &outcome.content {
            Ok(_) => Counters::count(&self.persevere.counters.rows),
            Err(reject) => self.log_reject(outcome, reject),
        }
    }

    fn log_reject(&self, outcome: &Outcome, reject: &Reject) {
        let entry = reject.code.entry();
        let count = self.persevere.counters.count_reject(reject.code);
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

    fn process(&mut self, batch: &mut [Self::In], out: &mut NoOutlet<'_>) -> Result<(), Halt> {
        let _span = tracing::info_span!("write").entered();
        let mut rack = self.rack();
        // After a panic a batch comes again, item by item: to gather twice changes nothing, and
        // nothing is settled before all of it is gathered.
        let mut whole = Vec::new();
        for outcome in &*batch {
            self.open(&mut rack, outcome.origin.file.night, out)?;
            whole.extend(rack.gather(outcome)?);
        }
        for part in whole {
            let desk = rack.desk(part.night)?;
            if desk.collides(part) {
                self.commit(desk, out)?;
            }
            desk.settle(part)?;
            self.tell_finished(desk);
            self.commit_if_due(&mut rack, out)?;
        }
        Ok(())
    }

    fn idle(&mut self, out: &mut NoOutlet<'_>) -> Result<(), Halt> {
        let mut rack = self.rack();
        self.commit_if_due(&mut rack, out)?;
        // A catalogue may have been opened with many of them.
        rack.desks().for_each(|desk| self.merge_segments(desk));
        Ok(())
    }

    fn finish(&mut self, out: &mut NoOutlet<'_>) -> Result<(), Halt> {
        self.commit_all(&mut self.rack(), out)
    }

    /// Outcomes go nowhere from here. Gathering cannot panic, and what the desk holds outlives a
    /// commit that does; if every try panics, the run ends and the next one does these inputs.
    fn salvage(_: Self::In, _: usize, _: &str) -> Vec<Infallible> {
        Vec::new()
    }
}
