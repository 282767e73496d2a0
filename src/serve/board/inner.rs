//! What the board holds.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use starmill_actors::{Monitor, Snapshot};

use super::about::About;
use super::recent::Recent;
use super::recollection::Recollection;
use super::repeats::{self, Repeats};
use super::status::{Bin, Disk, Inbox, NightSummary, RejectRow, StarRow, Status};
use super::timeline::Timeline;
use super::tonight::{Tonight, Totals};
use super::waits::{Activity, Look};
use super::{NIGHTS, REJECTS, STARS};
use crate::catalogue::{Space, space};
use crate::night::Night;
use crate::outcome::{Estimate, Outcome, SourceFile};
use crate::reject::Reject;
use crate::stage::Counters;

/// Looks at the flow that its activity is told from: the oldest of them is so many seconds old.
const LOOKS: usize = 5;
/// Rejects in the status itself.
const LAST_REJECTS: usize = 10;

pub(super) struct Inner {
    about: About,
    pub(super) ready: bool,
    pub(super) inboxes: Vec<Inbox>,
    nights: VecDeque<NightSummary>,
    monitor: Option<Monitor>,
    attached: SystemTime,
    counters: Option<Arc<Counters>>,
    // Of faults and skipped files, what other counters than the present ones had.
    totals: Totals,
    tonight: Tonight,
    timeline: Timeline,
    stars: Recent<StarRow>,
    rejects: Recent<RejectRow>,
    repeats: Repeats,
    /// Stars that were seen while the past is still to be recalled.
    sightings: Option<VecDeque<Sighting>>,
    looks: VecDeque<Look>,
    disk: Option<Disk>,
}

/// A star that was seen.
struct Sighting {
    ra: f64,
    dec: f64,
    night: Night,
    values: Box<[f32]>,
}

impl Inner {
    pub(super) fn new(about: About) -> Self {
        let now = SystemTime::now();
        Self {
            ready: false,
            inboxes: Vec::new(),
            nights: VecDeque::new(),
            monitor: None,
            attached: now,
            counters: None,
            totals: Totals::new(),
            tonight: Tonight::new(Night::of_system_time(now, about.longitude)),
            timeline: Timeline::new(),
            stars: Recent::new(STARS),
            rejects: Recent::new(REJECTS),
            repeats: Repeats::new(about.labels.len(), about.match_arcsec),
            sightings: None,
            looks: VecDeque::new(),
            disk: None,
            about,
        }
    }

    pub(super) fn set_about(&mut self, about: About) {
        // Other labels, or another model's, are not compared with the old ones.
        let is_other = about.model != self.about.model || about.labels != self.about.labels;
        if is_other {
            self.stars.clear();
            self.sightings.iter_mut().for_each(VecDeque::clear);
        }
        let radius = about.match_arcsec;
        if is_other || radius.to_bits() != self.about.match_arcsec.to_bits() {
            self.repeats = Repeats::new(about.labels.len(), radius);
        }
        self.about = About { started: self.about.started, ..about };
    }

    pub(super) fn attach(&mut self, monitor: Monitor, counters: Arc<Counters>) {
        // A flow may count on where the one before has stopped.
        if !self.counters.as_ref().is_some_and(|before| Arc::ptr_eq(before, &counters)) {
            (self.totals.skipped, self.totals.faults) = self.known();
        }
        self.looks.clear();
        self.attached = SystemTime::now();
        (self.monitor, self.counters) = (Some(monitor), Some(counters));
    }

    /// Files that were known and faults that were mended, in this flow and those before.
    fn known(&self) -> (u64, BTreeMap<String, u64>) {
        let (mut skipped, mut faults) = (self.totals.skipped, self.totals.faults.clone());
        if let Some(counters) = &self.counters {
            let tally = counters.tally();
            skipped += tally.files_skipped;
            for (kind, count) in tally.faults {
                *faults.entry(kind.to_owned()).or_default() += count;
            }
        }
        (skipped, faults)
    }

