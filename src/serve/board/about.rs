//! What runs.

use std::path::PathBuf;
use std::time::SystemTime;

use super::status::Label;
use crate::config::Config;
use crate::report::DriftRule;
use crate::setup::Ready;

/// What runs, since when and where.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// Version of the program.
    pub version: String,
    /// Name and version of the model.
    pub model: String,
    /// The execution provider that is really used.
    pub provider: String,
    /// When the service started.
    pub started: SystemTime,
    /// Longitude of the observatory, degrees east.
    pub longitude: f64,
    /// Positions closer than this are one star, arcseconds.
    pub match_arcsec: f64,
    /// The folder of the catalogues.
    pub folder: PathBuf,
    /// Labels and derived labels of the model, in the order of an estimate's values.
    pub labels: Vec<Label>,
    /// What counts as a drift of a label.
    pub drift: DriftRule,
}

impl About {
    /// A service that starts now with this model.
    pub fn of(model: &Ready, provider: &str, config: &Config, folder: PathBuf) -> Self {
        let manifest = &model.model.manifest;
        let labels = manifest.labels.iter().map(|label| (&label.name, &label.unit));
        let derived = manifest.derived.iter().map(|derived| (&derived.name, &derived.unit));
        let label =
            |(name, unit): (&String, &String)| Label { name: name.clone(), unit: unit.clone() };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: model.id(),
            provider: provider.to_owned(),
            started: SystemTime::now(),
            longitude: config.night.longitude,
            match_arcsec: config.report.match_arcsec,
            folder,
            labels: labels.chain(derived).map(label).collect(),
            drift: config.report.drift_rule(),
        }
    }
}
