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
