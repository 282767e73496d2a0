//! Fits of a forward model to observed spectra, and how well given labels fit.
//!
//! The parts, in the order in which a fit meets them:
//!
//! - [`Forward`], [`Plan`]: the model, from labels to flux and its derivatives, and the rules;
//! - `target`: the pixels of an [`Observation`] that count, and with what weight;
//! - `interpolate`: the model's flux moved by the radial velocity to the pixels of the data;
//! - `smoother`: the Gaussian normalisation, applied alike to data and model;
//! - `compare`: residuals, chi-square and, with `square`, the equations of a step;
//! - `search`: bounded Levenberg-Marquardt; nalgebra solves its equations;
//! - [`Fitter`]: many fits side by side, so that the network sees batches;
//! - `regions`: where a spectrum fits worst, and whether that is worse than it should be;
//! - [`Checker`]: labels from elsewhere, held against a spectrum, with `shift` and `groups` instead of
//!   `interpolate` and `smoother`, because every row of a night is.
//!
//! `lanes` are the vectors in which all of this is done.
//!
//! Nothing here reads a file, a clock or a random number, or writes a log, and it knows neither
//! ONNX nor surveys.

mod compare;
mod consistency;
mod fitter;
mod forward;
mod groups;
mod interpolate;
mod lanes;
mod regions;
mod search;
mod shift;
mod smoother;
mod square;
mod target;
#[cfg(test)]
mod tests;

pub use consistency::{Checker, Consistency, Expected};
pub use fitter::{Fitted, Fitter};
pub use forward::{FitError, Forward, Parameter, Plan};
pub use interpolate::TAPS as FEWEST_PIXELS;
pub use regions::{Curve, Limits, Region};
pub use target::Observation;
