//! Going on after trouble with the disk.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::Counters;
use crate::catalogue::{StoreError, Trouble};
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

/// The first delay before another try; each is twice the one before.
const FIRST_DELAY: Duration = Duration::from_millis(100);

impl Persevere {
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
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(FIRST_DELAY)
            .with_factor(2.0)
            .with_max_times(self.retries)
            .build();
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
