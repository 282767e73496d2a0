use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::gate::Gate;
use crate::meter::StageMeter;

/// A view of a flow's counters, to be kept and read from any thread.
#[derive(Clone, Default)]
pub struct Monitor {
    pub(crate) stages: Vec<Arc<StageMeter>>,
    pub(crate) queues: Vec<Link>,
}

#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) gate: Arc<Gate>,
}

/// The counters of a flow at one moment. Counts only grow; what a queue holds goes up and down.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The source, then the stages in the order of the flow.
    pub stages: Vec<StageSnapshot>,
    /// The queues in the order of the flow.
    pub queues: Vec<QueueSnapshot>,
}

/// The counters of a source or stage, summed over its workers.
#[derive(Debug, Clone)]
pub struct StageSnapshot {
    /// Its name in the flow.
    pub name: &'static str,
    /// The number of its workers.
    pub workers: usize,
    /// Items received; 0 for the source.
    pub items_in: u64,
    /// Items sent on, salvaged ones included.
    pub items_out: u64,
    /// Time spent in its code: opening and processing, without waiting for input or room and
    /// without resting. A
    /// source's wait for its next item counts, being its code.
    pub busy: Duration,
    /// Time it rested ([`Outlet::rest`](crate::Outlet::rest)), summed and up to this moment.
    pub resting: Duration,
    /// How long the worker that is stuck most has worked without progress; zero if none works.
    pub oldest_work: Duration,
    /// Restarts after a panic.
    pub restarts: u32,
    /// Panics, of which a poison item in a batch causes two.
    pub panics: u32,
}

/// The counters of a queue.
#[derive(Debug, Clone)]
pub struct QueueSnapshot {
    /// The name of the source or stage that fills it.
    pub from: &'static str,
    /// The name of the stage that empties it.
    pub to: &'static str,
    /// Items in it. What remains after the end of a flow was dropped.
    pub items: usize,
    /// Bytes in it.
    pub bytes: usize,
    /// The most items it may hold.
    pub capacity_items: usize,
    /// The most bytes it may hold.
    pub capacity_bytes: usize,
    /// The most items it has held.
    pub high_items: usize,
    /// The most bytes it has held; above the capacity only for a single item of that size.
    pub high_bytes: usize,
    /// Items that have left it.
    pub passed: u64,
    /// Time its senders waited for room, summed and up to this moment.
    pub blocked_sending: Duration,
    /// Time its receivers waited for items, summed and up to this moment.
    pub starved_receiving: Duration,
}

impl Monitor {
    /// Reads all counters, one after the other while the flow runs on. After its end they are
    /// exact and consistent.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            stages: self.stages.iter().map(|stage| stage.snapshot()).collect(),
            queues: self.queues.iter().map(Link::snapshot).collect(),
        }
    }
}

impl StageMeter {
    fn snapshot(&self) -> StageSnapshot {
        let mut sum = StageSnapshot {
            name: self.name,
            workers: self.workers.len(),
            items_in: 0,
            items_out: 0,
            busy: Duration::ZERO,
            resting: Duration::ZERO,
            oldest_work: Duration::ZERO,
            restarts: self.restarts.load(Ordering::Relaxed),
            panics: 0,
        };
        for worker in &self.workers {
            sum.items_in += worker.items_in.load(Ordering::Relaxed);
            sum.items_out += worker.items_out.load(Ordering::Relaxed);
            sum.panics += worker.panics.load(Ordering::Relaxed);
            sum.busy += worker.busy();
            sum.resting += worker.rested();
            sum.oldest_work = sum.oldest_work.max(worker.working_for().unwrap_or_default());
        }
        sum
    }
}

impl Link {
    fn snapshot(&self) -> QueueSnapshot {
        let gauge = self.gate.gauge();
        QueueSnapshot {
            from: self.from,
            to: self.to,
            items: gauge.items,
            bytes: gauge.bytes,
            capacity_items: self.gate.limits.items,
            capacity_bytes: self.gate.limits.bytes,
            high_items: gauge.high_items,
            high_bytes: gauge.high_bytes,
            passed: gauge.passed,
            blocked_sending: gauge.blocked,
            starved_receiving: gauge.starved,
        }
    }
}
