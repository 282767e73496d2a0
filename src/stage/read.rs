//! From a file's name to its spectra.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use starmill_actors::{BoxError, Halt, Outlet, Stage};

use super::counters::InHand;
use super::parts::{Known, Left};
use super::{Counters, FileTask, Reading};
use crate::catalogue::{StoreError, path_text};
use crate::failpoint;
use crate::fits::Fits;
use crate::input::{Digest, PART, Reader, Unread};
use crate::ledger::{self, Ledger};
use crate::night::Night;
use crate::outcome::{Identity, Item, Origin, SourceFile};
use crate::reject::{Code, Reject};
use crate::spectrum::{Meta, Spectrum};
use crate::survey::Layout;

/// Reads, inflates and parses files; skips those that the ledger knows.
pub struct Read {
    reader: Reader,
    reading: Reading,
    known: Known,
    promote: Promote,
    night_of: Option<NightOf>,
    counters: Arc<Counters>,
    in_hand: InHand,
}

/// Makes an earlier content of a path count again; see [`crate::catalogue::Store::promote`].
pub type Promote = Arc<dyn Fn(Digest, &str) -> Result<(), StoreError> + Send + Sync>;

/// The night to which a file with this observation belongs, if its header tells.
pub type NightOf = Arc<dyn Fn(&FileTask, &Meta) -> Option<Night> + Send + Sync>;

impl Read {
    /// A stage around a reader that asks the ledger at this path, if there is one to ask.
    ///
    /// # Errors
    /// When the ledger cannot be opened.
    pub fn new(
        reader: Reader,
        reading: Reading,
        ledger: Option<&PathBuf>,
        promote: Promote,
        night_of: Option<NightOf>,
        counters: Arc<Counters>,
    ) -> Result<Self, BoxError> {
        let known = Known(ledger.map(|path| Ledger::open_reader(path)).transpose()?);
        let in_hand = counters.take_hand();
        Ok(Self { reader, reading, known, promote, night_of, counters, in_hand })
    }

    fn read(
        &mut self,
        task: &mut FileTask,
        out: &mut Outlet<'_, Item<Spectrum>>,
    ) -> Result<(), Halt> {
        if let Some(reject) = task.missing.clone() {
            return Ok(out.send(failure(task, Digest::default(), reject))?);
        }
        let _held = self.in_hand.hold(&task.path);
        failpoint::panic_on("read-poison", &task.path);
        fail::fail_point!("read-slow");
        fail::fail_point!("read-stuck");
        let read = self.reader.read(&task.path, &mut |length| out.rest(length));
        self.counters.faults.retries_read.fetch_add(self.reader.take_retried(), Relaxed);
        let digest = match read {
            Ok(digest) => digest,
            Err(error @ Unread::NoDescriptor(_)) => return Err(error.into()),
            Err(unread) => return Ok(out.send(failure(task, Digest::default(), unread.into()))?),
        };
        self.counters.bytes_read.fetch_add(self.reader.raw().len() as u64, Relaxed);
        let text = path_text(&task.path);
        let known = self.known.all(task, digest, &text)?;
        if known != ledger::Done::No {
            if known == ledger::Done::Superseded {
                // The path had another content since, and has this one again.
                (self.promote)(digest, &text)?;
            }
            Counters::count(&self.counters.files_skipped);
            tracing::debug!(file = %task.path.display(), "skipped, done before");
            return Ok(());
        }
        let reading = &self.reading;
        match reading.open(&mut self.reader, &mut |length| out.rest(length)) {
            Ok((layout, fits)) => {
                let total = layout.count(&fits);
                let (counters, path) = (&*self.counters, task.path.clone());
                let table = Table { layout, fits: &fits, reading, counters, path: &path };
                let night_of = self.night_of.as_deref();
                let first = night_of.and_then(|_| table.first_readable(total));
                let read = first.as_ref().map(|(_, spectrum)| &spectrum.meta);
                let night = night_of.zip(read).and_then(|(of, meta)| of(task, meta)).or(task.night);
                let left = self.known.left(task, digest, &text, (total, night))?;
                task.opened = left.all();
                if total == 0 && task.rows.is_empty() {
                    let reject = Code::EMPTY_FILE.because("it has the layout but no spectrum");
                    out.send(failure(task, digest, reject)).map_err(Halt::from)
                } else {
                    if left.is_empty() {
                        Counters::count(&self.counters.files_skipped);
                    }
                    table.send(left, first, out)
                }
            }
            // With a higher limit the next run must look again, so it is not tied to the content.
            Err(reject) if reject.code == Code::TOO_LARGE => {
                Ok(out.send(failure(task, Digest::default(), reject))?)
            }
            Err(reject) => Ok(out.send(failure(task, digest, reject))?),
        }
    }
}

