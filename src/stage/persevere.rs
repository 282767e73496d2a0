//! Going on after trouble with the disk.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use backon::BackoffBuilder;

use super::Counters;
use crate::backoff::{FIRST_DELAY, delays};
use crate::catalogue::{StoreError, Trouble};
use crate::config::{Config, seconds};
use crate::interrupt::Interrupt;

/// How long a run tries to write before it gives up.
#[derive(Debug, Clone)]
pub struct Persevere {
    /// Further tries after a fault that may pass.
    pub retries: usize,
    /// How often a full disk is looked at.
    pub pause: Duration,
    /// Ends the waiting for room.
    pub interrupt: Interrupt,
    /// Where tries and pauses are counted.
    pub counters: Arc<Counters>,
}

impl Persevere {
    /// As configured.
    pub fn of(config: &Config, interrupt: &Interrupt, counters: &Arc<Counters>) -> Self {
        Self {
            retries: config.write.retries,
            pause: seconds(config.write.pause),
            interrupt: interrupt.clone(),
            counters: Arc::clone(counters),
        }
    }

    /// Attempts it until it succeeds, waiting by means of `rest`: a few times after a fault that
    /// may pass, and for ever while there is no room and nobody asks for an end.
    ///
    /// # Errors
    /// Those of the last attempt.
    pub fn until_done<T>(
        &self,
        rest: &mut dyn FnMut(Duration),
        mut attempt: impl FnMut() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut delays = delays(FIRST_DELAY, self.retries).build();
        let mut waiting = false;
        loop {
            let error = match attempt() {
                Err(error) => error,
                Ok(done) => {
                    if waiting {
                        tracing::info!("room again, going on");
                    }
                    return Ok(done);
                }
            };
            let delay = match error.trouble() {
                Trouble::NoSpace if !self.interrupt.is_asked() => {
                    if !waiting {
                        Counters::count(&self.counters.faults.pauses);
                        tracing::warn!(
                            detail = %error,
                            remedy = "make room on the disk, the run goes on by itself then",
                            "no room for the catalogue, waiting"
                        );
                    }
                    waiting = true;
                    Some(self.pause)
                }
                Trouble::Transient => delays.next(),
                Trouble::NoSpace | Trouble::Permanent => None,
            };
            let Some(delay) = delay else {
                return Err(error);
            };
            if !waiting {
                self.counters.faults.retries_write.fetch_add(1, Relaxed);
                tracing::warn!(%error, "writing failed and is tried again");
            }
            rest(delay);
        }
    }
}
