use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, TryRecvError};

use crate::gate::Gate;
use crate::outlet::Closed;
use crate::sync::{Receiver, Sender, bounded, sleep};
use crate::{Payload, Queue};

/// Makes the queue between two stages.
pub(crate) fn queue<T: Payload>(limits: Queue) -> (QueueSender<T>, QueueReceiver<T>) {
    let gate = Arc::new(Gate::new(limits));
    let (sender, receiver) = bounded(gate.limits.items);
    gate.join();
    (
        QueueSender { channel: sender, gate: Arc::clone(&gate) },
        QueueReceiver { channel: receiver, gate },
    )
}

/// An item with the size it was admitted at, so that the same size is released.
pub(crate) struct Parcel<T> {
    pub(crate) item: T,
    pub(crate) bytes: usize,
}

pub(crate) struct QueueSender<T> {
    channel: Sender<Parcel<T>>,
    gate: Arc<Gate>,
}

impl<T: Payload> QueueSender<T> {
    /// Waits for room, then sends.
    pub(crate) fn send(&self, item: T) -> Result<(), Closed> {
        let bytes = item.bytes();
        self.gate.admit(bytes)?;
        self.channel.send(Parcel { item, bytes }).map_err(|_| Closed)
    }
}

impl<T> Clone for QueueSender<T> {
    fn clone(&self) -> Self {
        Self { channel: self.channel.clone(), gate: Arc::clone(&self.gate) }
    }
}

/// What came out of a queue within a time limit.
pub(crate) enum Received<T> {
    Parcel(Parcel<T>),
    TimedOut,
    Drained,
}

pub(crate) struct QueueReceiver<T> {
    channel: Receiver<Parcel<T>>,
    gate: Arc<Gate>,
}

impl<T> QueueReceiver<T> {
    pub(crate) fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// The most bytes it holds at once, but for a single larger item.
    pub(crate) fn most_bytes(&self) -> usize {
        self.gate.limits.bytes
    }

    /// Waits at most `limit` for the next item.
    pub(crate) fn receive(&self, limit: Duration) -> Received<T> {
        let parcel = match self.channel.try_recv() {
            Ok(parcel) => parcel,
            Err(TryRecvError::Disconnected) => return Received::Drained,
            Err(TryRecvError::Empty) if limit.is_zero() => return Received::TimedOut,
            Err(TryRecvError::Empty) => {
                match self.gate.starving(|| self.channel.recv_timeout(limit)) {
                    Ok(parcel) => parcel,
                    Err(RecvTimeoutError::Timeout) => return Received::TimedOut,
                    Err(RecvTimeoutError::Disconnected) => return Received::Drained,
                }
            }
        };
        self.gate.release(parcel.bytes);
        Received::Parcel(parcel)
    }

    /// Lets items gather for so long.
    pub(crate) fn nap(&self, length: Duration) {
        self.gate.starving(|| sleep(length));
    }
}

impl<T> Clone for QueueReceiver<T> {
    fn clone(&self) -> Self {
        self.gate.join();
        Self { channel: self.channel.clone(), gate: Arc::clone(&self.gate) }
    }
}

impl<T> Drop for QueueReceiver<T> {
    fn drop(&mut self) {
        self.gate.leave();
    }
}
