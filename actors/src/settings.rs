use std::time::Duration;

/// The bound of one queue. A sender waits while either limit would be passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// The most items it holds; 0 counts as 1.
    pub items: usize,
    /// The most bytes it holds ([`Payload::bytes`](crate::Payload::bytes)).
    /// An item larger than the whole budget passes when the queue is empty.
    pub bytes: usize,
}

/// How a worker gathers items before it calls [`Stage::process`](crate::Stage::process).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// The most items in a batch; 0 counts as 1.
    pub max_items: usize,
    /// How long the first item of a batch may wait for the others.
    pub max_age: Duration,
}

impl Batching {
    /// Every item is a batch of its own.
    pub const SINGLE: Self = Self { max_items: 1, max_age: Duration::ZERO };
}

/// How wide a stage is: its workers, their batches and the queue they fill.
///
/// The memory that a stage may hold is its queue, plus for every worker the batch in hand and what
/// that batch sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// The number of workers, each a thread with a stage of its own; 0 counts as 1.
    pub workers: usize,
    /// The queue this stage fills; without effect on the last stage.
    pub queue: Queue,
    /// How its workers gather their input.
    pub batching: Batching,
}

/// When the supervisor restarts a stage and when it ends the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Supervision {
    /// How many restarts each stage may spend within `restart_window`.
    /// A poison item costs one, or two when it came in a batch with others.
    pub max_restarts: u32,
    /// The time after which a restart is forgotten.
    pub restart_window: Duration,
    /// How long a worker may work without sending anything or returning before the flow ends as
    /// stalled. Opening a stage counts as work, and so does a source's wait for the next item:
    /// keep it well above both and above `beat`.
    pub stall_limit: Duration,
    /// How often the supervisor looks at the workers, how often a worker without input is given
    /// its idle call, and the patience asked of the source: the bound on reacting to a stop.
    pub beat: Duration,
    /// How long the flow may drain after a stop was asked for; give or take a beat, it then ends
    /// as abandoned without waiting for its threads. A failure stops the source too and has as
    /// long, but stays the cause. [`Duration::MAX`] waits for ever.
    pub drain_limit: Duration,
}
