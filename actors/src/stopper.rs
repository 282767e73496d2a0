use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

/// Stops the source of one flow; what the source has sent drains to the end.
#[derive(Debug, Clone)]
pub struct Stopper {
    // Dropping the only sender is the signal, so a stop cannot be lost and cannot be taken back.
    open: Arc<Mutex<Option<Sender<Infallible>>>>,
}

impl Stopper {
    /// Asks the source to stop. Asking again, or after the end of the flow, changes nothing.
    pub fn stop(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The source's end of a [`Stopper`].
pub(crate) struct StopLine(Receiver<Infallible>);

impl StopLine {
    pub(crate) fn new() -> (Stopper, Self) {
        let (open, line) = bounded(0);
        let open = Arc::new(Mutex::new(Some(open)));
        (Stopper { open }, Self(line))
    }

    pub(crate) fn is_cut(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Disconnected))
    }
}
