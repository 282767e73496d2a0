//! The flow's locks, channels and work loop under schedules that shuttle chooses, thousands for
//! each test: `cargo test -p starmill-actors --features shuttle --lib`.
//!
//! Everything below the actors is the real code: gate, queue, stopper, feed and work loop. The
//! channel behind a gate is a model of crossbeam's (`sync::model`), and time is chance. actix does
//! not run here; a few lines of [`crew`] do what the supervisor does after an exit. A failure
//! prints its schedule, which `shuttle::replay` repeats.

mod channel;
mod crew;
mod queues;
mod stops;
mod work;

use shuttle::rand::{Rng, thread_rng};

use crate::{Payload, Queue};

/// Runs under each of these numbers of schedules, chosen at random and by the PCT algorithm.
const SCHEDULES: usize = 10_000;

/// The order reversals that PCT looks for: most known concurrency bugs need no more.
const DEPTH: usize = 3;

/// Runs `test` under many schedules. It fails on a panic, a deadlock or an endless schedule.
fn explore(test: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(test, SCHEDULES);
    shuttle::check_pct(test, SCHEDULES, DEPTH);
}

/// A number below the limit, chosen anew for each schedule and repeated with it.
fn any(limit: usize) -> usize {
    thread_rng().gen_range(0..limit)
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    id: usize,
    bytes: usize,
    salvaged: bool,
}

impl Item {
    fn new(id: usize, bytes: usize) -> Self {
        Self { id, bytes, salvaged: false }
    }
}

impl Payload for Item {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A narrow bound, so that senders wait often.
fn any_bound() -> Queue {
    Queue { items: 1 + any(4), bytes: any(12) }
}
