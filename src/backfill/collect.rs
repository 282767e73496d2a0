//! Names and sizes of the files of a release, from a tree, a list or a catalogue.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BackfillError, Entry, Roll, split};
use crate::input::{Found, Listing, Pending, RowRange};

/// What was found beside the files of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// Files that an earlier catalogue has.
    pub excluded: u64,
    /// Names that lead nowhere, and folders that cannot be read; none of them is in the plan.
    pub missing: u64,
    /// The first of them, each with the reason.
    pub missing_examples: Vec<String>,
    /// Rows of the release's catalogue that were not selected.
    pub not_selected: u64,
    /// Rows of it from which no name could be made.
    pub nameless: u64,
    /// Files of the plan whose size could not be read; they count as empty.
    pub without_size: u64,
}

/// Examples of names that lead nowhere.
const EXAMPLES: usize = 20;

impl Collected {
    /// Whether all that was named is in the plan.
    pub fn is_whole(&self) -> bool {
        self.missing == 0 && self.nameless == 0
    }

    pub(super) fn miss(&mut self, path: &Path, why: &str) {
        tracing::warn!(path = %path.display(), why, "not in the plan");
        self.missing += 1;
        if self.missing_examples.len() < EXAMPLES {
            self.missing_examples.push(format!("{}: {why}", path.display()));
        }
    }
}

impl fmt::Display for Collected {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { excluded, missing, not_selected, nameless, without_size, .. } = self;
        write!(
            to,
            "{excluded} are in an earlier catalogue, {missing} lead nowhere, {not_selected} rows \
             were not selected, {nameless} make no name, {without_size} have no size"
        )
    }
}

/// Names that change threads together.
const PORTION: usize = 256;
/// How long a walk may give nothing before a stop request is looked at.
const PATIENCE: Duration = Duration::from_millis(200);

type Portion = Vec<PathBuf>;
type Sized = Vec<(PathBuf, Option<u64>)>;

/// Asks for the sizes of files, several at a time: on a network each question takes a while.
pub struct Collector<'a> {
    roll: &'a mut Roll,
    /// What was found so far.
    pub collected: Collected,
    portion: Portion,
    /// Files that were put on the roll, for progress.
    pub count: u64,
    split: RangeInclusive<u64>,
    observe: &'a mut dyn FnMut(u64),
    is_stopped: &'a dyn Fn() -> bool,
}

impl<'a> Collector<'a> {
    /// Collects onto a roll. Files of more than `largest` bytes are none that a reader takes.
    /// `observe` is told the number of files now and then.
    pub fn new(
        roll: &'a mut Roll,
        largest: u64,
        observe: &'a mut dyn FnMut(u64),
        is_stopped: &'a dyn Fn() -> bool,
    ) -> Self {
        let (collected, portion) = (Collected::default(), Vec::new());
        let split = split::SIZE..=largest;
        Self { roll, collected, portion, count: 0, split, observe, is_stopped }
    }

    /// Takes all files of a listing, with `workers` threads that ask for sizes.
    ///
    /// # Errors
    /// [`BackfillError::Stopped`] if asked to, and those of the roll.
    pub fn take(&mut self, mut listing: Listing, workers: usize) -> Result<(), BackfillError> {
        self.with_workers(workers, |collector, asking| {
            loop {
                if (collector.is_stopped)() {
                    return Err(BackfillError::Stopped);
                }
                match listing.next(PATIENCE) {
                    Ok(Found::File(path)) => collector.put(path, asking)?,
                    Ok(Found::Rows(path, ranges)) => collector.put_rows(&path, &ranges)?,
                    Ok(Found::Missing(path, reject)) => {
                        collector.collected.miss(&path, &reject.detail);
                    }
                    Err(Pending::NotYet) => {}
                    Err(Pending::End) => return Ok(()),
                }
            }
        })
    }

    /// Takes the names that `names` calls its argument with.
    ///
    /// # Errors
    /// As [`Collector::take`], and those of `names`.
    pub fn take_names(
        &mut self,
        workers: usize,
        names: impl FnOnce(
            &mut Collected,
            &mut dyn FnMut(PathBuf) -> Result<(), BackfillError>,
        ) -> Result<(), BackfillError>,
    ) -> Result<(), BackfillError> {
        self.with_workers(workers, |collector, asking| {
            let mut collected = std::mem::take(&mut collector.collected);
            let done = names(&mut collected, &mut |path| {
                if (collector.is_stopped)() {
                    return Err(BackfillError::Stopped);
                }
                collector.put(path, asking)
            });
            // Only sizes were counted meanwhile.
            collected.without_size += collector.collected.without_size;
            collector.collected = collected;
            done
        })
    }

    fn with_workers(
        &mut self,
        workers: usize,
        collect: impl FnOnce(&mut Self, &mut Asking) -> Result<(), BackfillError>,
    ) -> Result<(), BackfillError> {
        let most = 2 * workers.max(1);
        let (ask, questions) = sync_channel::<Portion>(most);
        let (answer, answers) = sync_channel::<Sized>(most);
        let questions = Mutex::new(questions);
        std::thread::scope(|scope| {
            for _ in 0..workers.max(1) {
                let answer = answer.clone();
                let questions = &questions;
                scope.spawn(move || sizes(questions, &answer));
            }
            drop(answer);
            let mut asking = Asking { ask, answers, asked: 0, most };
            collect(self, &mut asking)?;
            self.ask(&mut asking)?;
            while asking.asked > 0 {
                self.hear(&mut asking)?;
            }
            Ok(())
        })
    }

