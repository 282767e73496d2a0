//! The night report: one page of HTML about a sealed catalogue, for who comes in the morning.
//!
//! It is made from the catalogue's folder, and from those of earlier nights beside it, alone:
//! nothing live, no clock. Equal inputs give equal bytes. The page needs nothing from outside, and
//! every text in it that comes from a file is escaped by the template engine.

pub(crate) mod chart;
pub(crate) mod figures;
mod page;
mod page_history;
pub(crate) mod parts;
mod past;
pub(crate) mod runs;
pub(crate) mod sky;
mod standards;
pub(crate) mod statistics;
pub(crate) mod table;
mod tonight;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub(crate) use page::shell;
pub use statistics::{Quartiles, Shift};

use crate::catalogue::{CatalogueError, Manifest, replace};
use crate::config::{Config, ConfigError};
use past::Past;
use runs::Runs;
use standards::Comparison;
use tonight::{Rejects, Tonight};

/// Name of the report within the catalogue's folder.
pub const REPORT: &str = "report.html";

/// What writing a report takes, at the most: the night's stars with their names and labels, and what
/// earlier nights say of them.
pub const MOST_BYTES: u64 = tonight::MOST_STARS * 512 + past::MOST_REPEATS as u64 * 256;

/// A report that could not be written.
#[derive(Debug, Error)]
pub enum ReportError {
    /// There is no `run.json`, so nothing vouches for the tables.
    #[error("{0}: the catalogue is not sealed; let its run end, or run again with the same --out")]
    NotSealed(PathBuf),
    /// The operating system refused.
    #[error(
        "{path}: {source}; check that the folder is a catalogue and that this user may read it"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A table is damaged.
    #[error("{path}: {source}; see what is wrong with `starmill catalogue verify`")]
    Table {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: parquet::errors::ParquetError,
    },
    /// A table lacks a column, or has it with another type.
    #[error("{path}: there is no column {column}; seal the catalogue with this version")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// The manifest could not be read, or the report not be written.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// Settings of the report; `config/default.toml` gives their meaning.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml documents every key")]
pub struct ReportSettings {
    pub nights: usize,
    pub match_arcsec: f64,
    pub drift_sigma: f64,
    pub drift_stars: usize,
    pub drift_limits: BTreeMap<String, f64>,
    pub standards: Vec<Standard>,
}

/// What is a drift of a label: more than its limit and more than so many errors, in enough stars.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftRule {
    sigma: f64,
    stars: usize,
    limits: BTreeMap<String, f64>,
}

impl DriftRule {
    /// The limit of every label that has one, in the label's unit.
    pub fn limits(&self) -> &BTreeMap<String, f64> {
        &self.limits
    }

    /// Whether a label that has moved so far has drifted. One without a limit never has.
    pub fn is_drift(&self, label: &str, shift: &Shift) -> bool {
        let significant = shift.median.abs() > self.sigma * shift.error;
        let large = self.limits.get(label).is_some_and(|limit| shift.median.abs() > *limit);
        shift.count >= self.stars && significant && large
    }
}

/// A star whose labels are known.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Standard {
    /// Its name.
    pub name: String,
    /// Right ascension, J2000, degrees.
    pub ra: f64,
    /// Declination, J2000, degrees.
    pub dec: f64,
    /// By label: what is expected, and its error.
    pub labels: BTreeMap<String, [f64; 2]>,
}

impl ReportSettings {
    /// What counts as a drift, here and on the board of the service.
    pub fn drift_rule(&self) -> DriftRule {
        DriftRule {
            sigma: self.drift_sigma,
            stars: self.drift_stars,
            limits: self.drift_limits.clone(),
        }
    }

