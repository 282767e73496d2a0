//! Running totals that all workers share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

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
    /// Spectra and files that gave a reject, by code number.
    rejects: [AtomicU64; 32],
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