    /// A name is asked about once its portion is full, unless the roll has it from before.
    fn put(&mut self, path: PathBuf, asking: &mut Asking) -> Result<(), BackfillError> {
        if self.roll.knows(&path)? {
            self.counted(1);
            return Ok(());
        }
        self.portion.push(path);
        if self.portion.len() < PORTION { Ok(()) } else { self.ask(asking) }
    }

    /// Rows that a list names are taken as they are.
    fn put_rows(&mut self, path: &Path, ranges: &[RowRange]) -> Result<(), BackfillError> {
        let entry = |rows: &RowRange| Entry {
            path: path.to_owned(),
            bytes: 0,
            first: rows.first as u64,
            rows: Some(rows.end.saturating_sub(rows.first) as u64),
        };
        let entries: Vec<Entry> = ranges.iter().map(entry).collect();
        self.roll.add(&entries)?;
        self.counted(1);
        Ok(())
    }

    /// Hands the portion over once there are not too many on their way.
    fn ask(&mut self, asking: &mut Asking) -> Result<(), BackfillError> {
        while asking.asked >= asking.most {
            self.hear(asking)?;
        }
        let portion = std::mem::take(&mut self.portion);
        asking.asked += usize::from(asking.ask.send(portion).is_ok());
        Ok(())
    }

    fn hear(&mut self, asking: &mut Asking) -> Result<(), BackfillError> {
        asking.asked -= 1;
        match asking.answers.recv() {
            Ok(answer) => self.add(answer),
            Err(_) => Ok(()),
        }
    }

    fn add(&mut self, sized: Sized) -> Result<(), BackfillError> {
        let count = sized.len() as u64;
        let mut entries = Vec::with_capacity(sized.len());
        for (path, bytes) in sized {
            self.collected.without_size += u64::from(bytes.is_none());
            split::entries(path, bytes.unwrap_or(0), &self.split, &mut entries);
        }
        self.roll.add(&entries)?;
        self.counted(count);
        Ok(())
    }

    fn counted(&mut self, count: u64) {
        self.count += count;
        (self.observe)(self.count);
    }
}

/// The way to the workers and back. They end when it goes.
struct Asking {
    ask: SyncSender<Portion>,
    answers: Receiver<Sized>,
    /// Portions on their way, and how many may be: no more than either channel holds.
    asked: usize,
    most: usize,
}

fn sizes(questions: &Mutex<Receiver<Portion>>, answer: &SyncSender<Sized>) {
    let next = || questions.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(portion) = next() {
        let size = |path: PathBuf| {
            let size = std::fs::metadata(&path).ok().map(|file| file.len());
            (path, size)
        };
        if answer.send(portion.into_iter().map(size).collect()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(folder: &Path, roll: &mut Roll) -> (Collected, u64) {
        let listing = Listing::start(vec![folder.join("tree"), folder.join("none")], &b""[..]);
        let (mut seen, running) = (0, || false);
        let mut observe = |count| seen = count;
        let mut collector = Collector::new(roll, 1 << 29, &mut observe, &running);
        collector.take(listing.unwrap(), 3).unwrap();
        (collector.collected, seen)
    }

    #[test]
    fn a_tree_is_collected_with_sizes_and_what_leads_nowhere_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for night in 0..7 {
            let night_folder = folder.path().join(format!("tree/night{night}"));
            std::fs::create_dir_all(&night_folder).unwrap();
            for number in 0..100_u64 {
                let bytes = vec![0; usize::try_from(number).unwrap()];
                std::fs::write(night_folder.join(format!("{number}.fits")), bytes).unwrap();
            }
        }
        let path = folder.path().join("roll.sqlite");
        let mut roll = Roll::open(&path, "request").unwrap();
        let (collected, seen) = collect(folder.path(), &mut roll);
        assert_eq!((collected.missing, collected.is_whole(), seen), (1, false, 700));
        assert!(collected.missing_examples[0].contains("none"));
        let (mut files, mut bytes) = (0, 0);
        roll.each(&mut |entry| {
            (files, bytes) = (files + 1, bytes + entry.bytes);
            Ok(())
        })
        .unwrap();
        assert_eq!((files, bytes), (700, 7 * 4950));
        // What is on the roll is not asked about again.
        std::fs::write(folder.path().join("tree/night0/0.fits"), b"12345").unwrap();
        collect(folder.path(), &mut roll);
        let mut first = None;
        roll.each(&mut |entry| {
            first.get_or_insert(entry);
            Ok(())
        })
        .unwrap();
        assert_eq!(first.unwrap().bytes, 0);
    }

    #[test]
    fn a_stop_request_ends_a_walk() {
        let folder = tempfile::tempdir().unwrap();
        let mut roll = Roll::open(&folder.path().join("roll.sqlite"), "request").unwrap();
        let listing = Listing::start(vec!["-".into()], &b"a\n"[..]).unwrap();
        let (mut observe, stopped) = (|_| {}, || true);
        let ended = Collector::new(&mut roll, 1 << 29, &mut observe, &stopped).take(listing, 1);
        assert!(matches!(ended, Err(BackfillError::Stopped)));
    }
}
