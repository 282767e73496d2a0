//! Whatever turns prepared spectra into labels: a network, or the fit of one.

use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayView2, s};
use starmill_onnx::{Engine, EngineError, ForwardEngine, Outputs};

use super::companion::Companion;
use super::goodness::Goodness;
use crate::estimate::LabelRule;
use crate::fit::{Checker, Expected, FitError, Fitted, Fitter, Forward, Observation, Plan};
use crate::outcome::{Estimate, Identity};
use crate::prep::{Pixels, Prepared, SPEED_OF_LIGHT};
use crate::quality::Quality;
use crate::reject::{Code, Reject};
use crate::spectrum::Meta;

/// One of the two kinds of models, ready to run.
pub enum Estimator {
    /// From a prepared spectrum to labels.
    Network(Box<Engine>, Option<Box<Companion>>),
    /// From labels to a spectrum, which is fitted.
    Fit(Box<FitEngine>),
}

/// What an estimator makes of a batch.
#[derive(Debug, Clone)]
pub struct Estimates {
    /// Row by row; zeros where there is a reject.
    pub outputs: Outputs,
    /// Bits that the estimator adds to those of each row, or why there is none.
    pub verdicts: Vec<Result<Quality, Reject>>,
    /// How well the labels of each row fit, and that as values of columns; empty if nobody asks.
    pub goodness: Vec<(Goodness, Vec<f32>)>,
}

/// A forward network as a fit sees it.
pub struct Network {
    engine: ForwardEngine,
    wavelength: Vec<f64>,
}

/// A forward network and the rules by which it is fitted.
pub struct FitEngine {
    fitter: Fitter<Network>,
    plan: Arc<Plan>,
    /// Whether rows have model spectra.
    spectra: bool,
}

impl Estimates {
    /// The row of a spectrum, judged by the rules of the model's labels.
    ///
    /// # Errors
    /// The verdict of the estimator, else those of [`LabelRule::judge`].
    pub fn conclude(
        &self,
        labels: &LabelRule,
        identity: &Identity,
        prepared: &Prepared,
        row: usize,
    ) -> Result<Estimate, Reject> {
        let quality = self.verdicts[row].clone()?;
        let mut estimate = labels.conclude(identity, prepared, &self.outputs, row)?;
        estimate.quality = estimate.quality | quality;
        if let Some((goodness, values)) = self.goodness.get(row) {
            estimate.quality = estimate.quality | goodness.quality();
            estimate.vectors.extend(values);
        }
        Ok(estimate)
    }
}

impl Estimator {
    /// What it really runs on.
    pub fn provider(&self) -> &'static str {
        match self {
            Self::Network(engine, _) => engine.provider(),
            Self::Fit(fit) => fit.fitter.forward().engine.provider(),
        }
    }

    /// Runs prepared spectra, at most a batch of the network.
    ///
    /// # Errors
    /// [`EngineError`] when ONNX Runtime fails.
    pub fn run(&mut self, spectra: &[(&Identity, &Prepared)]) -> Result<Estimates, EngineError> {
        match self {
            Self::Network(engine, companion) => {
                let width = spectra.first().map_or(0, |(_, prepared)| prepared.input.len());
                let mut inputs = Array2::zeros((spectra.len(), width));
                for (mut row, (_, prepared)) in inputs.rows_mut().into_iter().zip(spectra) {
                    row.iter_mut().zip(&prepared.input).for_each(|(to, from)| *to = *from);
                }
                let outputs = engine.run(inputs.view())?;
                let goodness = match companion {
                    Some(companion) => companion.columns_of(spectra, &outputs.labels)?,
                    None => Vec::new(),
                };
                let verdicts = vec![Ok(Quality::NONE); spectra.len()];
                Ok(Estimates { outputs, verdicts, goodness })
            }
            Self::Fit(fit) => fit.run(spectra),
        }
    }

    /// The spectrum of a row beside the one that its labels should have; `None` if the model has no
    /// forward model.
    ///
    /// # Errors
    /// [`EngineError`] when ONNX Runtime fails.
    pub fn expected(
        &mut self,
        identity: &Identity,
        prepared: &Prepared,
        labels: &[f32],
    ) -> Result<Option<Goodness>, EngineError> {
        match self {
            Self::Network(_, None) => Ok(None),
            Self::Network(_, Some(companion)) => {
                companion.with_spectra(true);
                Ok(companion.judge(&[(identity, prepared)], |_| labels)?.pop())
            }
            Self::Fit(fit) => Ok(Some(fit.expected(prepared, labels)?)),
        }
    }

    /// Whether it runs at all: on zeros, or on the labels from which fits start.
    ///
    /// # Errors
    /// [`EngineError`] when it does not.
    pub fn probe(&mut self, pixels: usize) -> Result<(), EngineError> {
        match self {
            Self::Network(engine, _) => engine.run(Array2::zeros((1, pixels)).view()).map(|_| ()),
            Self::Fit(fit) => fit.warm_up(),
        }
    }
}

