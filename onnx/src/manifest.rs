//! The contract of a model folder: `manifest.toml`, field by field.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::folder::Kind;
use crate::golden::Tolerances;

/// What a model requires of its input and what it delivers.
///
/// An unknown key is an error, so that a misspelt one cannot pass for a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this contract; this crate reads 1.
    pub schema: u32,
    /// Always [`Kind::Regressor`], which may be left out.
    #[serde(default)]
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
    /// Surveys whose spectra it is for.
    pub surveys: Vec<String>,
    /// Whether the training spectra were computed or observed.
    pub trained_on: TrainedOn,
    /// Files of the folder, each with its hash.
    pub files: Files,
    /// The input of the graph.
    pub input: InputSpec,
    /// The outputs of the graph.
    pub output: OutputSpec,
    /// Preprocessing steps in order; whoever prepares spectra parses them.
    #[serde(default)]
    pub recipe: Vec<toml::Table>,
    /// Labels in the order of the columns of the output.
    #[serde(rename = "label")]
    pub labels: Vec<Label>,
    /// Sums of labels.
    #[serde(default)]
    pub derived: Vec<Derived>,
    /// Limits of the spectra it was made for.
    pub quality: Quality,
    /// The forward model that tells how well labels fit a spectrum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<ConsistencySpec>,
    /// How closely the golden cases must be reproduced.
    pub golden: GoldenTolerance,
    /// Where the weights come from, free keys.
    #[serde(default)]
    pub provenance: BTreeMap<String, String>,
}

/// The kind of spectra a model was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainedOn {
    /// Computed spectra.
    Synthetic,
    /// Observed spectra.
    Real,
}

/// The files of a model folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// The graph with its weights.
    pub onnx: FileEntry,
    /// Inputs with their known outputs.
    pub golden: FileEntry,
    /// The model card.
    pub card: FileEntry,
    /// Native spectra with the expected result of every step of the recipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe_golden: Option<FileEntry>,
    /// Mean and standard deviation of each input pixel over the training set, for a recipe that
    /// scales with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<FileEntry>,
    /// Reference spectra, prepared as the model's input is before it is scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<FileEntry>,
}

impl Files {
    /// Every file of the folder that the manifest names.
    pub fn iter(&self) -> impl Iterator<Item = &FileEntry> {
        let required = [&self.onnx, &self.golden, &self.card].into_iter();
        required.chain(&self.recipe_golden).chain(&self.scale).chain(&self.templates)
    }
}

/// A file inside the model folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Path relative to the folder.
    pub path: PathBuf,
    /// SHA-256 of the content, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// The graph input: float32 of shape `[N, pixels]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Name in the graph.
    pub name: String,
    /// Width of a prepared spectrum.
    pub pixels: usize,
}

/// The graph outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// Name of the float32 output of shape `[N, labels]`, in physical units.
    pub labels: String,
    /// Name of the float32 output of shape `[N]` that tells how unlike the training inputs a
    /// spectrum is; above 1 is outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub novelty: Option<String>,
    /// Fraction of held-out spectra like the training ones whose novelty exceeds 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub novelty_false_alarm: Option<f64>,
    /// Name of the float32 output of shape `[N, labels]` with the error of each label, one standard
    /// deviation in the label's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<String>,
    /// How the errors of the labels go together; needs `sigma`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covariance: Option<CovarianceSpec>,
    /// Further outputs that become columns of the catalogue.
    #[serde(default, rename = "column", skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnSpec>,
}

/// A covariance matrix as low rank plus diagonal: `F^T F + diag(sigma^2 - sum over rows of F^2)`,
/// so that its diagonal is `sigma^2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CovarianceSpec {
    /// Name of the float32 output `F` of shape `[N, rank, labels]`, in the units of the labels.
    pub factor: String,
    /// Rows of `F`; of an ensemble one for each member.
    pub rank: usize,
}

