//! Running totals that all workers share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::reject::{CODES, Code};

/// Totals of one run, updated by the stages while it goes.
#[derive(Debug, Default)]
pub struct Counters {
    /// Names that the listing gave.
    pub files_found: AtomicU64,
    /// Files whose outcomes are all committed.
    pub files_done: AtomicU64,
    /// Files that an earlier run, or an earlier name of this one, had done.
    pub files_skipped: AtomicU64,
    /// Bytes read from disk.
    pub bytes_read: AtomicU64,
    /// Spectra that gave a row.
    pub rows: AtomicU64,
    /// What went wrong and was mended.
    pub faults: Faults,
    /// Spectra and files that gave a reject, by code number.
    rejects: [AtomicU64; 32],
    /// What each reader holds at this moment.
    hands: Mutex<Vec<Hand>>,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// Faults that a run went on after, by kind.
        #[derive(Debug, Default)]
        pub struct Faults {
            $($(#[$doc])* pub $name: AtomicU64,)*
        }

        impl Faults {
            /// The counts that are not zero, by name.
            fn tally(&self) -> BTreeMap<&'static str, u64> {
                let counts = [$((stringify!($name), self.$name.load(Relaxed)),)*];
                counts.into_iter().filter(|(_, count)| *count > 0).collect()
            }
        }
    };
}

faults! {
    /// Tries to read a file beyond the first.
    retries_read;
    /// Tries to run a batch beyond the first.
    retries_infer;
    /// Tries to commit or seal beyond the first.
    retries_write;
    /// Times that the run waited for room on the disk.
    pauses;
    /// Panics that cost one spectrum and no worker.
    panics_caught;
}

/// The file that one reader holds.
type Hand = Arc<Mutex<Option<PathBuf>>>;

/// One reader's own hand: what it holds is named when it stands still.
#[derive(Debug)]
pub struct InHand(Hand);

/// The file is in the hand until this is dropped.
pub struct Held(Hand);

impl InHand {
    /// Takes a file in hand.
    pub fn hold(&self, path: &Path) -> Held {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.to_owned());
        Held(Arc::clone(&self.0))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A consistent-enough copy of [`Counters`].
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "the same as in Counters")]
pub struct Tally {
    pub files_found: u64,
    pub files_done: u64,
    pub files_skipped: u64,
    pub bytes_read: u64,
    pub rows: u64,
    pub rejects: u64,
    pub rejects_by_code: BTreeMap<&'static str, u64>,
    pub faults: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// Adds one.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// Counts a reject; returns how many of its code there are now.
    pub fn count_reject(&self, code: Code) -> u64 {
        self.rejects[usize::from(code.number()) % self.rejects.len()].fetch_add(1, Relaxed) + 1
    }

    /// The totals now.
    pub fn tally(&self) -> Tally {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        let by_code = CODES
            .iter()
            .map(|entry| (entry.name, get(&self.rejects[usize::from(entry.code.number())])));
        let rejects_by_code: BTreeMap<_, _> = by_code.filter(|(_, count)| *count > 0).collect();
        Tally {
            files_found: get(&self.files_found),
            files_done: get(&self.files_done),
            files_skipped: get(&self.files_skipped),
            bytes_read: get(&self.bytes_read),
            rows: get(&self.rows),
            rejects: rejects_by_code.values().sum(),
            rejects_by_code,
            faults: self.faults.tally(),
        }
    }

    /// A hand for one more reader.
    pub fn take_hand(&self) -> InHand {
        let hand = Hand::default();
        let mut hands = self.hands.lock().unwrap_or_else(PoisonError::into_inner);
        // A reader that panicked has left its hand behind.
        hands.retain(|hand| Arc::strong_count(hand) > 1);
        hands.push(Arc::clone(&hand));
        InHand(hand)
    }

    /// The files that readers hold at this moment.
    pub fn files_in_hand(&self) -> Vec<PathBuf> {
        let hands = self.hands.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |hand: &Hand| hand.lock().unwrap_or_else(PoisonError::into_inner).clone();
        hands.iter().filter_map(held).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_holds_a_file_until_it_lets_go() {
        let counters = Counters::default();
        let hand = counters.take_hand();
        let held = hand.hold(Path::new("a.fits"));
        assert_eq!(counters.files_in_hand(), [Path::new("a.fits")]);
        drop(held);
        assert!(counters.files_in_hand().is_empty());
    }

    #[test]
    fn every_code_has_a_counter_of_its_own() {
        let counters = Counters::default();
        assert!(
            CODES.iter().all(|entry| usize::from(entry.code.number()) < counters.rejects.len())
        );
        for entry in CODES {
            assert_eq!(counters.count_reject(entry.code), 1);
        }
        assert_eq!(counters.tally().rejects, CODES.len() as u64);
    }
}