impl Network {
    /// An engine with derivatives, and the wavelengths of its pixels.
    pub fn new(engine: ForwardEngine, wavelength: Vec<f64>) -> Self {
        Self { engine, wavelength }
    }
}

impl Forward for Network {
    type Error = EngineError;

    fn wave(&self) -> &[f64] {
        &self.wavelength
    }

    fn batch(&self) -> usize {
        self.engine.batch()
    }

    fn flux(&mut self, labels: ArrayView2<'_, f32>) -> Result<Array2<f32>, EngineError> {
        self.engine.run(labels)
    }

    fn gradient(
        &mut self,
        labels: ArrayView2<'_, f32>,
    ) -> Result<(Array2<f32>, Array3<f32>), EngineError> {
        let tangent = self.engine.run_with_jacobian(labels)?;
        Ok((tangent.flux, tangent.jacobian))
    }
}

impl FitEngine {
    /// A network under a plan. `spectra` says whether rows have model spectra.
    ///
    /// # Errors
    /// [`EngineError`] when ONNX Runtime fails at the starting points.
    pub fn new(network: Network, plan: Arc<Plan>, spectra: bool) -> Result<Self, EngineError> {
        Ok(Self { fitter: Fitter::new(network, Arc::clone(&plan))?, plan, spectra })
    }

    /// Fits the model to a spectrum of its own, as often as it does at once.
    ///
    /// # Errors
    /// [`EngineError`] when ONNX Runtime fails.
    pub fn warm_up(&mut self) -> Result<(), EngineError> {
        let wave = self.fitter.forward().wavelength.clone();
        let (flux, ivar) = (vec![1.0; wave.len()], vec![1e4; wave.len()]);
        let flat = Observation { wave: &wave, flux: &flux, ivar: &ivar, rv_kms: Some(0.0) };
        let batch = self.fitter.forward().batch();
        self.fitter.fit(&vec![flat; batch]).map(|_| ())
    }

    /// The fits themselves.
    pub fn fitter(&mut self) -> &mut Fitter<Network> {
        &mut self.fitter
    }

    fn run(&mut self, spectra: &[(&Identity, &Prepared)]) -> Result<Estimates, EngineError> {
        let waves: Vec<Vec<f64>> = spectra
            .iter()
            .map(|(_, p)| Pixels::of(&p.input).wave.iter().map(|&w| f64::from(w)).collect())
            .collect();
        let observations: Vec<Observation<'_>> = spectra
            .iter()
            .zip(&waves)
            .map(|((identity, prepared), wave)| {
                let Pixels { flux, ivar, .. } = Pixels::of(&prepared.input);
                Observation { wave, flux, ivar, rv_kms: known_rv(&identity.meta) }
            })
            .collect();
        let fits = self.fitter.fit(&observations)?;
        let parameters = self.plan.labels.len() + 1;
        let mut outputs = Outputs {
            labels: Array2::zeros((spectra.len(), parameters)),
            novelty: None,
            sigma: Some(Array2::zeros((spectra.len(), parameters))),
            factor: Some(Array3::zeros((spectra.len(), parameters, parameters))),
            columns: [parameters, parameters, 1, 1, 1]
                .map(|width| Array2::zeros((spectra.len(), width)))
                .into(),
        };
        let pixels = self.spectra.then_some(self.fitter.forward().wavelength.len());
        let (mut verdicts, mut goodness) = (Vec::new(), Vec::new());
        for (row, fit) in fits.into_iter().enumerate() {
            let fitted = fit.map_err(|error| {
                let code = match error {
                    FitError::TooFewPixels { .. } => Code::TOO_MANY_BAD_PIXELS,
                    FitError::NoFlux => Code::MODEL_OUTPUT,
                };
                code.because(error.to_string())
            });
            let mut found = fitted.as_ref().map_or_else(|_| Goodness::none(), Goodness::of_fit);
            verdicts.push(fitted.and_then(|fitted| self.write(&fitted, &mut outputs, row)));
            if pixels.is_some() && verdicts[row].is_ok() {
                let labels = outputs.labels.row(row).to_vec();
                let expected = self.expected(spectra[row].1, &labels)?;
                found = Goodness { spectrum: expected.spectrum, ..found };
            }
            let values = found.values(pixels);
            goodness.push((found, values));
        }
        Ok(Estimates { outputs, verdicts, goodness })
    }

