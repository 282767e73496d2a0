//! An observed spectrum, made ready to be compared with a model.

use std::sync::Arc;

use super::forward::{FitError, Plan};
use super::interpolate::Grid;
use super::smoother::Smoother;
use crate::prep::Doppler;

/// Good pixels under the kernel below which the continuum is a guess: a tenth of what R = 1800 has.
const FEWEST_UNDER_KERNEL: f64 = 5.0;
/// Good pixels that a fit needs for each parameter.
const FEWEST_FOR_PARAMETER: usize = 5;

/// An observed spectrum: vacuum wavelengths as observed, Angstrom, increasing.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// Wavelength of each pixel.
    pub wave: &'a [f64],
    /// Flux in any unit; whatever stands in masked pixels is ignored.
    pub flux: &'a [f32],
    /// Inverse variance of the flux; zero masks a pixel.
    pub ivar: &'a [f32],
    /// Radial velocity in km/s from which to start, if one is known.
    pub rv_kms: Option<f64>,
}

/// The pixels of an observation that the model reaches at every velocity.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) smoother: Arc<Smoother>,
    /// Flux, divided by a continuum once [`Target::flatten`] has been told one.
    pub(super) flux: Vec<f64>,
    /// Weight of each pixel in sums under the kernel; zero where it is masked.
    pub(super) weight: Vec<f64>,
    /// Inverse variance that the survey states, of this flux.
    pub(super) ivar: Vec<f64>,
    /// The same as `weight` for pixels that count in chi-square; zero for the others.
    pub(super) counted: Vec<f64>,
    /// What the continuum leaves of the degree of freedom of each pixel that counts.
    pub(super) freedom: Vec<f64>,
    /// Sums of weighted flux, and of weights, under the kernel at each node.
    pub(super) data: Vec<f64>,
    pub(super) weights: Vec<f64>,
    /// Pixels that count.
    pub(super) pixels: usize,
    /// Degrees of freedom that the continuum takes.
    pub(super) continuum_freedom: f64,
    /// Chi-square of the continuum alone.
    pub(super) chi2_continuum: f64,
}

impl Target {
    /// Takes what the plan asks for of an observation. `smoother` is used again where the
    /// wavelengths are the same.
    pub(super) fn new(
        observation: &Observation<'_>,
        grid: &Grid,
        plan: &Plan,
        smoother: &mut Option<Arc<Smoother>>,
    ) -> Result<Self, FitError> {
        let Observation { wave, flux, ivar, .. } = *observation;
        let first = Doppler::of(plan.max_rv_kms).to_observed(grid.first());
        let last = Doppler::of(-plan.max_rv_kms).to_observed(grid.last());
        let range = wave.partition_point(|&w| w < first)..wave.partition_point(|&w| w <= last);
        let needed = FEWEST_FOR_PARAMETER * (plan.labels.len() + 1);
        if range.len() < needed {
            return Err(FitError::TooFewPixels { good: range.len(), needed });
        }
        let (wave, flux, ivar) = (&wave[range.clone()], &flux[range.clone()], &ivar[range]);
        let smoother = match smoother {
            Some(known) if known.wave() == wave => Arc::clone(known),
            _ => Arc::clone(smoother.insert(Arc::new(Smoother::new(wave, plan.smoothing_fwhm)))),
        };
        let good = |flux: f32, ivar: f32| ivar > 0.0 && ivar.is_finite() && flux.is_finite();
        let pixels = || flux.iter().zip(ivar);
        let ivar: Vec<f64> = pixels()
            .map(|(&flux, &ivar)| if good(flux, ivar) { f64::from(ivar) } else { 0.0 })
            .collect();
        let flux: Vec<f64> = pixels()
            .map(|(&flux, &ivar)| if good(flux, ivar) { f64::from(flux) } else { 0.0 })
            .collect();
        let mut target = Self {
            weight: ivar.clone(),
            counted: Vec::new(),
            freedom: Vec::new(),
            data: Vec::new(),
            weights: Vec::new(),
            pixels: 0,
            continuum_freedom: 0.0,
            chi2_continuum: 0.0,
            smoother,
            flux,
            ivar,
        };
        target.sum();
        target.count_pixels();
        if target.pixels < needed {
            return Err(FitError::TooFewPixels { good: target.pixels, needed });
        }
        Ok(target)
    }

    fn sum(&mut self) {
        self.smoother.sum(&self.weight, &mut self.weights);
        let weighted: Vec<f64> = self.weight.iter().zip(&self.flux).map(|(w, f)| w * f).collect();
        self.smoother.sum(&weighted, &mut self.data);
    }

    /// The continuum at each node as the data alone give it; zero where there are none.
    fn continuum(&self) -> Vec<f64> {
        let ratio =
            |(data, weights): (&f64, &f64)| if *weights > 0.0 { data / weights } else { 0.0 };
        self.data.iter().zip(&self.weights).map(ratio).collect()
    }

    /// Divides the flux by the broad shape of a continuum that is given at the nodes, and adds the
    /// variance of the model to that of the data. Where the shape is not positive, there is no signal.
    pub(super) fn flatten(&mut self, ratio: &[f64], model_error: &[f32], grid: &Grid) {
        let continuum = self.smoother.broad(ratio, &self.weights);
        let mut from = 0;
        for pixel in 0..self.weight.len() {
            let wave = self.smoother.wave()[pixel].clamp(grid.first(), grid.last());
            // A model's error changes little within the shift of any star.
            let error = f64::from(model_error[grid.nearest(wave, &mut from)]);
            let continuum = continuum[pixel];
            if continuum.is_nan() || continuum <= 0.0 {
                (self.flux[pixel], self.ivar[pixel], self.weight[pixel]) = (0.0, 0.0, 0.0);
                continue;
            }
            self.flux[pixel] /= continuum;
            self.ivar[pixel] *= continuum * continuum;
            self.weight[pixel] = self.ivar[pixel] / (1.0 + self.ivar[pixel] * error * error);
        }
        self.sum();
        self.count_pixels();
    }

    /// Decides which pixels count, and what the continuum costs them: a linear smoother `H` takes
    /// `tr(2 H - H H^T)` degrees of freedom (Hastie & Tibshirani 1990, section 3.5).
    fn count_pixels(&mut self) {
        let good: Vec<f64> = self.weight.iter().map(|&w| if w > 0.0 { 1.0 } else { 0.0 }).collect();
        let mut under_kernel = Vec::new();
        self.smoother.sum(&good, &mut under_kernel);
        let squares = self.smoother.sum_squared(&self.weight);
        let continuum = self.continuum();
        self.counted = vec![0.0; self.weight.len()];
        self.freedom = vec![0.0; self.weight.len()];
        (self.pixels, self.continuum_freedom, self.chi2_continuum) = (0, 0.0, 0.0);
        for pixel in 0..self.weight.len() {
            let (node, _) = self.smoother.around(pixel);
            let known = under_kernel[node..node + 4].iter().all(|&n| n >= FEWEST_UNDER_KERNEL);
            let weight = self.weight[pixel];
            if !known || weight == 0.0 {
                continue;
            }
            self.counted[pixel] = weight;
            self.pixels += 1;
            let sum = self.smoother.at(&self.weights, pixel);
            let square = self.smoother.at(&squares, pixel);
            let taken = weight * (2.0 - square / sum) / sum;
            self.freedom[pixel] = 1.0 - taken;
            self.continuum_freedom += taken;
            let residual = self.flux[pixel] - self.smoother.at(&continuum, pixel);
            self.chi2_continuum += weight * residual * residual;
        }
    }
}
