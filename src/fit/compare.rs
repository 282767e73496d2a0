//! One model spectrum against one observation.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for the processor")]

use nalgebra::{DMatrix, DVector};
use ndarray::ArrayView2;

use super::interpolate::{Grid, Place, TAPS, Taps};
use super::lanes::{LANES, Lanes, add, dot, in_vectors};
use super::regions::Tally;
use super::square::square;
use super::target::Target;
use crate::prep::{Doppler, SPEED_OF_LIGHT};

/// The scale of the radial velocity in a fit, km/s: about the error of a spectrum of S/N 30.
pub(super) const RV_STEP: f64 = 5.0;
/// The smallest mean of a model under the kernel, in units of its continuum. A normalised spectrum
/// has a mean near 1; what is not, is no spectrum.
const LEAST_MEAN: f64 = 0.05;

/// Room for a comparison, used again for the next. It also holds the last one, on which
/// [`Comparison::normal`] and [`Comparison::noise`] go on.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Where each pixel lies on the model's grid, with the weights of the pixels around it.
    places: Vec<Place>,
    weights: Vec<Taps>,
    /// The change of each pixel's wavelength at rest by a step of the velocity.
    by_rv: Vec<f64>,
    /// Flux of the model at each pixel.
    model: Vec<f64>,
    weighted: Vec<f64>,
    /// The smoothed model and the ratio of data to model at each node, and the latter at each pixel.
    mean: Vec<f64>,
    ratio: Vec<f64>,
    continuum: Vec<f64>,
    /// Derivatives of the model by the labels and by the velocity, times the weight and smoothed.
    raw: Vec<Lanes>,
    raw_rv: Vec<f64>,
    heavy: Vec<Lanes>,
    nodes: Vec<Lanes>,
    nodes_rv: Vec<f64>,
    /// What the fit sees of them: that of the labels, and that of the velocity beside the residual.
    total: Vec<Lanes>,
    beside: Vec<[f32; 2]>,
}

/// Derivatives of a spectrum by scaled labels, `width` times sixteen of them for each pixel.
#[derive(Debug, Clone, Default)]
pub(super) struct Gradient {
    pub(super) labels: usize,
    width: usize,
    pixels: Vec<Lanes>,
}

/// The equations of a step: chi-square, and with the derivatives `J` and the weights `W` of the
/// residuals `r` the vector `J^T W r` and the matrix `J^T W J`. The last parameter is the velocity.
#[derive(Debug, Clone)]
pub(super) struct Normal {
    pub(super) chi2: f64,
    pub(super) pull: DVector<f64>,
    pub(super) curvature: DMatrix<f64>,
}

impl Gradient {
    /// Takes derivatives of shape `[labels, pixels]`, each label's times its step.
    #[expect(clippy::cast_possible_truncation, reason = "derivatives are single precision")]
    pub(super) fn lay(
        &mut self,
        derivatives: &ArrayView2<'_, f32>,
        steps: impl Iterator<Item = f64>,
    ) {
        let (labels, pixels) = derivatives.dim();
        (self.labels, self.width) = (labels, labels.div_ceil(LANES));
        self.pixels.resize(pixels * self.width, [0.0; LANES]);
        for (label, (row, step)) in derivatives.outer_iter().zip(steps).enumerate() {
            let (part, lane, step) = (label / LANES, label % LANES, step as f32);
            let pixels = self.pixels[part..].iter_mut().step_by(self.width);
            pixels.zip(row).for_each(|(pixel, value)| pixel[lane] = step * value);
        }
    }
}

