//! The source of the service: files that arrive in the inboxes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use starmill_actors::{BoxError, Next, Source};

use crate::night::Night;
use crate::stage::{Counters, FileTask};
use crate::watch::Watch;

/// Numbers the files that arrive.
pub(super) struct Arrivals {
    pub(super) watch: Arc<Watch>,
    pub(super) counters: Arc<Counters>,
    pub(super) longitude: f64,
}

impl Source for Arrivals {
    type Out = FileTask;

    fn next(&mut self, patience: Duration) -> Result<Next<FileTask>, BoxError> {
        if self.watch.has_failed() {
            return Err("the thread of an inbox died, so that its files would wait for ever; see the \
                        log for its panic and report it, the service manager starts the service again"
                .into());
        }
        let Some(arrival) = self.watch.next(patience) else {
            return Ok(Next::NotYet);
        };
        let sequence = self.counters.files_found.fetch_add(1, Relaxed);
        Ok(Next::Item(FileTask {
            sequence,
            path: arrival.path,
            rows: Vec::new(),
            missing: None,
            opened: Vec::new(),
            night: Some(Night::of_system_time(arrival.arrived, self.longitude)),
            arrived: Some(arrival.arrived),
        }))
    }
}
