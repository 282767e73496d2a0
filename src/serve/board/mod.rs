//! The board: what the night looks like now. The stages write on it, the API reads it.
//!
//! It is bounded in everything, and to note an outcome takes microseconds.

mod about;
mod inner;
mod recent;
mod recollection;
mod repeats;
mod status;
mod timeline;
mod tonight;
mod waits;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use starmill_actors::Monitor;

pub use about::About;
use inner::Inner;
pub(crate) use recollection::Recollection;
pub use status::{
    Bin, CodeEntry, Counts, Disk, Drift, FlagEntry, Glossary, Inbox, Label, Latency, NightPhase,
    NightSummary, Queue, RejectRow, Stage, StarRow, Status,
};
pub(crate) use timeline::LATENCY_BOUNDS;
pub(crate) use tonight::Totals;

use crate::catalogue::ROW_BYTES;
use crate::outcome::{Outcome, SourceFile};
use crate::quality::BITS;
use crate::reject::CODES;
use crate::stage::Counters;

/// Stars that are kept.
pub const STARS: usize = 2000;
/// Rejects that are kept.
pub const REJECTS: usize = 200;
/// Nights that are kept.
pub const NIGHTS: usize = 60;
/// Inboxes that are shown.
pub const INBOXES: usize = 64;

/// What the board takes, at the most: the texts of what is kept, a day of bins, and stars that may be
/// seen again. At a start the same is gathered once more, from what former processes committed.
pub const MOST_BYTES: usize =
    2 * ((STARS + REJECTS) * ROW_BYTES + timeline::BYTES + repeats::BYTES);

/// What the night looks like now.
pub struct Board {
    inner: Mutex<Inner>,
}

impl Board {
    /// An empty board of a service that is not ready.
    pub fn new(about: About) -> Self {
        Self { inner: Mutex::new(Inner::new(about)) }
    }

    /// From now on lists and drift wait for what former processes committed, and this is the start
    /// of the service that the timeline shows.
    pub(crate) fn remember(&self, now: SystemTime) {
        self.lock().remember(now);
    }

    /// An empty recollection for what the board shows at this moment.
    pub(crate) fn recollection(&self, now: SystemTime) -> Recollection {
        self.lock().recollection(now)
    }

    /// Takes over what former processes committed. What was noted meanwhile comes behind it.
    pub(crate) fn recalled(&self, past: Recollection, now: SystemTime) {
        self.lock().recalled(past, now);
    }

    /// Whether nothing of former processes is still to be taken over.
    pub(crate) fn is_recalled(&self) -> bool {
        self.lock().is_recalled()
    }

    /// Says what runs now, after the model or the configuration was loaded anew. Other labels than
    /// before make a new list of stars.
    pub fn set_about(&self, about: About) {
        self.lock().set_about(about);
    }

    /// Shows a flow that was started, or started again, until the next one.
    pub fn attach(&self, monitor: Monitor, counters: Arc<Counters>) {
        self.lock().attach(monitor, counters);
    }

    /// Whether the models are warm and the flow runs.
    pub fn set_ready(&self, ready: bool) {
        self.lock().ready = ready;
    }

    /// Whether the service is ready.
    pub fn is_ready(&self) -> bool {
        self.lock().ready
    }

    /// Notes outcomes whose commit became durable at this moment. A latency is counted from
    /// [`SourceFile::arrived`](crate::outcome::SourceFile::arrived).
    pub fn committed(&self, outcomes: &[Outcome], at: SystemTime) {
        self.lock().committed(outcomes, at);
    }

    /// Notes a file of which the last outcome was [committed](Self::committed).
    pub fn finished(&self, file: &SourceFile) {
        self.lock().finished(file);
    }

    /// Shows the inboxes as they are now.
    pub fn inboxes(&self, mut inboxes: Vec<Inbox>) {
        inboxes.truncate(INBOXES);
        self.lock().inboxes = inboxes;
    }

    /// Shows a night, in place of what was shown under its name.
    pub fn night(&self, summary: NightSummary) {
        self.lock().night(summary);
    }

    /// Looks at the queues and the disk; the server does so each second.
    pub fn tick(&self, now: SystemTime) {
        // Neither the flow's counters nor the disk are asked under the lock that writers need.
        let (monitor, folder) = self.lock().sources();
        let snapshot = monitor.map(|monitor| monitor.snapshot());
        let disk = inner::disk(&folder);
        self.lock().tick(now, snapshot, disk);
    }

    /// The state now.
    pub fn status(&self) -> Status {
        self.status_at(SystemTime::now())
    }

    /// The state, as of a moment.
    pub fn status_at(&self, now: SystemTime) -> Status {
        self.lock().status(now)
    }

    /// The newest `most` stars with a number above `after`, oldest first.
    pub fn stars(&self, after: u64, most: usize) -> Vec<StarRow> {
        self.lock().stars(after, most)
    }

    /// The newest `most` rejects with a number above `after`, oldest first.
    pub fn rejects(&self, after: u64, most: usize) -> Vec<RejectRow> {
        self.lock().rejects(after, most)
    }

    /// The numbers of the newest star and the newest reject.
    pub fn newest(&self) -> (u64, u64) {
        self.lock().newest()
    }

    /// The newest `most` bins of `seconds` each, rounded up to ten, that begin at `since` or later,
    /// in seconds since 1970; the last one may still grow.
    pub fn timeline(&self, since: f64, seconds: u64, most: usize) -> Vec<Bin> {
        self.lock().timeline(since, seconds.div_ceil(timeline::BIN_SECONDS), most)
    }

    /// What the metrics need beside the status.
    pub(crate) fn totals(&self) -> Totals {
        self.lock().totals()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the codes and bits mean.
pub fn glossary() -> Glossary {
    let codes = CODES.iter().map(|entry| CodeEntry {
        name: entry.name.to_owned(),
        meaning: entry.meaning.to_owned(),
        remedy: entry.remedy.to_owned(),
    });
    let flags = BITS.iter().map(|bit| FlagEntry {
        name: bit.name.to_owned(),
        meaning: bit.meaning.to_owned(),
        bad: bit.bad,
    });
    Glossary { codes: codes.collect(), flags: flags.collect() }
}

#[cfg(test)]
mod tests;
