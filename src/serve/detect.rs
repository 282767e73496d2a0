//! What is worth telling someone, decided from numbers alone. Each detector speaks when its state
//! begins and is silent until it has ended: an alarm that repeats is an alarm that nobody reads.

use std::collections::VecDeque;

use super::hooks::{Event, HookSettings};
use crate::report::Summary;

/// A state with two limits: it begins at one and ends at the other, so that it does not flicker.
#[derive(Debug, Clone)]
struct Hysteresis {
    begins: f64,
    ends: f64,
    on: bool,
}

impl Hysteresis {
    /// Whether the state begins with this value.
    fn begins_at(&mut self, value: f64) -> bool {
        let was = self.on;
        self.on = if was { value > self.ends } else { value >= self.begins };
        self.on && !was
    }
}

/// Too large a share of rejects over the last spectra.
#[derive(Debug, Clone)]
pub struct RejectBurst {
    last: VecDeque<bool>,
    window: usize,
    rejects: usize,
    state: Hysteresis,
}

impl RejectBurst {
    /// A detector with these settings.
    pub fn new(settings: &HookSettings) -> Self {
        Self {
            last: VecDeque::with_capacity(settings.reject_window),
            window: settings.reject_window,
            rejects: 0,
            state: Hysteresis {
                begins: settings.reject_burst,
                ends: settings.reject_calm,
                on: false,
            },
        }
    }

    /// Sees one more spectrum; tells when a burst begins. Until a window is full nothing is one.
    pub fn observe(&mut self, is_reject: bool) -> Option<Event> {
        if self.last.len() == self.window && self.last.pop_front() == Some(true) {
            self.rejects -= 1;
        }
        self.last.push_back(is_reject);
        self.rejects += usize::from(is_reject);
        if self.last.len() < self.window {
            return None;
        }
        let share = self.rejects as f64 / self.window as f64;
        self.state.begins_at(share).then_some(Event::RejectBurst {
            rejects: self.rejects,
            spectra: self.window,
            share,
        })
    }
}

/// Too little room on the disk.
#[derive(Debug, Clone)]
pub struct DiskLow(Hysteresis);

impl DiskLow {
    /// A detector with these settings.
    pub fn new(settings: &HookSettings) -> Self {
        // In terms of what is used, so that more is worse.
        let (begins, ends) = (1.0 - settings.disk_low, 1.0 - 1.5 * settings.disk_low);
        Self(Hysteresis { begins, ends, on: false })
    }

    /// Sees the disk; tells when it begins to be low.
    pub fn observe(&mut self, free_bytes: u64, total_bytes: u64) -> Option<Event> {
        let used = 1.0 - free_bytes as f64 / total_bytes.max(1) as f64;
        self.0.begins_at(used).then_some(Event::DiskLow { free_bytes, total_bytes })
    }
}

/// The labels that drifted in a night, an event each.
pub fn label_drifts(summary: &Summary) -> impl Iterator<Item = Event> {
    summary.drifts.iter().filter_map(|drift| {
        let shift = drift.alarm?;
        Some(Event::LabelDrift {
            night: summary.name.clone(),
            label: drift.label.clone(),
            unit: drift.unit.clone(),
            difference: shift.median,
            error: shift.error,
            stars: shift.count,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn settings() -> HookSettings {
        let mut settings = Config::load(None).unwrap().hooks;
        settings.reject_window = 10;
        settings
    }

    #[test]
    fn a_burst_is_told_once_and_again_only_after_calm() {
        let mut burst = RejectBurst::new(&settings());
        let mut told = |rejects: &str| {
            rejects.chars().filter(|reject| burst.observe(*reject == 'x').is_some()).count()
        };
        assert_eq!(told("xxxxxxxxx"), 0, "the window is not full");
        assert_eq!(told("x"), 1);
        assert_eq!(told("xxxx......"), 0, "still above the calm share");
        assert_eq!(told("xxxxxxxxxx"), 0);
        assert_eq!(told(".........."), 0);
        assert_eq!(told("xxxxx"), 1);
    }

    #[test]
    fn a_burst_says_how_many_of_how_many() {
        let mut burst = RejectBurst::new(&settings());
        let told: Vec<Event> =
            ".....xxxxx".chars().filter_map(|reject| burst.observe(reject == 'x')).collect();
        assert_eq!(told, [Event::RejectBurst { rejects: 5, spectra: 10, share: 0.5 }]);
    }

    #[test]
    fn the_disk_is_low_once_until_there_is_room_again() {
        let mut disk = DiskLow::new(&settings());
        let told: Vec<bool> = [50, 11, 9, 8, 12, 9, 16, 9]
            .into_iter()
            .map(|free| disk.observe(free, 100).is_some())
            .collect();
        assert_eq!(told, [false, false, true, false, false, false, false, true]);
    }
}
