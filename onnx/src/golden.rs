//! Inputs with known outputs, by which an engine is held to what was exported.

use serde::{Deserialize, Serialize};

use crate::manifest::Manifest;

/// The golden cases of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// At least one case.
    pub cases: Vec<Case>,
}

/// One prepared spectrum and what the network makes of it, computed apart from ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case is, for a reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The prepared spectrum, one value per pixel.
    pub input: Vec<f32>,
    /// The labels in their units, in the order of the manifest.
    pub labels: Vec<f64>,
    /// The novelty, where the model has one.
    #[serde(default)]
    pub novelty: Option<f64>,
    /// The errors of the labels, where the model has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<Vec<f64>>,
}

/// The differences to the golden cases that are allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Tolerances {
    /// Per label, in its unit.
    pub labels: Vec<f64>,
    /// Of the novelty, times the expected novelty where that exceeds 1.
    pub novelty: f64,
}

/// The largest difference seen, as a share of what is allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// Name of the label, or of the novelty output.
    pub label: String,
    /// Index of the golden case.
    pub case: usize,
    /// Absolute difference, in the unit of the label.
    pub difference: f64,
    /// The difference divided by its tolerance; 1 or less passes, NaN does not.
    pub share: f64,
}

impl Golden {
    /// Says what does not fit the manifest.
    pub(crate) fn validate(&self, manifest: &Manifest) -> Result<(), String> {
        if self.cases.is_empty() {
            return Err("there are none".into());
        }
        for (index, case) in self.cases.iter().enumerate() {
            let labels = manifest.labels.len();
            let found = (case.input.len(), case.labels.len(), case.novelty.is_some());
            let expected = (manifest.input.pixels, labels, manifest.output.novelty.is_some());
            if found != expected {
                return Err(format!(
                    "case {index} has (pixels, labels, novelty) {found:?}, the manifest {expected:?}"
                ));
            }
            let found = case.sigma.as_ref().map(Vec::len);
            let expected = manifest.output.sigma.as_ref().map(|_| labels);
            if found != expected {
                return Err(format!(
                    "case {index} has errors of {found:?} labels, the manifest of {expected:?}"
                ));
            }
        }
        Ok(())
    }
}
