//! Which nights are open, and when each is to close.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff};
use chrono::{DateTime, Utc};

use super::ahead::Ahead;
use super::board::{Counts, NightPhase, NightSummary};
use super::maker::Maker;
use super::volume::{Stage, Volume, volumes};
use crate::backoff::endless_delays;
use crate::catalogue::{CatalogueError, Store, StoreError, ledger_in};
use crate::config::{Config, NightRule, seconds};
use crate::diary::Diary;
use crate::ledger::Ledger;
use crate::night::Night;
use crate::outcome::Outcome;
use crate::pipeline::Sealed;
use crate::stage::{Opened, Tally};

/// What a closing that failed waits before the next try, each time twice as long up to the longest:
/// most of what stops it passes soon, and a person who mends the rest need not wait for an hour.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_mins(10);

/// Why a night closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It has ended, nothing of it is expected and nothing of it came for a while.
    Quiet,
    /// It has ended long ago.
    Deadline,
    /// A file says that all of it is there.
    Marker,
    /// An earlier closing was interrupted, or a supplement has taken its place.
    Unfinished,
}

/// The nights below the service's folder that are not closed. Those that are live on disk alone.
pub struct Nights {
    folder: PathBuf,
    open: Mutex<BTreeMap<Volume, Open>>,
}

/// A night's catalogue that is not closed.
struct Open {
    /// When it was made.
    opened: DateTime<Utc>,
    /// When something of it was committed last, as far as this process knows.
    touched: Instant,
    sealed: bool,
    closing: bool,
    not_before: Option<Instant>,
    /// What is waited after each closing that fails; `None` until one does.
    retries: Option<ExponentialBackoff>,
    /// What this process did to it.
    tally: Tally,
    /// What former processes did, once it was read back.
    before: Counts,
    diary: Option<Diary>,
}

impl Open {
    fn new(opened: DateTime<Utc>, sealed: bool) -> Self {
        let (tally, touched, before) = (Tally::default(), Instant::now(), Counts::default());
        let (closing, not_before, retries, diary) = (false, None, None, None);
        Self { opened, touched, sealed, closing, not_before, retries, tally, before, diary }
    }
}

/// The note of a ledger that says when its catalogue was made.
const OPENED: &str = "opened";

fn opened(ledger: &Ledger) -> Option<DateTime<Utc>> {
    ledger.note(OPENED).ok().flatten()?.parse().ok()
}

