use std::time::{Duration, Instant};

use crate::Queue;
use crate::outlet::Closed;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Admits items to a queue while both its limits allow it, and counts what passes.
///
/// It is the one place where a sender waits: the channel behind it has room for every admitted
/// item. Senders are admitted in the order they came, so a large item is not overtaken for ever.
pub(crate) struct Gate {
    pub(crate) limits: Queue,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    gauge: Gauge,
    receivers: usize,
    next_ticket: u64,
    now_serving: u64,
    blocked: Stopwatch,
    starved: Stopwatch,
}

/// What a queue holds and has held.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gauge {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    pub(crate) high_items: usize,
    pub(crate) high_bytes: usize,
    pub(crate) passed: u64,
    pub(crate) blocked: Duration,
    pub(crate) starved: Duration,
}

impl Gate {
    pub(crate) fn new(limits: Queue) -> Self {
        let limits = Queue { items: limits.items.max(1), bytes: limits.bytes };
        let state = State {
            gauge: Gauge::default(),
            receivers: 0,
            next_ticket: 0,
            now_serving: 0,
            blocked: Stopwatch::new(),
            starved: Stopwatch::new(),
        };
        Self { limits, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits until an item of `bytes` may enter.
    pub(crate) fn admit(&self, bytes: usize) -> Result<(), Closed> {
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let must_wait = |state: &mut State| {
            state.receivers > 0 && !(state.now_serving == ticket && self.fits(state.gauge, bytes))
        };
        if must_wait(&mut state) {
            state.blocked.start();
            state =
                self.changed.wait_while(state, must_wait).unwrap_or_else(PoisonError::into_inner);
            state.blocked.stop();
        }
        if state.receivers == 0 {
            return Err(Closed);
        }
        state.now_serving += 1;
        state.gauge.items += 1;
        state.gauge.bytes += bytes;
        state.gauge.high_items = state.gauge.high_items.max(state.gauge.items);
        state.gauge.high_bytes = state.gauge.high_bytes.max(state.gauge.bytes);
        self.wake(&state);
        Ok(())
    }

    /// Notes that an item of `bytes` was taken out.
    pub(crate) fn release(&self, bytes: usize) {
        let mut state = self.lock();
        state.gauge.items -= 1;
        state.gauge.bytes -= bytes;
        state.gauge.passed += 1;
        // A sender that had to wait goes on when half of the queue is free: woken for every item
        // taken out, the two would change places on the core for each of them. An empty queue
        // always wakes it, so none waits for ever.
        let gauge = &state.gauge;
        if 2 * gauge.items <= self.limits.items && gauge.bytes <= self.limits.bytes / 2 {
            self.wake(&state);
        }
    }

    /// Counts the time that `wait` takes as starved of input.
    pub(crate) fn starving<R>(&self, wait: impl FnOnce() -> R) -> R {
        self.lock().starved.start();
        let received = wait();
        self.lock().starved.stop();
        received
    }

    pub(crate) fn join(&self) {
        self.lock().receivers += 1;
    }

    pub(crate) fn leave(&self) {
        let mut state = self.lock();
        state.receivers -= 1;
        if state.receivers == 0 {
            self.changed.notify_all();
        }
    }

    pub(crate) fn gauge(&self) -> Gauge {
        let state = self.lock();
        Gauge { blocked: state.blocked.read(), starved: state.starved.read(), ..state.gauge }
    }

    /// How many have asked for admission and do not have it.
    #[cfg(all(test, feature = "shuttle"))]
    pub(crate) fn queueing(&self) -> u64 {
        let state = self.lock();
        state.next_ticket - state.now_serving
    }

    fn fits(&self, gauge: Gauge, bytes: usize) -> bool {
        gauge.items == 0
            || (gauge.items < self.limits.items
                && gauge.bytes.saturating_add(bytes) <= self.limits.bytes)
    }

    fn wake(&self, state: &State) {
        if state.next_ticket != state.now_serving {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, so a poisoned state is still a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The summed waiting time of several threads, exact while they still wait.
struct Stopwatch {
    total: Duration,
    running: u32,
    read_at: Instant,
}

impl Stopwatch {
    fn new() -> Self {
        Self { total: Duration::ZERO, running: 0, read_at: Instant::now() }
    }

    fn start(&mut self) {
        self.settle();
        self.running += 1;
    }

    fn stop(&mut self) {
        self.settle();
        self.running -= 1;
    }

    fn read(&self) -> Duration {
        self.total + self.read_at.elapsed() * self.running
    }

    fn settle(&mut self) {
        self.total = self.read();
        self.read_at = Instant::now();
    }
}