/// An output that becomes a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// Name of the float32 output in the graph.
    pub output: String,
    /// Name of the column, lower case, unlike that of any label.
    pub name: String,
    /// Its shape for one spectrum; the output has the shape `[N, ..]`.
    pub shape: Vec<usize>,
    /// Whether the values are whole numbers.
    #[serde(default)]
    pub integer: bool,
    /// Whether it is written only when the configuration asks for it.
    #[serde(default)]
    pub on_request: bool,
    /// Unit, empty if it has none.
    #[serde(default)]
    pub unit: String,
    /// IVOA unified content descriptor, empty if none fits.
    #[serde(default)]
    pub ucd: String,
    /// One line for a reader.
    pub description: String,
}

impl ColumnSpec {
    /// Values for one spectrum.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }
}

/// One label the network estimates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Name, lower case: the column of the catalogue.
    pub name: String,
    /// Unit, such as `K` or `dex`.
    pub unit: String,
    /// IVOA unified content descriptor.
    pub ucd: String,
    /// One line for a reader.
    pub description: String,
    /// Name in the publication's own catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Trained range, lower and upper bound in `unit`.
    pub valid: [f64; 2],
}

/// The sum of labels, reported beside them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derived {
    /// Name, lower case, unlike that of any label.
    pub name: String,
    /// Names of the labels that are added.
    pub sum: Vec<String>,
    /// Unit.
    pub unit: String,
    /// IVOA unified content descriptor.
    pub ucd: String,
    /// One line for a reader.
    pub description: String,
}

/// Limits of the spectra a model was made for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Signal to noise below which a result is flagged: that of the surveys, in g or, where spectra
    /// have two arms, in the worse one.
    // Manifests from before there were two arms have the other name.
    #[serde(alias = "min_snr_g")]
    pub min_snr: f64,
}

/// The forward model against which rows are held, and what to expect of good ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencySpec {
    /// The forward model's folder, beside this one.
    pub model: String,
    /// Standard deviation of the error of each label on held-out spectra, in the order of the labels.
    pub errors: Vec<f64>,
    /// Scatter of those abundances that the forward model has and this one does not give, dex: they
    /// are taken to follow iron.
    pub scatter: f64,
    /// Standard deviation of the error of the velocities that rows come with, km/s.
    #[serde(default)]
    pub rv_error: f64,
    /// Ranges of wavelengths that are left out, Angstrom as observed, beside those of fits: what is
    /// there is in no model.
    #[serde(default)]
    pub skip: Vec<[f64; 2]>,
    /// First and last wavelength of a range, and by what part of the flux spectra are off there beside
    /// their noise, one standard deviation.
    #[serde(default)]
    pub unmodelled: Vec<[f64; 3]>,
    /// Chi-square by degrees of freedom above which a row is flagged, by the square root of the part of
    /// the variance that is the model's and its labels': at even steps from 0, all noise, to 1.
    pub limit: Vec<f64>,
    /// The same for the worst region of a spectrum.
    pub region_limit: Vec<f64>,
    /// First and last wavelength of a region, and by what the part of its limit above that of noise is
    /// multiplied.
    #[serde(default)]
    pub region_factors: Vec<[f64; 3]>,
    /// Fraction of good synthetic rows that are flagged.
    pub false_alarm: f64,
}

/// How closely an engine must reproduce the golden cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenTolerance {
    /// Largest allowed difference of a label divided by its scale, and of the novelty.
    pub tolerance: f64,
    /// Standard deviation of each label over the training set, in the order of the labels.
    pub scale: Vec<f64>,
}

impl Manifest {
    /// The allowed differences to the golden cases, per label in its own unit.
    pub fn tolerances(&self) -> Tolerances {
        let GoldenTolerance { tolerance, scale } = &self.golden;
        Tolerances {
            labels: scale.iter().map(|scale| tolerance * scale).collect(),
            novelty: *tolerance,
        }
    }
}
