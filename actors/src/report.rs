use std::time::Duration;

use crate::{BoxError, Snapshot};

/// What is left when a flow has ended.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub ending: Ending,
    /// The counters at that moment.
    pub snapshot: Snapshot,
}

/// How a flow ended. Of several causes the first is reported.
#[derive(Debug)]
pub enum Ending {
    /// The source had no more, and all it brought went through.
    Drained,
    /// The source was asked to stop, and all it had brought went through.
    Stopped,
    /// A source or stage ended with an error. Items on their way to it were dropped.
    Failed {
        /// The name of the source or stage.
        stage: &'static str,
        /// What it ended with.
        error: BoxError,
    },
    /// A worker hangs. Its thread cannot be ended and still runs: end the process.
    Stalled {
        /// The name of the source or stage.
        stage: &'static str,
        /// The index of the worker in its stage.
        worker: usize,
        /// How long ago it last made progress.
        since: Duration,
    },
    /// A stop was asked for, and the flow had not drained
    /// [`Supervision::drain_limit`](crate::Supervision::drain_limit) later. Its threads still run
    /// and what they hold is unfinished: end the process.
    Abandoned {
        /// The workers that held the drain up, being in their own code or resting: the name of the
        /// source or stage and the index of the worker in it. Those that waited for input or for
        /// room are not among them.
        busy: Vec<(&'static str, usize)>,
    },
    /// A stage panicked too often. Items on their way to it were dropped.
    GaveUp {
        /// The name of the stage.
        stage: &'static str,
        /// The restarts spent within the window.
        restarts: u32,
        /// The message of the last panic.
        panic: String,
    },
}
