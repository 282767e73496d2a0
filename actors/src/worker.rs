use actix::{Actor, ActorContext, Handler, Message, MessageResult, SyncContext};

use crate::fault::{Fault, catch};
use crate::meter::{Activity, WorkerMeter};
use crate::work::{Exit, Run};
use crate::{BoxError, Payload, Stage};

/// The actor that runs a stage. Its restart is how a stage is built anew.
pub(crate) struct Worker<S> {
    // Boxed, because an actor must be `Unpin` and a stage need not be.
    stage: Opened<S>,
}

/// What a stage's factory gave.
pub(crate) type Opened<S> = Result<Box<S>, BoxError>;

/// Builds the stage. A failure waits for the run, whose answer can report it.
pub(crate) fn open<S>(factory: impl Fn() -> Result<S, BoxError>, meter: &WorkerMeter) -> Opened<S> {
    meter.begin(Activity::Working);
    let stage = catch(factory)
        .unwrap_or_else(|panic| Err(Fault::FactoryPanicked(panic).into()))
        .map(Box::new);
    meter.begin(Activity::Waiting);
    stage
}

impl<S: Stage> Worker<S> {
    pub(crate) fn new(stage: Opened<S>) -> Self {
        Self { stage }
    }
}

impl<S: Stage> Actor for Worker<S> {
    type Context = SyncContext<Self>;
}

impl<I: Payload, O: Payload> Message for Run<I, O> {
    type Result = Exit<I, O>;
}

impl<S: Stage> Handler<Run<S::In, S::Out>> for Worker<S> {
    type Result = MessageResult<Run<S::In, S::Out>>;

    fn handle(&mut self, run: Run<S::In, S::Out>, ctx: &mut Self::Context) -> Self::Result {
        let stage = std::mem::replace(&mut self.stage, Err(Fault::WorkerLost.into()));
        let exit = run.carry_out(stage);
        if matches!(exit, Exit::Crashed { .. }) {
            ctx.stop();
        }
        MessageResult(exit)
    }
}