/// An open file with its reader.
struct Table<'a> {
    layout: &'a dyn Layout,
    fits: &'a Fits<'a>,
    reading: &'a Reading,
    counters: &'a Counters,
    path: &'a Path,
}

impl Table<'_> {
    fn read(&self, index: usize) -> Result<Spectrum, Reject> {
        // What a panic may leave broken is local to the call.
        let read = || {
            let mut spectrum = self.layout.read(self.fits, index)?;
            self.reading.complete(self.path, &mut spectrum);
            Ok(spectrum)
        };
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
            Counters::count(&self.counters.faults.panics_caught);
            Err(Code::POISON.because("reading this spectrum panicked, see the log"))
        })
    }

    /// What is known of a spectrum that could not be read.
    fn unread_identity(&self) -> Identity {
        Identity { survey: Some(self.layout.survey()), ..Identity::default() }
    }

    /// The spectrum that tells what holds for the whole file.
    fn first_readable(&self, total: usize) -> Option<(usize, Spectrum)> {
        (0..total.min(PART)).find_map(|index| Some((index, self.read(index).ok()?)))
    }

    /// Sends a reject for each range that cannot be had, then all spectra of the parts; one of them is
    /// read already.
    fn send(
        &self,
        Left { refused, parts }: Left,
        mut ahead: Option<(usize, Spectrum)>,
        out: &mut Outlet<'_, Item<Spectrum>>,
    ) -> Result<(), Halt> {
        for (file, reject) in refused {
            let origin = Origin { index: file.first, file };
            let identity = self.unread_identity();
            out.send(Item { origin, identity: Arc::new(identity), content: Err(reject) })?;
        }
        for file in &parts {
            for index in file.first..file.first + file.spectra {
                let content = match ahead.take_if(|(read, _)| *read == index) {
                    Some((_, spectrum)) => Ok(spectrum),
                    None => self.read(index),
                };
                let identity = match &content {
                    Ok(spectrum) => Identity::of(spectrum),
                    Err(_) => self.unread_identity(),
                };
                let origin = Origin { file: Arc::clone(file), index };
                out.send(Item { origin, identity: Arc::new(identity), content })?;
            }
        }
        Ok(())
    }
}

/// A file in which no spectrum was found is one reject. If it was one before, the writer skips it
/// like any other input that is done.
fn failure(task: &FileTask, digest: Digest, reject: Reject) -> Item<Spectrum> {
    let file = SourceFile {
        night: task.night,
        arrived: task.arrived,
        ..SourceFile::whole(task.sequence, task.path.clone(), digest, 1)
    };
    Item {
        origin: Origin { file: Arc::new(file), index: 0 },
        identity: Arc::default(),
        content: Err(reject),
    }
}

impl Stage for Read {
    type In = FileTask;
    type Out = Item<Spectrum>;

    fn process(
        &mut self,
        batch: &mut [FileTask],
        out: &mut Outlet<'_, Self::Out>,
    ) -> Result<(), Halt> {
        let _span = tracing::info_span!("read").entered();
        batch.iter_mut().try_for_each(|task| {
            let sent = self.read(task, out);
            // Also where nothing was sent: other readers may wait for their turn with a large file.
            self.reader.release();
            sent
        })
    }