    /// Checks what types cannot express.
    ///
    /// # Errors
    /// [`ConfigError`] names the key.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |well: bool, key, value: String, needs| {
            if well { Ok(()) } else { Err(ConfigError::Value { key, value, needs }) }
        };
        let positive = |value: f64, most: f64| value > 0.0 && value <= most;
        let (radius, sigma) = (self.match_arcsec, self.drift_sigma);
        check(
            self.nights <= 1000,
            "report.nights",
            self.nights.to_string(),
            "at most 1000 are read",
        )?;
        let needs = "a number of arcseconds above 0 and up to 60 is needed";
        check(positive(radius, 60.0), "report.match_arcsec", radius.to_string(), needs)?;
        let needs = "a number above 0 and up to 100 is needed";
        check(positive(sigma, 100.0), "report.drift_sigma", sigma.to_string(), needs)?;
        let stars = self.drift_stars;
        check(stars > 0, "report.drift_stars", stars.to_string(), "at least 1 is needed")?;
        let needs = "a number of the label's unit above 0 is needed";
        for (label, limit) in &self.drift_limits {
            check(
                positive(*limit, f64::MAX),
                "report.drift_limits",
                format!("{label} {limit}"),
                needs,
            )?;
        }
        let number = self.standards.len();
        check(number <= 1000, "report.standards", number.to_string(), "at most 1000 are compared")?;
        let needs =
            "ra within 0 to 360, dec within -90 to 90 and labels as [value, error] are needed";
        for Standard { name, ra, dec, labels } in &self.standards {
            let placed = (0.0..=360.0).contains(ra) && (-90.0..=90.0).contains(dec);
            let sound = |[value, error]: &[f64; 2]| value.is_finite() && *error >= 0.0;
            check(placed && labels.values().all(sound), "report.standards", name.clone(), needs)?;
        }
        Ok(())
    }
}

/// What a report is written with.
#[derive(Debug, Clone)]
pub struct ReportContext {
    /// The settings.
    pub settings: ReportSettings,
}

impl ReportContext {
    /// The context of a configuration.
    pub fn of(config: &Config) -> Self {
        Self { settings: config.report.clone() }
    }
}

/// How far a label has moved against earlier nights.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// The label.
    pub label: String,
    /// Its unit, empty if it has none.
    pub unit: String,
    /// By stars that earlier nights have too: this night less the median of the earlier ones.
    pub repeats: Option<Shift>,
    /// By standards, in the same sense.
    pub standards: Option<Shift>,
    /// The one of the two that is a drift by the settings, the standards before the repeats.
    pub alarm: Option<Shift>,
}

impl Drift {
    fn new(
        (label, unit): (&str, &str),
        repeats: Option<Shift>,
        standards: Option<Shift>,
        rule: &DriftRule,
    ) -> Self {
        let is_drift = |shift: &Shift| rule.is_drift(label, shift);
        let alarm = standards.filter(is_drift).or(repeats.filter(is_drift));
        Self { label: label.into(), unit: unit.into(), repeats, standards, alarm }
    }

    /// The measure to show: the standards' where there are any.
    pub fn best(&self) -> Option<Shift> {
        self.alarm.or(self.standards).or(self.repeats)
    }
}

/// The night in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Name of the catalogue's folder: the night.
    pub name: String,
    /// The page.
    pub report: PathBuf,
    /// Inputs that the catalogue accounts for.
    pub files: u64,
    /// Rows.
    pub rows: u64,
    /// Rows that no quality bit warns of.
    pub clean: u64,
    /// Rejects.
    pub rejects: u64,
    /// Rejects by the name of their code.
    pub rejects_by_code: BTreeMap<String, u64>,
    /// Median S/N in g; `None` if no file gives one.
    pub snr: Option<f64>,
    /// Stars that earlier nights have too.
    pub repeats: usize,
    /// Standards that were observed.
    pub standards: usize,
    /// Processes that died while they wrote the catalogue.
    pub crashes: usize,
    /// Every label's drift.
    pub drifts: Vec<Drift>,
}

