use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The counters of one stage, written by its workers and its supervisor.
pub(crate) struct StageMeter {
    pub(crate) name: &'static str,
    pub(crate) workers: Vec<Arc<WorkerMeter>>,
    pub(crate) restarts: AtomicU32,
}

impl StageMeter {
    pub(crate) fn new(name: &'static str, workers: usize) -> Self {
        Self {
            name,
            workers: (0..workers).map(|_| Arc::default()).collect(),
            restarts: AtomicU32::new(0),
        }
    }
}

/// What one worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Without input, or between two runs.
    Waiting,
    /// Inside the code of a source, stage or factory: the only place where it can hang.
    Working,
    /// Handing an item to the next queue.
    Sending,
    /// Waiting for something outside of the flow, and saying so.
    Resting,
}

/// The heartbeat and counters of one worker. Only that worker writes them.
pub(crate) struct WorkerMeter {
    epoch: Instant,
    // Nanoseconds since the epoch, shifted to make room for the activity, so that one store
    // changes both.
    pulse: AtomicU64,
    busy: AtomicU64,
    rested: AtomicU64,
    pub(crate) items_in: AtomicU64,
    pub(crate) items_out: AtomicU64,
    pub(crate) panics: AtomicU32,
}

impl Default for WorkerMeter {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            pulse: AtomicU64::new(Activity::Waiting as u64),
            busy: AtomicU64::new(0),
            rested: AtomicU64::new(0),
            items_in: AtomicU64::new(0),
            items_out: AtomicU64::new(0),
            panics: AtomicU32::new(0),
        }
    }
}

impl WorkerMeter {
    /// Begins an activity and books the time of the one before.
    pub(crate) fn begin(&self, activity: Activity) {
        let now = self.now();
        let (before, since) = unpack(self.pulse.load(Ordering::Relaxed));
        match before {
            Activity::Working => _ = self.busy.fetch_add(now - since, Ordering::Relaxed),
            Activity::Resting => _ = self.rested.fetch_add(now - since, Ordering::Relaxed),
            Activity::Waiting | Activity::Sending => {}
        }
        self.pulse.store((now << 2) | activity as u64, Ordering::Release);
    }

    /// How long it has worked without progress; `None` while it waits, sends or rests.
    pub(crate) fn working_for(&self) -> Option<Duration> {
        self.engaged_for(Activity::Working)
    }

    /// Whether it is what a drain waits for: at work or resting, not held up by another.
    pub(crate) fn holds_up(&self) -> bool {
        let (activity, _) = unpack(self.pulse.load(Ordering::Acquire));
        matches!(activity, Activity::Working | Activity::Resting)
    }

    /// The time spent working, the present work included.
    pub(crate) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Ordering::Relaxed))
            + self.working_for().unwrap_or_default()
    }

    /// The time spent resting, the present rest included.
    pub(crate) fn rested(&self) -> Duration {
        Duration::from_nanos(self.rested.load(Ordering::Relaxed))
            + self.engaged_for(Activity::Resting).unwrap_or_default()
    }

    fn engaged_for(&self, in_what: Activity) -> Option<Duration> {
        let (activity, since) = unpack(self.pulse.load(Ordering::Acquire));
        (activity == in_what).then(|| Duration::from_nanos(self.now().saturating_sub(since)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

fn unpack(pulse: u64) -> (Activity, u64) {
    let activity = match pulse & 3 {
        0 => Activity::Waiting,
        1 => Activity::Working,
        2 => Activity::Sending,
        _ => Activity::Resting,
    };
    (activity, pulse >> 2)
}
