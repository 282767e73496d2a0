//! The product in one sentence: list, read, prepare, infer, write.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use starmill_actors::{Batching, Ending, Flow, Monitor, Queue, Snapshot, Supervision, Width};

use crate::catalogue::{Counts, Made, Store};
use crate::config::{Config, seconds, workers_or_cores};
use crate::input::Listing;
use crate::setup::{Ready, load_runtime};
use crate::stage::{CommitRule, Counters, Infer, List, Prepare, Read, Tally, Write};

/// What a run is asked to do.
pub struct Job {
    /// The model.
    pub model: Ready,
    /// Files, directories, patterns, or `-`.
    pub paths: Vec<PathBuf>,
    /// The catalogue's folder.
    pub out: PathBuf,
}

/// What a run did.
#[derive(Debug)]
pub struct RunReport {
    /// What this run counted.
    pub tally: Tally,
    /// What the catalogue holds now.
    pub counts: Counts,
    /// Inputs that the catalogue accounts for.
    pub files: u64,
    /// The execution provider that was really used.
    pub provider: String,
    /// Stages and queues.
    pub flow: Snapshot,
    /// From the first listing to the sealed catalogue.
    pub wall: Duration,
    /// Whether a stop was requested before the end of the input.
    pub stopped: bool,
}

/// Runs the job to the end, or until SIGTERM or SIGINT, and seals the catalogue.
///
/// `observe` is told once how to watch the run while it goes.
///
/// # Errors
/// When the run could not start, or a stage failed for good. What was committed stays, and running
/// again continues from there.
pub fn run(
    config: &Config,
    job: Job,
    observe: impl FnOnce(Monitor, Arc<Counters>),
) -> anyhow::Result<RunReport> {
    let begin = Instant::now();
    let runtime = load_runtime(config)?;
    let first_engine = job.model.proven_engine(runtime, config)?;
    let provider = first_engine.provider().to_owned();
    let made = Made {
        provenance: job.model.provenance(runtime, &provider),
        model_files: job.model.file_digests()?,
        settings: settings(config),
    };
    let store = Store::open(&job.out, &job.model.id_with_hash(), job.model.schema())?;
    let ledger = (!store.ledger().is_empty()?).then(|| store.ledger_path());
    let store = Arc::new(Mutex::new(store));
    let counters = Arc::new(Counters::default());
    tracing::info!(model = job.model.id(), provider, out = %job.out.display(), "run begins");

    let listing = Listing::start(job.paths, std::io::BufReader::new(std::io::stdin()))?;
    let flow = build(config, &job.model, runtime, listing, ledger, &store, &counters);
    observe(flow.monitor(), Arc::clone(&counters));
    let report = flow.run(supervision(config));

    let stopped = match report.ending {
        Ending::Drained => false,
        Ending::Stopped => true,
        Ending::Failed { stage, error } => bail!("stage {stage} failed: {error}"),
        Ending::Stalled { stage, worker, since } => bail!(
            "worker {worker} of stage {stage} stands still since {since:?}; see what its storage \
             or driver waits for, then run again: nothing committed is lost"
        ),
        Ending::Abandoned { busy } => bail!(
            "the run was to stop and did not come to its end, held up by {busy:?}; see what its \
             storage or driver waits for, then run again: nothing committed is lost"
        ),
        Ending::GaveUp { stage, restarts, panic } => bail!(
            "stage {stage} panicked {restarts} times, the last time with {panic:?}; report this, \
             or raise supervision.max_restarts and run again: nothing committed is lost"
        ),
    };
    let store = store.lock().unwrap_or_else(PoisonError::into_inner);
    let counts = store.seal(&made, &|| false)?;
    let (files, _) = store.ledger().totals()?;
    let tally = counters.tally();
    if tally.files_found != tally.files_done + tally.files_skipped {
        bail!(
            "{} files were found but {} are accounted for; run again to do the rest, and report this",
            tally.files_found,
            tally.files_done + tally.files_skipped
        );
    }
    let flow = report.snapshot;
    Ok(RunReport { tally, counts, files, provider, flow, wall: begin.elapsed(), stopped })
}

/// The settings that can turn a row into a reject or the other way round.
fn settings(config: &Config) -> BTreeMap<String, String> {
    let limits = config.limits();
    [
        ("input.max_file_bytes", limits.file_bytes),
        ("input.max_decompressed_bytes", limits.inflated_bytes),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_string()))
    .collect()
}

fn build(
    config: &Config,
    model: &Ready,
    runtime: &'static starmill_onnx::Runtime,
    listing: Listing,
    ledger: Option<PathBuf>,
    store: &Arc<Mutex<Store>>,
    counters: &Arc<Counters>,
) -> Flow<std::convert::Infallible> {
    let limits = config.limits();
    let rule = CommitRule {
        spectra: config.write.segment_spectra,
        age: seconds(config.write.segment_age),
    };
    let surveys: Arc<[String]> = model.model.manifest.surveys.clone().into();
    let pixels = model.model.manifest.input.pixels;
    let read = {
        let counters = Arc::clone(counters);
        move || Read::new(limits, ledger.as_ref(), Arc::clone(&counters))
    };
    let prepare = {
        let recipe = Arc::clone(&model.recipe);
        move || Ok(Prepare::new(Arc::clone(&recipe), Arc::clone(&surveys)))
    };
    let infer = {
        let (model, config) = (model.clone(), config.clone());
        move || {
            let engine = model.engine(runtime, &config)?;
            Ok(Infer::new(engine, Arc::clone(&model.labels), pixels))
        }
    };
    let write = {
        let (store, counters) = (Arc::clone(store), Arc::clone(counters));
        move || Ok(Write::new(Arc::clone(&store), rule, Arc::clone(&counters)))
    };
    Flow::from("list", List::new(listing, Arc::clone(counters)), queue(&config.list))
        .stage("read", width(&config.read), read)
        .stage("prepare", Width { batching: GATHERED, ..width(&config.prepare) }, prepare)
        .stage("infer", infer_width(config), infer)
        .stage("write", WRITER, write)
}

/// Cheap stages take what gathers in a moment, so that they wake once for many spectra.
const GATHERED: Batching = Batching { max_items: 64, max_age: Duration::from_millis(4) };

/// One writer: it owns the commit. Nothing comes behind it, so its queue carries nothing.
const WRITER: Width = Width { workers: 1, queue: Queue { items: 1, bytes: 1 }, batching: GATHERED };

fn queue(queue: &crate::config::Queue) -> Queue {
    Queue { items: queue.queue_items, bytes: queue.queue_bytes }
}

fn width(stage: &crate::config::Stage) -> Width {
    Width {
        workers: workers_or_cores(stage.workers),
        queue: Queue { items: stage.queue_items, bytes: stage.queue_bytes },
        batching: Batching::SINGLE,
    }
}

fn infer_width(config: &Config) -> Width {
    let infer = &config.infer;
    Width {
        workers: workers_or_cores(infer.workers),
        queue: Queue { items: infer.queue_items, bytes: infer.queue_bytes },
        batching: Batching { max_items: infer.batch, max_age: seconds(infer.max_delay) },
    }
}

/// Longer than any commit takes; whatever stands longer after a stop is broken.
const DRAIN_LIMIT: Duration = Duration::from_mins(5);

fn supervision(config: &Config) -> Supervision {
    let supervision = &config.supervision;
    Supervision {
        max_restarts: supervision.max_restarts,
        restart_window: seconds(supervision.restart_window),
        stall_limit: seconds(supervision.stall_limit),
        beat: seconds(supervision.beat),
        drain_limit: DRAIN_LIMIT,
    }
}
