//! An upper bound on the memory of a run and of a service, computed from the configuration.
//!
//! What can be large is bounded where it is made: files by the limits on input, items by the
//! queues, rows by the commit rule. This adds it up; `starmill check` prints it, and a test holds
//! runs to it.

use starmill_onnx::Runtime;

use crate::catalogue::{self, ROW_BYTES};
use crate::config::{Config, workers_or_cores};
use crate::http;
use crate::input::{LARGE_WINDOW, PART, SMALL_FILE, SMALL_INFLATED, SMALL_WINDOW};
use crate::ledger;
use crate::pipeline;
use crate::prep::Workspace;
use crate::report;
use crate::rv::{KEY_BYTES, RvSource, measure};
use crate::serve::board;
use crate::setup::{Ready, SetupError};
use crate::spectrum;
use crate::telemetry::{peak_rss_bytes, rss_bytes};
use crate::watch;

/// What a process takes before its first file: measured, because it depends on the library and the
/// model and not on the configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct Measured {
    /// The program with its libraries and one session of the model that has run, bytes.
    pub process: u64,
    /// A further session, bytes.
    pub session: u64,
}

impl Measured {
    /// Opens two sessions of the model on the configured device and looks at what they take.
    ///
    /// # Errors
    /// Those of [`Ready::proven_estimator`].
    pub fn of(model: &Ready, runtime: &Runtime, config: &Config) -> Result<Self, SetupError> {
        let first = model.proven_estimator(runtime, config)?;
        let (before, process) = (rss_bytes(), peak_rss_bytes());
        let second = model.proven_estimator(runtime, config)?;
        let session = rss_bytes().unwrap_or(0).saturating_sub(before.unwrap_or(0));
        drop((first, second));
        Ok(Self { process: process.unwrap_or(0), session })
    }
}

/// The parts of the bound, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Name and size of each part.
    pub parts: Vec<(&'static str, u64)>,
}

/// What the allocator cannot give back, as a share of what was asked for.
const FRAGMENTATION: f64 = 0.25;

impl Bound {
    /// The bound of a run under this configuration with a model that takes so many pixels.
    pub fn of(config: &Config, pixels: usize, measured: Measured) -> Self {
        let (flow, seal) = (flow(config, pixels), closing());
        let mut parts = vec![("program, library and model", sessions(config, measured))];
        parts.extend(velocities(config, 1));
        parts.extend(spectra(config, pixels));
        // Sealing begins when the flow has ended.
        if flow.iter().map(|(_, bytes)| bytes).sum::<u64>() >= seal {
            parts.extend(flow);
        } else {
            parts.push(("sealing", seal));
        }
        Self::with_fragmentation(parts)
    }

    /// The bound of a service: a flow, and beside it a night that is closed, a model that is loaded
    /// anew, and whatever is kept of nights, inboxes and stars.
    pub fn of_service(config: &Config, pixels: usize, measured: Measured) -> Self {
        let model = sessions(config, measured) + measured.session;
        let mut parts = vec![("program, library and models", model)];
        parts.extend(velocities(config, 2));
        parts.extend(spectra(config, pixels));
        parts.extend(flow(config, pixels));
        let nights =
            config.serve.open_nights * 2 * (ledger::CACHE_BYTES + ledger::CONNECTION_BYTES);
        parts.extend([
            ("closing a night", closing().max(report::MOST_BYTES)),
            ("ledgers of open nights", nights as u64),
            ("inboxes", watch::most_bytes(&config.watch_settings())),
            ("board", board::MOST_BYTES as u64),
            ("pages and their clients", http::most_bytes(&config.http)),
        ]);
        Self::with_fragmentation(parts)
    }

    fn with_fragmentation(mut parts: Vec<(&'static str, u64)>) -> Self {
        let asked: u64 = parts.iter().map(|(_, bytes)| bytes).sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of bytes is positive and far from the limits"
        )]
        parts.push(("what the allocator keeps", (asked as f64 * FRAGMENTATION) as u64));
        Self { parts }
    }

    /// The sum, bytes.
    pub fn total(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }
}

fn sessions(config: &Config, measured: Measured) -> u64 {
    let inferring = workers_or_cores(config.infer.workers) as u64;
    measured.process + inferring.saturating_sub(1) * measured.session
}