    fn salvage(task: FileTask, emitted: usize, panic: &str) -> Vec<Self::Out> {
        let reject = Code::POISON.because(format!("reading it made a worker panic: {panic}"));
        if task.opened.is_empty() && emitted == 0 {
            return vec![failure(&task, Digest::default(), reject)];
        }
        let spectra = task.opened.iter().flat_map(|file| {
            (file.first..file.first + file.spectra).map(move |index| (Arc::clone(file), index))
        });
        let left = spectra.skip(emitted).map(|(file, index)| Item {
            origin: Origin { file, index },
            identity: Arc::default(),
            content: Err(reject.clone()),
        });
        left.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::RowRange;
    use crate::spectrum::Arrays;
    use crate::survey::Take;

    /// A table of as many spectra as `count` says, of which one makes the reader panic.
    struct Poisoned {
        count: usize,
        poison: usize,
    }

    impl Layout for Poisoned {
        fn name(&self) -> &'static str {
            "test-table"
        }
        fn survey(&self) -> &'static str {
            "test"
        }
        fn summary(&self) -> &'static str {
            "for this test"
        }
        fn recognise(&self, _: &Fits) -> Result<(), String> {
            Ok(())
        }
        fn count(&self, _: &Fits) -> usize {
            self.count
        }
        fn read(&self, _: &Fits, index: usize) -> Result<Spectrum, Reject> {
            assert_ne!(index, self.poison, "poison");
            let arrays = Arrays {
                wave: vec![1.0, 2.0],
                flux: vec![1.0; 2],
                ivar: vec![1.0; 2],
                andmask: vec![0; 2],
                ormask: vec![0; 2],
            };
            Spectrum::new("test", arrays, Meta::default())
        }
    }

    fn task() -> FileTask {
        FileTask {
            sequence: 3,
            path: "table.fits".into(),
            rows: Vec::new(),
            missing: None,
            opened: Vec::new(),
            night: None,
            arrived: None,
        }
    }

    fn send(layout: &Poisoned, left: Left, counters: &Counters) -> Vec<Item<Spectrum>> {
        let mut card = format!("{:<80}", "SIMPLE  =                    T");
        card += &format!(
            "{:<80}{:<80}",
            "BITPIX  =                    8", "NAXIS   =                    0"
        );
        let bytes = format!("{:<2880}", card + "END").into_bytes();
        let fits = Fits::parse(&bytes).unwrap();
        let mut out = Outlet::collecting();
        let reading = &Reading { take: Take::Coadd, whole_file: true, velocities: Vec::new() };
        let path = Path::new("table.fits");
        let table = Table { layout, fits: &fits, reading, counters, path };
        table.send(left, table.first_readable(layout.count), &mut out).unwrap();
        out.into_items()
    }

    #[test]
    fn a_large_table_is_done_in_parts_and_a_panic_costs_one_of_its_spectra() {
        let counters = Counters::default();
        let total = 2 * PART + 10;
        let known = Known(None);
        let left = known.left(&task(), Digest::of(b"t"), "table.fits", (total, None)).unwrap();
        let spectra: Vec<usize> = left.parts.iter().map(|part| part.spectra).collect();
        assert_eq!(spectra, [PART, PART, 10]);
        let opened = FileTask { opened: left.all(), ..task() };
        let items = send(&Poisoned { count: total, poison: PART + 1 }, left, &counters);
        assert!(items.iter().map(|item| item.origin.index).eq(0..total));
        let rejects: Vec<_> = items.iter().filter(|item| item.content.is_err()).collect();
        assert_eq!(rejects.len(), 1);
        assert_eq!(rejects[0].origin.index, PART + 1);
        assert_eq!(counters.tally().faults["panics_caught"], 1);
        // What is left of it if the worker panics after so many were sent.
        let left = <Read as Stage>::salvage(opened, PART + 5, "panic");
        assert!(left.iter().map(|item| item.origin.index).eq(PART + 5..total));
    }
    #[test]
    fn rows_that_cannot_be_had_are_rejects_of_their_own_names() {
        let counters = Counters::default();
        let (total, known) = (2 * PART + 10, Known(None));
        let range = |first, end| RowRange { first, end };
        let rows = vec![range(PART, 2 * PART), range(2 * PART, total), range(total, total + 1)];
        let task = FileTask { rows, ..task() };
        let left = known.left(&task, Digest::of(b"t"), "table.fits", (total, None)).unwrap();
        let opened = FileTask { opened: left.all(), ..task };
        let items = send(&Poisoned { count: total, poison: total }, left, &counters);
        assert_eq!(items.len(), 1 + PART + 10);
        let refused = &items[0];
        assert_eq!(refused.content.as_ref().unwrap_err().code, Code::ROW_RANGE);
        assert_eq!(refused.origin.file.path, Path::new("table.fits[522:523]"));
        assert!(items[1..].iter().map(|item| item.origin.index).eq(PART..total));
        assert!(items.iter().all(|item| item.origin.file.parts == 3));
        // A panic behind the second item leaves the others.
        let left = <Read as Stage>::salvage(opened, 2, "panic");
        assert!(left.iter().map(|item| item.origin.index).eq(PART + 1..total));
    }
}
