//! What the API says, with units. Times are seconds since 1970-01-01 UTC, durations seconds, sizes
//! bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::report::Shift;

/// The state of the service at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// When this was true.
    pub time: f64,
    /// Whether the models are warm and the flow runs.
    pub ready: bool,
    /// Whether what former processes committed was read back. For a moment after a start it is not,
    /// and the lists are empty, the counts of the night too small and the drift unknown.
    pub recalled: bool,
    /// Version of the program.
    pub version: String,
    /// Name and version of the model.
    pub model: String,
    /// The execution provider that is really used.
    pub provider: String,
    /// When the service started.
    pub started: f64,
    /// Longitude of the observatory, degrees east.
    pub longitude: f64,
    /// The folder of the catalogues.
    pub folder: String,
    /// The labels of the model, in the order of the values of a star.
    pub labels: Vec<Label>,
    /// The date of the evening of the present night.
    pub night: String,
    /// When that night began: local noon.
    pub night_begins: f64,
    /// What has become durable since the service started.
    pub counts: Counts,
    /// What has become durable of the present night.
    pub tonight: Counts,
    /// Outcomes that became durable each second, over the last minute.
    pub rate_per_s: f64,
    /// From the arrival in an inbox to the durable row, over the present night, since the service
    /// started.
    pub latency: Latency,
    /// The stages in the order of the flow.
    pub stages: Vec<Stage>,
    /// The queues in the order of the flow.
    pub queues: Vec<Queue>,
    /// Who waits for whom, in a sentence.
    pub waits: String,
    /// The stage that the others wait for, if one holds them up.
    pub bottleneck: Option<String>,
    /// Rejects of the present night by code; `/api/v1/glossary` has the meanings.
    pub rejects_by_code: BTreeMap<String, u64>,
    /// Rows of the present night by quality bit.
    pub flags: BTreeMap<String, u64>,
    /// The newest rejects, newest first; `/api/v1/rejects` has more.
    pub last_rejects: Vec<RejectRow>,
    /// What was mended since the service started, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Stars that were seen in an earlier night too: new value less the old one.
    pub drift: Vec<Drift>,
    /// Labels whose difference is a drift by `report.drift_sigma`, `drift_stars` and `drift_limits`.
    pub drifting: Vec<String>,
    /// `report.drift_limits`, in the units of the labels.
    pub drift_limits: BTreeMap<String, f64>,
    /// The inboxes as the watch sees them.
    pub inboxes: Vec<Inbox>,
    /// The latest nights, newest first.
    pub nights: Vec<NightSummary>,
    /// The disk of the catalogues; absent where the system does not tell.
    pub disk: Option<Disk>,
    /// The resident size of the service; absent where the system does not tell.
    pub memory_bytes: Option<u64>,
}

/// A label of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Label {
    /// Its name: `teff`.
    pub name: String,
    /// Its unit: `K`.
    pub unit: String,
}

/// Files and spectra.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Files of which every outcome is durable.
    pub files: u64,
    /// Spectra that gave a row.
    pub rows: u64,
    /// Spectra and files that gave none.
    pub rejects: u64,
    /// Rows with a bit that says that they are not for science without a further look.
    pub bad_rows: u64,
}

/// Quantiles; absent while nothing arrived through an inbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Latency {
    /// Half are faster.
    pub p50_s: Option<f64>,
    /// One in a hundred is slower.
    pub p99_s: Option<f64>,
    /// The slowest.
    pub max_s: Option<f64>,
}

/// A stage of the flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Its workers.
    pub workers: usize,
    /// The share of its workers' time that they worked, over the last seconds: 0 to 1.
    pub busy: f64,
    /// The same for waiting on something outside of the flow, such as a full disk.
    pub resting: f64,
    /// Items received.
    pub items_in: u64,
    /// Items sent on.
    pub items_out: u64,
    /// Time spent in its code, summed over its workers.
    pub busy_s: f64,
    /// How long the worker that is stuck most has worked without progress.
    pub oldest_work_s: f64,
    /// Panics.
    pub panics: u32,
    /// Restarts after a panic.
    pub restarts: u32,
}

/// A queue between two stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Queue {
    /// The stage that fills it.
    pub from: String,
    /// The stage that empties it.
    pub to: String,
    /// Items in it.
    pub items: usize,
    /// The most items it may hold.
    pub capacity_items: usize,
    /// Bytes in it.
    pub bytes: usize,
    /// The most bytes it may hold.
    pub capacity_bytes: usize,
    /// The share of its senders' time that they waited for room, over the last seconds: 0 to 1.
    pub blocked: f64,
    /// The same for its receivers, which waited for items.
    pub starved: f64,
    /// Items that have left it.
    pub passed: u64,
}

