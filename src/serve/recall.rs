//! Reading back what former processes committed, so that after a restart the board shows the whole
//! evening and compares stars with the nights before.
//!
//! A line is drawn before the first file is taken: at the newest segment of each open night. What is
//! behind the line this process commits and counts itself; what is before it a thread reads, and the
//! board takes it over in one step. So nothing is counted twice and nothing is lost, whatever is
//! committed meanwhile: until then no segments are merged. Sealed nights do not change.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::ensure;
use chrono::{DateTime, Utc};

use super::board::{Counts, NIGHTS, Recollection};
use super::maker::Maker;
use super::volume::{CLOSED, Stage, Volume, volumes};
use super::{Service, window};
use crate::catalogue::{CommitTimes, Manifest, ledger_in, segment_in};
use crate::input::Digest;
use crate::ledger::{Extent, Ledger};
use crate::night::Night;
use crate::report::runs::Runs;
use crate::report::table::Table;

/// What the timeline shows.
const DAY: Duration = Duration::from_hours(24);
/// Names of segments that are in memory at once.
const PAGE: usize = 256;

/// Draws the line and starts to read.
pub(super) fn start(service: &Arc<Service>, maker: &Maker) {
    let now = SystemTime::now();
    let past = service.board.recollection(now);
    let plan = Plan::draw(service, maker, past.night(), now);
    let (service, shared) = (Arc::clone(service), Arc::clone(service));
    let read = move || {
        let mut past = past;
        // The lists wait for this thread, so it must come to its end.
        if catch_unwind(AssertUnwindSafe(|| plan.read(&service, &mut past))).is_err() {
            tracing::error!("reading the evening back panicked, the page begins anew; report this");
            past = service.board.recollection(SystemTime::now());
        }
        service.board.recalled(past, SystemTime::now());
    };
    if let Err(error) = std::thread::Builder::new().name("recall".into()).spawn(read) {
        tracing::error!(%error, "no thread to read the evening back, the page begins anew");
        shared.board.recalled(shared.board.recollection(now), now);
    }
}

/// What is to be read.
struct Plan {
    /// The present model, whose labels alone are comparable.
    model: String,
    /// Volumes whose segments are read, in order, with the line for those that may still grow.
    recent: Vec<(Volume, Option<Extent>)>,
    /// Sealed volumes of earlier nights, the newest first, for their stars.
    former: Vec<Volume>,
    /// Closed volumes, to be named.
    closed: Vec<Volume>,
}

impl Plan {
    fn draw(service: &Service, maker: &Maker, night: Night, now: SystemTime) -> Self {
        let folder = service.nights.folder();
        let all = volumes(folder, None).unwrap_or_else(|error| {
            tracing::warn!(%error, "the nights cannot be listed, the page begins anew");
            Vec::new()
        });
        let is_closed = |volume: &Volume| matches!(volume.stage(folder), Ok(Stage::Closed));
        let (closed, open): (Vec<_>, Vec<_>) = all.into_iter().partition(is_closed);
        // The timeline shows nights that closed today too.
        let is_recent = |volume: &&Volume| {
            let note = volume.folder(folder).join(CLOSED).metadata();
            let noted = note.and_then(|note| note.modified()).ok();
            let age = noted.map(|noted| now.duration_since(noted).unwrap_or_default());
            volume.night == night || age.is_some_and(|age| age < DAY)
        };
        let (recent, former): (Vec<_>, Vec<_>) = closed.iter().partition(is_recent);
        let lines =
            open.into_iter().filter_map(|volume| Some((volume, Some(line(folder, volume)?))));
        let mut recent: Vec<_> = recent.into_iter().map(|v| (v, None)).chain(lines).collect();
        recent.sort_unstable_by_key(|(volume, _)| *volume);
        recent.drain(..recent.len().saturating_sub(NIGHTS));
        let most = service.config().report.nights;
        let latest = |volumes: &[Volume], most| volumes.iter().rev().take(most).copied().collect();
        Self {
            model: maker.id(),
            recent,
            former: latest(&former, most),
            closed: latest(&closed, NIGHTS),
        }
    }

    fn read(&self, service: &Service, past: &mut Recollection) {
        fail::fail_point!("recall-slow");
        let begin = Instant::now();
        self.name_closed(service);
        self.read_former(service, past);
        let mut all = Counts::default();
        for (volume, line) in &self.recent {
            let counts = self.read_recent(service, *volume, *line, past);
            all.rows += counts.rows;
            all.rejects += counts.rejects;
        }
        let earlier = self.recent.iter().map(|(volume, _)| *volume);
        for at in starts(service.nights.folder(), earlier) {
            past.started(at);
        }
        let Counts { rows, rejects, .. } = all;
        let (nights, seconds) = (self.recent.len(), begin.elapsed().as_secs_f64());
        tracing::info!(nights, rows, rejects, seconds, "the evening is read back");
    }

