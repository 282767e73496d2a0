//! What former processes committed, gathered so that the board can take it over at once.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use super::about::About;
use super::inner::seconds;
use super::repeats::{self, Repeats};
use super::status::{Counts, Label, RejectRow, StarRow};
use super::timeline::interval;
use super::tonight::Tonight;
use super::{REJECTS, STARS};
use crate::catalogue::{note_of_text, path_of_text};
use crate::night::Night;
use crate::quality::Quality;
use crate::reject::Code;
use crate::report::table;

/// Outcomes of the past, bounded like the board: read volume by volume in the order of nights, and
/// within a volume in the order of commits.
pub(crate) struct Recollection {
    pub(super) model: String,
    pub(super) labels: Vec<Label>,
    pub(super) tonight: Tonight,
    /// Rows and rejects by interval of the timeline.
    pub(super) bins: BTreeMap<u64, (u32, u32)>,
    /// When the service was started before.
    pub(super) starts: Vec<SystemTime>,
    pub(super) stars: VecDeque<StarRow>,
    pub(super) rejects: VecDeque<RejectRow>,
    pub(super) repeats: Repeats,
    /// The first interval of the timeline that is kept.
    oldest: u64,
}

/// A volume while it is read.
pub(crate) struct Volume<'a> {
    past: &'a mut Recollection,
    night: Night,
    /// Whether its labels are those of the present model.
    is_comparable: bool,
    stars: VecDeque<StarRow>,
    rejects: VecDeque<RejectRow>,
    counts: Counts,
}

impl Recollection {
    /// Stars that are remembered.
    pub(crate) const MOST_SEEN: u64 = repeats::STARS as u64;

    /// Nothing yet, for the night and the model that the board shows.
    pub(super) fn new(night: Night, about: &About, now: SystemTime) -> Self {
        Self {
            model: about.model.clone(),
            labels: about.labels.clone(),
            tonight: Tonight::new(night),
            bins: BTreeMap::new(),
            starts: Vec::new(),
            stars: VecDeque::new(),
            rejects: VecDeque::new(),
            repeats: Repeats::new(about.labels.len(), about.match_arcsec),
            oldest: super::timeline::oldest(seconds(now)),
        }
    }

    /// The present night.
    pub(crate) fn night(&self) -> Night {
        self.tonight.night
    }

    /// Notes an earlier start of the service.
    pub(crate) fn started(&mut self, at: SystemTime) {
        if interval(seconds(at)) >= self.oldest && self.starts.len() < super::STARS {
            self.starts.push(at);
        }
    }

    /// Compares a star of a sealed catalogue with what is known of it, and keeps it for the nights
    /// that follow.
    pub(crate) fn seen(&mut self, night: Night, row: &table::Row<'_>) {
        if !row.bad && row.values.len() == self.labels.len() {
            self.repeats.see(row.ra, row.dec, night, row.values);
        }
    }

    /// Begins a volume.
    pub(crate) fn volume(&mut self, night: Night, is_comparable: bool) -> Volume<'_> {
        let (stars, rejects) = (VecDeque::new(), VecDeque::new());
        Volume { past: self, night, is_comparable, stars, rejects, counts: Counts::default() }
    }
}

impl Volume<'_> {
    /// Counts so many files that are complete.
    pub(crate) fn files(&mut self, files: u64) {
        self.counts.files += files;
    }

    /// Takes an outcome that was committed then.
    pub(crate) fn outcome(
        &mut self,
        row: &table::Row<'_>,
        reject: &table::RejectRow<'_>,
        at: SystemTime,
    ) {
        let time = seconds(at);
        let code = u8::try_from(reject.code).ok().and_then(Code::from_number);
        let is_tonight = self.night == self.past.tonight.night;
        if is_tonight {
            self.past.tonight.count_stored(code, Quality::from_value(row.flags));
        }
        if interval(time) >= self.past.oldest {
            let (rows, rejects) = self.past.bins.entry(interval(time)).or_default();
            *(if code.is_none() { rows } else { rejects }) += 1;
        }
        match code {
            None => self.row(row, reject, time),
            Some(code) => self.reject(reject, code, time),
        }
    }

    fn row(&mut self, row: &table::Row<'_>, place: &table::RejectRow<'_>, time: f64) {
        self.counts.rows += 1;
        self.counts.bad_rows += u64::from(row.bad);
        if !self.is_comparable {
            return;
        }
        self.past.seen(self.night, row);
        let finite = |value: f32| value.is_finite().then_some(value);
        keep(
            &mut self.stars,
            STARS,
            StarRow {
                number: 0,
                time,
                name: row.id.to_owned(),
                file: unescaped(place.file),
                night: self.night.to_string(),
                values: row.values.iter().copied().map(finite).collect(),
                snr_g: finite(row.snr),
                flags: Quality::from_value(row.flags).bits().map(|b| b.name.to_owned()).collect(),
                bad: row.bad,
                latency_s: None,
            },
        );
    }

    fn reject(&mut self, reject: &table::RejectRow<'_>, code: Code, time: f64) {
        self.counts.rejects += 1;
        let entry = code.entry();
        keep(
            &mut self.rejects,
            REJECTS,
            RejectRow {
                number: 0,
                time,
                file: unescaped(reject.file),
                index: usize::try_from(reject.index).unwrap_or(0),
                night: self.night.to_string(),
                code: entry.name.to_owned(),
                detail: note_of_text(reject.detail),
                remedy: entry.remedy.to_owned(),
            },
        );
    }

    /// Ends the volume; gives what is in it.
    pub(crate) fn end(self) -> Counts {
        let Self { past, night, mut stars, mut rejects, counts, .. } = self;
        if night == past.tonight.night {
            past.tonight.counts.files += counts.files;
        }
        // Volumes overlap in time where a night was caught up on.
        past.stars.append(&mut stars);
        newest(&mut past.stars, STARS, |star| star.time);
        past.rejects.append(&mut rejects);
        newest(&mut past.rejects, REJECTS, |reject| reject.time);
        counts
    }
}

fn keep<T>(things: &mut VecDeque<T>, most: usize, thing: T) {
    if things.len() == most {
        things.pop_front();
    }
    things.push_back(thing);
}

fn newest<T>(things: &mut VecDeque<T>, most: usize, time: impl Fn(&T) -> f64) {
    things.make_contiguous().sort_by(|a, b| time(a).total_cmp(&time(b)));
    things.drain(..things.len().saturating_sub(most));
}

/// A file name as it was before the catalogue made it printable.
fn unescaped(text: &str) -> String {
    path_of_text(text).map_or_else(|| text.to_owned(), |path| path.to_string_lossy().into_owned())
}
