//! The last 24 hours in bins of ten seconds.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::status::{Bin, Latency};

/// The length of a bin, seconds.
pub(super) const BIN_SECONDS: u64 = 10;
/// Bins of 24 hours.
const BINS: usize = 8640;
/// The most queues whose fill is kept.
const QUEUES: usize = 8;
/// The longest latency that is told apart, milliseconds: a day.
const LONGEST: u64 = 86_400_000;

/// What a day of bins and their latencies take.
pub(super) const BYTES: usize = BINS * size_of::<Slot>() + (64 << 10);

/// Bounds of the latency histogram for Prometheus, seconds.
pub(crate) const LATENCY_BOUNDS: [f64; 12] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// Latencies of an interval of any length, in constant memory.
pub(super) struct Latencies(Histogram<u32>);

impl Latencies {
    pub(super) fn new() -> Self {
        // Two digits from a millisecond to a day: 20 kB. The bounds are constants that it accepts.
        Self(Histogram::new_with_bounds(1, LONGEST, 2).expect("bounds of a histogram"))
    }

    pub(super) fn record(&mut self, latency: Duration) {
        let milliseconds = u64::try_from(latency.as_millis()).unwrap_or(LONGEST);
        self.0.saturating_record(milliseconds.clamp(1, LONGEST));
    }

    pub(super) fn clear(&mut self) {
        self.0.reset();
    }

    fn quantile(&self, quantile: f64) -> Option<f64> {
        let seconds = |histogram: &Histogram<u32>| histogram.value_at_quantile(quantile);
        (!self.0.is_empty()).then(|| seconds(&self.0) as f64 / 1000.0)
    }

    pub(super) fn summary(&self) -> Latency {
        let max_s = (!self.0.is_empty()).then(|| self.0.max() as f64 / 1000.0);
        Latency { p50_s: self.quantile(0.5), p99_s: self.quantile(0.99), max_s }
    }
}

#[derive(Clone, Copy, Default)]
struct Slot {
    // The interval since 1970; 0 where there is none.
    interval: u64,
    rows: u32,
    rejects: u32,
    p50: f32,
    p99: f32,
    fill: [u8; QUEUES],
    // Whether anyone looked at the queues.
    is_watched: bool,
    starts: u8,
}

/// A ring of bins.
pub(super) struct Timeline {
    slots: Box<[Slot]>,
    // Every bin before it is complete.
    now: u64,
    latencies: Latencies,
}

impl Timeline {
    pub(super) fn new() -> Self {
        let slots = vec![Slot::default(); BINS].into_boxed_slice();
        Self { slots, now: 0, latencies: Latencies::new() }
    }

    /// Goes on to this moment. A clock that was set back writes into the newest bin.
    pub(super) fn advance(&mut self, time: f64) {
        let interval = interval(time);
        // A clock that was ahead by more than a day and is right again starts afresh.
        let is_lost = interval + (BINS as u64) < self.now;
        if interval > self.now || is_lost {
            if is_lost {
                self.slots.fill(Slot::default());
            }
            self.latencies.clear();
            self.now = interval;
            *self.slot() = Slot { interval, ..Slot::default() };
        }
    }

    /// Adds outcomes of an interval of a former process, of which nothing else is known.
    pub(super) fn recall(&mut self, interval: u64, rows: u32, rejects: u32) {
        if let Some(slot) = self.slot_of(interval) {
            slot.rows += rows;
            slot.rejects += rejects;
        }
    }

    /// Notes a start of the service.
    pub(super) fn start(&mut self, time: f64) {
        if let Some(slot) = self.slot_of(interval(time)) {
            slot.starts = slot.starts.saturating_add(1);
        }
    }

    /// The slot of an interval that is not too old; of one to come, the newest.
    fn slot_of(&mut self, interval: u64) -> Option<&mut Slot> {
        let interval = interval.min(self.now);
        if interval + (BINS as u64) <= self.now {
            return None;
        }
        let slot = &mut self.slots[place(interval)];
        if slot.interval != interval {
            *slot = Slot { interval, ..Slot::default() };
        }
        Some(slot)
    }