    fn name_closed(&self, service: &Service) {
        for volume in &self.closed {
            let folder = volume.folder(service.nights.folder());
            match Manifest::read(&folder) {
                Ok(Some(manifest)) => {
                    window::show_closed(&service.board, *volume, &folder, &manifest);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(night = %volume, %error, "a closed night is not shown");
                }
            }
        }
    }

    /// Reads the stars of earlier nights: as many nights as it takes to know the most stars.
    fn read_former(&self, service: &Service, past: &mut Recollection) {
        let (mut rows, mut chosen) = (0, Vec::new());
        for volume in &self.former {
            if rows >= Recollection::MOST_SEEN {
                break;
            }
            // One that cannot be read has been named in the log.
            if let Ok(Some(manifest)) = Manifest::read(&volume.folder(service.nights.folder()))
                && manifest.model == self.model
            {
                rows += manifest.rows;
                chosen.push(*volume);
            }
        }
        for volume in chosen.into_iter().rev() {
            if service.interrupt.is_asked() {
                return;
            }
            let table = Table::catalogue(&volume.folder(service.nights.folder()));
            let read = table.and_then(|table| table.each_row(|row| past.seen(volume.night, row)));
            if let Err(error) = read {
                tracing::warn!(night = %volume, %error, "stars of an earlier night are not known");
            }
        }
    }

    /// Reads what is before the line.
    fn read_recent(
        &self,
        service: &Service,
        volume: Volume,
        line: Option<Extent>,
        past: &mut Recollection,
    ) -> Counts {
        let folder = volume.folder(service.nights.folder());
        let mut read = || -> anyhow::Result<Counts> {
            let path = ledger_in(&folder);
            let (ledger, extent) = if let Some(line) = line {
                (Ledger::open_reader(&path)?, line)
            } else {
                let ledger = Ledger::open_at_rest(&path)?;
                let extent = ledger.extent()?;
                (ledger, extent)
            };
            let is_comparable = ledger.note("model")?.as_ref() == Some(&self.model);
            let mut reading = past.volume(volume.night, is_comparable);
            reading.files(extent.files);
            let mut after = 0;
            while !service.interrupt.is_asked() {
                let page = ledger.segments_between(after, extent.last, PAGE)?;
                let Some((newest, _)) = page.last() else { break };
                after = *newest;
                for (_, segment) in &page {
                    let path = segment_in(&folder, segment);
                    let read = || -> anyhow::Result<()> {
                        ensure!(
                            Digest::of_file(&path)? == segment.digest,
                            "its bytes have changed"
                        );
                        let times = CommitTimes::of(&path)?;
                        let mut times = times.each();
                        let table = Table::segment(path)?;
                        table.each_outcome(|row, reject| {
                            let at = times.next().unwrap_or(SystemTime::UNIX_EPOCH);
                            reading.outcome(row, reject, at);
                        })?;
                        Ok(())
                    };
                    if let Err(error) = { read }() {
                        // Opening the night forgets such a segment and does its files anew.
                        let error = format!("{error:#}");
                        tracing::warn!(night = %volume, error, "a segment is not shown");
                    }
                }
            }
            Ok(reading.end())
        };
        let counts = read().unwrap_or_else(|error| {
            let error = format!("{error:#}");
            tracing::warn!(night = %volume, error, "what was committed before is not shown");
            Counts::default()
        });
        service.nights.recalled(volume, counts);
        counts
    }
}

/// How far an open volume is; `None` where its ledger cannot be read, which opening it mends.
fn line(nights: &Path, volume: Volume) -> Option<Extent> {
    let extent = Ledger::open_reader(&ledger_in(&volume.folder(nights)));
    match extent.and_then(|ledger| ledger.extent()) {
        Ok(extent) => Some(extent),
        Err(error) => {
            tracing::warn!(night = %volume, %error, "what was committed before is not shown");
            None
        }
    }
}

/// When earlier processes began to write to these volumes, each once.
fn starts(nights: &Path, volumes: impl Iterator<Item = Volume>) -> Vec<SystemTime> {
    let mut first: BTreeMap<u64, DateTime<Utc>> = BTreeMap::new();
    for volume in volumes {
        // A history that cannot be read costs marks of the timeline and nothing else.
        for run in Runs::read(&volume.folder(nights)).unwrap_or_default().runs {
            if let Ok(began) = run.began.parse::<DateTime<Utc>>()
                && run.process != u64::from(std::process::id())
            {
                first
                    .entry(run.process)
                    .and_modify(|first| *first = began.min(*first))
                    .or_insert(began);
            }
        }
    }
    first.into_values().map(SystemTime::from).collect()
}