    pub(super) fn committed(&mut self, outcomes: &[Outcome], at: SystemTime) {
        let time = seconds(at);
        self.turn(at);
        self.timeline.advance(time);
        for outcome in outcomes {
            let file = &outcome.origin.file;
            let latency = file.arrived.and_then(|arrived| at.duration_since(arrived).ok());
            self.timeline.count(outcome.content.is_ok(), latency);
            self.totals.count(outcome, latency);
            let night = file.night.unwrap_or(self.tonight.night);
            if night == self.tonight.night {
                self.tonight.count(outcome, latency);
            }
            match &outcome.content {
                Ok(estimate) => self.row(outcome, estimate, night, time, latency),
                Err(reject) => self.reject(outcome, reject, night, time),
            }
        }
        self.timeline.settle();
    }

    fn row(
        &mut self,
        outcome: &Outcome,
        estimate: &Estimate,
        night: Night,
        time: f64,
        latency: Option<Duration>,
    ) {
        let meta = &outcome.identity.meta;
        let is_bad = estimate.quality.is_bad();
        if let (Some(ra), Some(dec), false) = (meta.ra, meta.dec, is_bad) {
            self.see(ra, dec, night, &estimate.values);
        }
        let finite = |value: f32| value.is_finite().then_some(value);
        self.stars.push(|number| StarRow {
            number,
            time,
            name: outcome.spectrum_id(),
            file: shown(&outcome.origin.file.path),
            night: night.to_string(),
            values: estimate.values.iter().copied().map(finite).collect(),
            snr_g: meta.snr[1].and_then(finite),
            flags: estimate.quality.bits().map(|bit| bit.name.to_owned()).collect(),
            bad: is_bad,
            latency_s: latency.map(|latency| latency.as_secs_f64()),
        });
    }

    fn see(&mut self, ra: f64, dec: f64, night: Night, values: &[f32]) {
        let Some(waiting) = &mut self.sightings else {
            return self.repeats.see(ra, dec, night, values);
        };
        if waiting.len() == repeats::STARS {
            waiting.pop_front();
        }
        waiting.push_back(Sighting { ra, dec, night, values: values.into() });
    }

    pub(super) fn finished(&mut self, file: &SourceFile) {
        self.totals.counts.files += 1;
        if file.night.is_none_or(|night| night == self.tonight.night) {
            self.tonight.counts.files += 1;
        }
    }

    pub(super) fn remember(&mut self, now: SystemTime) {
        self.timeline.advance(seconds(now));
        self.timeline.start(seconds(now));
        self.stars.hold();
        self.rejects.hold();
        self.sightings = Some(VecDeque::new());
    }

    pub(super) fn recollection(&mut self, now: SystemTime) -> Recollection {
        self.turn(now);
        Recollection::new(self.tonight.night, &self.about, now)
    }

    pub(super) fn is_recalled(&self) -> bool {
        self.sightings.is_none()
    }

    pub(super) fn recalled(&mut self, past: Recollection, now: SystemTime) {
        self.turn(now);
        self.timeline.advance(seconds(now));
        for (interval, (rows, rejects)) in past.bins {
            self.timeline.recall(interval, rows, rejects);
        }
        past.starts.into_iter().for_each(|start| self.timeline.start(seconds(start)));
        // Noon may have passed meanwhile.
        if past.tonight.night == self.tonight.night {
            self.tonight.add(&past.tonight);
        }
        // And another model may have been loaded.
        let is_comparable = past.model == self.about.model && past.labels == self.about.labels;
        let stars = if is_comparable { past.stars } else { VecDeque::new() };
        self.stars.release(stars, |star, number| star.number = number);
        self.rejects.release(past.rejects, |reject, number| reject.number = number);
        if is_comparable {
            self.repeats = past.repeats;
        }
        for Sighting { ra, dec, night, values } in self.sightings.take().into_iter().flatten() {
            self.repeats.see(ra, dec, night, &values);
        }
    }

    fn reject(&mut self, outcome: &Outcome, reject: &Reject, night: Night, time: f64) {
        let entry = reject.code.entry();
        self.rejects.push(|number| RejectRow {
            number,
            time,
            file: shown(&outcome.origin.file.path),
            index: outcome.origin.index,
            night: night.to_string(),
            code: entry.name.to_owned(),
            detail: reject.detail.clone(),
            remedy: entry.remedy.to_owned(),
        });
    }

    /// Begins a new night at local noon.
    fn turn(&mut self, now: SystemTime) {
        let night = Night::of_system_time(now, self.about.longitude);
        if night != self.tonight.night {
            self.tonight = Tonight::new(night);
        }
    }

