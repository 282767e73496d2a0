//! Telling others: a command that is started, an address that is posted to.
//!
//! Whoever fires an event goes on at once. A thread tells events one after the other, each within a
//! time limit; the queue before it is bounded, and what finds no room is dropped, counted and
//! logged. An observatory's mail server that is down must not cost a spectrum.
//!
//! What is queued is lost in a crash. That does for states, which are found and told again, and for a
//! start, which is followed by another; who tells of what happens once waits until it is told.

mod command;
mod webhook;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::catalogue::history::utc;
use crate::config::{ConfigError, seconds};

/// Settings of the hooks; `config/default.toml` gives their meaning.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml documents every key")]
pub struct HookSettings {
    pub command: Vec<String>,
    pub webhook: String,
    pub events: Vec<String>,
    pub time_limit: f64,
    pub retries: usize,
    pub queue_items: usize,
    pub reject_window: usize,
    pub reject_burst: f64,
    pub reject_calm: f64,
    pub disk_low: f64,
}

/// Something that happened; as JSON it has its name under `event` and the moment under `at`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields say what they are; bytes and seconds are in the names")]
pub enum Event {
    /// The service has loaded and warmed up its model.
    ServiceStarted { version: String, model: String, provider: String },
    /// A night's catalogue is sealed.
    NightClosed {
        night: String,
        folder: PathBuf,
        report: PathBuf,
        rows: u64,
        rejects: u64,
        line: String,
    },
    /// Too large a share of the last spectra were rejects.
    RejectBurst { rejects: usize, spectra: usize, share: f64 },
    /// Something waits and nothing goes on.
    Stall { seconds: f64, waits: String },
    /// Too little room is left where the catalogues lie.
    DiskLow { free_bytes: u64, total_bytes: u64 },
    /// A label of stars that were seen before, or of standards, has moved.
    LabelDrift {
        night: String,
        label: String,
        unit: String,
        difference: f64,
        error: f64,
        stars: usize,
    },
}

/// The names of all events, as settings and JSON write them.
pub const EVENTS: [&str; 6] =
    ["service_started", "night_closed", "reject_burst", "stall", "disk_low", "label_drift"];

impl Event {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ServiceStarted { .. } => EVENTS[0],
            Self::NightClosed { .. } => EVENTS[1],
            Self::RejectBurst { .. } => EVENTS[2],
            Self::Stall { .. } => EVENTS[3],
            Self::DiskLow { .. } => EVENTS[4],
            Self::LabelDrift { .. } => EVENTS[5],
        }
    }

    /// The object that is told.
    fn json(&self, at: SystemTime) -> String {
        let mut object = serde_json::to_value(self).unwrap_or_default();
        object["at"] = utc(at).into();
        object.to_string()
    }
}

impl HookSettings {
    /// Checks what types cannot express.
    ///
    /// # Errors
    /// [`ConfigError`] names the key.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |well: bool, key, value: String, needs| {
            if well { Ok(()) } else { Err(ConfigError::Value { key, value, needs }) }
        };
        let named = self.command.first().is_none_or(|program| !program.is_empty());
        check(named, "hooks.command", "\"\"".into(), "the program's name is empty")?;
        let needs =
            "an address that begins with http:// is needed; a relay on this host can speak TLS";
        let plain = self.webhook.is_empty() || self.webhook.starts_with("http://");
        let is_uri = self.webhook.is_empty() || self.webhook.parse::<ureq::http::Uri>().is_ok();
        check(plain && is_uri, "hooks.webhook", self.webhook.clone(), needs)?;
        for event in &self.events {
            let needs = "known are night_closed, reject_burst, stall, disk_low, label_drift and service_started";
            check(EVENTS.contains(&event.as_str()), "hooks.events", event.clone(), needs)?;
        }
        let limit = self.time_limit;
        let needs = "a number of seconds above 0 and up to 600 is needed";
        check(limit > 0.0 && limit <= 600.0, "hooks.time_limit", limit.to_string(), needs)?;
        check(
            self.retries <= 10,
            "hooks.retries",
            self.retries.to_string(),
            "at most 10 are tried",
        )?;
        for (key, value) in
            [("hooks.queue_items", self.queue_items), ("hooks.reject_window", self.reject_window)]
        {
            check(
                (1..=100_000).contains(&value),
                key,
                value.to_string(),
                "1 to 100000 are needed",
            )?;
        }
        let shares = 0.0 <= self.reject_calm
            && self.reject_calm < self.reject_burst
            && self.reject_burst <= 1.0;
        let value = format!("{} (reject_calm {})", self.reject_burst, self.reject_calm);
        check(
            shares,
            "hooks.reject_burst",
            value,
            "0 <= reject_calm < reject_burst <= 1 is needed",
        )?;
        let low = self.disk_low;
        let needs = "a part above 0 and up to 0.5 is needed";
        check(low > 0.0 && low <= 0.5, "hooks.disk_low", low.to_string(), needs)
    }
}

/// How often who waits for a hook looks whether to give up.
const BEAT: Duration = Duration::from_millis(50);

/// What the thread is asked to do.
#[derive(Debug)]
enum Errand {
    /// To tell this.
    Tell(String),
    /// To say that it has come so far.
    Answer(SyncSender<()>),
}

