use std::error::Error;

use crate::outlet::Closed;
use crate::{BoxError, Outlet, Payload};

/// One step of the flow. Every worker builds its own from the stage's factory, on its own thread,
/// so a stage may hold what cannot move between threads.
pub trait Stage: Sized + 'static {
    /// What it receives.
    type In: Payload;
    /// What it sends; [`Infallible`](std::convert::Infallible) for the last stage.
    type Out: Payload;

    /// Processes a batch of at least one item and at most
    /// [`Batching::max_items`](crate::Batching::max_items).
    ///
    /// Items stay owned by the worker, so that a panic can be pinned to one of them: leave each
    /// item usable until this returns `Ok`. From a batch of one the stage may take what it wants.
    ///
    /// After a panic the stage is dropped with all it holds and built anew. A batch of more than
    /// one is then processed again item by item, so whatever must happen once per item belongs
    /// into what is sent, or after the last thing that can panic.
    ///
    /// # Errors
    /// [`Halt`] ends this worker, and [`Halt::Fatal`] the flow. What an item alone is guilty of is
    /// no error: send an output that says so.
    fn process(
        &mut self,
        batch: &mut [Self::In],
        out: &mut Outlet<'_, Self::Out>,
    ) -> Result<(), Halt>;

    /// Called when no input came for [`Supervision::beat`](crate::Supervision::beat).
    ///
    /// # Errors
    /// As for [`process`](Self::process).
    fn idle(&mut self, out: &mut Outlet<'_, Self::Out>) -> Result<(), Halt> {
        let _ = out;
        Ok(())
    }

    /// Called once per worker when the input is drained; not after a failure.
    ///
    /// # Errors
    /// As for [`process`](Self::process). A panic here ends the flow as failed, because a stage
    /// built anew would have nothing to finish.
    fn finish(&mut self, out: &mut Outlet<'_, Self::Out>) -> Result<(), Halt> {
        let _ = out;
        Ok(())
    }

    /// What is sent on in place of an item that panicked when it was processed alone, after
    /// `emitted` outputs of it were already sent.
    fn salvage(item: Self::In, emitted: usize, panic: &str) -> Vec<Self::Out>;
}

/// Why a worker stops before its input has ended. `?` makes it from [`Closed`] and from any error.
#[derive(Debug)]
pub enum Halt {
    /// The next stage is gone, so there is nobody to work for. Not a failure of this stage.
    DownstreamClosed,
    /// This stage cannot go on. The flow ends with this error.
    Fatal(BoxError),
}

impl From<Closed> for Halt {
    fn from(_: Closed) -> Self {
        Self::DownstreamClosed
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Fatal(error.into())
    }
}