    pub(super) fn night(&mut self, summary: NightSummary) {
        if let Some(night) = self.nights.iter_mut().find(|night| night.name == summary.name) {
            *night = summary;
        } else {
            let place = self.nights.partition_point(|night| night.name > summary.name);
            self.nights.insert(place, summary);
            self.nights.truncate(NIGHTS);
        }
    }

    pub(super) fn sources(&self) -> (Option<Monitor>, PathBuf) {
        (self.monitor.clone(), self.about.folder.clone())
    }

    pub(super) fn tick(&mut self, now: SystemTime, snapshot: Option<Snapshot>, disk: Option<Disk>) {
        self.turn(now);
        self.timeline.advance(seconds(now));
        self.disk = disk;
        if let Some(snapshot) = snapshot {
            let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
            self.timeline.fill(snapshot.queues.iter().map(|queue| {
                let items = share(queue.items, queue.capacity_items);
                items.max(share(queue.bytes, queue.capacity_bytes))
            }));
            if self.looks.len() > LOOKS {
                self.looks.pop_front();
            }
            self.looks.push_back(Look { time: now, snapshot });
        }
    }

    fn activity(&self, now: SystemTime) -> Activity {
        let running = now.duration_since(self.attached).unwrap_or_default();
        let look = |snapshot| Look { time: now, snapshot };
        let snapshot = self.monitor.as_ref().map(|monitor| look(monitor.snapshot()));
        match snapshot {
            Some(look) => Activity::between(self.looks.front(), &look, running),
            None => Activity { waits: "No flow runs yet.".to_owned(), ..Activity::default() },
        }
    }

    pub(super) fn status(&mut self, now: SystemTime) -> Status {
        self.turn(now);
        self.timeline.advance(seconds(now));
        let Activity { stages, queues, waits, bottleneck } = self.activity(now);
        let About {
            version, model, provider, started, longitude, folder, labels, drift: rule, ..
        } = &self.about;
        let (outcomes, over) = self.timeline.recent(seconds(now), 60);
        let mut last_rejects = self.rejects(0, LAST_REJECTS);
        last_rejects.reverse();
        let drift = self.repeats.drift(labels);
        let drifting = drift.iter().filter(|drift| rule.is_drift(&drift.label, &drift.shift()));
        let drifting = drifting.map(|drift| drift.label.clone()).collect();
        Status {
            time: seconds(now),
            ready: self.ready,
            recalled: self.is_recalled(),
            version: version.clone(),
            model: model.clone(),
            provider: provider.clone(),
            started: seconds(*started),
            longitude: *longitude,
            folder: shown(folder),
            labels: labels.clone(),
            night: self.tonight.night.to_string(),
            night_begins: seconds(self.tonight.night.begins(*longitude).into()),
            counts: self.totals.counts,
            tonight: self.tonight.counts,
            rate_per_s: outcomes as f64 / over,
            latency: self.tonight.latencies.summary(),
            stages,
            queues,
            waits,
            bottleneck,
            rejects_by_code: self.tonight.by_code(),
            flags: self.tonight.by_flag(),
            last_rejects,
            faults: self.known().1,
            drift,
            drifting,
            drift_limits: rule.limits().clone(),
            inboxes: self.inboxes.clone(),
            nights: self.nights.iter().cloned().collect(),
            disk: self.disk,
            memory_bytes: crate::telemetry::rss_bytes(),
        }
    }

    pub(super) fn stars(&self, after: u64, most: usize) -> Vec<StarRow> {
        self.stars.after(after, most).cloned().collect()
    }

    pub(super) fn rejects(&self, after: u64, most: usize) -> Vec<RejectRow> {
        self.rejects.after(after, most).cloned().collect()
    }

    pub(super) fn newest(&self) -> (u64, u64) {
        (self.stars.newest(), self.rejects.newest())
    }

    pub(super) fn timeline(&self, since: f64, group: u64, most: usize) -> Vec<Bin> {
        let queues = self.looks.back().map_or(0, |look| look.snapshot.queues.len());
        self.timeline.bins(since, group, most, queues)
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = self.totals.clone();
        (totals.skipped, totals.faults) = self.known();
        totals
    }
}

/// Room on the disk of a folder, where the system tells.
pub(super) fn disk(folder: &Path) -> Option<Disk> {
    let Space { free, total } = space(folder)?;
    Some(Disk { free_bytes: free, total_bytes: total })
}

/// A path as text. What is not Unicode in it is shown by a mark.
fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
