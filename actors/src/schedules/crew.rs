//! Threads that run a source and stages as the actors do.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use shuttle::thread::{self, JoinHandle, yield_now};

use super::{Item, any};
use crate::feeder::Feed;
use crate::meter::WorkerMeter;
use crate::outlet::Line;
use crate::queue::{QueueReceiver, QueueSender};
use crate::work::{Exit, Run};
use crate::worker::open;
use crate::{Batching, BoxError, Next, Payload, Source, Stage, Stopper};

const TICK: Duration = Duration::from_millis(1);

/// Counts through a range.
pub(super) struct Count(pub(super) Range<usize>);

pub(super) fn endless() -> Count {
    Count(0..usize::MAX)
}

impl Source for Count {
    type Out = Item;
    fn next(&mut self, _patience: Duration) -> Result<Next<Item>, BoxError> {
        // An endless source must let others go first now and then: PCT is not fair by itself.
        if any(8) == 0 {
            yield_now();
        }
        Ok(self.0.next().map_or(Next::End, |id| Next::Item(Item::new(id, 1 + id % 4))))
    }
}

pub(super) fn feed<S: Source>(source: S, queue: QueueSender<S::Out>, stop: &Stopper) -> Feed<S> {
    Feed { source, line: line(queue), stopper: stop.clone(), patience: TICK }
}

fn line<T: Payload>(queue: QueueSender<T>) -> Line<T> {
    Line { queue, meter: Arc::new(WorkerMeter::default()) }
}

/// How one worker ended, after how many restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Drained { restarts: usize },
    DownstreamClosed,
    Failed,
}

/// Runs one worker of a stage to its end: as the supervisor does, it sends a crashed run to a new
/// stage, and stops the source after a failure.
pub(super) fn worker<S: Stage>(
    input: &QueueReceiver<S::In>,
    output: &QueueSender<S::Out>,
    batching: Batching,
    stopper: &Stopper,
    factory: impl Fn() -> Result<S, BoxError> + Send + 'static,
) -> JoinHandle<Fate> {
    let output = line(output.clone());
    let input = input.clone();
    let mut run =
        Run { input, output, batching, tick: TICK, retry: VecDeque::new(), carried: None };
    let stopper = stopper.clone();
    thread::spawn(move || {
        let mut restarts = 0;
        loop {
            let stage = open(&factory, &run.output.meter);
            match run.carry_out(stage) {
                Exit::Crashed { run: left, .. } => run = *left,
                Exit::Drained => return Fate::Drained { restarts },
                Exit::DownstreamClosed => return Fate::DownstreamClosed,
                Exit::Failed(_) => {
                    stopper.stop();
                    return Fate::Failed;
                }
            }
            restarts += 1;
        }
    })
}

/// A panic that skips the panic hook: shuttle's would print a schedule for each.
pub(super) fn quiet_panic() -> ! {
    resume_unwind(Box::new("poison"))
}
