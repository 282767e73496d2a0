use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, Handler, Message, MessageResult, SyncContext};

use crate::fault::{Fault, catch};
use crate::meter::{Activity, WorkerMeter};
use crate::outlet::{Closed, Line};
use crate::queue::{QueueReceiver, Received};
use crate::{Batching, BoxError, Halt, Outlet, Payload, Stage};

/// The actor that runs a stage. Its restart is how a stage is built anew.
pub(crate) struct Worker<S> {
    // Boxed, because an actor must be `Unpin` and a stage need not be.
    stage: Result<Box<S>, BoxError>,
}

impl<S: Stage> Worker<S> {
    /// Builds the stage. A failure waits here for the run, whose answer can report it.
    pub(crate) fn open(factory: impl Fn() -> Result<S, BoxError>, meter: &WorkerMeter) -> Self {
        meter.begin(Activity::Working);
        let stage = catch(factory)
            .unwrap_or_else(|panic| Err(Fault::FactoryPanicked(panic).into()))
            .map(Box::new);
        meter.begin(Activity::Waiting);
        Self { stage }
    }
}

impl<S: Stage> Actor for Worker<S> {
    type Context = SyncContext<Self>;
}

/// All that a worker needs but its stage. It travels in a message and back after a crash, because
/// channel ends kept by the factory would hold the next stage open as long as its thread lives.
pub(crate) struct Run<I: Payload, O: Payload> {
    pub(crate) input: QueueReceiver<I>,
    pub(crate) output: Line<O>,
    pub(crate) batching: Batching,
    pub(crate) tick: Duration,
    /// What is left of a batch that panicked, to be processed item by item.
    pub(crate) retry: VecDeque<I>,
}

pub(crate) enum Exit<I: Payload, O: Payload> {
    Drained,
    DownstreamClosed,
    Failed(BoxError),
    Crashed { run: Box<Run<I, O>>, panic: String },
}

impl<I: Payload, O: Payload> Message for Run<I, O> {
    type Result = Exit<I, O>;
}

impl<S: Stage> Handler<Run<S::In, S::Out>> for Worker<S> {
    type Result = MessageResult<Run<S::In, S::Out>>;

    fn handle(&mut self, mut run: Run<S::In, S::Out>, ctx: &mut Self::Context) -> Self::Result {
        // Taken out, so that the stage is dropped before anyone hears of the exit: the process may
        // end at once then, and a restart must not open a second stage beside the first.
        let opened = std::mem::replace(&mut self.stage, Err(Fault::WorkerLost.into()));
        let left = opened.map_err(Leave::Failed).and_then(|mut stage| {
            let left = run.work(stage.as_mut());
            let dropped = catch(move || drop(stage));
            left.and(dropped.map_err(|panic| Leave::Failed(Fault::FinishPanicked(panic).into())))
        });
        run.output.meter.begin(Activity::Waiting);
        MessageResult(match left {
            Ok(()) => Exit::Drained,
            Err(Leave::DownstreamClosed) => Exit::DownstreamClosed,
            Err(Leave::Failed(error)) => Exit::Failed(error),
            Err(Leave::Panicked(panic)) => {
                ctx.stop();
                Exit::Crashed { run: Box::new(run), panic }
            }
        })
    }
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
        match self.input.receive(self.tick) {
            Received::Item(item) => batch.push(item),
            Received::TimedOut => return Intake::Quiet,
            Received::Drained => return Intake::Drained,
        }
        let first = Instant::now();
        while batch.len() < self.batching.max_items {
            match self.input.receive(Duration::ZERO) {
                Received::Item(item) => batch.push(item),
                Received::Drained => break,
                Received::TimedOut => {
                    let left = self.batching.max_age.saturating_sub(first.elapsed());
                    if left.is_zero() {
                        break;
                    }
                    self.input.nap(left.min(NAP));
                }
            }
        }
        let meter = &self.output.meter;
        meter.items_in.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Intake::Batch
    }

    fn process<S: Stage<In = I, Out = O>>(
        &mut self,
        stage: &mut S,
        batch: &mut Vec<I>,
    ) -> Result<(), Leave> {
        let mut outlet = match batch.len() {
            1 => self.output.outlet(),
            _ => Outlet::collecting(),
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
