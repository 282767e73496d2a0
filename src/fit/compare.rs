//! One model spectrum against one observation.

use nalgebra::{DMatrix, DVector};
use ndarray::{Array2, s};

use super::spline::{Curves, Knots, Stencil};
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
    stencils: Vec<Stencil>,
    /// Flux of the model at each pixel, and its derivative by the velocity step.
    model: Vec<(f64, f64)>,
    weighted: Vec<f64>,
    /// The smooth ratio of data to model at each node, and at each pixel.
    ratio: Vec<f64>,
    mean: Vec<f64>,
    continuum: Vec<f64>,
    /// Derivatives of the model, and what the fit sees of them.
    raw: Array2<f64>,
    total: Array2<f64>,
    nodes: Array2<f64>,
}

/// The equations of a step: chi-square, and with the derivatives `J` and the weights `W` of the
/// residuals `r` the vector `J^T W r` and the matrix `J^T W J`. The last parameter is the velocity.
#[derive(Debug, Clone)]
pub(super) struct Normal {
    pub(super) chi2: f64,
    pub(super) pull: DVector<f64>,
    pub(super) curvature: DMatrix<f64>,
}

impl Comparison {
    /// Chi-square of a model of one curve at a velocity, or nothing for a flux that is no spectrum.
    pub(super) fn chi2(
        &mut self,
        target: &Target,
        knots: &Knots,
        flux: &Curves,
        rv_kms: f64,
    ) -> Option<f64> {
        let doppler = Doppler::of(rv_kms);
        let (wave, mut from) = (target.smoother.wave(), 0);
        self.stencils.clear();
        self.stencils
            .extend(wave.iter().map(|&wave| knots.stencil(doppler.to_rest(wave), &mut from)));
        // d lambda_rest / d v = -lambda_rest / (c (1 + v / c)).
        let by_rv = -RV_STEP / (SPEED_OF_LIGHT * doppler.to_observed(1.0));
        self.model.clear();
        self.model.extend(self.stencils.iter().zip(wave).map(|(stencil, &wave)| {
            let (flux, slope) = flux.at(stencil);
            (flux, slope * by_rv * doppler.to_rest(wave))
        }));
        self.weighted.clear();
        self.weighted.extend(
            self.model.iter().zip(&target.weight).map(|((model, _), weight)| model * weight),
        );
        self.mean = target.smoother.sum_one(&self.weighted);
        self.ratio.clear();
        for ((&mean, &weights), &data) in self.mean.iter().zip(&target.weights).zip(&target.data) {
            // A mean that is not a number is no mean either.
            if weights > 0.0 && (mean.is_nan() || mean <= LEAST_MEAN * weights) {
                return None;
            }
            self.ratio.push(if weights > 0.0 { data / mean } else { 0.0 });
        }
        self.continuum.clear();
        self.continuum.extend((0..wave.len()).map(|pixel| target.smoother.at(&self.ratio, pixel)));
        let chi2: f64 = (0..wave.len())
            .map(|pixel| target.counted[pixel] * self.residual(target, pixel).powi(2))
            .sum();
        chi2.is_finite().then_some(chi2)
    }

    /// The smooth ratio of data to model at each node, of the last comparison.
    pub(super) fn ratio(&self) -> &[f64] {
        &self.ratio
    }

    /// Data minus model at a pixel.
    pub(super) fn residual(&self, target: &Target, pixel: usize) -> f64 {
        target.flux[pixel] - self.fitted(pixel)
    }

    /// The model at a pixel, normalised as the data are.
    pub(super) fn fitted(&self, pixel: usize) -> f64 {
        self.model[pixel].0 * self.continuum[pixel]
    }

    /// The equations at the place of the last [`Comparison::chi2`], with the derivatives of the
    /// flux by the scaled labels.
    pub(super) fn normal(&mut self, target: &Target, gradient: &Curves, chi2: f64) -> Normal {
        let (pixels, parameters) = (self.model.len(), gradient.count + 1);
        let wanted = (pixels, parameters);
        if self.raw.dim() != wanted {
            self.raw = Array2::zeros(wanted);
            self.total = Array2::zeros(wanted);
        }
        if self.nodes.dim() != (target.smoother.nodes(), parameters) {
            self.nodes = Array2::zeros((target.smoother.nodes(), parameters));
        }
        for (pixel, (mut raw, mut weighted)) in
            self.raw.rows_mut().into_iter().zip(self.total.rows_mut()).enumerate()
        {
            let (Some(raw), Some(weighted)) = (raw.as_slice_mut(), weighted.as_slice_mut()) else {
                continue;
            };
            gradient.all_at(&self.stencils[pixel], &mut raw[..parameters - 1]);
            raw[parameters - 1] = self.model[pixel].1;
            let weight = target.weight[pixel];
            weighted.iter_mut().zip(&*raw).for_each(|(to, from)| *to = weight * from);
        }
        target.smoother.sum(&self.total.view(), &mut self.nodes);
        // The smooth ratio falls where the smoothed model rises.
        for ((mut node, ratio), mean) in
            self.nodes.rows_mut().into_iter().zip(&self.ratio).zip(&self.mean)
        {
            let factor = if *mean > 0.0 { -ratio / mean } else { 0.0 };
            node.mapv_inplace(|value| value * factor);
        }
        self.combine(target);
        let mut pull = DVector::zeros(parameters);
        for (pixel, row) in self.total.rows().into_iter().enumerate() {
            let residual = target.counted[pixel].sqrt() * self.residual(target, pixel);
            pull.iter_mut().zip(row).for_each(|(pull, value)| *pull += residual * value);
        }
        let curvature = square(&self.total);
        Normal { chi2, pull, curvature }
    }

    /// Derivatives of the model times its continuum, times the root of the weight.
    fn combine(&mut self, target: &Target) {
        let Some(nodes) = self.nodes.as_slice() else { return };
        let parameters = self.raw.ncols();
        for (pixel, (mut total, raw)) in
            self.total.rows_mut().into_iter().zip(self.raw.rows()).enumerate()
        {
            let (Some(total), Some(raw)) = (total.as_slice_mut(), raw.as_slice()) else { continue };
            let root = target.counted[pixel].sqrt();
            let (first, weights) = target.smoother.around(pixel);
            let [a, b, c, d] = weights.map(|weight| weight * root * self.model[pixel].0);
            let continuum = root * self.continuum[pixel];
            let around = &nodes[first * parameters..(first + 4) * parameters];
            let (ab, cd) = around.split_at(2 * parameters);
            let ((at_a, at_b), (at_c, at_d)) = (ab.split_at(parameters), cd.split_at(parameters));
            for parameter in 0..parameters {
                total[parameter] = continuum * raw[parameter]
                    + (a * at_a[parameter] + b * at_b[parameter])
                    + (c * at_c[parameter] + d * at_d[parameter]);
            }
        }
    }

    /// `J^T W J` of the last [`Comparison::normal`] with the noise of the data alone as weights.
    pub(super) fn noise(&mut self, target: &Target) -> DMatrix<f64> {
        for (pixel, mut row) in self.total.rows_mut().into_iter().enumerate() {
            let counted = target.counted[pixel];
            let factor = if counted > 0.0 { (target.ivar[pixel] / counted).sqrt() } else { 0.0 };
            row.mapv_inplace(|value| value * factor);
        }
        square(&self.total)
    }
}

/// The product of the transpose with the matrix itself.
fn square(matrix: &Array2<f64>) -> DMatrix<f64> {
    let square = matrix.t().dot(&matrix.slice(s![.., ..]));
    DMatrix::from_fn(square.nrows(), square.ncols(), |row, column| square[[row, column]])
}
