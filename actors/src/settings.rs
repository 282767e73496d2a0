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

impl Queue {
    /// The most bytes that it holds of items no larger than `largest_item`.
    fn most_bytes(self, largest_item: usize) -> usize {
        self.bytes.max(largest_item)
    }
}

/// How a worker gathers items before it calls [`Stage::process`](crate::Stage::process).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// The most items in a batch; 0 counts as 1. A batch also ends when its queue's budget of
    /// bytes would not hold it: gathering frees room in the queue, but makes none.
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
/// The items that the flow holds for a stage are bounded in bytes, as [`Payload::bytes`] counts
/// them. Let `q` be the budget of the queue it fills, `p` that of the queue it empties, `n` the
/// most items of a batch, `w` the number of workers and `i` the largest item. Then there are
///
/// - in the queue it fills at most `q`, or `i` if that is more;
/// - in the hands of each worker one batch of at most `p` or `i`, whichever is more, and of at most
///   `n * i`; and, if `n` is above 1, one more item of at most `i`, which did not fit into the
///   batch and begins the next.
///
/// So a stage holds at most `max(q, i) + w * (min(max(p, i), n * i) + i)`, without the last `i`
/// if `n` is 1: [`most_bytes`](Self::most_bytes). Added to it is what the flow cannot know: what
/// the stage itself keeps, and what it sends before there is room for it. That is the one item it
/// waits with for a batch of one, in idle and in finish calls and when it salvages, and all that it
/// makes of a larger batch.
///
/// [`Payload::bytes`]: crate::Payload::bytes
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// The number of workers, each a thread with a stage of its own; 0 counts as 1.
    pub workers: usize,
    /// The queue this stage fills; without effect on the last stage.
    pub queue: Queue,
    /// How its workers gather their input.
    pub batching: Batching,
}

impl Width {
    /// The most bytes of items that the flow holds for this stage, if `input` is the bound of the
    /// queue it empties and no item is larger than `largest_item`.
    pub fn most_bytes(&self, input: Queue, largest_item: usize) -> usize {
        let items = self.batching.max_items.max(1);
        let batch = input.most_bytes(largest_item).min(items.saturating_mul(largest_item));
        let carried = if items > 1 { largest_item } else { 0 };
        let in_hand = self.workers.max(1).saturating_mul(batch.saturating_add(carried));
        self.queue.most_bytes(largest_item).saturating_add(in_hand)
    }
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