    /// Counts one outcome.
    pub(super) fn count(&mut self, is_row: bool, latency: Option<Duration>) {
        if let Some(latency) = latency {
            self.latencies.record(latency);
        }
        let slot = self.slot();
        *(if is_row { &mut slot.rows } else { &mut slot.rejects }) += 1;
    }

    /// Brings the quantiles of the newest bin up to date; after a group of outcomes.
    pub(super) fn settle(&mut self) {
        let Latency { p50_s, p99_s, .. } = self.latencies.summary();
        #[expect(clippy::cast_possible_truncation, reason = "three digits are kept")]
        let short = |seconds: Option<f64>| seconds.unwrap_or(0.0) as f32;
        let slot = self.slot();
        (slot.p50, slot.p99) = (short(p50_s), short(p99_s));
    }

    /// Notes how full the queues are, 0 to 1.
    pub(super) fn fill(&mut self, fills: impl Iterator<Item = f64>) {
        self.slot().is_watched = true;
        for (kept, fill) in self.slot().fill.iter_mut().zip(fills) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
            let percent = (fill.clamp(0.0, 1.0) * 100.0).round() as u8;
            *kept = (*kept).max(percent);
        }
    }

    /// Outcomes of the last `seconds`, which the present bin is part of, and the time they took.
    pub(super) fn recent(&self, time: f64, seconds: u64) -> (u64, f64) {
        let oldest = self.now.saturating_sub(seconds / BIN_SECONDS - 1);
        let outcomes = (oldest..=self.now).filter_map(|interval| self.at(interval));
        let outcomes = outcomes.map(|slot| u64::from(slot.rows) + u64::from(slot.rejects)).sum();
        (outcomes, (time - (oldest * BIN_SECONDS) as f64).clamp(1.0, seconds as f64))
    }

    /// At most `most` bins that begin at `since` or later and have something to say, `group` of
    /// them as one; the newest if there are more. The last one may still grow.
    pub(super) fn bins(&self, since: f64, group: u64, most: usize, queues: usize) -> Vec<Bin> {
        let group = group.max(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let since = since.max(0.0) as u64 / BIN_SECONDS;
        let oldest = self.now.saturating_sub(BINS as u64 - 1).max(since) / group;
        let newest = self.now / group;
        let oldest = oldest.max((newest + 1).saturating_sub(most as u64));
        (oldest..=newest).filter_map(|number| self.merge(number, group, queues)).collect()
    }

    fn merge(&self, number: u64, group: u64, queues: usize) -> Option<Bin> {
        let mut slots = (number * group..(number + 1) * group).filter_map(|i| self.at(i));
        let mut sum = *slots.next()?;
        let (mut rows, mut rejects) = (u64::from(sum.rows), u64::from(sum.rejects));
        for slot in slots {
            rows += u64::from(slot.rows);
            rejects += u64::from(slot.rejects);
            sum.starts = sum.starts.saturating_add(slot.starts);
            sum.is_watched |= slot.is_watched;
            (sum.p50, sum.p99) = (sum.p50.max(slot.p50), sum.p99.max(slot.p99));
            for (most, fill) in sum.fill.iter_mut().zip(slot.fill) {
                *most = (*most).max(fill);
            }
        }
        let known = |latency: f32| (latency > 0.0).then_some(latency);
        let queues = if sum.is_watched { queues } else { 0 };
        let fill = sum.fill.iter().take(queues).map(|&percent| f32::from(percent) / 100.0);
        Some(Bin {
            time: (number * group * BIN_SECONDS) as f64,
            seconds: (group * BIN_SECONDS) as f64,
            rows,
            rejects,
            p50_s: known(sum.p50),
            p99_s: known(sum.p99),
            fill: fill.collect(),
            starts: u64::from(sum.starts),
        })
    }

    fn at(&self, interval: u64) -> Option<&Slot> {
        let slot = &self.slots[place(interval)];
        (slot.interval == interval && interval > 0).then_some(slot)
    }

    fn slot(&mut self) -> &mut Slot {
        &mut self.slots[place(self.now)]
    }
}

