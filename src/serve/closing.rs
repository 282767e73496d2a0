//! Closing nights, one at a time and beside the flow: seal, report, and tell.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::SystemTime;

use serde_json::json;

use super::maker::Maker;
use super::nights::Reason;
use super::volume::{CLOSED, Stage, Volume, volumes};
use super::{Service, window};
use crate::catalogue::{CatalogueError, Manifest, Store, history, ledger_in, replace};
use crate::failpoint::crash_point;
use crate::ledger::Ledger;
use crate::pipeline::seal;
use crate::report::{self, ReportContext};

/// A night that is to be closed.
pub(super) struct Job {
    pub(super) volume: Volume,
    pub(super) reason: Reason,
    /// Its catalogue, if the writer had it open.
    pub(super) store: Option<Box<Store>>,
}

/// The thread that closes nights.
pub(super) struct Closer {
    jobs: SyncSender<Job>,
    busy: Arc<AtomicBool>,
}

impl Closer {
    pub(super) fn start(service: Arc<Service>) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel(1);
        let busy = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&busy);
        std::thread::Builder::new()
            .name("closer".into())
            .spawn(move || close_all(&service, &queue, &flag))?;
        Ok(Self { jobs, busy })
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Relaxed)
    }

    pub(super) fn take(&self, job: Job) {
        self.busy.store(true, Relaxed);
        // The thread ends with the process, and it has nothing else to do.
        let _ = self.jobs.try_send(job);
    }
}

fn close_all(service: &Service, queue: &Receiver<Job>, busy: &AtomicBool) {
    while let Ok(job) = queue.recv() {
        let volume = job.volume;
        let closed = catch_unwind(AssertUnwindSafe(|| close(service, job)))
            .unwrap_or_else(|_| Err(anyhow::anyhow!("closing panicked, see the log; report this")));
        match closed {
            Ok(true) => service.nights.closed(volume),
            Ok(false) => {
                service.nights.close_again(volume);
                tracing::info!(night = %volume, "closing is left to the next start");
            }
            Err(error) => {
                let delay = service.nights.close_again(volume);
                tracing::error!(
                    night = %volume,
                    error = format!("{error:#}"),
                    again_in = delay.as_secs(),
                    "night could not be closed and is tried again later"
                );
            }
        }
        busy.store(false, Relaxed);
    }
}

/// Closes a night; `false` if a stop request came first.
fn close(service: &Service, job: Job) -> anyhow::Result<bool> {
    let Job { volume, reason, store } = job;
    let begin = std::time::Instant::now();
    let folder = volume.folder(service.nights.folder());
    tracing::info!(night = %volume, ?reason, "night closes");
    if volume.stage(service.nights.folder())? == Stage::Open
        && !seal_volume(service, volume, store)?
    {
        return Ok(false);
    }
    crash_point!("close-sealed");
    let manifest = Manifest::read(&folder)?.ok_or_else(|| {
        anyhow::anyhow!("{} has no manifest although it is sealed; report this", folder.display())
    })?;
    let summary = match report::write(&folder, &ReportContext::of(&service.config())) {
        Ok(summary) => Some(summary),
        Err(error) => {
            // The catalogue is what counts: `starmill night report` writes the page later.
            tracing::error!(night = %volume, %error, "night has no report");
            None
        }
    };
    crash_point!("close-reported");
    // Before the note: after a crash it is told again rather than never.
    let give_up = || service.interrupt.is_asked();
    if !service.alarms().closed(volume, &folder, &manifest, summary.as_ref(), &give_up) {
        return Ok(false);
    }
    crash_point!("close-told");
    note(&folder, volume, reason, &manifest)?;
    crash_point!("close-noted");
    window::show_closed(&service.board, volume, &folder, &manifest);
    let line = summary.map(|summary| summary.line());
    let seconds = begin.elapsed().as_secs_f64();
    let Manifest { rows, rejects, inputs: files, .. } = manifest;
    tracing::info!(night = %volume, rows, rejects, files, seconds, line, "night closed");
    Ok(true)
}

/// Publishes the catalogue; `false` if a stop request came first.
fn seal_volume(
    service: &Service,
    volume: Volume,
    store: Option<Box<Store>>,
) -> anyhow::Result<bool> {
    let folder = volume.folder(service.nights.folder());
    let id = match &store {
        Some(store) => store.ledger().note("model")?,
        None => Ledger::open_reader(&ledger_in(&folder))?.note("model")?,
    };
    let maker = maker_of(service, &id.unwrap_or_default())?;
    let mut store = match store {
        Some(store) => store,
        None => Box::new(Store::open(&folder, &maker.id(), maker.schema())?),
    };
    let nights = service.nights.folder();
    let earlier = volumes(nights, Some(volume.night))?.into_iter().filter(|it| *it < volume);
    store.supplement(earlier.map(|earlier| earlier.folder(nights)).collect());
    let persevere = service.persevere();
    let give_up = || service.interrupt.is_asked();
    let Some(sealed) = seal(&store, &maker.made, &persevere, &give_up)? else {
        return Ok(false);
    };
    service.nights.sealed(volume, &sealed);
    Ok(true)
}

/// The model that a night was begun with: it need not be the one that runs now.
fn maker_of(service: &Service, id: &str) -> anyhow::Result<Arc<Maker>> {
    match service.maker(id) {
        Some(maker) => Ok(maker),
        None => Ok(Arc::new(Maker::find(&service.config(), id)?)),
    }
}

/// Writes the file that ends the closing.
fn note(
    folder: &Path,
    volume: Volume,
    reason: Reason,
    manifest: &Manifest,
) -> Result<(), CatalogueError> {
    let text = json!({
        "night": volume.to_string(),
        "closed": history::utc(SystemTime::now()),
        "reason": format!("{reason:?}").to_lowercase(),
        "rows": manifest.rows,
        "rejects": manifest.rejects,
        "files": manifest.inputs,
    });
    replace(&folder.join(CLOSED), format!("{text:#}\n").as_bytes())
}