impl Comparison {
    /// Goes to a velocity.
    pub(super) fn go(&mut self, target: &Target, grid: &Grid, rv_kms: f64) {
        let doppler = Doppler::of(rv_kms);
        // d lambda_rest / d v = -lambda_rest / (c (1 + v / c)).
        let by_rv = -RV_STEP / (SPEED_OF_LIGHT * doppler.to_observed(1.0));
        let (rest, mut from) = (|wave: &f64| doppler.to_rest(*wave), 0);
        let wave = target.smoother.wave();
        self.places.clear();
        self.places.extend(wave.iter().map(|wave| grid.place(rest(wave), &mut from)));
        self.by_rv.clear();
        self.by_rv.extend(wave.iter().map(|wave| by_rv * rest(wave)));
        self.weights.resize(wave.len(), [0.0; TAPS]);
        in_vectors(|| {
            for (weights, place) in self.weights.iter_mut().zip(&self.places) {
                *weights = grid.weights(place);
            }
        });
    }

    /// Chi-square of a model at the velocity of the last [`Comparison::go`], or nothing for a flux
    /// that is no spectrum.
    pub(super) fn chi2(&mut self, target: &Target, flux: &[f32]) -> Option<f64> {
        let Self { places, weights, model, weighted, .. } = self;
        model.resize(places.len(), 0.0);
        in_vectors(|| {
            for (model, (place, weights)) in model.iter_mut().zip(places.iter().zip(&*weights)) {
                *model = around(flux, place, weights);
            }
        });
        weighted.clear();
        weighted.extend(model.iter().zip(&target.weight).map(|(model, weight)| model * weight));
        target.smoother.sum(weighted, &mut self.mean);
        self.ratio.clear();
        for ((&mean, &weights), &data) in self.mean.iter().zip(&target.weights).zip(&target.data) {
            // A mean that is not a number is no mean either.
            if weights > 0.0 && (mean.is_nan() || mean <= LEAST_MEAN * weights) {
                return None;
            }
            self.ratio.push(if weights > 0.0 { data / mean } else { 0.0 });
        }
        self.continuum.clear();
        let pixels = 0..self.model.len();
        self.continuum.extend(pixels.clone().map(|pixel| target.smoother.at(&self.ratio, pixel)));
        let chi2: f64 =
            pixels.map(|pixel| target.counted[pixel] * self.residual(target, pixel).powi(2)).sum();
        chi2.is_finite().then_some(chi2)
    }

    /// The smooth ratio of data to model at each node, of the last comparison.
    pub(super) fn ratio(&self) -> &[f64] {
        &self.ratio
    }

    /// Data minus model at a pixel.
    fn residual(&self, target: &Target, pixel: usize) -> f64 {
        target.flux[pixel] - self.model[pixel] * self.continuum[pixel]
    }

    /// What a pixel adds to chi-square and the like.
    pub(super) fn tally(&self, target: &Target, pixel: usize) -> Tally {
        let counted = target.counted[pixel];
        if counted == 0.0 {
            return Tally::default();
        }
        Tally {
            chi2: counted * self.residual(target, pixel).powi(2),
            freedom: target.freedom[pixel],
            pixels: 1.0,
            share: 1.0 - counted / target.ivar[pixel],
        }
    }

    /// The equations at the place of the last [`Comparison::chi2`], with the derivatives of the
    /// flux by the scaled labels.
    pub(super) fn normal(
        &mut self,
        target: &Target,
        (grid, flux, gradient): (&Grid, &[f32], &Gradient),
        chi2: f64,
    ) -> Normal {
        self.interpolate(target, (grid, flux, gradient));
        target.smoother.sum_lanes(&self.heavy, gradient.width, &mut self.nodes);
        target.smoother.sum(&self.weighted, &mut self.nodes_rv);
        self.combine(target, gradient.width);
        let (square, pull) = square(&self.total, &self.beside, gradient.labels);
        Normal { chi2, pull, curvature: square }
    }