    /// The spectrum of a row beside the one of its labels, the last of which is the velocity.
    fn expected(&mut self, prepared: &Prepared, labels: &[f32]) -> Result<Goodness, EngineError> {
        let Some((&rv, labels)) =
            labels.get(..=self.plan.labels.len()).and_then(<[f32]>::split_last)
        else {
            return Ok(Goodness::none());
        };
        let row = Array2::from_shape_fn((1, labels.len()), |(_, label)| labels[label]);
        let flux = self.fitter.forward_mut().flux(row.view())?;
        let flux = flux.row(0).to_vec();
        let variance: Vec<f32> = self.plan.model_error.iter().map(|error| error * error).collect();
        let wave = &self.fitter.forward().wavelength;
        let mut checker = Checker::new(wave, self.plan.smoothing_fwhm, self.plan.limits.clone());
        let pixels = Pixels::of(&prepared.input);
        let expected = Expected { flux: &flux, variance: &variance };
        let verdict = checker.compare(pixels, expected, Some(f64::from(rv)));
        let mut goodness = Goodness { fitted_rv: true, ..Goodness::none() };
        goodness.hold(verdict, (&checker, &flux));
        Ok(goodness)
    }

    /// Puts a fit into its row of the outputs.
    fn write(&self, fit: &Fitted, outputs: &mut Outputs, row: usize) -> Result<Quality, Reject> {
        let no_covariance = || Code::MODEL_OUTPUT.because("the fit has no covariance");
        let factor = fit.factor().ok_or_else(no_covariance)?;
        let labels = fit.labels.iter().chain([&fit.rv_kms]);
        outputs.labels.row_mut(row).iter_mut().zip(labels).for_each(|(to, &x)| *to = single(x));
        if let Some(sigma) = &mut outputs.sigma {
            let errors = fit.errors();
            sigma.row_mut(row).iter_mut().zip(errors).for_each(|(to, x)| *to = single(x));
        }
        if let Some(factors) = &mut outputs.factor {
            let mut matrix = factors.slice_mut(s![row, .., ..]);
            matrix.indexed_iter_mut().for_each(|(at, to)| *to = single(factor[at]));
        }
        let flag = |set: bool| if set { 1.0 } else { 0.0 };
        let columns: [Vec<f64>; 5] = [
            fit.bound.clone(),
            fit.at_end.iter().map(|&at_end| flag(at_end)).collect(),
            vec![fit.chi2_continuum],
            vec![fit.iterations as f64],
            vec![flag(fit.converged)],
        ];
        for (column, values) in outputs.columns.iter_mut().zip(columns) {
            column.row_mut(row).iter_mut().zip(values).for_each(|(to, x)| *to = single(x));
        }
        let mut quality = Quality::NONE;
        quality.set_if(!fit.converged, Quality::FIT_NOT_CONVERGED);
        quality.set_if(fit.at_end.contains(&true), Quality::FIT_AT_BOUND);
        let decides = |name: &str| ["teff", "logg"].contains(&name);
        let names = self.plan.labels.iter().map(|label| decides(&label.name)).chain([true]);
        let is_lost = names.zip(&fit.at_end).any(|(decides, &at_end)| decides && at_end);
        quality.set_if(is_lost, Quality::FIT_LOST);
        Ok(quality)
    }
}

/// No star is faster, km/s: what a header says beyond it is no velocity of a star.
const FASTEST: f64 = 1500.0;

/// The velocity that is known of a star beforehand: the catalogue's, or the pipeline's redshift.
pub(crate) fn known_rv(meta: &Meta) -> Option<f64> {
    let known = meta.rv_kms.or_else(|| meta.z.map(|z| z * SPEED_OF_LIGHT));
    known.filter(|rv| rv.abs() < FASTEST)
}

#[expect(clippy::cast_possible_truncation, reason = "catalogues hold single precision")]
fn single(value: f64) -> f32 {
    value as f32
}