impl Nights {
    /// Finds the nights that an earlier process left open.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn find(folder: PathBuf) -> Result<Self, CatalogueError> {
        let mut open = BTreeMap::new();
        for volume in volumes(&folder, None)? {
            let stage = volume.stage(&folder)?;
            if stage != Stage::Closed {
                let ledger = Ledger::open_reader(&ledger_in(&volume.folder(&folder))).ok();
                let made = ledger.as_ref().and_then(opened).unwrap_or_else(Utc::now);
                tracing::info!(night = %volume, sealed = stage == Stage::Sealed, "night is open");
                open.insert(volume, Open::new(made, stage == Stage::Sealed));
            }
        }
        Ok(Self { folder, open: Mutex::new(open) })
    }

    /// The folder of the nights.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens the catalogue of a night that takes outcomes of this model: the last one, or a new
    /// supplement where that is sealed, being sealed, or another model's.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub(crate) fn open(
        &self,
        night: Night,
        maker: &Maker,
        config: &Config,
    ) -> Result<Opened, StoreError> {
        let before = volumes(&self.folder, Some(night))?;
        let mut volume = match before.last() {
            None => Volume { night, number: 0 },
            Some(&last) if self.takes(last)? => last,
            Some(last) => last.next(),
        };
        let store = loop {
            match Store::open(&volume.folder(&self.folder), &maker.id(), maker.schema()) {
                Err(StoreError::OtherModel { found, wanted, .. }) => {
                    tracing::info!(night = %volume, found, wanted, "a supplement takes over");
                    volume = volume.next();
                }
                store => break store?,
            }
        };
        store.ledger().set_note(OPENED, &Utc::now().to_rfc3339())?;
        let made = opened(store.ledger()).unwrap_or_else(Utc::now);
        let before: Vec<_> = before.into_iter().filter(|earlier| *earlier < volume).collect();
        let reader = |volume: &Volume| {
            let ledger = Ledger::open_reader(&ledger_in(&volume.folder(&self.folder)))?;
            ledger.sharing_cache(before.len())
        };
        let earlier: Vec<_> = before.iter().map(reader).collect::<Result<_, _>>()?;
        let is_written = self.lock().get(&volume).is_some_and(|open| open.diary.is_some());
        let begin =
            || Diary::begin(config, &volume.folder(&self.folder), &maker.id(), store.recovered());
        // Outside of the lock, for it syncs.
        let diary = (!is_written).then(begin);
        let mut nights = self.lock();
        let open = nights.entry(volume).or_insert_with(|| {
            tracing::info!(night = %volume, "night opens");
            Open::new(made, false)
        });
        open.diary = open.diary.take().or(diary);
        Ok(Opened { store, earlier })
    }

    fn takes(&self, volume: Volume) -> Result<bool, StoreError> {
        let closing = self.lock().get(&volume).is_some_and(|open| open.closing);
        Ok(!closing && volume.stage(&self.folder)? == Stage::Open)
    }

    /// Counts what was committed.
    pub(crate) fn committed(&self, outcomes: &[Outcome]) {
        let mut nights = self.lock();
        for outcome in outcomes {
            let Some(open) = outcome.origin.file.night.and_then(|night| last(&mut nights, night))
            else {
                continue;
            };
            open.touched = Instant::now();
            if outcome.content.is_ok() {
                open.tally.rows += 1;
            } else {
                open.tally.rejects += 1;
            }
        }
    }

    /// Counts a file that is done, now or before.
    pub(crate) fn finished(&self, night: Option<Night>, is_new: bool) {
        let mut nights = self.lock();
        if let Some(open) = night.and_then(|night| last(&mut nights, night)) {
            let Tally { files_done, files_skipped, .. } = &mut open.tally;
            *(if is_new { files_done } else { files_skipped }) += 1;
        }
    }

    /// Notes what former processes committed.
    pub(crate) fn recalled(&self, volume: Volume, before: Counts) {
        if let Some(open) = self.lock().get_mut(&volume) {
            open.before = before;
        }
    }

    /// The nights that are to close now; `ahead` says what is still to come of each.
    pub(crate) fn due(
        &self,
        rule: &NightRule,
        now: DateTime<Utc>,
        ahead: impl Fn(Night) -> Ahead,
    ) -> Vec<(Volume, Reason)> {
        let nights = self.lock();
        let superseded = |volume: &Volume| is_superseded(&nights, *volume);
        let waits = |open: &&Open| {
            open.closing || open.not_before.is_some_and(|moment| Instant::now() < moment)
        };
        let reason = |(volume, open): (&Volume, &Open)| {
            if open.sealed || superseded(volume) {
                return Some(Reason::Unfinished);
            }
            let ends = volume.night.ends(rule.longitude);
            let late = (now - ends.max(open.opened)).to_std().ok();
            if late.is_some_and(|late| late >= seconds(rule.deadline)) {
                return Some(Reason::Deadline);
            }
            let ahead = ahead(volume.night);
            let quiet = open.touched.elapsed() >= seconds(rule.quiet);
            // All of a marked night may be there and still wait in a catch-up.
            let may_close = ahead == Ahead::Nothing || quiet;
            match () {
                () if ahead == Ahead::Expected => None,
                () if now >= ends && quiet => Some(Reason::Quiet),
                () if volume.number == 0 && may_close && marked(rule, volume.night) => {
                    Some(Reason::Marker)
                }
                () => None,
            }
        };
        let open = nights.iter().filter(|(_, open)| !waits(open));
        open.filter_map(|each| Some((*each.0, reason(each)?))).collect()
    }

    /// Whether no supplement has taken the place of a volume.
    pub(crate) fn is_newest(&self, volume: Volume) -> bool {
        !is_superseded(&self.lock(), volume)
    }

    /// From now on the volume takes nothing more.
    pub(crate) fn begin_closing(&self, volume: Volume) {
        if let Some(open) = self.lock().get_mut(&volume) {
            open.closing = true;
        }
    }

    /// Ends the history of a volume that was sealed.
    pub(crate) fn sealed(&self, volume: Volume, sealed: &Sealed) {
        if let Some(open) = self.lock().get_mut(&volume) {
            open.sealed = true;
            if let Some(diary) = open.diary.take() {
                diary.end(&open.tally, Some(sealed), false);
            }
        }
    }

    /// The closing is finished.
    pub(crate) fn closed(&self, volume: Volume) {
        self.lock().remove(&volume);
    }

    /// The closing did not come to its end; says after how long it is due again.
    pub(crate) fn close_again(&self, volume: Volume) -> Duration {
        let mut nights = self.lock();
        let Some(open) = nights.get_mut(&volume) else { return FIRST_RETRY };
        let retries = || endless_delays(FIRST_RETRY, LONGEST_RETRY).build();
        let delay = open.retries.get_or_insert_with(retries).next().unwrap_or(LONGEST_RETRY);
        open.closing = false;
        open.not_before = Some(Instant::now() + delay);
        delay
    }

    /// How it stands with the nights that are not closed.
    pub(crate) fn summaries(&self) -> Vec<NightSummary> {
        let summary = |(volume, open): (&Volume, &Open)| NightSummary {
            name: volume.to_string(),
            phase: if open.closing { NightPhase::Closing } else { NightPhase::Open },
            files: open.before.files + open.tally.files_done,
            rows: open.before.rows + open.tally.rows,
            rejects: open.before.rejects + open.tally.rejects,
            folder: volume.folder(&self.folder).display().to_string(),
            report: None,
        };
        self.lock().iter().map(summary).collect()
    }

    /// Ends the histories of this process in all nights that are open.
    pub(crate) fn end(&self) {
        for open in self.lock().values_mut() {
            if let Some(diary) = open.diary.take() {
                diary.end(&open.tally, None, true);
            }
        }
    }

    /// The nights that are not closed.
    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().keys().map(ToString::to_string).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Volume, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The volume of a night that takes outcomes.
