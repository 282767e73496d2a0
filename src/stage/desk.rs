//! What the writer holds between two commits. It outlives a writer that panics.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Counters;
use crate::catalogue::{Encoded, Store, StoreError, path_text};
use crate::failpoint;
use crate::input::Digest;
use crate::ledger::{Done, Input, Ledger};
use crate::night::Night;
use crate::outcome::{Outcome, SourceFile};
use crate::reject::Code;

/// Number of the file in this run and the first spectrum of the part.
type PartKey = (u64, usize);

/// How long small segments stay as they are after a merge that failed.
const MERGE_PAUSE: Duration = Duration::from_mins(5);

/// Outcomes on their way into segments.
pub struct Desk {
    /// The catalogue.
    pub store: Store,
    /// Ledgers of sealed catalogues that this one supplements: what they know is done.
    earlier: Vec<Ledger>,
    counters: Arc<Counters>,
    /// Parts of which some outcomes are still on their way.
    partial: HashMap<PartKey, Part>,
    /// Outcomes of whole parts that wait for their commit.
    waiting: Vec<Outcome>,
    /// The parts that wait, one for one.
    inputs: Vec<(Input, Arc<SourceFile>)>,
    /// Their keys: after a panic an item may be delivered again.
    keys: HashSet<PartKey>,
    /// Their names: path and first spectrum.
    names: HashSet<(String, usize)>,
    /// Their contents. A segment holds one content of a path, so that the order of contents is the
    /// order of segments.
    contents: HashMap<String, Digest>,
    /// Files of several parts: how many are still to come, and whether any was new.
    unfinished: HashMap<u64, (usize, bool)>,
    /// Files of which no part is left, until they are told of, and whether any part was new.
    finished: Vec<(Arc<SourceFile>, bool)>,
    oldest: Option<Instant>,
    last_used: Instant,
    /// After a merge of segments that failed, when the next one is tried.
    no_merge_before: Option<Instant>,
}

struct Part {
    file: Arc<SourceFile>,
    outcomes: HashMap<usize, Outcome>,
}

impl Desk {
    /// An empty desk before a catalogue.
    pub fn new(store: Store, earlier: Vec<Ledger>, counters: Arc<Counters>) -> Self {
        Self {
            store,
            earlier,
            counters,
            partial: HashMap::new(),
            waiting: Vec::new(),
            inputs: Vec::new(),
            keys: HashSet::new(),
            names: HashSet::new(),
            contents: HashMap::new(),
            unfinished: HashMap::new(),
            finished: Vec::new(),
            oldest: None,
            last_used: Instant::now(),
            no_merge_before: None,
        }
    }

    /// Takes an outcome; to take it again changes nothing. Returns the part if it is whole now.
    pub(super) fn gather(&mut self, outcome: &Outcome) -> Option<WholePart> {
        let file = &outcome.origin.file;
        let key = (file.sequence, file.first);
        self.last_used = Instant::now();
        if self.keys.contains(&key) {
            return None;
        }
        let part = self.partial.entry(key).or_insert_with(|| Part {
            file: Arc::clone(file),
            outcomes: HashMap::with_capacity(file.spectra),
        });
        part.outcomes.insert(outcome.origin.index, outcome.clone());
        (part.outcomes.len() == file.spectra).then_some(WholePart { key, night: file.night })
    }

    /// Whether this part must wait for a commit of what is on the desk, which holds another content
    /// of the same path.
    pub(super) fn collides(&self, WholePart { key, .. }: WholePart) -> bool {
        self.partial.get(&key).is_some_and(|part| {
            let content = self.contents.get(&path_text(&part.file.path));
            content.is_some_and(|digest| *digest != part.file.digest)
        })
    }