/// The catalogue and the list of radial velocities, as many of each as `copies`, for a service may
/// load another beside it; and the templates against which they are measured.
fn velocities(config: &Config, copies: u64) -> Option<(&'static str, u64)> {
    let settings = &config.rv;
    let files = [(RvSource::Catalogue, &settings.catalogue), (RvSource::List, &settings.list)];
    let named = files
        .into_iter()
        .filter(|(source, file)| settings.sources.contains(source) && !file.as_os_str().is_empty());
    let keys = copies * named.count() as u64 * (settings.max_keys * KEY_BYTES) as u64;
    let measured = settings.sources.contains(&RvSource::Measured);
    let bytes = keys + if measured { measure::BYTES } else { 0 };
    (bytes > 0).then_some(("radial velocities", bytes))
}

/// Model spectra in rows. A pixel of them has eight bytes, and twelve values in a prepared spectrum.
fn spectra(config: &Config, pixels: usize) -> Option<(&'static str, u64)> {
    let writing = 3 * writer_rows(config);
    let merging = 3 * 2 * config.write.compact_below as u64;
    let rows = writing + merging + catalogue::SEAL_ROWS as u64;
    config.models.spectra.then_some(("model spectra", rows * pixels as u64))
}

/// Rows that the writer holds.
fn writer_rows(config: &Config) -> u64 {
    let workers = [config.read.workers, config.prepare.workers, config.infer.workers];
    // A part is incomplete while one of its spectra is still in some worker's hands.
    let parts = 2 * workers.map(|count| workers_or_cores(count) * PART).iter().sum::<usize>();
    (config.write.segment_spectra + pipeline::GATHERED_ITEMS + parts) as u64
}

fn closing() -> u64 {
    catalogue::SEAL_BYTES + ledger::CACHE_BYTES as u64
}

/// What a flow holds, part by part.
fn flow(config: &Config, pixels: usize) -> [(&'static str, u64); 6] {
    let readers = workers_or_cores(config.read.workers) as u64;
    let preparing = workers_or_cores(config.prepare.workers) as u64;
    let reader = SMALL_FILE + SMALL_INFLATED + SMALL_WINDOW + ledger::CACHE_BYTES;
    let large =
        config.input.max_file_bytes + config.input.max_decompressed_bytes + LARGE_WINDOW as u64;
    // Each outcome once as it came, once as a row of arrays, once encoded.
    let writer = 3 * writer_rows(config) * ROW_BYTES as u64 + ledger::CACHE_BYTES as u64;
    [
        ("one large file", large),
        ("readers", readers * (reader + spectrum::MAX_BYTES) as u64),
        ("preparing", preparing * Workspace::most_bytes(pixels) as u64),
        ("queues and batches", pipeline::most_bytes(config, pixels)),
        ("writer", writer),
        ("merging small segments", catalogue::compaction_bytes(config.write.compact_below)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_counts() {
        let base = Config::load(None).unwrap();
        let total = |change: fn(&mut Config)| {
            let mut config = base.clone();
            config.read.workers = 4;
            config.prepare.workers = 1;
            change(&mut config);
            Bound::of(&config, 5_000, Measured::default()).total()
        };
        let before = total(|_| ());
        assert!(total(|config| config.read.workers = 5) > before);
        assert!(total(|config| config.prepare.workers = 2) > before);
        assert!(total(|config| config.input.max_decompressed_bytes *= 2) > before);
        assert!(total(|config| config.read.queue_bytes *= 2) > before);
        assert!(total(|config| config.write.segment_spectra *= 100) > before);
        assert!(total(|config| config.infer.batch *= 2) > before);
        assert!(total(|config| config.write.compact_below *= 2) > before);
        assert!(total(|config| config.rv.catalogue = "rv.csv".into()) > before);
        assert!(total(|config| config.rv.list = "list.csv".into()) > before);
        assert!(total(|config| config.rv.sources.clear()) < before);
        assert!(total(|config| config.models.spectra = true) > before);
    }

    #[test]
    fn every_limit_of_a_service_counts() {
        let base = Config::load(None).unwrap();
        let total = |change: fn(&mut Config)| {
            let mut config = base.clone();
            config.inbox = vec![crate::watch::Inbox {
                name: "live".into(),
                folder: "/in".into(),
                priority: crate::watch::Priority::Live,
            }];
            change(&mut config);
            Bound::of_service(&config, 5_000, Measured::default()).total()
        };
        let before = total(|_| ());
        assert!(before > Bound::of(&base, 5_000, Measured::default()).total());
        assert!(total(|config| config.serve.open_nights += 1) > before);
        assert!(total(|config| config.watch.waiting *= 2) > before);
        assert!(total(|config| config.inbox.push(config.inbox[0].clone())) > before);
        assert!(total(|config| config.http.max_connections += 1) > before);
        assert!(total(|config| config.http.address.clear()) < before);
        assert!(total(|config| config.input.max_file_bytes *= 2) > before);
    }
}
