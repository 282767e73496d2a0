//! Earlier nights: what they gave as a whole, the stars that came again, and the standards.

use std::path::{Path, PathBuf};

use super::statistics::{Quartiles, Shift, median, quartiles, shift};
use super::table::{Row, Table};
use super::tonight::{Tonight, step};
use super::{ReportError, ReportSettings};
use crate::catalogue::Manifest;
use crate::night::Night;
use crate::sky::Sky;

/// Earlier observations of the night's stars that are kept; the report says if there are more.
pub(super) const MOST_REPEATS: usize = 100_000;

/// The name of a night's folder: its date, and behind a `+` the number of the supplement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NightName {
    night: Night,
    supplement: u32,
}

impl NightName {
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let name = folder.file_name()?.to_str()?;
        let (date, supplement) = name.split_once('+').unwrap_or((name, "0"));
        Some(Self { night: Night::of_date(date)?, supplement: supplement.parse().ok()? })
    }
}

/// The folders of earlier nights beside this one, the latest `most`, the earliest first.
fn earlier(folder: &Path, most: usize) -> Vec<(String, PathBuf)> {
    let Some(own) = NightName::of(folder) else { return Vec::new() };
    let Some(entries) = folder.parent().and_then(|parent| std::fs::read_dir(parent).ok()) else {
        return Vec::new();
    };
    let mut nights: Vec<(NightName, PathBuf)> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|path| Some((NightName::of(&path)?, path)))
        .filter(|(name, _)| *name < own)
        .collect();
    nights.sort();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    nights.drain(..nights.len().saturating_sub(most));
    nights.into_iter().map(|(_, path)| (name(&path), path)).collect()
}

/// An earlier night as a whole.
#[derive(Debug)]
pub(super) struct PastNight {
    pub(super) name: String,
    /// One a label of this night; of the clean rows.
    pub(super) labels: Vec<Option<Quartiles>>,
}

/// One observation of a standard.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    /// Which of the configured standards.
    pub(super) standard: usize,
    /// Which of the earlier nights; `None` is this one.
    pub(super) night: Option<usize>,
    pub(super) bad: bool,
    /// One a label.
    pub(super) values: Vec<f32>,
}

/// A star of the night with what earlier nights gave it.
#[derive(Debug)]
pub(super) struct Repeat {
    pub(super) star: usize,
    pub(super) times: usize,
    /// This night's value less the median of the earlier ones, one a label.
    pub(super) differences: Vec<f64>,
}

/// What the earlier nights say.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) nights: Vec<PastNight>,
    /// Folders that were left out, and why.
    pub(super) left_out: Vec<(String, String)>,
    pub(super) repeats: Vec<Repeat>,
    /// Observations that an earlier night holds in another reduction; they are no repeats.
    pub(super) reduced_again: usize,
    /// Earlier observations beyond [`MOST_REPEATS`].
    pub(super) beyond: usize,
    pub(super) visits: Vec<Visit>,
}

/// Earlier observations while they are gathered.
struct Gathered {
    stars: Vec<u32>,
    values: Vec<f32>,
    sky: Sky,
    standards: Sky,
}

impl Past {
    /// Reads the catalogues of earlier nights one after the other, each row once.
    pub(super) fn read(
        folder: &Path,
        model: &str,
        tonight: &Tonight,
        settings: &ReportSettings,
    ) -> Result<Self, ReportError> {
        let radius = settings.match_arcsec;
        let standards = settings.standards.iter().map(|standard| (standard.ra, standard.dec));
        let mut gathered = Gathered {
            stars: Vec::new(),
            values: Vec::new(),
            sky: Sky::of(tonight.stars.iter().map(|star| (star.ra, star.dec)), radius),
            standards: Sky::of(standards, radius),
        };
        let mut past = Self::default();
        for (name, path) in earlier(folder, settings.nights) {
            // An old night that is damaged must not cost the report of this one.
            match past.add(&name, &path, model, tonight, &mut gathered) {
                Ok(()) => {}
                Err(why) => past.left_out.push((name, why)),
            }
        }
        // This night's own standards need a row each, whatever part of the stars is kept.
        Table::catalogue(folder)?.each_row(|row| {
            past.visit(&gathered.standards, row, None, row.values.to_vec());
        })?;
        past.repeats = gathered.repeats(tonight);
        Ok(past)
    }

