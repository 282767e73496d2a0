//! The contract of a forward model's folder: `manifest.toml` with `kind = "forward"`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::folder::Kind;
use crate::manifest::{FileEntry, TrainedOn};

/// What a forward model takes and what spectra it gives.
///
/// An unknown key is an error, so that a misspelt one cannot pass for a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardManifest {
    /// Version of this contract; this crate reads 1.
    pub schema: u32,
    /// Always [`Kind::Forward`].
    pub kind: Kind,
    /// Name of the model, lower case.
    pub name: String,
    /// Version of the trained model.
    pub version: String,
    /// One line for a reader.
    pub title: String,
    /// The publication it follows.
    pub paper: String,
    /// SPDX licence of the weights.
    pub license: String,
    /// Surveys to whose spectra it can be fitted; may be empty.
    pub surveys: Vec<String>,
    /// Whether the training spectra were computed or observed.
    pub trained_on: TrainedOn,
    /// Files of the folder, each with its hash.
    pub files: ForwardFiles,
    /// The input of the graph.
    pub input: ForwardInput,
    /// The outputs of the graph.
    pub output: ForwardOutput,
    /// What kind of spectra the graph gives.
    pub spectrum: SpectrumSpec,
    /// Labels in the order of the columns of the input.
    #[serde(rename = "label")]
    pub labels: Vec<ForwardLabel>,
    /// How it is fitted to observed spectra; absent if it is not meant to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<FitSpec>,
    /// How closely the golden cases must be reproduced.
    pub golden: ForwardTolerance,
    /// Where the weights come from, free keys.
    #[serde(default)]
    pub provenance: BTreeMap<String, String>,
}

/// The files of a forward model's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardFiles {
    /// The graph with its weights.
    pub onnx: FileEntry,
    /// Labels with their known spectra.
    pub golden: FileEntry,
    /// The model card.
    pub card: FileEntry,
    /// Vacuum wavelength of each pixel in the star's rest frame, Angstrom, increasing, as
    /// little-endian float64.
    pub wavelength: FileEntry,
    /// Error of each pixel of the normalised flux, as little-endian float32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_error: Option<FileEntry>,
}

impl ForwardFiles {
    /// Every file of the folder that the manifest names.
    pub fn iter(&self) -> impl Iterator<Item = &FileEntry> {
        let required = [&self.onnx, &self.golden, &self.card, &self.wavelength];
        required.into_iter().chain(&self.model_error)
    }
}

/// The graph input: float32 of shape `[N, labels]`, in physical units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardInput {
    /// Name in the graph.
    pub name: String,
}

/// The graph outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardOutput {
    /// Name of the float32 output of shape `[N, pixels]`: the normalised flux.
    pub flux: String,
    /// Name of the float32 output of shape `[N, labels, pixels]`: the derivative of the flux with
    /// respect to each label in its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jacobian: Option<String>,
}

/// What kind of spectra a forward model gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectrumSpec {
    /// Pixels of a spectrum.
    pub pixels: usize,
    /// What the flux was divided by.
    pub normalisation: Normalisation,
    /// Resolving power of the flux; absent where it is the label `resolution`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolving_power: Option<f64>,
    /// Root mean square error of the normalised flux on held-out spectra.
    pub model_error: f64,
}

/// What the flux of a forward model was divided by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Normalisation {
    /// The spectrum itself, smoothed with a Gaussian.
    Gaussian {
        /// Full width at half maximum of the Gaussian, Angstrom.
        fwhm: f64,
    },
    /// The true continuum of the model atmosphere.
    Continuum {},
}

/// One label that a forward model takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardLabel {
    /// Name, lower case.
    pub name: String,
    /// Unit, such as `K` or `dex`.
    pub unit: String,
    /// IVOA unified content descriptor.
    pub ucd: String,
    /// One line for a reader.
    pub description: String,
    /// Trained range, lower and upper bound in `unit`.
    pub valid: [f64; 2],
    /// Value where nothing is known of it.
    pub default: f64,
    /// Typical scale in `unit`, by which a fit divides it.
    pub step: f64,
}

/// How a forward model is fitted to observed spectra.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitSpec {
    /// Labels from which fits begin, each in the units and order of the labels.
    pub starts: Vec<Vec<f64>>,
    /// Iterations after which a fit is given up.
    pub max_iterations: usize,
    /// Ranges that are left out, as observed, vacuum Angstrom, beside the bands of the air.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<[f64; 2]>,
    /// Chi-square by degrees of freedom above which a fit is flagged: where all variance is noise, and
    /// where all is that of the model.
    pub limit: [f64; 2],
    /// The same for the worst region of a spectrum.
    pub region_limit: [f64; 2],
    /// Fraction of good synthetic spectra that are flagged.
    pub false_alarm: f64,
}

/// How closely an engine must reproduce the golden spectra.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardTolerance {
    /// Largest allowed difference of the flux, and of the flux that one step of a label changes.
    pub tolerance: f64,
}

impl ForwardManifest {
    /// The value of each label where nothing is known of it.
    pub fn defaults(&self) -> Vec<f64> {
        self.labels.iter().map(|label| label.default).collect()
    }

    /// Where a label stands among the columns of the input.
    pub fn position(&self, label: &str) -> Option<usize> {
        self.labels.iter().position(|known| known.name == label)
    }
}

impl ForwardLabel {
    /// Whether a value lies in the trained range; one that is not a number does not.
    pub fn contains(&self, value: f64) -> bool {
        let [low, high] = self.valid;
        (low..=high).contains(&value)
    }
}
