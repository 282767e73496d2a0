//! What the service tells to others by its hooks, and the detectors that decide when.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::detect::{DiskLow, RejectBurst};
use super::hooks::{Event, HookSettings, Hooks};
use crate::outcome::Outcome;

/// Hooks with their detectors, for as long as their settings stay.
pub(super) struct Alarms {
    pub(super) settings: HookSettings,
    hooks: Hooks,
    burst: Mutex<RejectBurst>,
    disk: Mutex<DiskLow>,
}

impl Alarms {
    pub(super) fn new(settings: &HookSettings) -> Self {
        Self {
            hooks: Hooks::new(settings),
            burst: Mutex::new(RejectBurst::new(settings)),
            disk: Mutex::new(DiskLow::new(settings)),
            settings: settings.clone(),
        }
    }

    /// Tells an event. It never waits.
    pub(super) fn fire(&self, event: &Event) {
        self.hooks.fire(event);
    }

    /// Sees outcomes that are durable.
    pub(super) fn committed(&self, outcomes: &[Outcome]) {
        let mut burst = self.burst.lock().unwrap_or_else(PoisonError::into_inner);
        for outcome in outcomes {
            if let Some(event) = burst.observe(outcome.content.is_err()) {
                tracing::warn!(?event, "many rejects at once, see their codes and files");
                self.fire(&event);
            }
        }
    }

    /// Sees the disk of a folder.
    pub(super) fn look_at_disk(&self, folder: &Path) {
        // A disk that does not answer has other troubles, which the writer meets.
        let Ok(disk) = rustix::fs::statvfs(folder) else { return };
        let (free, total) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
        let mut low = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = low.observe(free, total) {
            tracing::warn!(
                free_bytes = free,
                total_bytes = total,
                "little room is left on the disk"
            );
            self.fire(&event);
        }
    }
}