    /// Puts a whole part among those that wait for the commit, unless it is done already.
    pub(super) fn settle(&mut self, WholePart { key, .. }: WholePart) -> Result<(), StoreError> {
        let Some(file) = self.partial.get(&key).map(|part| Arc::clone(&part.file)) else {
            return Ok(());
        };
        let input = Input {
            digest: file.digest,
            path: path_text(&file.path),
            first: file.first,
            spectra: file.spectra,
            total: file.total,
        };
        // The same file named twice in one run, or an unreadable one that was so before.
        let known = self.names.contains(&(input.path.clone(), input.first))
            || self.is_done(&input, file.night.is_some())?;
        let Some(part) = self.partial.remove(&key) else {
            return Ok(());
        };
        if known {
            self.account(file, false);
            return Ok(());
        }
        self.waiting.extend(part.outcomes.into_values());
        self.names.insert((input.path.clone(), input.first));
        self.contents.insert(input.path.clone(), input.digest);
        self.inputs.push((input, file));
        self.keys.insert(key);
        self.oldest.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Whether this catalogue or one that it supplements has the input.
    fn is_done(&mut self, input: &Input, in_a_service: bool) -> Result<bool, StoreError> {
        let Input { digest, path, first, .. } = input;
        match self.store.ledger().state(*digest, path, *first)? {
            Done::Current => return Ok(true),
            Done::Superseded => {
                // The path had another content since, and has this one again. In a run the reader
                // has seen to it.
                if in_a_service {
                    self.store.promote(*digest, path)?;
                }
                return Ok(true);
            }
            Done::No => {}
        }
        for ledger in &self.earlier {
            if ledger.is_done(*digest, path, *first)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Counts a part as done, or as skipped, and its file once no part of it is left.
    fn account(&mut self, file: Arc<SourceFile>, new: bool) {
        let (left, any_new) = self.unfinished.entry(file.sequence).or_insert((file.parts, false));
        *left -= 1;
        *any_new |= new;
        if *left == 0 {
            let Counters { files_done, files_skipped, .. } = &*self.counters;
            let is_new = *any_new;
            Counters::count(if is_new { files_done } else { files_skipped });
            self.unfinished.remove(&file.sequence);
            self.finished.push((file, is_new));
        }
    }

    /// Spectra that wait for their commit.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How long the oldest of them waits.
    pub(super) fn age(&self) -> Duration {
        self.oldest.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Whether nothing is on the desk and no file is half done.
    pub(super) fn is_idle(&self) -> bool {
        self.partial.is_empty() && self.waiting.is_empty() && self.unfinished.is_empty()
    }

    /// When it was given something last.
    pub(super) fn last_used(&self) -> Instant {
        self.last_used
    }

    /// The files that were finished since this was asked last, and whether any part was new.
    pub(super) fn take_finished(&mut self) -> Vec<(Arc<SourceFile>, bool)> {
        std::mem::take(&mut self.finished)
    }

    /// Encodes what waits. An outcome at which that panics becomes a reject.
    pub(super) fn encode(&mut self) -> Result<Encoded, StoreError> {
        let encode = |outcomes: &[Outcome]| {
            for outcome in outcomes {
                let poison = outcome.content.is_ok();
                let path = &outcome.origin.file.path;
                assert!(!(poison && failpoint::chooses("write-poison", path)), "write-poison");
            }
            self.store.encode(outcomes)
        };
        // Encoding changes nothing but what it returns.
        let survives = |outcomes: &[Outcome]| catch_unwind(AssertUnwindSafe(|| encode(outcomes)));
        if let Ok(encoded) = survives(&self.waiting) {
            return encoded;
        }
        for outcome in &mut self.waiting {
            if survives(std::slice::from_ref(outcome)).is_err() {
                Counters::count(&self.counters.faults.panics_caught);
                let reject = Code::POISON.because("writing its row panicked, see the log");
                *outcome = outcome.rejected(reject);
            }
        }
        encode(&self.waiting)
    }

    /// Commits what [`Desk::encode`] has encoded. After an error all is as before.
    pub(super) fn commit(&mut self, encoded: &Encoded) -> Result<(), StoreError> {
        let inputs: Vec<Input> = self.inputs.iter().map(|(input, _)| input.clone()).collect();
        self.store.commit_encoded(encoded, &inputs)
    }

    /// Merges segments of fewer spectra than this, if enough have gathered: one step of bounded work.
    /// Nothing depends on it, so that a failure is only logged.
    pub(super) fn merge_segments(&mut self, below: usize) {
        if self.no_merge_before.is_some_and(|moment| Instant::now() < moment) {
            return;
        }
        let merge = || self.store.compact(below).map_err(|error| error.to_string());
        let merged = catch_unwind(AssertUnwindSafe(merge))
            .unwrap_or_else(|_| Err("it panicked, report this with the log".to_owned()));
        if let Err(error) = merged {
            self.no_merge_before = Some(Instant::now() + MERGE_PAUSE);
            tracing::warn!(error, "small segments stay as they are, merging is tried again later");
        }
    }

    /// Takes what was committed off the desk.
    pub(super) fn clear(&mut self) -> Vec<Outcome> {
        for (_, file) in std::mem::take(&mut self.inputs) {
            self.account(file, true);
        }
        self.keys.clear();
        self.names.clear();
        self.contents.clear();
        self.oldest = None;
        std::mem::take(&mut self.waiting)
    }
}

/// A part of which every outcome is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct WholePart {
    key: PartKey,
    /// The desk on which it lies.
    pub(super) night: Option<Night>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{LabelColumn, Schema};
    use crate::outcome::{Item, Origin};
    use crate::reject::Reject;

    fn part(sequence: u64, path: &str, content: &[u8], first: usize) -> Arc<SourceFile> {
        let (path, digest) = (path.into(), Digest::of(content));
        Arc::new(SourceFile {
            sequence,
            path,
            digest,
            first,
            spectra: 2,
            total: 4,
            parts: 2,
            night: None,
            arrived: None,
        })
    }

    fn outcome(file: &Arc<SourceFile>, index: usize) -> Outcome {
        let origin = Origin { file: Arc::clone(file), index: file.first + index };
        let content: Result<_, Reject> = Err(Code::POISON.because("for this test"));
        Item { origin, identity: Arc::default(), content }
    }

    fn desk(folder: &std::path::Path) -> Desk {
        let columns: [LabelColumn; 0] = [];
        let store = Store::open(folder, "m 1", Schema::new("m 1", &columns)).unwrap();
        Desk::new(store, Vec::new(), Arc::default())
    }

    fn take(desk: &mut Desk, file: &Arc<SourceFile>) {
        assert!(desk.gather(&outcome(file, 0)).is_none());
        // Delivered again after a panic, it is still one outcome.
        assert!(desk.gather(&outcome(file, 0)).is_none());
        let whole = desk.gather(&outcome(file, 1)).unwrap();
        assert!(!desk.collides(whole));
        desk.settle(whole).unwrap();
    }

    fn commit(desk: &mut Desk) -> usize {
        let encoded = desk.encode().unwrap();
        desk.commit(&encoded).unwrap();
        desk.clear().len()
    }

    #[test]
    fn a_file_is_done_when_the_last_of_its_parts_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = desk(folder.path());
        let done = |desk: &Desk| {
            let tally = desk.counters.tally();
            (tally.files_done, tally.files_skipped)
        };
        let (one, two) = (part(0, "a.fits", b"a", 0), part(0, "a.fits", b"a", 2));
        take(&mut desk, &one);
        assert!(desk.gather(&outcome(&one, 1)).is_none(), "it waits already");
        assert_eq!((desk.waiting(), commit(&mut desk), done(&desk)), (2, 2, (0, 0)));
        take(&mut desk, &two);
        assert_eq!((commit(&mut desk), done(&desk)), (2, (1, 0)));
        // The same file once more in this run.
        for first in [0, 2] {
            take(&mut desk, &part(1, "a.fits", b"a", first));
        }
        assert_eq!((desk.waiting(), done(&desk)), (0, (1, 1)));
    }

    #[test]
    fn two_contents_of_a_path_do_not_share_a_segment() {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = desk(folder.path());
        take(&mut desk, &part(0, "a.fits", b"old", 0));
        let new = part(1, "a.fits", b"new", 0);
        desk.gather(&outcome(&new, 0));
        let whole = desk.gather(&outcome(&new, 1)).unwrap();
        assert!(desk.collides(whole));
        commit(&mut desk);
        assert!(!desk.collides(whole));
        desk.settle(whole).unwrap();
        assert_eq!(desk.waiting(), 2);
    }
}
