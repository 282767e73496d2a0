use std::time::Duration;

use crate::{BoxError, Payload};

/// What a source found while it waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<T> {
    /// The next item.
    Item(T),
    /// Nothing yet; ask again.
    NotYet,
    /// There will never be more.
    End,
}

/// Where items come from. It runs on a thread of its own.
pub trait Source: Send + 'static {
    /// What it brings.
    type Out: Payload;

    /// Waits at most `patience` for the next item.
    ///
    /// A stop request is heard between two calls, so a source that waits longer delays the stop;
    /// one that answers [`Next::NotYet`] without waiting spins.
    ///
    /// # Errors
    /// An error, like a panic, ends the flow as [`Ending::Failed`](crate::Ending::Failed) after
    /// what was already sent has drained.
    fn next(&mut self, patience: Duration) -> Result<Next<Self::Out>, BoxError>;
}
