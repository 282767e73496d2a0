//! Counts: of the present night, and since the service started. A file counts when it is complete.

use std::collections::BTreeMap;
use std::time::Duration;

use super::status::Counts;
use super::timeline::{LATENCY_BOUNDS, Latencies};
use crate::night::Night;
use crate::outcome::{Estimate, Outcome};
use crate::quality::{BITS, Quality};
use crate::reject::{CODES, Code, Reject};

/// Counts of one night.
pub(super) struct Tonight {
    pub(super) night: Night,
    pub(super) counts: Counts,
    pub(super) latencies: Latencies,
    // By number of the code and of the bit.
    codes: [u64; 256],
    bits: [u64; 32],
}

impl Tonight {
    pub(super) fn new(night: Night) -> Self {
        Self {
            night,
            counts: Counts::default(),
            latencies: Latencies::new(),
            codes: [0; 256],
            bits: [0; 32],
        }
    }

    pub(super) fn count(&mut self, outcome: &Outcome, latency: Option<Duration>) {
        match &outcome.content {
            Ok(Estimate { quality, .. }) => self.count_stored(None, *quality),
            Err(Reject { code, .. }) => self.count_stored(Some(*code), Quality::NONE),
        }
        if let Some(latency) = latency {
            self.latencies.record(latency);
        }
    }

    /// Counts an outcome by what is stored of it: the code of a reject, the quality of a row.
    pub(super) fn count_stored(&mut self, code: Option<Code>, quality: Quality) {
        match code {
            None => {
                self.counts.rows += 1;
                self.counts.bad_rows += u64::from(quality.is_bad());
                quality.bits().for_each(|bit| self.bits[usize::from(bit.bit) % 32] += 1);
            }
            Some(code) => {
                self.counts.rejects += 1;
                self.codes[usize::from(code.number())] += 1;
            }
        }
    }

    /// Adds what former processes counted of the same night.
    pub(super) fn add(&mut self, former: &Self) {
        let Counts { files, rows, rejects, bad_rows } = former.counts;
        self.counts.files += files;
        self.counts.rows += rows;
        self.counts.rejects += rejects;
        self.counts.bad_rows += bad_rows;
        self.codes.iter_mut().zip(former.codes).for_each(|(sum, count)| *sum += count);
        self.bits.iter_mut().zip(former.bits).for_each(|(sum, count)| *sum += count);
    }

    /// Rejects by code; codes that did not occur are absent.
    pub(super) fn by_code(&self) -> BTreeMap<String, u64> {
        by_code(&self.codes)
    }

    /// Rows by quality bit; bits that did not occur are absent.
    pub(super) fn by_flag(&self) -> BTreeMap<String, u64> {
        let counts = BITS.iter().map(|bit| (bit.name, self.bits[usize::from(bit.bit) % 32]));
        named(counts)
    }
}

/// Counts since the service started.
#[derive(Clone)]
pub(crate) struct Totals {
    /// Files and spectra.
    pub(crate) counts: Counts,
    /// Files that were known already.
    pub(crate) skipped: u64,
    /// What was mended, by kind.
    pub(crate) faults: BTreeMap<String, u64>,
    /// Latencies at most as long as each of [`LATENCY_BOUNDS`] and longer than the one before; the
    /// last are longer than all.
    pub(crate) latencies: [u64; LATENCY_BOUNDS.len() + 1],
    /// The sum of all latencies, seconds.
    pub(crate) latency_sum: f64,
    codes: [u64; 256],
}

impl Totals {
    pub(super) fn new() -> Self {
        Self {
            counts: Counts::default(),
            skipped: 0,
            faults: BTreeMap::new(),
            latencies: [0; LATENCY_BOUNDS.len() + 1],
            latency_sum: 0.0,
            codes: [0; 256],
        }
    }

    pub(super) fn count(&mut self, outcome: &Outcome, latency: Option<Duration>) {
        count(&mut self.counts, outcome);
        if let Err(Reject { code, .. }) = &outcome.content {
            self.codes[usize::from(code.number())] += 1;
        }
        if let Some(latency) = latency {
            let seconds = latency.as_secs_f64();
            self.latencies[LATENCY_BOUNDS.partition_point(|&bound| bound < seconds)] += 1;
            self.latency_sum += seconds;
        }
    }

    /// Rejects by code; codes that did not occur are absent.
    pub(crate) fn by_code(&self) -> BTreeMap<String, u64> {
        by_code(&self.codes)
    }
}

fn count(counts: &mut Counts, outcome: &Outcome) {
    match &outcome.content {
        Ok(estimate) => {
            counts.rows += 1;
            counts.bad_rows += u64::from(estimate.quality.is_bad());
        }
        Err(_) => counts.rejects += 1,
    }
}

fn by_code(codes: &[u64; 256]) -> BTreeMap<String, u64> {
    named(CODES.iter().map(|entry| (entry.name, codes[usize::from(entry.code.number())])))
}

fn named(counts: impl Iterator<Item = (&'static str, u64)>) -> BTreeMap<String, u64> {
    let some = counts.filter(|(_, count)| *count > 0);
    some.map(|(name, count)| (name.to_owned(), count)).collect()
}
