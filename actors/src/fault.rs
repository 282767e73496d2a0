use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;

/// A failure that the flow itself found in a source or a stage, the error of
/// [`Ending::Failed`](crate::Ending::Failed) when the stage gave none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The source panicked, and no item can be blamed.
    #[error("the source panicked: {0}; fix the source, it is not restarted")]
    SourcePanicked(String),
    /// The factory panicked while it built the stage.
    #[error("building the stage panicked: {0}; make the factory return an error instead")]
    FactoryPanicked(String),
    /// [`Stage::finish`](crate::Stage::finish) panicked, so what the stage held is lost.
    #[error("finishing the stage panicked: {0}; run again, what it held was not finished")]
    FinishPanicked(String),
    /// [`Stage::salvage`](crate::Stage::salvage) panicked, so an item has no output at all.
    #[error("salvaging an item panicked: {0}; make salvage rely on nothing but the item's name")]
    SalvagePanicked(String),
    /// A stage said that its downstream is closed while it was open.
    #[error("the stage stopped as if its downstream were closed; return an error for other causes")]
    LeftEarly,
    /// The thread of a worker ended without an answer.
    #[error("a worker's thread ended without an answer; look for a panic in the log above")]
    WorkerLost,
    /// Something else stopped the actor system that the flow runs on.
    #[error("the actor system was stopped from outside the flow; use a Stopper instead")]
    SystemStopped,
}

/// Runs `work` and turns a panic into its message.
pub(crate) fn catch<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    // What a panic may leave broken is the stage, and every caller drops the stage after one.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "panic without a message".to_owned())
    })
}