impl Summary {
    /// What it is: a night by its name, else the catalogue of a run.
    fn kind(&self) -> &'static str {
        if past::NightName::of(Path::new(&self.name)).is_some() { "night" } else { "catalogue" }
    }

    /// The night in one line, for the log.
    pub fn line(&self) -> String {
        let mut line = format!(
            "{} {}: {} rows ({} clean) and {} rejects of {} files",
            self.kind(),
            self.name,
            self.rows,
            self.clean,
            self.rejects,
            self.files
        );
        if let Some(snr) = self.snr {
            line += &format!(", median S/N {snr:.0}");
        }
        line += &format!(", {} repeats, {} standards", self.repeats, self.standards);
        if self.crashes > 0 {
            line += &format!(", {} crashes", self.crashes);
        }
        for drift in &self.drifts {
            if let Some(shift) = drift.alarm {
                let Drift { label, unit, .. } = drift;
                let (median, error) = (parts::signed(shift.median), parts::number(shift.error));
                line += &format!(", {label} drifts by {median} +- {error} {unit}");
            }
        }
        line.trim_end().to_owned()
    }
}

/// All that the page shows.
struct Findings<'a> {
    summary: Summary,
    manifest: &'a Manifest,
    tonight: &'a Tonight,
    rejects: &'a Rejects,
    past: &'a Past,
    comparisons: &'a [Comparison<'a>],
    runs: &'a Runs,
    settings: &'a ReportSettings,
}

/// Writes `report.html` beside the sealed catalogue of the folder, durably.
///
/// Memory is bounded: of a catalogue of more than 200,000 rows a part is plotted and compared, and
/// earlier nights are read one after the other, of which at most 100,000 observations of this
/// night's stars are kept. The page says where a limit was met.
///
/// # Errors
/// [`ReportError`] when the catalogue is not sealed, or damaged, or the page cannot be written. An
/// earlier night that is damaged is left out, and the page says so.
pub fn write(folder: &Path, context: &ReportContext) -> Result<Summary, ReportError> {
    let settings = &context.settings;
    // The name of the night is the folder's own, however the folder was given.
    let folder = std::fs::canonicalize(folder)
        .map_err(|source| ReportError::Io { path: folder.to_owned(), source })?;
    let manifest =
        Manifest::read(&folder)?.ok_or_else(|| ReportError::NotSealed(folder.clone()))?;
    let tonight = Tonight::read(&folder)?;
    let rejects = Rejects::read(&folder)?;
    let past = Past::read(&folder, &manifest.model, &tonight, settings)?;
    let runs = Runs::read(&folder)?;
    let comparisons = standards::compare(settings, &tonight.labels, &past);
    let labels = tonight.labels.iter().enumerate();
    let rule = settings.drift_rule();
    let drifts = labels.map(|(number, label)| {
        let of_standards = standards::drift(&comparisons, number);
        let name = (label.name.as_str(), label.unit.as_str());
        Drift::new(name, past.repeat_shift(number), of_standards, &rule)
    });
    let observed =
        |standard| past.visits.iter().any(|v| v.night.is_none() && v.standard == standard);
    let summary = Summary {
        name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        report: folder.join(REPORT),
        files: manifest.inputs,
        rows: tonight.rows,
        clean: tonight.clean,
        rejects: rejects.count,
        rejects_by_code: rejects.groups.values().map(|g| (g.reason.clone(), g.count)).collect(),
        snr: statistics::median(tonight.stars.iter().map(|star| f64::from(star.snr))),
        repeats: past.repeats.len(),
        standards: (0..settings.standards.len()).filter(|&standard| observed(standard)).count(),
        crashes: runs.crashes,
        drifts: drifts.collect(),
    };
    let findings = Findings {
        summary,
        manifest: &manifest,
        tonight: &tonight,
        rejects: &rejects,
        past: &past,
        comparisons: &comparisons,
        runs: &runs,
        settings,
    };
    replace(&findings.summary.report, page::render(&findings).into_string().as_bytes())?;
    Ok(findings.summary)
}
