use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::fut::ActorFutureExt;
use actix::{Actor, Addr, AsyncContext, Context, MailboxError, System, WrapFuture};
use crossbeam_channel::Sender;
use tracing::{error, warn};

use crate::fault::Fault;
use crate::feeder::{Feed, FeedEnd, Feeder};
use crate::work::{Exit, Run};
use crate::worker::Worker;
use crate::{BoxError, Ending, Monitor, Source, Stage, Stopper, Supervision};

/// Starts the threads of one source or stage.
pub(crate) type Launch = Box<dyn FnOnce(&mut Supervisor, &mut Context<Supervisor>) + Send>;

/// The actor that starts all others, waits for their exits and decides what follows from each.
pub(crate) struct Supervisor {
    pub(crate) settings: Supervision,
    pub(crate) monitor: Monitor,
    stopper: Stopper,
    launches: Vec<Launch>,
    budgets: Vec<Budget>,
    running: usize,
    stopped: bool,
    left_early: Option<&'static str>,
    cause: Option<Ending>,
    ending: Sender<Ending>,
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for launch in std::mem::take(&mut self.launches) {
            launch(self, ctx);
        }
        let beat = self.settings.beat.max(Duration::from_millis(1));
        ctx.run_interval(beat, |act, _| {
            act.look_for_stalls();
            act.look_for_a_late_drain();
        });
    }
}

impl Supervisor {
    pub(crate) fn new(
        settings: Supervision,
        monitor: Monitor,
        stopper: Stopper,
        launches: Vec<Launch>,
        ending: Sender<Ending>,
    ) -> Self {
        let budgets = monitor.stages.iter().map(|_| Budget::default()).collect();
        Self {
            settings,
            monitor,
            stopper,
            launches,
            budgets,
            running: 0,
            stopped: false,
            left_early: None,
            cause: None,
            ending,
        }
    }

    /// Sends the source its feed and awaits its end.
    pub(crate) fn watch_source<S: Source>(
        &mut self,
        ctx: &mut Context<Self>,
        address: &Addr<Feeder<S>>,
        feed: Feed<S>,
    ) {
        self.running += 1;
        let end = address.send(feed).into_actor(self);
        ctx.spawn(end.map(|end, act, _| {
            match end {
                Ok(FeedEnd::Stopped) => act.stopped = true,
                Ok(FeedEnd::Exhausted | FeedEnd::DownstreamClosed) => {}
                Ok(FeedEnd::Failed(error)) => act.fail(0, error),
                Err(lost) => act.lose(0, lost),
            }
            act.leave();
        }));
    }

    /// Sends a worker of the stage its run and awaits its exit.
    pub(crate) fn watch_worker<S: Stage>(
        &mut self,
        ctx: &mut Context<Self>,
        stage: usize,
        address: Addr<Worker<S>>,
        run: Run<S::In, S::Out>,
    ) {
        self.running += 1;
        let exit = address.send(run).into_actor(self);
        ctx.spawn(exit.map(move |exit, act, ctx| {
            match exit {
                Ok(Exit::Drained) => {}
                Ok(Exit::DownstreamClosed) => {
                    act.left_early.get_or_insert(act.name(stage));
                }
                Ok(Exit::Failed(error)) => act.fail(stage, error),
                Ok(Exit::Crashed { run, panic }) => {
                    if act.may_restart(stage, panic) {
                        act.watch_worker(ctx, stage, address, *run);
                    }
                }
                Err(lost) => act.lose(stage, lost),
            }
            act.leave();
        }));
    }

    fn may_restart(&mut self, stage: usize, panic: String) -> bool {
        let Supervision { max_restarts, restart_window, .. } = self.settings;
        let name = self.name(stage);
        match self.budgets[stage].spend(max_restarts, restart_window) {
            Ok(()) => {
                warn!(stage = name, panic, "stage panicked and is restarted");
                let restarts = &self.monitor.stages[stage].restarts;
                restarts.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(restarts) => {
                error!(stage = name, restarts, panic, "stage panicked too often");
                self.end_as(Ending::GaveUp { stage: name, restarts, panic });
                false
            }
        }
    }

    fn fail(&mut self, stage: usize, error: BoxError) {
        let stage = self.name(stage);
        error!(stage, %error, "stage failed");
        self.end_as(Ending::Failed { stage, error });
    }

    fn lose(&mut self, stage: usize, _: MailboxError) {
        self.fail(stage, Fault::WorkerLost.into());
    }

    /// Remembers the first cause and lets the flow run dry.
    fn end_as(&mut self, cause: Ending) {
        self.cause.get_or_insert(cause);
        self.stopper.stop();
    }

    fn leave(&mut self) {
        self.running -= 1;
        if self.running > 0 {
            return;
        }
        if self.cause.is_none()
            && let Some(stage) = self.left_early
        {
            let error = Fault::LeftEarly.into();
            self.cause = Some(Ending::Failed { stage, error });
        }
        self.conclude();
    }

    fn look_for_stalls(&mut self) {
        let stuck = self.monitor.stages.iter().find_map(|stage| {
            let mut workers = stage.workers.iter().enumerate();
            workers.find_map(|(worker, meter)| {
                let since = meter.working_for()?;
                (since > self.settings.stall_limit).then_some((stage.name, worker, since))
            })
        });
        if let Some((stage, worker, since)) = stuck {
            error!(stage, worker, ?since, "worker hangs");
            self.end_as(Ending::Stalled { stage, worker, since });
            self.conclude();
        }
    }

    fn look_for_a_late_drain(&mut self) {
        let Some(since) = self.stopper.stopped_for() else { return };
        if since > self.settings.drain_limit {
            let stages = self.monitor.stages.iter();
            let busy: Vec<_> = stages
                .flat_map(|stage| stage.workers.iter().enumerate().map(|each| (stage.name, each)))
                .filter(|(_, (_, meter))| meter.holds_up())
                .map(|(stage, (worker, _))| (stage, worker))
                .collect();
            error!(?since, ?busy, "flow has not drained and is abandoned");
            self.end_as(Ending::Abandoned { busy });
            self.conclude();
        }
    }

    /// Hands the ending over and ends the actor system, whoever still runs.
    fn conclude(&mut self) {
        let drained = if self.stopped { Ending::Stopped } else { Ending::Drained };
        // The channel is full only when an ending was handed over before, and the first one counts.
        let _ = self.ending.try_send(self.cause.take().unwrap_or(drained));
        System::current().stop();
    }

    fn name(&self, stage: usize) -> &'static str {
        self.monitor.stages[stage].name
    }
}

/// The restarts that a stage has spent.
#[derive(Default)]
struct Budget {
    spent: VecDeque<Instant>,
}

impl Budget {
    /// Spends one restart, or says how many were spent within the window.
    fn spend(&mut self, max: u32, window: Duration) -> Result<(), u32> {
        while self.spent.front().is_some_and(|at| at.elapsed() > window) {
            self.spent.pop_front();
        }
        let spent = u32::try_from(self.spent.len()).unwrap_or(u32::MAX);
        if spent >= max {
            return Err(spent);
        }
        self.spent.push_back(Instant::now());
        Ok(())
    }
}
