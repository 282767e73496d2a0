use std::time::{Duration, Instant};

pub(crate) use crossbeam_channel::{Receiver, Sender, bounded};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
pub(crate) use std::thread::sleep;

/// Locks, and waits while `condition` holds, but at most `limit`.
pub(crate) fn wait_while_for<'a, T>(
    lock: &'a Mutex<T>,
    changed: &Condvar,
    limit: Duration,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    changed.wait_timeout_while(guard, limit, condition).unwrap_or_else(PoisonError::into_inner).0
}

/// A time limit that runs from its making.
pub(crate) struct TimeLimit {
    begun: Instant,
    length: Duration,
}

impl TimeLimit {
    pub(crate) fn new(length: Duration) -> Self {
        Self { begun: Instant::now(), length }
    }

    /// What is left of it, zero once it has passed.
    pub(crate) fn left(&self) -> Duration {
        self.length.saturating_sub(self.begun.elapsed())
    }
}
