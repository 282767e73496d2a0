//! Holds an engine to the golden cases of its model.

use ndarray::Array2;

use crate::engine::{Engine, Outputs};
use crate::engine_error::EngineError;
use crate::golden::{Case, Golden, Tolerances, Worst};
use crate::manifest::Manifest;

impl Engine {
    /// Runs the golden cases and returns the largest difference, as a share of its tolerance.
    ///
    /// # Errors
    /// [`EngineError::GoldenMismatch`] when a difference exceeds its tolerance or is not a number,
    /// [`EngineError::ForeignGolden`] for cases or tolerances of another model, and whatever
    /// [`Engine::run`] returns.
    pub fn verify(
        &mut self,
        golden: &Golden,
        tolerances: &Tolerances,
    ) -> Result<Worst, EngineError> {
        let (path, manifest) = (self.path().to_owned(), self.manifest().clone());
        if let Err(reason) = belongs(golden, tolerances, &manifest) {
            return Err(EngineError::ForeignGolden { path, reason });
        }
        let mut differences = Vec::new();
        for (portion, cases) in golden.cases.chunks(self.batch()).enumerate() {
            let shape = (cases.len(), manifest.input.pixels);
            let input = Array2::from_shape_fn(shape, |(row, pixel)| cases[row].input[pixel]);
            let outputs = self.run(input.view())?;
            for (row, case) in cases.iter().enumerate() {
                let number = portion * self.batch() + row;
                differences.extend(compare(&manifest, tolerances, number, case, &outputs, row));
            }
        }
        // In this order NaN comes last, so that one value that is not a number is the worst.
        match differences.into_iter().max_by(|a, b| a.share.total_cmp(&b.share)) {
            Some(worst) if worst.share <= 1.0 => Ok(worst),
            Some(worst) => Err(EngineError::GoldenMismatch { path, worst }),
            None => Err(EngineError::ForeignGolden { path, reason: "there are none".into() }),
        }
    }
}

fn belongs(golden: &Golden, tolerances: &Tolerances, manifest: &Manifest) -> Result<(), String> {
    if tolerances.labels.len() != manifest.labels.len() {
        let (found, expected) = (tolerances.labels.len(), manifest.labels.len());
        return Err(format!("there are {found} tolerances for {expected} labels"));
    }
    golden.validate(manifest)
}

/// The differences of one case: labels, their errors, novelty.
fn compare(
    manifest: &Manifest,
    tolerances: &Tolerances,
    number: usize,
    case: &Case,
    outputs: &Outputs,
    row: usize,
) -> Vec<Worst> {
    let difference = |name: &str, expected: f64, found: f32, tolerance: f64| {
        let difference = (f64::from(found) - expected).abs();
        Worst { label: name.to_owned(), case: number, difference, share: difference / tolerance }
    };
    let found = outputs.labels.row(row);
    let mut differences: Vec<_> = manifest
        .labels
        .iter()
        .zip(&case.labels)
        .zip(found)
        .zip(&tolerances.labels)
        .map(|(((label, expected), found), tolerance)| {
            difference(&label.name, *expected, *found, *tolerance)
        })
        .collect();
    if let (Some(name), Some(expected), Some(found)) =
        (&manifest.output.sigma, &case.sigma, &outputs.sigma)
    {
        let labels = manifest.labels.iter().zip(&tolerances.labels);
        let values = expected.iter().zip(found.row(row));
        differences.extend(labels.zip(values).map(|((label, tolerance), (expected, found))| {
            difference(&format!("{name} of {}", label.name), *expected, *found, *tolerance)
        }));
    }
    if let (Some(name), Some(expected), Some(found)) =
        (&manifest.output.novelty, case.novelty, &outputs.novelty)
    {
        // Single precision is relative: a spectrum a thousand times out of range differs more.
        let tolerance = tolerances.novelty * expected.abs().max(1.0);
        differences.push(difference(name, expected, found[row], tolerance));
    }
    differences
}
