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
    /// one is then processed again item by item; an item that panics alone is not processed again
    /// but salvaged. So an item is given to this method **once, and once more if it was in a batch
    /// of several that panicked**: delivery is exactly once without a panic and at least once with
    /// one. What is sent is not doubled, because the outlet of such a batch sends nothing before
    /// the batch has succeeded. Any other effect may be: make it one that can happen twice, such as
    /// an entry under the item's name, or let it follow the last thing that can panic.
    ///
    /// What must outlive a panic does not belong into the stage. A stage that gathers, as the last
    /// one does that writes, keeps its state behind an `Arc<Mutex<_>>` that the factory gives to
    /// each stage it builds, changes it in steps that are whole or not done, and takes the lock as
    /// `lock().unwrap_or_else(PoisonError::into_inner)`, since a panic poisons it. Then no item is
    /// lost: each is in that state, or is delivered again, or is salvaged.
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
    ///
    /// It has no stage, for the one that panicked is gone and the next is not yet built. The last
    /// stage has nothing to send either, but owns the item: what it must still do for it, such as
    /// to count it as lost, it does through what the item itself carries, an `Arc` of a record or
    /// the end of a channel. The panic may have come after an effect of `process`, so that has to
    /// bear an item which is both there and salvaged.
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
