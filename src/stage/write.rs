//! From outcomes to durable segments.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use starmill_actors::{Halt, Outlet, Stage};

use super::{Counters, Desk, Persevere};
use crate::outcome::{Estimate, Item, Outcome};
use crate::reject::Reject;

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

/// Gathers the outcomes of whole parts on the desk and commits them.
pub struct Write {
    desk: Arc<Mutex<Desk>>,
    rule: CommitRule,
    persevere: Persevere,
}

type NoOutlet<'a> = Outlet<'a, Infallible>;

impl Write {
    /// The writer at a desk.
    pub fn new(desk: Arc<Mutex<Desk>>, rule: CommitRule, persevere: Persevere) -> Self {
        Self { desk, rule, persevere }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // What is on the desk is whole at every place that can panic.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit_if_due(&self, desk: &mut Desk, out: &mut NoOutlet<'_>) -> Result<(), Halt> {
        let due = desk.age() >= self.rule.age || desk.waiting() >= self.rule.spectra;
        if due { self.commit(desk, out) } else { Ok(()) }
    }

    fn commit(&self, desk: &mut Desk, out: &mut NoOutlet<'_>) -> Result<(), Halt> {
        if desk.waiting() == 0 {
            return Ok(());
        }
        fail::fail_point!("commit-slow");
        let encoded = desk.encode()?;
        let mut rest = |length| out.rest(length);
        self.persevere.until_done(&mut rest, || desk.commit(&encoded))?;
        for outcome in desk.clear() {
            self.tell(&outcome);
        }
        Ok(())
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
        let mut desk = self.desk();
        // After a panic a batch comes again, item by item: to gather twice changes nothing, and
        // nothing is settled before all of it is gathered.
        let whole: Vec<_> = batch.iter().filter_map(|outcome| desk.gather(outcome)).collect();
        for part in whole {
            if desk.collides(part) {
                self.commit(&mut desk, out)?;
            }
            desk.settle(part)?;
            self.commit_if_due(&mut desk, out)?;
        }
        Ok(())
    }

    fn idle(&mut self, out: &mut NoOutlet<'_>) -> Result<(), Halt> {
        self.commit_if_due(&mut self.desk(), out)
    }

    fn finish(&mut self, out: &mut NoOutlet<'_>) -> Result<(), Halt> {
        self.commit(&mut self.desk(), out)
    }

    /// Outcomes go nowhere from here. Gathering cannot panic, and what the desk holds outlives a
    /// commit that does; if every try panics, the run ends and the next one does these inputs.
    fn salvage(_: Self::In, _: usize, _: &str) -> Vec<Infallible> {
        Vec::new()
    }
}