    fn add(
        &mut self,
        name: &str,
        path: &Path,
        model: &str,
        tonight: &Tonight,
        gathered: &mut Gathered,
    ) -> Result<(), String> {
        let manifest = Manifest::read(path).map_err(|error| error.to_string())?;
        let manifest = manifest.ok_or("it is not closed")?;
        if manifest.model != model {
            return Err(format!("it was made with another model, {}", manifest.model));
        }
        let table = Table::catalogue(path).map_err(|error| error.to_string())?;
        // One model has one order of labels.
        if table.labels != tonight.labels {
            return Err("its labels are others".into());
        }
        let (number, step) = (self.nights.len(), step(table.rows));
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); tonight.labels.len()];
        let mut rows = 0_u64;
        let read = table.each_row(|row| {
            self.visit(&gathered.standards, row, Some(number), row.values.to_vec());
            if !row.bad {
                if rows.is_multiple_of(step) {
                    for (values, value) in values.iter_mut().zip(row.values) {
                        values.push(f64::from(*value));
                    }
                }
                self.repeat(tonight, gathered, row);
            }
            rows += 1;
        });
        self.nights.push(PastNight {
            name: name.to_owned(),
            labels: values.into_iter().map(quartiles).collect(),
        });
        read.map_err(|error| error.to_string())
    }

    fn visit(&mut self, standards: &Sky, row: &Row<'_>, night: Option<usize>, values: Vec<f32>) {
        let Some(standard) = standards.nearest(row.ra, row.dec) else { return };
        if self.visits.len() < MOST_REPEATS {
            self.visits.push(Visit { standard, night, bad: row.bad, values });
        }
    }

    fn repeat(&mut self, tonight: &Tonight, gathered: &mut Gathered, row: &Row<'_>) {
        for star in gathered.sky.all(row.ra, row.dec) {
            if tonight.stars[star].bad {
                continue;
            }
            if tonight.stars[star].id == row.id {
                self.reduced_again += 1;
            } else if gathered.stars.len() < MOST_REPEATS {
                gathered.stars.push(u32::try_from(star).unwrap_or(u32::MAX));
                gathered.values.extend_from_slice(row.values);
            } else {
                self.beyond += 1;
            }
        }
    }

    /// The differences of a label over all repeated stars.
    pub(super) fn repeat_shift(&self, label: usize) -> Option<Shift> {
        shift(self.repeats.iter().map(|repeat| repeat.differences[label]))
    }
}

impl Gathered {
    /// One entry a star: this night's value less the median of the earlier ones.
    fn repeats(&self, tonight: &Tonight) -> Vec<Repeat> {
        let labels = tonight.labels.len();
        let mut order: Vec<usize> = (0..self.stars.len()).collect();
        order.sort_by_key(|&observation| self.stars[observation]);
        let same_star = order.chunk_by(|&a, &b| self.stars[a] == self.stars[b]);
        same_star
            .map(|observations| {
                let star = self.stars[observations[0]] as usize;
                let difference = |label: usize| {
                    let earlier = observations
                        .iter()
                        .map(|&observation| f64::from(self.values[observation * labels + label]));
                    median(earlier).map_or(f64::NAN, |then| tonight.value(star, label) - then)
                };
                let differences = (0..labels).map(difference).collect();
                Repeat { star, times: observations.len(), differences }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_come_in_order_and_nothing_else_is_one() {
        let root = tempfile::tempdir().unwrap();
        let names = ["2026-11-20", "2026-11-20+10", "2026-11-20+2", "2026-11-21", "2026-11-22"];
        for name in names.iter().chain(&["calibration", "2026-11-19.old"]) {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        let before = |name: &str, most| -> Vec<String> {
            earlier(&root.path().join(name), most).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(before("2026-11-21", 9), ["2026-11-20", "2026-11-20+2", "2026-11-20+10"]);
        assert_eq!(before("2026-11-21", 2), ["2026-11-20+2", "2026-11-20+10"]);
        assert_eq!(before("2026-11-20", 9), [""; 0]);
        assert_eq!(before("calibration", 9), [""; 0]);
    }
}
