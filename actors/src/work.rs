use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::fault::{Fault, catch};
use crate::meter::Activity;
use crate::outlet::{Closed, Line};
use crate::queue::{Parcel, QueueReceiver, Received};
use crate::sync::TimeLimit;
use crate::worker::Opened;
use crate::{Batching, BoxError, Halt, Payload, Stage};

/// All that a worker needs but its stage. It travels in a message and back after a crash, because
/// channel ends kept by the factory would hold the next stage open as long as its thread lives.
///
/// It knows no actor: whoever owns the thread calls [`carry_out`](Self::carry_out).
pub(crate) struct Run<I: Payload, O: Payload> {
    pub(crate) input: QueueReceiver<I>,
    pub(crate) output: Line<O>,
    pub(crate) batching: Batching,
    pub(crate) tick: Duration,
    /// What is left of a batch that panicked, to be processed item by item.
    pub(crate) retry: VecDeque<I>,
    /// What did not fit into the last batch and begins the next one.
    pub(crate) carried: Option<Parcel<I>>,
}

pub(crate) enum Exit<I: Payload, O: Payload> {
    Drained,
    DownstreamClosed,
    Failed(BoxError),
    Crashed { run: Box<Run<I, O>>, panic: String },
}

/// Why the work loop was left before the input was drained.
enum Leave {
    DownstreamClosed,
    Failed(BoxError),
    Panicked(String),
}

impl From<Halt> for Leave {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::DownstreamClosed => Self::DownstreamClosed,
            Halt::Fatal(error) => Self::Failed(error),
        }
    }
}

impl From<Closed> for Leave {
    fn from(_: Closed) -> Self {
        Self::DownstreamClosed
    }
}

enum Intake {
    Batch,
    Quiet,
    Drained,
}

/// How long a worker that fills a batch sleeps when its queue is empty. To be woken for every
/// single item would cost more than most items do.
const NAP: Duration = Duration::from_millis(1);

impl<I: Payload, O: Payload> Run<I, O> {
    /// Works until the input is drained or something ends it before.
    ///
    /// The stage is dropped before anyone hears of the exit: the process may end at once then, and
    /// a restart must not open a second stage beside the first.
    pub(crate) fn carry_out<S: Stage<In = I, Out = O>>(mut self, stage: Opened<S>) -> Exit<I, O> {
        let left = stage.map_err(Leave::Failed).and_then(|mut stage| {
            let left = self.work(stage.as_mut());
            let dropped = catch(move || drop(stage));
            left.and(dropped.map_err(|panic| Leave::Failed(Fault::FinishPanicked(panic).into())))
        });
        self.output.meter.begin(Activity::Waiting);
        match left {
            Ok(()) => Exit::Drained,
            Err(Leave::DownstreamClosed) => Exit::DownstreamClosed,
            Err(Leave::Failed(error)) => Exit::Failed(error),
            Err(Leave::Panicked(panic)) => Exit::Crashed { run: Box::new(self), panic },
        }
    }

    fn work<S: Stage<In = I, Out = O>>(&mut self, stage: &mut S) -> Result<(), Leave> {
        let mut batch = Vec::new();
        loop {
            self.output.meter.begin(Activity::Waiting);
            let intake = self.gather(&mut batch);
            self.output.meter.begin(Activity::Working);
            match intake {
                Intake::Batch => self.process(stage, &mut batch)?,
                Intake::Quiet => {
                    catch(|| stage.idle(&mut self.output.outlet()))
                        .map_err(|panic| self.panicked(panic))??;
                }
                Intake::Drained => break,
            }
        }
        let finished = catch(|| stage.finish(&mut self.output.outlet()));
        finished.map_err(|panic| {
            self.panicked(panic.clone());
            Leave::Failed(Fault::FinishPanicked(panic).into())
        })??;
        Ok(())
    }

    fn gather(&mut self, batch: &mut Vec<I>) -> Intake {
        batch.clear();
        if let Some(item) = self.retry.pop_front() {
            batch.push(item);
            return Intake::Batch;
        }
        let first = match self
            .carried
            .take()
            .map_or_else(|| self.input.receive(self.tick), Received::Parcel)
        {
            Received::Parcel(parcel) => parcel,
            Received::TimedOut => return Intake::Quiet,
            Received::Drained => return Intake::Drained,
        };
        batch.push(first.item);
        if self.batching.max_items > 1 {
            self.fill(batch, first.bytes);
        }
        let meter = &self.output.meter;
        meter.items_in.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Intake::Batch
    }

    /// Adds to a batch of so many bytes until it is full, old enough, or as large as its queue.
    fn fill(&mut self, batch: &mut Vec<I>, mut bytes: usize) {
        let most_bytes = self.input.most_bytes();
        let age = TimeLimit::new(self.batching.max_age);
        while batch.len() < self.batching.max_items && bytes < most_bytes {
            match self.input.receive(Duration::ZERO) {
                Received::Parcel(next) => {
                    bytes = bytes.saturating_add(next.bytes);
                    if bytes > most_bytes {
                        // The size of an item is known only once it is out of the queue, and
                        // putting it back would change the order.
                        self.carried = Some(next);
                        return;
                    }
                    batch.push(next.item);
                }
                Received::Drained => return,
                Received::TimedOut => {
                    let left = age.left();
                    if left.is_zero() {
                        return;
                    }
                    self.input.nap(left.min(NAP));
                }
            }
        }
    }

    fn process<S: Stage<In = I, Out = O>>(
        &mut self,
        stage: &mut S,
        batch: &mut Vec<I>,
    ) -> Result<(), Leave> {
        let mut outlet = match batch.len() {
            1 => self.output.outlet(),
            _ => self.output.collecting(),
        };
        match catch(|| stage.process(batch, &mut outlet)) {
            Ok(done) => {
                done?;
                self.send_all(outlet.into_items())
            }
            Err(panic) => {
                let sent = outlet.sent();
                let left = self.panicked(panic.clone());
                match batch.len() {
                    1 => self.salvage::<S>(batch.remove(0), sent, &panic)?,
                    _ => self.retry = std::mem::take(batch).into(),
                }
                Err(left)
            }
        }
    }

    fn salvage<S: Stage<In = I, Out = O>>(
        &self,
        item: I,
        sent: usize,
        panic: &str,
    ) -> Result<(), Leave> {
        let items = catch(|| S::salvage(item, sent, panic))
            .map_err(|panic| Leave::Failed(Fault::SalvagePanicked(panic).into()))?;
        self.send_all(items)
    }

    fn send_all(&self, items: Vec<O>) -> Result<(), Leave> {
        for item in items {
            self.output.send(item)?;
        }
        Ok(())
    }

    fn panicked(&self, panic: String) -> Leave {
        self.output.meter.panics.fetch_add(1, Ordering::Relaxed);
        Leave::Panicked(panic)
    }
}
