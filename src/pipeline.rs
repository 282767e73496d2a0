//! The product in one sentence: list, read, prepare, infer, write.

mod job;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use starmill_actors::{
    Batching, Ending, Flow, Monitor, Queue, Snapshot, Source, Supervision, Width,
};
use starmill_onnx::Runtime;

pub use job::{Claim, Closing, Job, Shard, Sources};

use crate::catalogue::{
    CatalogueError, Counts, Made, Origin, Reductions, ShardNote, Store, StoreError, Written,
};
use crate::config::{Config, seconds, workers_or_cores};
use crate::diary::Diary;
use crate::input::{LargeFiles, Listing, Reader};
use crate::interrupt::Interrupt;
use crate::rv::measure::Measurer;
use crate::setup::{Ready, load_runtime};
use crate::spectrum;
use crate::stage::{
    CommitRule, Counters, FileTask, ITEM_BYTES, Infer, List, NightOf, OpenCatalogue, Opened,
    Persevere, Prepare, Promote, Rack, Read, Source as VelocitySource, Tally, Witness, Write,
};

/// What a run did.
#[derive(Debug)]
pub struct RunReport {
    /// What this run counted.
    pub tally: Tally,
    /// What the sealed catalogue holds now; `None` if a stop left no time to seal it.
    pub sealed: Option<Sealed>,
    /// What the shard's file says of itself, if this was one and is done.
    pub shard: Option<ShardNote>,
    /// The execution provider that was really used.
    pub provider: String,
    /// Stages and queues.
    pub flow: Snapshot,
    /// From the first listing to the sealed catalogue.
    pub wall: Duration,
    /// Whether a stop was requested.
    pub stopped: bool,
}

/// What a sealed catalogue holds.
#[derive(Debug, Clone, Copy)]
pub struct Sealed {
    /// Rows and rejects.
    pub counts: Counts,
    /// Inputs that it accounts for.
    pub files: u64,
}

/// Runs the job to the end, or until it is interrupted, and seals the catalogue.
///
/// `observe` is told once how to watch the run while it goes.
///
/// # Errors
/// When the run could not start, or a stage failed for good. What was committed stays, and running
/// again continues from there.
pub fn run(
    config: &Config,
    job: Job,
    interrupt: &Interrupt,
    observe: impl FnOnce(Monitor, Arc<Counters>),
) -> anyhow::Result<RunReport> {
    let begin = Instant::now();
    fail::fail_point!("run-begins");
    let runtime = load_runtime(config)?;
    let first = job.model.proven_estimator(runtime, config)?;
    let provider = first.provider().to_owned();
    let made = Made {
        provenance: job.model.provenance(runtime, &provider),
        model_files: job.model.file_digests()?,
        settings: settings(config, &job.model),
    };
    let origin = match &job.closing {
        Closing::Seal => None,
        Closing::Shard(shard) => {
            let origin = Origin::of(&shard.plan, shard.shards, &job.model.id_with_hash(), &made);
            (shard.claim)(&origin)?;
            Some(origin)
        }
    };
    let counters = Arc::new(Counters::default());
    let persevere = Persevere::of(config, interrupt, &counters);
    let mut rack = Rack::new(1, Arc::clone(&counters), one_catalogue(&job));
    persevere.until_done(&mut std::thread::sleep, || rack.desk(None).map(|_| ()))?;
    let store = &rack.desk(None)?.store;
    let ledger = (!store.ledger().is_empty()?).then(|| store.ledger_path());
    let diary = Diary::begin(config, &job.out, &job.model.id_with_hash(), store.recovered());
    let rack = Arc::new(Mutex::new(rack));
    tracing::info!(model = job.model.id(), provider, out = %job.out.display(), "run begins");

    let listing = match job.sources {
        Sources::Named { list, paths } => {
            let stdin = std::io::BufReader::new(std::io::stdin());
            Listing::start_with(list, paths, stdin)?
        }
        Sources::Found(finder) => Listing::of(finder)?,
    };
    let listed = listing.ending();
    let model = &job.model;
    let plan = Plan {
        config,
        model,
        runtime,
        known: Known { ledger, promote: promoter(Arc::clone(&rack)) },
        night_of: None,
        commit_age: seconds(config.write.segment_age),
        rack: &rack,
        persevere: &persevere,
        witness: Arc::new(()),
    };
    let flow = plan.build(List::new(listing, Arc::clone(&counters)));
    interrupt.stops(flow.stopper());
    observe(flow.monitor(), Arc::clone(&counters));
    let report = flow.run(supervision(config));
    let end = end_of(report.ending, &counters)?;
    let tally = counters.tally();
    let accounted = tally.files_done + tally.files_skipped;
    if end == End::Drained {
        listed.whole().map_err(anyhow::Error::msg)?;
    }
    // A writer that the drain limit left behind may hold the desk for ever.
    let (mut sealed, mut note) = (None, None);
    if end != End::Abandoned {
        let mut rack = rack.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = seconds(config.supervision.drain_limit);
        let give_up = || interrupt.is_overdue(limit);
        let store = &rack.desk(None)?.store;
        match (&job.closing, &origin) {
            (Closing::Shard(shard), Some(origin)) if end == End::Drained => {
                let (number, attempt) = (shard.number, shard.attempt.as_str());
                let written =
                    Written { origin, number, entries: shard.entries.load(Relaxed), attempt };
                note = export(store, shard, &written, &persevere, &give_up)?;
            }
            (Closing::Shard(_), _) => {}
            (Closing::Seal, _) => sealed = seal(store, &made, &persevere, &give_up)?,
        }
    }
    if end == End::Drained && tally.files_found != accounted {
        bail!(
            "{} files were found but {accounted} are accounted for; run again to do the rest, and \
             report this",
            tally.files_found,
        );
    }
    diary.end(&tally, sealed.as_ref(), end != End::Drained);
    let (flow, wall) = (report.snapshot, begin.elapsed());
    let stopped = interrupt.is_asked();
    let (tally, shard) = (counters.tally(), note);
    Ok(RunReport { tally, sealed, shard, provider, flow, wall, stopped })
}