    /// The derivatives at each pixel, and the same times its weight.
    #[expect(clippy::cast_possible_truncation, reason = "derivatives are single precision")]
    fn interpolate(&mut self, target: &Target, (grid, flux, gradient): (&Grid, &[f32], &Gradient)) {
        let Self { places, weights, by_rv, weighted, raw, raw_rv, heavy, .. } = self;
        let width = gradient.width;
        raw.resize(places.len() * width, [0.0; LANES]);
        heavy.resize(places.len() * width, [0.0; LANES]);
        raw_rv.resize(places.len(), 0.0);
        in_vectors(|| {
            for (raw, (place, by_rv)) in raw_rv.iter_mut().zip(places.iter().zip(&*by_rv)) {
                *raw = by_rv * around(flux, place, &grid.slopes(place));
            }
            let pixels = raw.chunks_exact_mut(width).zip(heavy.chunks_exact_mut(width));
            for ((pixel, (raw, heavy)), (place, weights)) in
                pixels.enumerate().zip(places.iter().zip(&*weights))
            {
                let weight_here = target.weight[pixel] as f32;
                let around = &gradient.pixels[place.first * width..][..TAPS * width];
                for part in 0..width {
                    let mut sum = [0.0; LANES];
                    for (weight, pixel) in weights.iter().zip(around.chunks_exact(width)) {
                        add(&mut sum, *weight, &pixel[part]);
                    }
                    raw[part] = sum;
                    heavy[part] = sum.map(|value| weight_here * value);
                }
            }
        });
        weighted.clear();
        weighted.extend(raw_rv.iter().zip(&target.weight).map(|(slope, weight)| slope * weight));
    }

    /// Derivatives of the model times its continuum, times the root of the weight. The smooth ratio
    /// falls where the smoothed model rises.
    #[expect(clippy::cast_possible_truncation, reason = "derivatives are single precision")]
    fn combine(&mut self, target: &Target, width: usize) {
        let factors = self.ratio.iter().zip(&self.mean);
        let factors = factors.map(|(ratio, mean)| if *mean > 0.0 { -ratio / mean } else { 0.0 });
        let nodes = self.nodes.chunks_exact_mut(width).zip(&mut self.nodes_rv);
        for (factor, (nodes, rv)) in factors.zip(nodes) {
            nodes.as_flattened_mut().iter_mut().for_each(|value| *value *= factor as f32);
            *rv *= factor;
        }
        self.beside.clear();
        self.total.resize(self.raw.len(), [0.0; LANES]);
        in_vectors(|| {
            for pixel in 0..self.model.len() {
                let root = target.counted[pixel].sqrt();
                let continuum = root * self.continuum[pixel];
                let model = root * self.model[pixel];
                let (first, weights) = target.smoother.around(pixel);
                let weights = weights.map(|weight| (weight * model) as f32);
                for part in 0..width {
                    let raw = &self.raw[pixel * width + part];
                    let mut total = raw.map(|value| continuum as f32 * value);
                    for (node, weight) in weights.iter().enumerate() {
                        add(&mut total, *weight, &self.nodes[(first + node) * width + part]);
                    }
                    self.total[pixel * width + part] = total;
                }
                let by_rv = continuum * self.raw_rv[pixel]
                    + model * target.smoother.at(&self.nodes_rv, pixel);
                let residual = root * self.residual(target, pixel);
                self.beside.push([by_rv as f32, residual as f32]);
            }
        });
    }

    /// `J^T W J` of the last [`Comparison::normal`] with the noise of the data alone as weights.
    #[expect(clippy::cast_possible_truncation, reason = "derivatives are single precision")]
    pub(super) fn noise(&mut self, target: &Target, labels: usize) -> DMatrix<f64> {
        let width = labels.div_ceil(LANES);
        for (pixel, (total, beside)) in
            self.total.chunks_exact_mut(width).zip(&mut self.beside).enumerate()
        {
            let counted = target.counted[pixel];
            let factor = if counted > 0.0 { (target.ivar[pixel] / counted).sqrt() } else { 0.0 };
            let values = total.as_flattened_mut().iter_mut().chain(beside);
            values.for_each(|value| *value *= factor as f32);
        }
        square(&self.total, &self.beside, labels).0
    }
}

/// The value of a curve at a place.
#[inline(always)]
fn around(curve: &[f32], place: &Place, weights: &Taps) -> f64 {
    // Whoever knows a place knows that there are so many pixels.
    let Some(curve) = curve[place.first..].first_chunk() else { return f64::NAN };
    f64::from(dot(weights, curve))
}
