use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError, wait_while_for};

/// Stops the source of one flow; what the source has sent drains to the end.
///
/// A failure of the flow stops it by the same means, so whoever rests here hears of both.
#[derive(Debug, Clone, Default)]
pub struct Stopper {
    stop: Arc<Stop>,
}

/// Set once and never taken back, so a stop cannot be lost.
#[derive(Debug, Default)]
struct Stop {
    asked: Mutex<Option<Instant>>,
    changed: Condvar,
}

impl Stopper {
    /// Asks the source to stop. Asking again, or after the end of the flow, changes nothing.
    pub fn stop(&self) {
        self.asked().get_or_insert_with(Instant::now);
        self.stop.changed.notify_all();
    }

    /// Whether a stop was asked for, by this stopper, by a clone of it or by a failure.
    pub fn is_stopped(&self) -> bool {
        self.asked().is_some()
    }

    /// Sleeps at most so long, and returns early and with `true` when a stop is asked for.
    ///
    /// For threads beside the flow. A stage rests with [`Outlet::rest`](crate::Outlet::rest), so
    /// that it is not taken for stuck.
    #[must_use = "true says that a stop was asked for"]
    pub fn rest(&self, length: Duration) -> bool {
        let Stop { asked, changed } = &*self.stop;
        wait_while_for(asked, changed, length, |asked| asked.is_none()).is_some()
    }

    /// How long ago a stop was first asked for.
    pub(crate) fn stopped_for(&self) -> Option<Duration> {
        self.asked().map(|at| at.elapsed())
    }

    fn asked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.stop.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