/// Writes a shard's file, unless told to give up before it is whole.
fn export(
    store: &Store,
    shard: &Shard,
    written: &Written<'_>,
    persevere: &Persevere,
    give_up: &dyn Fn() -> bool,
) -> Result<Option<ShardNote>, StoreError> {
    let note = persevere
        .until_done(&mut std::thread::sleep, || store.export(&shard.path, written, give_up));
    match note {
        Err(StoreError::Catalogue(CatalogueError::GivenUp)) => Ok(None),
        note => Ok(Some(note?)),
    }
}

/// How a flow ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Drained,
    Stopped,
    Abandoned,
}

/// How a flow ended, if it did not fail.
pub(crate) fn end_of(ending: Ending, counters: &Counters) -> anyhow::Result<End> {
    match ending {
        Ending::Drained => Ok(End::Drained),
        Ending::Stopped => Ok(End::Stopped),
        Ending::Abandoned { busy } => {
            tracing::warn!(
                ?busy,
                files = ?counters.files_in_hand(),
                "stopped before everything was written, the next run does the rest"
            );
            Ok(End::Abandoned)
        }
        Ending::Failed { stage, error } => bail!("stage {stage} failed: {error}"),
        Ending::Stalled { stage, worker, since } => bail!(
            "worker {worker} of stage {stage} stands still since {since:?}, files in hand: {:?}; \
             see what its storage or driver waits for, then run again: nothing committed is lost",
            counters.files_in_hand()
        ),
        Ending::GaveUp { stage, restarts, panic } => bail!(
            "stage {stage} panicked {restarts} times, the last time with {panic:?}; report this, \
             or raise supervision.max_restarts and run again: nothing committed is lost"
        ),
    }
}

/// Seals a catalogue, unless told to give up before it is published: then there is none.
///
/// # Errors
/// Those of the last try.
pub(crate) fn seal(
    store: &Store,
    made: &Made,
    persevere: &Persevere,
    give_up: &dyn Fn() -> bool,
) -> Result<Option<Sealed>, StoreError> {
    fail::fail_point!("seal-slow");
    let sealed = persevere.until_done(&mut std::thread::sleep, || {
        let counts = store.seal(made, give_up)?;
        let (files, _) = store.ledger().totals()?;
        Ok(Sealed { counts, files })
    });
    match sealed {
        Err(StoreError::Catalogue(error @ CatalogueError::GivenUp)) => {
            tracing::warn!(%error, "stopped before the catalogue was sealed");
            Ok(None)
        }
        sealed => Ok(Some(sealed?)),
    }
}

/// The settings that can change a catalogue's bytes.
pub(crate) fn settings(config: &Config, model: &Ready) -> BTreeMap<String, String> {
    let mut settings = vec![
        ("input.max_file_bytes", config.input.max_file_bytes.to_string()),
        ("input.max_decompressed_bytes", config.input.max_decompressed_bytes.to_string()),
        ("onnx.device", config.onnx.device.clone()),
        ("infer.threads", config.infer.threads.to_string()),
        (Reductions::SETTING, config.catalogue.reductions.name().to_owned()),
    ];
    if model.takes_medium() {
        settings.push(("input.spectra", format!("{:?}", config.input.spectra).to_lowercase()));
        settings.push(("input.whole_file", config.input.whole_file.to_string()));
    }
    for source in &model.reading.velocities {
        let (key, digest) = match source {
            VelocitySource::List(list) => ("rv.list", list.digest()),
            VelocitySource::Catalogue(catalogue) => ("rv.catalogue", catalogue.digest()),
            VelocitySource::Measured(_) => ("rv.measured", Measurer::digest()),
        };
        settings.push((key, format!("blake3 {digest}")));
        if !matches!(source, VelocitySource::Measured(_)) {
            settings.push(("rv.columns", config.rv.columns.join(" ")));
            settings.push(("rv.max_err", config.rv.max_err.to_string()));
        }
    }
    settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// All that the stages are made from.
pub(crate) struct Plan<'a> {
    pub(crate) config: &'a Config,
    pub(crate) model: &'a Ready,
    pub(crate) runtime: &'static Runtime,
    pub(crate) known: Known,
    pub(crate) night_of: Option<NightOf>,
    pub(crate) commit_age: Duration,
    pub(crate) rack: &'a Arc<Mutex<Rack>>,
    pub(crate) persevere: &'a Persevere,
    pub(crate) witness: Arc<dyn Witness>,
}