/// The hooks of a service. Dropping it waits for what is queued, at most for the time limit.
#[derive(Debug)]
pub struct Hooks {
    queue: Option<SyncSender<Errand>>,
    ended: Mutex<Receiver<()>>,
    events: Vec<String>,
    patience: Duration,
    dropped: AtomicU64,
}

impl Hooks {
    /// Hooks with these settings; without a command and an address they do nothing.
    pub fn new(settings: &HookSettings) -> Self {
        let (end, ended) = sync_channel(1);
        let mut hooks = Self {
            queue: None,
            ended: Mutex::new(ended),
            events: settings.events.clone(),
            patience: seconds(settings.time_limit),
            dropped: AtomicU64::new(0),
        };
        if settings.command.is_empty() && settings.webhook.is_empty() {
            return hooks;
        }
        let (queue, waiting) = sync_channel::<Errand>(settings.queue_items);
        let settings = settings.clone();
        let tell = move || {
            for errand in waiting {
                match errand {
                    Errand::Tell(json) => tell(&settings, &json),
                    // Who asked may have given up.
                    Errand::Answer(answer) => drop(answer.try_send(())),
                }
            }
            // Nobody may be left to hear it.
            let _ = end.send(());
        };
        match std::thread::Builder::new().name("hooks".into()).spawn(tell) {
            Ok(_) => hooks.queue = Some(queue),
            Err(error) => tracing::error!(%error, "no thread for hooks, events are not told"),
        }
        hooks
    }

    /// Tells of an event, later and elsewhere.
    pub fn fire(&self, event: &Event) {
        let name = event.name();
        let Some((queue, errand)) = self.errand(event) else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = queue.try_send(errand) {
            let dropped = self.dropped.fetch_add(1, Relaxed) + 1;
            tracing::warn!(
                event = name,
                dropped,
                "hooks are too slow, the event is not told; raise hooks.queue_items or mend the hook"
            );
        }
    }

    /// Tells of events and waits until the hooks have heard of each or failed; `false` if that was
    /// given up.
    #[must_use]
    pub fn assure(&self, events: &[Event], give_up: &dyn Fn() -> bool) -> bool {
        let mut errands = events.iter().filter_map(|event| self.errand(event));
        errands.all(|(queue, errand)| insist(queue, errand, give_up)) && self.settle(give_up)
    }

    /// Waits until all that was queued before is told; `false` if that was given up.
    pub fn settle(&self, give_up: &dyn Fn() -> bool) -> bool {
        let Some(queue) = &self.queue else { return true };
        let (answer, answered) = sync_channel(1);
        if !insist(queue, Errand::Answer(answer), give_up) {
            return false;
        }
        loop {
            match answered.recv_timeout(BEAT) {
                Ok(()) => return true,
                Err(RecvTimeoutError::Timeout) if !give_up() => {}
                Err(_) => return false,
            }
        }
    }

    /// Notes an event in the log; gives what is to be queued where, if anyone wants to hear of it.
    fn errand(&self, event: &Event) -> Option<(&SyncSender<Errand>, Errand)> {
        let name = event.name();
        tracing::info!(event = name, detail = ?event, "event");
        let queue = self.queue.as_ref().filter(|_| self.events.iter().any(|e| e == name))?;
        Some((queue, Errand::Tell(event.json(SystemTime::now()))))
    }

    /// Events that found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

/// Queues an errand as soon as there is room; `false` if that was given up.
fn insist(queue: &SyncSender<Errand>, mut errand: Errand, give_up: &dyn Fn() -> bool) -> bool {
    loop {
        match queue.try_send(errand) {
            Ok(()) => return true,
            Err(TrySendError::Full(again)) if !give_up() => errand = again,
            Err(_) => return false,
        }
        std::thread::sleep(BEAT);
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        if self.queue.take().is_none() {
            return;
        }
        let ended = self.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if ended.recv_timeout(self.patience).is_err() {
            tracing::warn!("hooks did not end in time, events that waited are not told");
        }
    }
}

fn tell(settings: &HookSettings, json: &str) {
    let limit = seconds(settings.time_limit);
    if !settings.command.is_empty() {
        let began = Instant::now();
        match command::run(&settings.command, json, limit) {
            Ok(ran) if ran.status.is_some_and(|status| status.success()) => {
                let seconds = began.elapsed().as_secs_f64();
                tracing::debug!(seconds, output = %ran.output, "hook command ended");
            }
            Ok(ran) => {
                let ended = ran.status.map_or("time limit".into(), |status| status.to_string());
                tracing::warn!(command = %settings.command[0], ended, output = %ran.output, "hook command failed; run it by hand with the event on its standard input");
            }
            Err(error) => {
                tracing::warn!(command = %settings.command[0], %error, "hook command could not be started; check hooks.command");
            }
        }
    }
    if !settings.webhook.is_empty()
        && let Err(error) = webhook::post(&settings.webhook, json, limit, settings.retries)
    {
        tracing::warn!(%error, "webhook failed; check hooks.webhook and its host");
    }
}

#[cfg(test)]
mod tests;
