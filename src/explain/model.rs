//! A star beside the model spectrum at its labels.

use serde::Serialize;

use super::features::{Feature, Pair, features};
use crate::prep::Pixels;
use crate::setup::{Goodness, Missing};

/// Features that are named of those that fit worst.
const NAMED: usize = 8;

/// How the labels of a row fit its spectrum.
#[derive(Debug, Clone, Serialize)]
pub struct ModelFit {
    /// The forward model.
    pub model: String,
    /// Chi-square and its degrees of freedom.
    pub chi2: f64,
    /// The latter.
    pub freedom: f64,
    /// Radial velocity of the model, km/s.
    pub rv_kms: f64,
    /// Whether that was looked for, because none was known.
    pub fitted_rv: bool,
    /// Whether it is worse than good rows are.
    pub poor: bool,
    /// The region that fits worst, Angstrom, and its reduced chi-square.
    pub worst: Option<([f64; 2], f64)>,
    /// The main features.
    pub features: Vec<Feature>,
    /// Data and model, pixel by pixel.
    #[serde(skip)]
    pub pairs: Vec<Pair>,
}

impl ModelFit {
    /// What is told of a comparison: of native pixels with the spectrum that `goodness` holds.
    ///
    /// # Errors
    /// Why there is none.
    pub fn of(
        model: String,
        pixels: Pixels<'_>,
        goodness: &Goodness,
    ) -> Result<Self, &'static str> {
        let found = goodness.verdict.as_ref().map_err(|missing| match missing {
            Missing::Labels => "the labels lie where the forward model was not trained",
            Missing::Pixels => "too little of the spectrum lies in the forward model's window",
        })?;
        let pairs = pairs(pixels, goodness);
        Ok(Self {
            model,
            chi2: found.chi2,
            freedom: found.freedom,
            rv_kms: found.rv_kms,
            fitted_rv: goodness.fitted_rv,
            poor: goodness.poor,
            worst: found.worst.map(|worst| (worst.wave, worst.reduced_chi2)),
            features: features(&pairs, found.rv_kms),
            pairs,
        })
    }

    /// The features that fit worst, the worst first.
    pub fn worst_features(&self) -> Vec<&Feature> {
        let mut all: Vec<&Feature> = self.features.iter().collect();
        all.sort_by(|a, b| b.off.abs().total_cmp(&a.off.abs()));
        all.truncate(NAMED);
        all
    }
}

/// Data and model on the pixels of the data, both by the continuum.
fn pairs(pixels: Pixels<'_>, goodness: &Goodness) -> Vec<Pair> {
    let (wave, flux) = goodness.spectrum.split_at(goodness.spectrum.len() / 2);
    let observed = pixels.wave.iter().zip(pixels.flux.iter().zip(pixels.ivar));
    let pair = |(&at, (&data, &ivar)): (&f32, (&f32, &f32))| {
        let right = wave.partition_point(|&wave| wave < at);
        let left = right.checked_sub(1)?;
        let (first, last) = (*wave.get(left)?, *wave.get(right)?);
        // No model lies in a gap between windows.
        if ivar <= 0.0 || last - first > 0.01 * first {
            return None;
        }
        let place = f64::from(at - first) / f64::from(last - first);
        let between = |values: &[f32]| {
            f64::from(values[left]) * (1.0 - place) + f64::from(values[right]) * place
        };
        let (model, continuum) = (between(flux), between(&goodness.continuum));
        (continuum > 0.0 && model.is_finite()).then(|| Pair {
            wave: f64::from(at),
            flux: f64::from(data) / continuum,
            sigma: 1.0 / (f64::from(ivar).sqrt() * continuum),
            model: model / continuum,
        })
    };
    observed.filter_map(pair).collect()
}
