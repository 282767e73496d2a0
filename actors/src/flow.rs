use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::thread;

use actix::{Actor, Context, SyncArbiter, System};
use crossbeam_channel::bounded;

use crate::fault::Fault;
use crate::feeder::{Feed, Feeder};
use crate::meter::StageMeter;
use crate::monitor::{Link, Monitor};
use crate::outlet::Line;
use crate::queue::{QueueReceiver, queue};
use crate::supervisor::{Launch, Supervisor};
use crate::work::Run;
use crate::worker::{Worker, open};
use crate::{BoxError, Ending, Payload, Queue, Report, Source, Stage, Stopper, Supervision, Width};

/// A source and the stages behind it, so far sending `T`.
///
/// Nothing starts before [`run`](Self::run), which exists once the last stage sends nothing.
#[must_use = "a flow does nothing until it is run"]
pub struct Flow<T: Payload> {
    tail: QueueReceiver<T>,
    launches: Vec<Launch>,
    monitor: Monitor,
    stopper: Stopper,
}

impl<T: Payload> Flow<T> {
    /// Begins a flow at `source`, which fills a queue of the given bound.
    ///
    /// The name stands in the [`Report`], the [`Snapshot`](crate::Snapshot), logs and thread names.
    pub fn from<S: Source<Out = T>>(name: &'static str, source: S, bound: Queue) -> Self {
        let (sender, tail) = queue(bound);
        let stopper = Stopper::default();
        let heard = stopper.clone();
        let meter = Arc::new(StageMeter::new(name, 1));
        let line = Line { queue: sender, meter: Arc::clone(&meter.workers[0]) };
        let launch = move |supervisor: &mut Supervisor, ctx: &mut Context<Supervisor>| {
            let thread = || thread::Builder::new().name(name.to_owned());
            let address = SyncArbiter::start_with_thread_builder(1, thread, Feeder::new);
            let feed = Feed { source, line, stopper: heard, patience: supervisor.settings.beat };
            supervisor.watch_source(ctx, &address, feed);
        };
        Self {
            tail,
            launches: vec![Box::new(launch)],
            monitor: Monitor { stages: vec![meter], queues: Vec::new() },
            stopper,
        }
    }

    /// Adds a stage. Each of its workers calls `factory` on its own thread, and again after a panic.
    ///
    /// An error of the factory ends the flow as [`Ending::Failed`].
    pub fn stage<S, F>(mut self, name: &'static str, width: Width, factory: F) -> Flow<S::Out>
    where
        S: Stage<In = T>,
        F: Fn() -> Result<S, BoxError> + Send + Sync + 'static,
    {
        let (sender, tail) = queue(width.queue);
        let meter = Arc::new(StageMeter::new(name, width.workers.max(1)));
        let index = self.monitor.stages.len();
        self.monitor.queues.push(Link {
            from: self.monitor.stages[index - 1].name,
            to: name,
            gate: self.tail.gate(),
        });
        self.monitor.stages.push(Arc::clone(&meter));

        let input = self.tail;
        let launch = move |supervisor: &mut Supervisor, ctx: &mut Context<Supervisor>| {
            let factory = Arc::new(factory);
            for (number, worker) in meter.workers.iter().enumerate() {
                // A pool of one each: in a shared pool the run of a crashed worker could reach one
                // that has already finished.
                let thread = || thread::Builder::new().name(format!("{name}-{number}"));
                let (factory, meter) = (Arc::clone(&factory), Arc::clone(worker));
                let build = move || Worker::new(open(&*factory, &meter));
                let address = SyncArbiter::start_with_thread_builder(1, thread, build);
                let run = Run {
                    input: input.clone(),
                    output: Line { queue: sender.clone(), meter: Arc::clone(worker) },
                    batching: width.batching,
                    tick: supervisor.settings.beat,
                    retry: VecDeque::new(),
                    carried: None,
                };
                supervisor.watch_worker(ctx, index, address, run);
            }
        };
        self.launches.push(Box::new(launch));
        Flow { tail, launches: self.launches, monitor: self.monitor, stopper: self.stopper }
    }

    /// The counters of the source and of the stages added so far.
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// The means to stop the source from elsewhere.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }
}

impl Flow<Infallible> {
    /// Runs the flow on threads of its own until it ends, and blocks the calling thread meanwhile.
    ///
    /// All stages are dropped by then, except where the flow did not wait for its threads: after
    /// [`Ending::Stalled`], [`Ending::Abandoned`], and an earlier failure that then ran into either
    /// limit.
    ///
    /// # Panics
    /// If called from within an asynchronous runtime, or if the system refuses a thread.
    pub fn run(self, supervision: Supervision) -> Report {
        let (sender, ending) = bounded(1);
        let monitor = self.monitor.clone();
        let supervisor =
            Supervisor::new(supervision, self.monitor, self.stopper, self.launches, sender);
        let system = System::new();
        system.block_on(async { supervisor.start() });
        let ran = system.run();
        let ending = ending.try_recv().unwrap_or_else(|_| Ending::Failed {
            stage: "supervisor",
            error: ran.map_or_else(BoxError::from, |()| Fault::SystemStopped.into()),
        });
        Report { ending, snapshot: monitor.snapshot() }
    }
}