/// How readers skip what is done, where there is one catalogue. The writer asks in any case.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) ledger: Option<PathBuf>,
    pub(crate) promote: Promote,
}

impl Plan<'_> {
    pub(crate) fn build(
        self,
        source: impl Source<Out = FileTask>,
    ) -> Flow<std::convert::Infallible> {
        let Plan { config, model, runtime, rack, persevere, .. } = self;
        let Plan { known, night_of, commit_age, witness, .. } = self;
        let counters = &persevere.counters;
        let read = {
            let (limits, retries) = (config.limits(), config.input.retries);
            let (counters, large) = (Arc::clone(counters), LargeFiles::default());
            let reading = model.reading.clone();
            move || {
                let reader = Reader::new(limits).retrying(retries).sharing(large.clone());
                let Known { ledger, promote } = known.clone();
                let (ledger, reading) = (ledger.as_ref(), reading.clone());
                let counters = Arc::clone(&counters);
                Read::new(reader, reading, ledger, promote, night_of.clone(), counters)
            }
        };
        let prepare = {
            let recipe = Arc::clone(&model.recipe);
            let surveys: Arc<[String]> = model.model.manifest.surveys.clone().into();
            move || Ok(Prepare::new(Arc::clone(&recipe), Arc::clone(&surveys)))
        };
        let infer = {
            let (model, config, counters) = (model.clone(), config.clone(), Arc::clone(counters));
            move || {
                Ok(Infer::new(model.estimator(runtime, &config)?, &model, Arc::clone(&counters)))
            }
        };
        let write = {
            let (rack, persevere) = (Arc::clone(rack), persevere.clone());
            let crate::config::Write { segment_spectra: spectra, compact_below, .. } = config.write;
            let rule = CommitRule { spectra, age: commit_age, compact_below };
            move || {
                let (rack, witness) = (Arc::clone(&rack), Arc::clone(&witness));
                Ok(Write::new(rack, rule, persevere.clone(), witness))
            }
        };
        Flow::from("list", source, queue(&config.list))
            .stage("read", width(&config.read), read)
            .stage("prepare", Width { batching: GATHERED, ..width(&config.prepare) }, prepare)
            .stage("infer", infer_width(config), infer)
            .stage("write", WRITER, write)
    }
}

/// The catalogue of a run: it has no nights.
fn one_catalogue(job: &Job) -> OpenCatalogue {
    let (out, id, schema) = (job.out.clone(), job.model.id_with_hash(), job.model.schema());
    Box::new(move |_| {
        let store = Store::open(&out, &id, schema.clone())?;
        Ok(Opened { store, earlier: Vec::new() })
    })
}

fn promoter(rack: Arc<Mutex<Rack>>) -> Promote {
    Arc::new(move |digest, path| {
        let mut rack = rack.lock().unwrap_or_else(PoisonError::into_inner);
        rack.desk(None)?.store.promote(digest, path)
    })
}

/// The most bytes that the queues and the batches in hand may hold together.
pub fn most_bytes(config: &Config, pixels: usize) -> u64 {
    let spectrum = ITEM_BYTES + spectrum::MAX_BYTES;
    let prepared = ITEM_BYTES + pixels * size_of::<f32>();
    let (list, read) = (queue(&config.list), width(&config.read));
    let prepare = Width { batching: GATHERED, ..width(&config.prepare) };
    let infer = infer_width(config);
    // What a stage makes of a batch waits in its hands until the batch is done.
    let made = |width: Width, item: usize| width.workers * width.batching.max_items * item;
    let stages = [
        list.items.min(list.bytes),
        read.most_bytes(list, spectrum),
        prepare.most_bytes(read.queue, spectrum) + made(prepare, prepared),
        infer.most_bytes(prepare.queue, prepared) + made(infer, prepared),
        WRITER.most_bytes(infer.queue, prepared),
    ];
    stages.iter().map(|&bytes| bytes as u64).sum()
}

/// Spectra that a cheap stage takes at once.
pub const GATHERED_ITEMS: usize = 64;

/// Cheap stages take what gathers in a moment, so that they wake once for many spectra.
const GATHERED: Batching =
    Batching { max_items: GATHERED_ITEMS, max_age: Duration::from_millis(4) };

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

pub(crate) fn supervision(config: &Config) -> Supervision {
    let supervision = &config.supervision;
    Supervision {
        max_restarts: supervision.max_restarts,
        restart_window: seconds(supervision.restart_window),
        stall_limit: seconds(supervision.stall_limit),
        drain_limit: seconds(supervision.drain_limit),
        beat: seconds(supervision.beat),
    }
}
