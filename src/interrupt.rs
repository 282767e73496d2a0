//! SIGTERM and SIGINT: the first asks for an orderly end, the second leaves at once.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use starmill_actors::Stopper;

/// Whether and when an end was asked for.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    asked: Arc<OnceLock<Instant>>,
    stopper: Arc<Mutex<Option<Stopper>>>,
}

impl Interrupt {
    /// Listens to both signals from now to the end of the process.
    ///
    /// # Errors
    /// The operating system's, when it takes no handler or gives no thread.
    pub fn listen() -> io::Result<Self> {
        let interrupt = Self::default();
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let heard = interrupt.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                heard.hear(signal);
            }
        })?;
        Ok(interrupt)
    }

    fn hear(&self, signal: i32) {
        if self.asked.set(Instant::now()).is_err() {
            tracing::warn!(signal, "second signal, leaving at once; what is committed stays");
            // As a shell reports a process that the signal killed.
            std::process::exit(128 + signal);
        }
        tracing::info!(signal, "stop requested, what was begun is finished");
        if let Some(stopper) = &*self.stopper() {
            stopper.stop();
        }
    }

    /// Stops this flow when an end is asked for, or now if it was.
    pub fn stops(&self, stopper: Stopper) {
        let mut slot = self.stopper();
        if self.is_asked() {
            stopper.stop();
        }
        *slot = Some(stopper);
    }

    /// Whether an end was asked for.
    pub fn is_asked(&self) -> bool {
        self.asked.get().is_some()
    }

    /// Whether an end was asked for longer ago than this.
    pub fn is_overdue(&self, limit: Duration) -> bool {
        self.asked.get().is_some_and(|asked| asked.elapsed() > limit)
    }

    fn stopper(&self) -> std::sync::MutexGuard<'_, Option<Stopper>> {
        self.stopper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_stays_asked_for() {
        let interrupt = Interrupt::default();
        assert!(!interrupt.is_asked());
        interrupt.clone().hear(SIGTERM);
        assert!(interrupt.is_asked());
        assert!(!interrupt.is_overdue(Duration::from_mins(1)));
        assert!(interrupt.is_overdue(Duration::ZERO));
    }
}