fn last(nights: &mut BTreeMap<Volume, Open>, night: Night) -> Option<&mut Open> {
    let (first, end) = (Volume { night, number: 0 }, Volume { night, number: u32::MAX });
    nights.range_mut(first..=end).next_back().map(|(_, open)| open)
}

fn is_superseded(nights: &BTreeMap<Volume, Open>, volume: Volume) -> bool {
    let mut later = nights.range(volume.next()..);
    later.next().is_some_and(|(later, _)| later.night == volume.night)
}

/// Whether the file that says that all of a night is there has appeared.
fn marked(rule: &NightRule, night: Night) -> bool {
    let date = night.to_string();
    let marker = rule.complete_marker.replace("{night}", &date);
    let marker = marker.replace("{yyyymmdd}", &date.replace('-', ""));
    !marker.is_empty() && Path::new(&marker).exists()
}

/// How the writer of a flow opens nights.
pub(crate) fn opener(
    nights: Arc<Nights>,
    maker: Arc<Maker>,
    config: Arc<Config>,
) -> crate::stage::OpenCatalogue {
    Box::new(move |night| {
        // A service gives every file a night; the night of this moment is for one that has none.
        let today = || Night::of(Utc::now(), config.night.longitude);
        nights.open(night.unwrap_or_else(today), &maker, &config)
    })
}

#[cfg(test)]
mod tests {
    use super::super::volume::CLOSED;
    use super::*;
    use crate::catalogue::MANIFEST;
    use Ahead::{Expected, Nothing, Others};

    #[test]
    fn what_is_due_follows_from_the_folders_the_clock_and_what_waits() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, files: &[&str]| {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            for file in files {
                std::fs::write(folder.path().join(name).join(file), "").unwrap();
            }
        };
        make("2017-11-09", &[MANIFEST, CLOSED]);
        make("2017-11-10", &[MANIFEST]);
        make("2017-11-11", &[]);
        make("2017-11-11+1", &[]);
        let tonight = Night::of(Utc::now(), 0.0).to_string();
        make(&tonight, &[]);
        let nights = Nights::find(folder.path().to_owned()).unwrap();
        let now = Utc::now();
        let mut rule = Config::load(None).unwrap().night;
        rule.longitude = 0.0;
        let due = |rule: &NightRule, now, ahead| -> Vec<(String, Reason)> {
            let due = nights.due(rule, now, |_| ahead).into_iter();
            due.map(|(volume, reason)| (volume.to_string(), reason)).collect()
        };
        let named = |name: &str, reason| (name.to_owned(), reason);
        let unfinished =
            [named("2017-11-10", Reason::Unfinished), named("2017-11-11", Reason::Unfinished)];
        assert_eq!(due(&rule, now, Nothing), unfinished, "nothing was quiet for so long");
        rule.quiet = 1e-9;
        assert_eq!(due(&rule, now, Expected), unfinished, "something waits");
        for ahead in [Nothing, Others] {
            assert_eq!(due(&rule, now, ahead)[2..], [named("2017-11-11+1", Reason::Quiet)]);
        }
        // A supplement has as long as a night, from when it was made; a night, from its end.
        let later = now + seconds(rule.deadline);
        assert_eq!(due(&rule, later, Expected)[2..], [named("2017-11-11+1", Reason::Deadline)]);
        let tomorrow = later + seconds(86_400.0);
        assert_eq!(due(&rule, tomorrow, Expected)[3..], [named(&tonight, Reason::Deadline)]);
        // Its marker closes a night before its end, once nothing waits.
        let marker = folder.path().join("all-{night}");
        marker.to_str().unwrap().clone_into(&mut rule.complete_marker);
        std::fs::write(folder.path().join(format!("all-{tonight}")), "").unwrap();
        assert_eq!(due(&rule, now, Nothing)[3..], [named(&tonight, Reason::Marker)]);
        assert_eq!(due(&rule, now, Expected).len(), 2);
        // If a catch-up may hold more of it, only once that has been quiet.
        assert_eq!(due(&rule, now, Others)[3..], [named(&tonight, Reason::Marker)]);
        let loud = NightRule { quiet: 1000.0, ..rule.clone() };
        assert_eq!(due(&loud, now, Others), unfinished);
        assert_eq!(due(&loud, now, Nothing)[2..], [named(&tonight, Reason::Marker)]);
        // What closes is not due again; what failed is tried later, and later each time.
        for (volume, _) in nights.due(&rule, now, |_| Nothing) {
            nights.begin_closing(volume);
            assert!(nights.due(&rule, now, |_| Nothing).iter().all(|(other, _)| *other != volume));
            if volume.number == 0 {
                nights.closed(volume);
            } else {
                let delays: Vec<u64> =
                    (0..11).map(|_| nights.close_again(volume).as_secs()).collect();
                assert_eq!(delays, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
            }
        }
        assert_eq!(due(&rule, now, Nothing), []);
        assert_eq!(nights.names(), ["2017-11-11+1"]);
    }
}
