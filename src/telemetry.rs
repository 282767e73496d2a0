//! Log lines and the statistics of a run.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use starmill_actors::{Snapshot, StageSnapshot};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};
use crate::pipeline::RunReport;
use crate::stage::{Counters, Tally};

/// Overrides `log.level`.
pub const LOG_VARIABLE: &str = "STARMILL_LOG";

/// A progress bar that log lines step aside for, or a log line now and then where there is no
/// terminal.
#[derive(Clone, Default)]
pub struct Progress {
    bar: Arc<Mutex<Option<ProgressBar>>>,
    finished: Arc<AtomicBool>,
}

/// How often a run without a terminal says how far it is.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often the bar changes, and the longest that the end of a run waits for it.
const TICK: Duration = Duration::from_millis(200);

/// Installs the subscriber; log lines go to standard error.
///
/// # Errors
/// When `log.level` is no filter.
pub fn init(log: &Log, progress: &Progress) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = match std::env::var(LOG_VARIABLE) {
        Ok(filter) => EnvFilter::try_new(filter)?,
        Err(_) => EnvFilter::try_new(&log.level)?,
    };
    let progress = progress.clone();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(move || LogLine { progress: progress.clone(), line: Vec::new() });
    // A second call, in a test, keeps the first subscriber.
    let _ = match log.format {
        LogFormat::Human => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

struct LogLine {
    progress: Progress,
    line: Vec<u8>,
}

impl std::io::Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        self.progress.aside(|| {
            // A log that cannot be written must not end the run.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), &self.line);
        });
    }
}

impl Progress {
    /// Follows the counters until [`Progress::finish`]. Where the number of files is known before, it
    /// says when the last will be done.
    pub fn start(&self, counters: Arc<Counters>, total: Option<u64>) {
        self.finished.store(false, Relaxed);
        if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.enable_steady_tick(TICK);
            *self.lock() = Some(bar);
        }
        let progress = self.clone();
        // Without the thread nobody is told how far the run is, and nothing else is lost.
        let _ = std::thread::Builder::new()
            .name("progress".into())
            .spawn(move || progress.follow(&counters, total));
    }

    fn follow(&self, counters: &Counters, total: Option<u64>) {
        let begin = Instant::now();
        let mut next_line = LINE_EVERY;
        while !self.finished.load(Relaxed) {
            std::thread::sleep(TICK);
            let tally = counters.tally();
            let done = tally.files_done + tally.files_skipped;
            let rate = done as f64 / begin.elapsed().as_secs_f64();
            let (found, rows, rejects) = (tally.files_found, tally.rows, tally.rejects);
            let left_s = total.and_then(|total| time_left(done, total, rate));
            if let Some(bar) = self.bar() {
                let found = total.unwrap_or(found);
                let left = left_s.map_or_else(String::new, |it| {
                    format!(", {} left", indicatif::HumanDuration(Duration::from_secs(it)))
                });
                bar.set_message(format!(
                    "{done} of {found} files, {rows} rows, {rejects} rejects, {rate:.0} files/s{left}"
                ));
            } else if begin.elapsed() >= next_line {
                next_line += LINE_EVERY;
                let (files_per_s, codes) = (rate.round(), &tally.rejects_by_code);
                if let Some(total) = total {
                    tracing::info!(
                        done,
                        total,
                        rows,
                        rejects,
                        ?codes,
                        files_per_s,
                        left_s,
                        "progress"
                    );
                } else {
                    tracing::info!(done, found, rows, rejects, files_per_s, "progress");
                }
            }
        }
    }

    /// Ends the following and removes the bar.
    pub fn finish(&self) {
        self.finished.store(true, Relaxed);
        if let Some(bar) = self.lock().take() {
            bar.finish_and_clear();
        }
    }

    fn bar(&self) -> Option<ProgressBar> {
        self.lock().clone()
    }

    fn aside(&self, write: impl FnOnce()) {
        match self.bar() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds until all is done at this rate, if it can be told.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by a century")]
fn time_left(done: u64, total: u64, rate: f64) -> Option<u64> {
    let left = total.saturating_sub(done) as f64 / rate;
    left.is_finite().then(|| left.min(3e9) as u64)
}

/// The statistics of a run as `--stats` writes them. Times are seconds, sizes bytes.
pub fn statistics(report: &RunReport) -> Value {
    let RunReport { tally, sealed, provider, flow, wall, stopped, shard: _ } = report;
    let wall = wall.as_secs_f64();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "files": sealed.map(|sealed| sealed.files),
        "rows": sealed.map(|sealed| sealed.counts.rows),
        "rejects": sealed.map(|sealed| sealed.counts.rejects),
        "spectra": sealed.map(|sealed| sealed.counts.rows + sealed.counts.rejects),
        "this_run": tally,
        "skipped": tally.files_skipped,
        "rejects_by_code": tally.rejects_by_code,
        "faults": faults(tally, flow),
        "bytes_read": tally.bytes_read,
        "wall_s": wall,
        "files_per_s": tally.files_found as f64 / wall,
        "peak_rss_bytes": peak_rss_bytes(),
        "provider": provider,
        "stopped": stopped,
        "stages": stages(flow),
        "queues": queues(flow),
    })
}

/// What went wrong and was mended, by kind; kinds that did not happen are absent.
fn faults(tally: &Tally, flow: &Snapshot) -> BTreeMap<&'static str, u64> {
    let mut faults = tally.faults.clone();
    let sum = |count: fn(&StageSnapshot) -> u32| flow.stages.iter().map(count).map(u64::from).sum();
    faults.insert("panics", sum(|stage| stage.panics));
    faults.insert("restarts", sum(|stage| stage.restarts));
    faults.retain(|_, count| *count > 0);
    faults
}

fn stages(flow: &Snapshot) -> Vec<Value> {
    let stage = |stage: &starmill_actors::StageSnapshot| {
        json!({
            "name": stage.name,
            "workers": stage.workers,
            "items_in": stage.items_in,
            "items_out": stage.items_out,
            "busy_s": stage.busy.as_secs_f64(),
            "panics": stage.panics,
            "restarts": stage.restarts,
        })
    };
    flow.stages.iter().map(stage).collect()
}

fn queues(flow: &Snapshot) -> Vec<Value> {
    let queue = |queue: &starmill_actors::QueueSnapshot| {
        json!({
            "from": queue.from,
            "to": queue.to,
            "passed": queue.passed,
            "capacity_items": queue.capacity_items,
            "capacity_bytes": queue.capacity_bytes,
            "high_items": queue.high_items,
            "high_bytes": queue.high_bytes,
            "blocked_sending_s": queue.blocked_sending.as_secs_f64(),
            "starved_receiving_s": queue.starved_receiving.as_secs_f64(),
        })
    };
    flow.queues.iter().map(queue).collect()
}

/// The largest resident size of this process so far, where the system tells it.
pub fn peak_rss_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

/// The resident size of this process, where the system tells it.
pub fn rss_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

fn status_bytes(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