/// How a label of stars that were seen before differs from its earlier value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Drift {
    /// The label.
    pub label: String,
    /// Its unit, which the differences have too.
    pub unit: String,
    /// Pairs since the service started and in the nights before it that it remembers.
    pub repeats: u64,
    /// Pairs that the following numbers are over: the last ones.
    pub recent: usize,
    /// Median of new less old.
    pub median: f64,
    /// Robust standard deviation of the differences: 1.4826 times the median absolute deviation.
    pub scatter: f64,
    /// Standard error of the median: 1.2533 times the scatter, divided by the root of `recent`.
    pub error: f64,
}

impl Drift {
    /// The difference without its label.
    pub(super) fn shift(&self) -> Shift {
        let Self { recent, median, scatter, error, .. } = *self;
        Shift { count: recent, median, scatter, error }
    }
}

/// An inbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Inbox {
    /// Its name.
    pub name: String,
    /// Files that are complete and wait for the flow.
    pub waiting: u64,
    /// Files that are not complete yet.
    pub settling: u64,
    /// How long the file that waits longest has waited; absent if none does.
    pub oldest_s: Option<f64>,
}

/// How far a night is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NightPhase {
    /// Its catalogue was just made or found.
    Opened,
    /// It takes outcomes.
    Open,
    /// It is being sealed.
    Closing,
    /// It is sealed.
    Closed,
}

/// One night's catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NightSummary {
    /// Its name: `2026-11-21`, or `2026-11-21+1` for a supplement.
    pub name: String,
    /// How far it is.
    pub phase: NightPhase,
    /// Files in it.
    pub files: u64,
    /// Rows in it.
    pub rows: u64,
    /// Rejects in it.
    pub rejects: u64,
    /// Its folder.
    pub folder: String,
    /// Its report, once there is one.
    pub report: Option<String>,
}

/// A disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Disk {
    /// Bytes that the service may still write.
    pub free_bytes: u64,
    /// Its size.
    pub total_bytes: u64,
}

/// A star that gave a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StarRow {
    /// Its number in this process; grows by one.
    pub number: u64,
    /// When its row became durable.
    pub time: f64,
    /// The name of the observation, or of the file's digest.
    pub name: String,
    /// The file.
    pub file: String,
    /// The night it belongs to.
    pub night: String,
    /// The labels in the order of `Status::labels`; `null` for what is not finite.
    pub values: Vec<Option<f32>>,
    /// Signal-to-noise ratio a pixel in g.
    pub snr_g: Option<f32>,
    /// Names of its quality bits.
    pub flags: Vec<String>,
    /// Whether one of them says that it is not for science without a further look.
    pub bad: bool,
    /// From arrival to durable row; absent where a former process committed it.
    pub latency_s: Option<f64>,
}

/// A spectrum or file that gave no row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RejectRow {
    /// Its number in this process; grows by one.
    pub number: u64,
    /// When it became durable.
    pub time: f64,
    /// The file.
    pub file: String,
    /// Which spectrum of the file, from 0.
    pub index: usize,
    /// The night it belongs to.
    pub night: String,
    /// The reason in one word.
    pub code: String,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub remedy: String,
}

/// What happened in an interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Bin {
    /// When it begins.
    pub time: f64,
    /// How long it lasts.
    pub seconds: f64,
    /// Rows that became durable.
    pub rows: u64,
    /// Rejects that became durable.
    pub rejects: u64,
    /// Latency that half stayed below; in a bin of several, the largest of theirs.
    pub p50_s: Option<f32>,
    /// Latency that 99 of a hundred stayed below; in a bin of several, the largest of theirs.
    pub p99_s: Option<f32>,
    /// How full each queue was at most, 0 to 1, in the order of the flow; empty where only what was
    /// committed is known, which is so before the service started.
    pub fill: Vec<f32>,
    /// How often the service started in it. Where bins before such a one are absent, nothing was
    /// committed or the service did not run.
    pub starts: u64,
}

/// What codes and bits mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Glossary {
    /// Every reject code.
    pub codes: Vec<CodeEntry>,
    /// Every quality bit.
    pub flags: Vec<FlagEntry>,
}

/// A reject code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CodeEntry {
    /// Its name.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// What to do about it.
    pub remedy: String,
}

/// A quality bit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlagEntry {
    /// Its name.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// Whether a row with it is not for science without a further look.
    pub bad: bool,
}