/// The interval of a moment, in seconds since 1970.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
pub(super) fn interval(time: f64) -> u64 {
    time.max(0.0) as u64 / BIN_SECONDS
}

/// The oldest interval that is kept at this moment.
pub(super) fn oldest(now: f64) -> u64 {
    (interval(now) + 1).saturating_sub(BINS as u64)
}

fn place(interval: u64) -> usize {
    usize::try_from(interval % BINS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: f64 = 1.8e9;

    #[test]
    fn a_day_is_kept_and_no_more() {
        let mut line = Timeline::new();
        for bin in 0..10_000_u32 {
            line.advance(BEGIN + f64::from(bin) * 10.0);
            line.count(bin % 2 == 0, Some(Duration::from_millis(u64::from(bin) + 1)));
            line.settle();
        }
        let bins = line.bins(0.0, 1, 100_000, 3);
        assert_eq!(bins.len(), BINS);
        assert_eq!(bins[BINS - 1].time, BEGIN + 99_990.0);
        assert_eq!(bins.iter().map(|bin| bin.rows).sum::<u64>(), BINS as u64 / 2);
        let newest = f64::from(bins[BINS - 1].p99_s.unwrap());
        assert!((newest / 10.0 - 1.0).abs() < 0.01, "{newest}");
        let coarse = line.bins(0.0, 6, 100_000, 3);
        assert_eq!(coarse.iter().map(|bin| bin.rejects).sum::<u64>(), BINS as u64 / 2);
        assert_eq!(line.bins(0.0, 1, 2, 3).len(), 2);
    }

    #[test]
    fn bins_without_anything_are_left_out_and_stale_ones_do_not_come_back() {
        let mut line = Timeline::new();
        line.advance(BEGIN);
        line.count(true, None);
        line.advance(BEGIN + 86_400.0);
        assert_eq!(line.bins(0.0, 1, 100_000, 0).iter().map(|bin| bin.rows).sum::<u64>(), 0);
        line.count(true, None);
        assert_eq!(line.recent(BEGIN + 86_401.0, 60).0, 1);
    }

    #[test]
    fn a_clock_that_jumps_back_loses_no_count() {
        let mut line = Timeline::new();
        line.advance(BEGIN);
        line.advance(BEGIN - 100.0);
        line.count(true, None);
        assert_eq!(line.bins(0.0, 1, 10, 0)[0].rows, 1);
        line.advance(BEGIN - 200_000.0);
        line.count(true, None);
        assert_eq!(line.bins(0.0, 1, 10, 0)[0].time, BEGIN - 200_000.0);
    }

    #[test]
    fn what_is_recalled_stands_where_it_was_and_a_pause_stays_one() {
        let mut line = Timeline::new();
        let now = interval(BEGIN);
        line.advance(BEGIN);
        line.count(true, None);
        line.recall(now - 100, 3, 1);
        line.recall(now, 5, 0);
        line.recall(now - BINS as u64, 9, 9);
        // The clock was ahead when it was committed.
        line.recall(now + 7, 0, 2);
        line.start(BEGIN - 20.0);
        let bins = line.bins(0.0, 1, 100_000, 2);
        let said: Vec<_> = bins.iter().map(|bin| (bin.rows, bin.rejects, bin.starts)).collect();
        assert_eq!(said, [(3, 1, 0), (0, 0, 1), (6, 2, 0)]);
        assert_eq!((bins[0].time, bins[0].p50_s), (BEGIN - 1000.0, None));
        assert!(bins[0].fill.is_empty(), "nobody looked at the queues");
    }

    #[test]
    fn queues_show_their_fullest_moment() {
        let mut line = Timeline::new();
        line.advance(BEGIN);
        line.fill([0.25, 1.0].into_iter());
        line.fill([0.75, 0.5].into_iter());
        assert_eq!(line.bins(0.0, 1, 10, 2)[0].fill, [0.75, 1.0]);
    }
}
