//! Correlation of one arm with a template, at whole and at broken lags.

use std::f64::consts::TAU;

use realfft::num_complex::Complex;

use super::bins::{Depths, MARGIN};
use super::templates::{ArmTemplate, Fourier, LENGTH, Transform};

/// Trial lags, whole bins.
pub(super) const LAGS: usize = 2 * MARGIN + 1;

/// One arm of a spectrum, in Fourier space.
pub(super) struct Arm {
    /// Weight times depth, from which the weighted mean is subtracted; conjugated.
    weighted: Transform,
    /// Weights, conjugated.
    weights: Transform,
    /// Sum of the weights.
    weight: f64,
    /// Weighted sum of squares.
    squares: f64,
    /// Bins that count.
    pub bins: f64,
}

/// Room for the correlation of one template.
pub(super) struct Room {
    product: Transform,
    values: [Vec<f64>; 3],
}

impl Room {
    pub(super) fn new() -> Self {
        let product = vec![Complex::default(); LENGTH / 2 + 1];
        Self { product, values: std::array::from_fn(|_| vec![0.0; LENGTH]) }
    }
}

impl Arm {
    /// `None` without anything that could be correlated.
    pub(super) fn new(depths: &Depths, fourier: &Fourier) -> Option<Self> {
        let Depths { depth, weight } = depths;
        let total: f64 = weight.iter().sum();
        let mean = depth.iter().zip(weight).map(|(depth, weight)| depth * weight).sum::<f64>();
        let mean = mean / total;
        let squares = depth.iter().zip(weight);
        let squares: f64 = squares.map(|(d, weight)| weight * (d - mean) * (d - mean)).sum();
        if !(squares.is_finite() && squares > 0.0) {
            return None;
        }
        let conjugated = |values: &mut dyn Iterator<Item = f64>| {
            let mut transform = fourier.transform(values);
            for value in &mut transform {
                *value = value.conj();
            }
            transform
        };
        let pairs = depth.iter().zip(weight);
        Some(Self {
            weighted: conjugated(&mut pairs.map(|(depth, weight)| weight * (depth - mean))),
            weights: conjugated(&mut weight.iter().copied()),
            weight: total,
            squares,
            bins: weight.iter().filter(|&&weight| weight > 0.0).count() as f64,
        })
    }

    /// The weighted correlation coefficient from three sums over bins: of weight, depth and template;
    /// of weight and template; of weight and template squared.
    fn coefficient(&self, [cross, mean, square]: [f64; 3]) -> f64 {
        let variance = square - mean * mean / self.weight;
        if variance > 0.0 {
            (cross / (self.squares * variance).sqrt()).clamp(-1.0, 1.0)
        } else {
            0.0
        }
    }

    /// Coefficients at every whole lag, from the most negative on.
    pub(super) fn at_all(
        &self,
        template: &ArmTemplate,
        fourier: &Fourier,
        room: &mut Room,
    ) -> [f64; LAGS] {
        let pairs = self.pairs(template);
        let Room { product, values } = room;
        for ((spectrum, template), values) in pairs.iter().zip(values.iter_mut()) {
            for (product, (s, t)) in product.iter_mut().zip(spectrum.iter().zip(*template)) {
                *product = s * t;
            }
            fourier.back(product, values);
        }
        // A star that recedes has its lines where the template has them some bins further left.
        std::array::from_fn(|lag| {
            let sums = [0, 1, 2].map(|sum: usize| values[sum][LAGS - 1 - lag] / LENGTH as f64);
            self.coefficient(sums)
        })
    }

    /// The coefficient at a lag between whole ones: the same sums, which are band-limited, by the
    /// Fourier series itself. `lag` is counted as in [`Arm::at_all`].
    pub(super) fn at(&self, template: &ArmTemplate, lag: f64) -> f64 {
        let place = (LAGS - 1) as f64 - lag;
        let turn = Complex::from_polar(1.0, TAU * place / LENGTH as f64);
        let sums = self.pairs(template).map(|(spectrum, template)| {
            let mut phase = Complex::new(1.0, 0.0);
            let last = LENGTH / 2;
            let mut sum = 0.5 * (spectrum[0] * template[0]).re;
            for frequency in 1..last {
                phase *= turn;
                sum += (spectrum[frequency] * template[frequency] * phase).re;
            }
            // The highest frequency counts once, and its phase is a cosine.
            sum += 0.5 * (spectrum[last] * template[last]).re * (phase * turn).re;
            2.0 * sum / LENGTH as f64
        });
        self.coefficient(sums)
    }

    fn pairs<'a>(&'a self, template: &'a ArmTemplate) -> [(&'a Transform, &'a Transform); 3] {
        [
            (&self.weighted, &template.depth),
            (&self.weights, &template.depth),
            (&self.weights, &template.square),
        ]
    }
}

/// Logarithm of the likelihood of a correlation over so many bins, against none at all, where the
/// noise is as large as what is left (Zucker 2003, equation 8). An anticorrelation counts against.
pub(super) fn log_likelihood(coefficient: f64, bins: f64) -> f64 {
    // Rounding must not make a perfect match infinitely likely.
    let explained = (coefficient * coefficient.abs()).min(1.0 - 1e-9);
    -0.5 * bins * (1.0 - explained).ln()
}
