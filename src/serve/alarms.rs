//! What the service tells its hooks of, as it happens.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::detect::{DiskLow, RejectBurst, label_drifts};
use super::hooks::{Event, HookSettings, Hooks};
use super::maker::Maker;
use super::volume::Volume;
use crate::catalogue::{Manifest, Space, space};
use crate::outcome::Outcome;
use crate::report::{REPORT, Summary};

/// The hooks with what decides when they are told.
pub(super) struct Alarms {
    hooks: Hooks,
    burst: Mutex<RejectBurst>,
    disk: Mutex<DiskLow>,
}

impl Alarms {
    pub(super) fn new(settings: &HookSettings) -> Self {
        let (burst, disk) = (RejectBurst::new(settings), DiskLow::new(settings));
        Self { hooks: Hooks::new(settings), burst: Mutex::new(burst), disk: Mutex::new(disk) }
    }

    /// The service takes files for the first time.
    pub(super) fn started(&self, maker: &Maker) {
        self.hooks.fire(&Event::ServiceStarted {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: maker.model.id(),
            provider: maker.provider.clone(),
        });
    }

    /// These outcomes are durable.
    pub(super) fn committed(&self, outcomes: &[Outcome]) {
        let mut burst = self.burst.lock().unwrap_or_else(PoisonError::into_inner);
        for outcome in outcomes {
            if let Some(event) = burst.observe(outcome.content.is_err()) {
                self.hooks.fire(&event);
            }
        }
    }

    /// A stage stands still since then.
    pub(super) fn stalled(&self, stage: &str, since: Duration) {
        let waits = format!("everything before stage {stage} waits for it");
        self.hooks.fire(&Event::Stall { seconds: since.as_secs_f64(), waits });
    }

    /// Looks at the room that is left on the disk of a folder.
    pub(super) fn look_at_disk(&self, folder: &Path) {
        let Some(Space { free, total }) = space(folder) else { return };
        let mut low = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = low.observe(free, total) {
            self.hooks.fire(&event);
        }
    }

    /// A night is closed, with this report if one could be written. Returns when the hooks have
    /// heard of it or failed; `false` if a stop request came first.
    #[must_use]
    pub(super) fn closed(
        &self,
        volume: Volume,
        folder: &Path,
        manifest: &Manifest,
        summary: Option<&Summary>,
        give_up: &dyn Fn() -> bool,
    ) -> bool {
        let Manifest { rows, rejects, .. } = *manifest;
        let without = || {
            format!(
                "{volume}: {rows} rows, {rejects} rejects; see the log for why there is no report"
            )
        };
        let mut events = vec![Event::NightClosed {
            night: volume.to_string(),
            folder: folder.to_owned(),
            report: folder.join(REPORT),
            rows,
            rejects,
            line: summary.map_or_else(without, Summary::line),
        }];
        events.extend(summary.into_iter().flat_map(label_drifts));
        self.hooks.assure(&events, give_up)
    }

    /// Waits for what is still to be told, so long.
    pub(super) fn end(&self, patience: Duration) {
        let began = Instant::now();
        if !self.hooks.settle(&|| began.elapsed() > patience) {
            tracing::warn!("hooks did not end in time, events that waited are not told");
        }
    }
}
