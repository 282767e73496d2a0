//! The thread beside the flow: it closes nights in time and tells systemd how things stand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;

use super::ahead::ahead;
use super::closing::{Closer, Job};
use super::{Phase, Service, manager, window};
use crate::config::seconds;
use crate::stage::Taken;

/// How often it looks around, unless the watchdog wants more.
const TICK: Duration = Duration::from_millis(500);
/// How often it says how many and how fast.
const STATUS: Duration = Duration::from_secs(3);
/// What each extension of the start is good for.
const EXTENSION: Duration = Duration::from_secs(10);

pub(super) struct Keeper {
    service: Arc<Service>,
    closer: Closer,
    began: Instant,
    said: Option<(Instant, u64)>,
    stuck: bool,
    stopping: bool,
}

impl Keeper {
    /// Starts the thread; it ends with the process.
    pub(super) fn start(service: Arc<Service>) -> std::io::Result<()> {
        let closer = Closer::start(Arc::clone(&service))?;
        let began = Instant::now();
        let mut keeper = Self { service, closer, began, said: None, stuck: false, stopping: false };
        let watchdog = manager::watchdog();
        let tick =
            watchdog.map_or(TICK, |limit| TICK.min(limit / 4)).max(Duration::from_millis(10));
        let run = move || loop {
            keeper.tend(watchdog.is_some());
            std::thread::sleep(tick);
        };
        std::thread::Builder::new().name("keeper".into()).spawn(run).map(|_| ())
    }

    fn tend(&mut self, has_watchdog: bool) {
        if self.service.interrupt.is_asked() && !self.stopping {
            self.stopping = true;
            self.service.board.set_ready(false);
            manager::stopping();
        }
        match self.service.phase() {
            Phase::Starting => {
                if self.began.elapsed() < seconds(self.service.config().serve.start_limit) {
                    manager::extend_start(EXTENSION);
                }
            }
            Phase::Running => {
                self.say_status();
                if !self.stopping {
                    self.close_one();
                }
            }
        }
        if has_watchdog && self.all_go_on() {
            manager::feed_watchdog();
        }
    }

    /// Whether no worker has stood on one item for too long. Who waits for input or for room goes on.
    fn all_go_on(&mut self) -> bool {
        let limit = seconds(self.service.config().serve.progress_limit);
        let stuck = self.service.snapshot().and_then(|snapshot| {
            let mut stages = snapshot.stages.into_iter();
            stages.find(|stage| stage.oldest_work > limit)
        });
        if let Some(stage) = stuck.as_ref().filter(|_| !self.stuck) {
            tracing::error!(
                stage = stage.name,
                since = ?stage.oldest_work,
                files = ?self.service.counters.files_in_hand(),
                remedy = "see what its storage or driver waits for; the watchdog restarts the service",
                "stage stands still, the watchdog is not fed"
            );
            self.service.alarms().stalled(stage.name, stage.oldest_work);
        }
        self.stuck = stuck.is_some();
        !self.stuck
    }

    fn say_status(&mut self) {
        let tally = self.service.counters.tally();
        let done = tally.files_done + tally.files_skipped;
        let rate = match self.said {
            Some((at, _)) if at.elapsed() < STATUS => return,
            Some((at, before)) => (done - before) as f64 / at.elapsed().as_secs_f64(),
            None => 0.0,
        };
        self.said = Some((Instant::now(), done));
        self.service.alarms().look_at_disk(self.service.nights.folder());
        let (rows, rejects) = (tally.rows, tally.rejects);
        let waiting = self.service.waiting();
        let nights = self.service.nights.names().join(" ");
        window::show_state(&self.service.board, self.service.inboxes(), &self.service.nights);
        manager::status(&format!(
            "{done} files, {rows} rows, {rejects} rejects, {rate:.1} files/s, {waiting} waiting; \
             open: {nights}"
        ));
    }

    /// Hands the next night that is due to the closer.
    fn close_one(&self) {
        let service = &self.service;
        if self.closer.is_busy() {
            return;
        }
        let inboxes = service.inboxes();
        let ahead = |night| ahead(&inboxes, &service.on_the_way, night);
        let due = service.nights.due(&service.config().night, Utc::now(), ahead);
        for (volume, reason) in due {
            // The writer may wait for room on the disk with the rack in its hands.
            let Ok(mut rack) = service.rack.try_lock() else { return };
            let store = match service.nights.is_newest(volume).then(|| rack.take(volume.night)) {
                Some(Taken::Busy) => continue,
                Some(Taken::Store(store)) => Some(store),
                Some(Taken::Absent) | None => None,
            };
            service.nights.begin_closing(volume);
            drop(rack);
            self.closer.take(Job { volume, reason, store });
            return;
        }
    }
}
