use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::Payload;
use crate::meter::{Activity, WorkerMeter};
use crate::queue::QueueSender;
use crate::sync::sleep;

/// The next stage is gone: all of its workers have ended.
///
/// Deliberately not an error type, so that `?` turns it into
/// [`Halt::DownstreamClosed`](crate::Halt::DownstreamClosed) and never into a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// Where a stage sends its results.
///
/// For a batch of one, and in the idle and finish calls, an item passes on at once and a full
/// queue makes the stage wait. For a larger batch the items are collected and sent when the batch
/// has succeeded, so that a panic leaves nothing half-sent.
pub struct Outlet<'a, T: Payload> {
    way: Way<'a, T>,
    meter: Option<&'a WorkerMeter>,
    sent: usize,
}

enum Way<'a, T> {
    Pass(&'a Line<T>),
    Collect(Vec<T>),
}

impl<T: Payload> Outlet<'_, T> {
    /// An outlet that only collects, for calling a stage without a flow.
    pub fn collecting() -> Self {
        Self { way: Way::Collect(Vec::new()), meter: None, sent: 0 }
    }

    /// Sends one item on.
    ///
    /// # Errors
    /// [`Closed`] when nobody is left to receive it.
    pub fn send(&mut self, item: T) -> Result<(), Closed> {
        match &mut self.way {
            Way::Pass(line) => line.send(item)?,
            Way::Collect(items) => items.push(item),
        }
        self.sent += 1;
        Ok(())
    }

    /// Waits so long for something outside of the flow, as a full disk that must be emptied.
    ///
    /// The worker counts as waiting meanwhile and is not taken for stuck, however often it rests,
    /// so whoever rests in a loop needs an end of its own. A stop does not cut the rest short: the
    /// stage has work to finish before the flow can end, and
    /// [`Supervision::drain_limit`](crate::Supervision::drain_limit) bounds how long that may take.
    pub fn rest(&mut self, length: Duration) {
        let begin = |activity| self.meter.into_iter().for_each(|meter| meter.begin(activity));
        begin(Activity::Resting);
        sleep(length);
        begin(Activity::Working);
    }

    /// The number of items sent through this outlet.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// What was collected and not passed on.
    pub fn into_items(self) -> Vec<T> {
        match self.way {
            Way::Pass(_) => Vec::new(),
            Way::Collect(items) => items,
        }
    }
}

/// The way to the next queue, with the meter of the worker that uses it.
pub(crate) struct Line<T> {
    pub(crate) queue: QueueSender<T>,
    pub(crate) meter: std::sync::Arc<WorkerMeter>,
}

impl<T: Payload> Line<T> {
    pub(crate) fn outlet(&self) -> Outlet<'_, T> {
        Outlet { way: Way::Pass(self), meter: Some(&*self.meter), sent: 0 }
    }

    /// An outlet that keeps what is sent until its batch has succeeded.
    pub(crate) fn collecting(&self) -> Outlet<'_, T> {
        Outlet { way: Way::Collect(Vec::new()), meter: Some(&*self.meter), sent: 0 }
    }

    /// Sends, during which the worker is not working and cannot stall.
    pub(crate) fn send(&self, item: T) -> Result<(), Closed> {
        self.meter.begin(Activity::Sending);
        let sent = self.queue.send(item);
        self.meter.begin(Activity::Working);
        if sent.is_ok() {
            self.meter.items_out.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }
}
