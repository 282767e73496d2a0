use std::marker::PhantomData;
use std::time::Duration;

use actix::{Actor, Handler, Message, MessageResult, SyncContext};

use crate::fault::{Fault, catch};
use crate::meter::Activity;
use crate::outlet::Line;
use crate::{BoxError, Next, Source, Stopper};

/// The actor that runs a source.
pub(crate) struct Feeder<S>(PhantomData<fn(S)>);

impl<S> Feeder<S> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

/// The only message a feeder receives: the source itself and where its items go.
pub(crate) struct Feed<S: Source> {
    pub(crate) source: S,
    pub(crate) line: Line<S::Out>,
    pub(crate) stopper: Stopper,
    pub(crate) patience: Duration,
}

pub(crate) enum FeedEnd {
    Exhausted,
    Stopped,
    DownstreamClosed,
    Failed(BoxError),
}

impl<S: Source> Actor for Feeder<S> {
    type Context = SyncContext<Self>;
}

impl<S: Source> Message for Feed<S> {
    type Result = FeedEnd;
}

impl<S: Source> Handler<Feed<S>> for Feeder<S> {
    type Result = MessageResult<Feed<S>>;

    fn handle(&mut self, mut feed: Feed<S>, _: &mut Self::Context) -> Self::Result {
        let end = feed.run();
        feed.line.meter.begin(Activity::Waiting);
        MessageResult(end)
    }
}

impl<S: Source> Feed<S> {
    pub(crate) fn run(&mut self) -> FeedEnd {
        while !self.stopper.is_stopped() {
            self.line.meter.begin(Activity::Working);
            match catch(|| self.source.next(self.patience)) {
                Ok(Ok(Next::Item(item))) => {
                    if self.line.send(item).is_err() {
                        return FeedEnd::DownstreamClosed;
                    }
                }
                Ok(Ok(Next::NotYet)) => {}
                Ok(Ok(Next::End)) => return FeedEnd::Exhausted,
                Ok(Err(error)) => return FeedEnd::Failed(error),
                Err(panic) => return FeedEnd::Failed(Fault::SourcePanicked(panic).into()),
            }
        }
        FeedEnd::Stopped
    }
}
