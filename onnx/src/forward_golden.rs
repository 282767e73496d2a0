//! Labels with known spectra, by which a forward engine is held to what was exported.

use ndarray::{Array2, s};
use serde::{Deserialize, Serialize};

use crate::engine_error::EngineError;
use crate::forward_engine::ForwardEngine;
use crate::forward_manifest::ForwardManifest;
use crate::golden::Worst;

/// The golden cases of a forward model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardGolden {
    /// At least one case.
    pub cases: Vec<ForwardCase>,
}

/// Labels and what the network makes of them, computed apart from ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardCase {
    /// What the case is, for a reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The labels in their units, in the order of the manifest.
    pub labels: Vec<f32>,
    /// The flux of the first pixels, of all or of as many as the file has room for.
    pub flux: Vec<f64>,
    /// The derivatives of these pixels, a row for each label in its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jacobian: Option<Vec<Vec<f64>>>,
}

impl ForwardGolden {
    /// Says what does not fit the manifest.
    pub(crate) fn validate(&self, manifest: &ForwardManifest) -> Result<(), String> {
        let (labels, pixels) = (manifest.labels.len(), manifest.spectrum.pixels);
        if self.cases.is_empty() {
            return Err("there are none".into());
        }
        for (number, case) in self.cases.iter().enumerate() {
            let width = case.flux.len();
            if case.labels.len() != labels || !(1..=pixels).contains(&width) {
                return Err(format!(
                    "case {number} has {} labels and {width} pixels, the manifest {labels} and \
                     {pixels}",
                    case.labels.len()
                ));
            }
            let Some(jacobian) = &case.jacobian else { continue };
            if manifest.output.jacobian.is_none() {
                return Err(format!("case {number} has a Jacobian, the manifest names no output"));
            }
            if jacobian.len() != labels || jacobian.iter().any(|row| row.len() != width) {
                return Err(format!(
                    "the Jacobian of case {number} is not of {labels} labels and {width} pixels"
                ));
            }
        }
        Ok(())
    }
}

impl ForwardEngine {
    /// Runs the golden cases and returns the largest difference, as a share of what the manifest
    /// allows. A Jacobian is held to it by the flux that one step of the label changes, where the
    /// engine was opened with it.
    ///
    /// # Errors
    /// [`EngineError::GoldenMismatch`] when a difference exceeds its tolerance or is not a number,
    /// [`EngineError::ForeignGolden`] for cases of another model, and whatever
    /// [`ForwardEngine::run`] returns.
    pub fn verify(&mut self, golden: &ForwardGolden) -> Result<Worst, EngineError> {
        let path = self.path().to_owned();
        if let Err(reason) = golden.validate(self.manifest()) {
            return Err(EngineError::ForeignGolden { path, reason });
        }
        let mut worst: Option<Worst> = None;
        for (number, case) in golden.cases.iter().enumerate() {
            for found in self.compare(number, case)? {
                // In this order NaN comes last, so that a value that is not a number is the worst.
                if worst.as_ref().is_none_or(|worst| found.share.total_cmp(&worst.share).is_gt()) {
                    worst = Some(found);
                }
            }
        }
        match worst {
            Some(worst) if worst.share <= 1.0 => Ok(worst),
            Some(worst) => Err(EngineError::GoldenMismatch { path, worst }),
            None => Err(EngineError::ForeignGolden { path, reason: "there are none".into() }),
        }
    }

    /// The largest difference of the flux, and of each row of the Jacobian.
    fn compare(&mut self, number: usize, case: &ForwardCase) -> Result<Vec<Worst>, EngineError> {
        let tolerance = self.manifest().golden.tolerance;
        let labels = Array2::from_shape_fn((1, case.labels.len()), |(_, label)| case.labels[label]);
        let largest = |name: String, step: f64, expected: &[f64], found: &[f32]| {
            let differences = expected.iter().zip(found).map(|(a, b)| (a - f64::from(*b)).abs());
            let difference = differences.max_by(f64::total_cmp).unwrap_or(f64::NAN);
            Worst { label: name, case: number, difference, share: difference * step / tolerance }
        };
        let flux = self.run(labels.view())?;
        let mut found = vec![largest("flux".into(), 1.0, &case.flux, &flux.row(0).to_vec())];
        if let (Some(expected), true) = (&case.jacobian, self.gives_jacobian()) {
            let tangent = self.run_with_jacobian(labels.view())?;
            found.push(largest("flux".into(), 1.0, &case.flux, &tangent.flux.row(0).to_vec()));
            for (at, expected) in expected.iter().enumerate() {
                let label = &self.manifest().labels[at];
                let row = tangent.jacobian.slice(s![0, at, ..]).to_vec();
                found.push(largest(
                    format!("the derivative to {}", label.name),
                    label.step,
                    expected,
                    &row,
                ));
            }
        }
        Ok(found)
    }
}
