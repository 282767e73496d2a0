//! Models of what `system` takes from the standard library and from crossbeam.
//!
//! Locks and condition variables are shuttle's. Nothing published models a crossbeam channel, so
//! [`bounded`] is written here from its documentation: bounded, many to many, first in first out,
//! closed when either side has left, emptied by its last receiver. Time is chance: a wait with a
//! limit may time out at any moment, and one with [`Duration::MAX`] never does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, SendError, TryRecvError};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::yield_now;

pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
pub(crate) use std::sync::PoisonError;

pub(crate) fn sleep(_length: Duration) {
    yield_now();
}

pub(crate) fn wait_while_for<'a, T>(
    lock: &'a Mutex<T>,
    changed: &Condvar,
    limit: Duration,
    mut condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    let locked = || lock.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(patience) = patience(limit) else {
        return changed.wait_while(locked(), condition).unwrap_or_else(PoisonError::into_inner);
    };
    for _ in 0..patience {
        if !condition(&mut locked()) {
            break;
        }
        yield_now();
    }
    locked()
}

/// How often a wait lets others go first before it times out; `None` if it never does.
fn patience(limit: Duration) -> Option<u32> {
    (limit < Duration::MAX).then(|| thread_rng().gen_range(0..4))
}

/// A time limit that passes by chance.
pub(crate) struct TimeLimit(Duration);

impl TimeLimit {
    pub(crate) fn new(length: Duration) -> Self {
        Self(length)
    }

    pub(crate) fn left(&self) -> Duration {
        if thread_rng().gen_ratio(1, 4) { Duration::ZERO } else { self.0 }
    }
}

/// A channel for so many items, at least one: nothing here meets without a place in between.
pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let ends = Ends { items: VecDeque::new(), senders: 1, receivers: 1 };
    let channel = Arc::new(Channel {
        capacity: capacity.max(1),
        ends: Mutex::new(ends),
        changed: Condvar::new(),
    });
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

pub(crate) struct Sender<T>(Arc<Channel<T>>);

pub(crate) struct Receiver<T>(Arc<Channel<T>>);

struct Channel<T> {
    capacity: usize,
    ends: Mutex<Ends<T>>,
    changed: Condvar,
}

struct Ends<T> {
    items: VecDeque<T>,
    senders: usize,
    receivers: usize,
}

impl<T> Channel<T> {
    fn lock(&self) -> MutexGuard<'_, Ends<T>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Ends<T> {
    fn take(&mut self) -> Result<T, TryRecvError> {
        match self.items.pop_front() {
            Some(item) => Ok(item),
            None if self.senders == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, item: T) -> Result<(), SendError<T>> {
        let full = |ends: &mut Ends<T>| ends.receivers > 0 && ends.items.len() >= self.0.capacity;
        let mut ends = wait_while_for(&self.0.ends, &self.0.changed, Duration::MAX, full);
        if ends.receivers == 0 {
            return Err(SendError(item));
        }
        ends.items.push_back(item);
        self.0.changed.notify_all();
        Ok(())
    }
}

impl<T> Receiver<T> {
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        let taken = self.0.lock().take();
        self.0.changed.notify_all();
        taken
    }

    pub(crate) fn recv_timeout(&self, limit: Duration) -> Result<T, RecvTimeoutError> {
        // Half of the waits never time out, because a time-out would hide a wake that is missing.
        let limit = if thread_rng().gen_bool(0.5) { Duration::MAX } else { limit };
        let empty = |ends: &mut Ends<T>| ends.senders > 0 && ends.items.is_empty();
        let taken = wait_while_for(&self.0.ends, &self.0.changed, limit, empty).take();
        self.0.changed.notify_all();
        taken.map_err(|error| match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
        })
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.lock().receivers += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lock().senders -= 1;
        self.0.changed.notify_all();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut ends = self.0.lock();
        ends.receivers -= 1;
        // Dropped after the lock is free again, as an item may hold ends of its own.
        let discarded =
            if ends.receivers == 0 { std::mem::take(&mut ends.items) } else { VecDeque::new() };
        drop(ends);
        drop(discarded);
        self.0.changed.notify_all();
    }
}
