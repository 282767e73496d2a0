//! The night itself: its stars in memory, compactly and within a limit, and its rejects by code.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDateTime;

use super::ReportError;
use super::table::{Label, Table};

/// Stars that are kept for plots, quartiles and repeats: a night of the largest surveys has 60,000.
/// Of a larger catalogue every second, third... row is kept, which the report says.
pub(super) const MOST_STARS: u64 = 200_000;
/// Files named for each code.
const EXAMPLES: usize = 3;

/// A star of the night.
#[derive(Debug, Clone)]
pub(super) struct Star {
    pub(super) id: String,
    pub(super) ra: f64,
    pub(super) dec: f64,
    pub(super) snr: f32,
    pub(super) bad: bool,
    /// When it was observed, UTC.
    pub(super) observed: Option<NaiveDateTime>,
}

/// All that the catalogue says of the night.
pub(super) struct Tonight {
    pub(super) labels: Vec<Label>,
    pub(super) stars: Vec<Star>,
    /// The labels of the stars, one star after the other.
    values: Vec<f32>,
    /// Every so many rows of the catalogue one star was kept.
    pub(super) step: u64,
    pub(super) rows: u64,
    pub(super) clean: u64,
    /// Rows by quality bit.
    pub(super) bits: [u64; 32],
}

/// Every so many rows one is kept.
pub(super) fn step(rows: u64) -> u64 {
    rows.div_ceil(MOST_STARS).max(1)
}

impl Tonight {
    pub(super) fn read(folder: &Path) -> Result<Self, ReportError> {
        let table = Table::catalogue(folder)?;
        let mut night = Self {
            labels: table.labels.clone(),
            stars: Vec::new(),
            values: Vec::new(),
            step: step(table.rows),
            rows: 0,
            clean: 0,
            bits: [0; 32],
        };
        table.each_row(|row| {
            for (bit, count) in night.bits.iter_mut().enumerate() {
                *count += u64::from(row.flags >> bit & 1 == 1);
            }
            night.clean += u64::from(!row.bad);
            if night.rows.is_multiple_of(night.step) {
                night.values.extend_from_slice(row.values);
                night.stars.push(Star {
                    id: row.id.to_owned(),
                    ra: row.ra,
                    dec: row.dec,
                    snr: row.snr,
                    bad: row.bad,
                    observed: row.date_obs.parse().ok(),
                });
            }
            night.rows += 1;
        })?;
        Ok(night)
    }

    /// The place of a label.
    pub(super) fn label(&self, name: &str) -> Option<usize> {
        self.labels.iter().position(|label| label.name == name)
    }

    /// A label of a star.
    pub(super) fn value(&self, star: usize, label: usize) -> f64 {
        f64::from(self.values[star * self.labels.len() + label])
    }

    /// A label of all stars that no bit warns of.
    pub(super) fn clean_values(&self, label: usize) -> impl Iterator<Item = f64> {
        let clean = (0..self.stars.len()).filter(|&star| !self.stars[star].bad);
        clean.map(move |star| self.value(star, label))
    }
}

/// The rejects of one code.
#[derive(Debug, Default)]
pub(super) struct RejectGroup {
    pub(super) reason: String,
    pub(super) remedy: String,
    pub(super) count: u64,
    /// File and detail of the first few.
    pub(super) examples: Vec<(String, String)>,
}

/// What has no row.
#[derive(Debug, Default)]
pub(super) struct Rejects {
    pub(super) groups: BTreeMap<i32, RejectGroup>,
    pub(super) count: u64,
    /// Where they are on the sky, if the file says so; at most [`MOST_STARS`].
    pub(super) places: Vec<(f64, f64)>,
}

impl Rejects {
    pub(super) fn read(folder: &Path) -> Result<Self, ReportError> {
        let table = Table::rejects(folder)?;
        let step = step(table.rows);
        let mut rejects = Self::default();
        table.each_reject(|row| {
            let group = rejects.groups.entry(row.code).or_insert_with(|| RejectGroup {
                reason: row.reason.to_owned(),
                remedy: row.remedy.to_owned(),
                ..RejectGroup::default()
            });
            group.count += 1;
            if group.examples.len() < EXAMPLES {
                group.examples.push((row.file.to_owned(), row.detail.to_owned()));
            }
            if rejects.count.is_multiple_of(step) && row.ra.is_finite() && row.dec.is_finite() {
                rejects.places.push((row.ra, row.dec));
            }
            rejects.count += 1;
        })?;
        Ok(rejects)
    }

    /// The codes, the commonest first.
    pub(super) fn by_count(&self) -> Vec<(i32, &RejectGroup)> {
        let mut groups: Vec<_> = self.groups.iter().map(|(code, group)| (*code, group)).collect();
        groups.sort_by_key(|(code, group)| (std::cmp::Reverse(group.count), *code));
        groups
    }
}
