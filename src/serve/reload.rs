//! SIGHUP: a configuration and a model are checked, then take the place of the old ones.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;
use starmill_actors::Stopper;

use super::maker::Maker;
use super::{Service, manager};
use crate::config::Config;

/// What a flow is built from.
pub(super) struct Setting {
    pub(super) config: Arc<Config>,
    pub(super) maker: Arc<Maker>,
}

/// The setting of the next flow, and how to end the present one.
#[derive(Default)]
pub(super) struct Reload {
    slot: Mutex<(Option<Setting>, Option<Stopper>)>,
}

impl Reload {
    /// Stops this flow when there is a new setting, or now if there is one.
    pub(super) fn stops(&self, stopper: Stopper) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.0.is_some() {
            stopper.stop();
        }
        slot.1 = Some(stopper);
    }

    /// The new setting, once.
    pub(super) fn take(&self) -> Option<Setting> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).0.take()
    }

    fn offer(&self, setting: Setting) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.0 = Some(setting);
        if let Some(stopper) = &slot.1 {
            stopper.stop();
        }
    }
}

/// Listens to SIGHUP to the end of the process.
pub(super) fn listen(service: Arc<Service>, path: Option<PathBuf>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGHUP])?;
    let run = move || {
        for _ in signals.forever() {
            manager::reloading();
            match candidate(&service, path.as_ref()) {
                Ok(setting) => service.reload.offer(setting),
                Err(error) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        remedy = "mend it and reload again, the service goes on as before",
                        "reload refused"
                    );
                    manager::status("reload refused, see the log");
                    manager::ready();
                }
            }
        }
    };
    std::thread::Builder::new().name("reload".into()).spawn(run).map(|_| ())
}

/// The setting that the files on disk make, if it can be used.
fn candidate(service: &Service, path: Option<&PathBuf>) -> anyhow::Result<Setting> {
    let (config, old) = (Config::load(path.map(PathBuf::as_path))?, service.config());
    if config.serve.folder != old.serve.folder {
        bail!("serve.folder cannot change while the service runs; restart it");
    }
    if config.log != old.log {
        tracing::warn!("a change of the log's settings needs a restart");
    }
    config.watch_settings().check()?;
    let maker = Arc::new(Maker::load(&config)?);
    Ok(Setting { config: Arc::new(config), maker })
}
