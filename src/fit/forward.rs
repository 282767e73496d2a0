//! What a fit is given: the model, and the rules.

use ndarray::{Array2, Array3, ArrayView2};
use thiserror::Error;

use super::regions::Limits;

/// A model from labels to the spectrum of a star at rest.
pub trait Forward {
    /// How it can fail.
    type Error;

    /// Wavelengths of its pixels: vacuum, Angstrom, rest frame, increasing, at least 24.
    fn wave(&self) -> &[f64];

    /// The most rows that one call takes.
    fn batch(&self) -> usize;

    /// Flux of shape `[rows, pixels]` for labels of shape `[rows, labels]`. A row must not depend
    /// on the others.
    ///
    /// # Errors
    /// Its own.
    fn flux(&mut self, labels: ArrayView2<'_, f32>) -> Result<Array2<f32>, Self::Error>;

    /// The same with its derivatives by the labels, shape `[rows, labels, pixels]`.
    ///
    /// # Errors
    /// Its own.
    fn gradient(
        &mut self,
        labels: ArrayView2<'_, f32>,
    ) -> Result<(Array2<f32>, Array3<f32>), Self::Error>;
}

/// A label of the model, as a fit sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// The bounds, which a fit never leaves.
    pub valid: [f64; 2],
    /// A typical step: the fit works in labels divided by it.
    pub step: f64,
}

/// The rules of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The labels in the model's order.
    pub labels: Vec<Parameter>,
    /// Labels from which to start, each of as many values as there are labels, within the bounds.
    /// The first is in the middle of the others: it finds a velocity where none is known.
    pub starts: Vec<Vec<f64>>,
    /// Steps after which a fit ends without having converged.
    pub max_iterations: usize,
    /// Full width at half maximum of the Gaussian that normalises data and model, Angstrom.
    pub smoothing_fwhm: f64,
    /// Error of the model's flux in each of its pixels, as a part of the continuum.
    pub model_error: Vec<f32>,
    /// Beyond what a fit is poor.
    pub limits: Limits,
    /// The largest radial velocity, km/s. Pixels that one of this size would move off the model's
    /// grid do not take part.
    pub max_rv_kms: f64,
}

/// A spectrum that cannot be fitted.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FitError {
    /// Too little of it is usable.
    #[error("{good} pixels in the model's window can be used, the fit needs {needed}")]
    TooFewPixels {
        /// Pixels that can be used.
        good: usize,
        /// Pixels that are needed.
        needed: usize,
    },
    /// The model gives no spectrum at its starting points.
    #[error("the model gives no usable flux at any of its starting points")]
    NoFlux,
}
