//! The forward model beside a regressor: what its labels should look like, held against the spectrum.

use std::sync::Arc;

use ndarray::{Array2, ArrayView3, Axis};
use starmill_onnx::{
    ConsistencySpec, EngineError, EngineOptions, ForwardEngine, ForwardLabel, ForwardModel,
    Manifest, Normalisation, Runtime,
};

use super::SetupError;
use super::estimator::known_rv;
use super::fitted::{SMOOTHING, native_recipe};
use super::forward::ReadyForward;
use super::goodness::{Goodness, Missing, columns};
use crate::catalogue::VectorColumn;
use crate::config::Config;
use crate::fit::{Checker, Curve, Expected, Limits};
use crate::outcome::Identity;
use crate::prep::{Pixels, Prepared, Recipe, SPEED_OF_LIGHT};

/// Spectra that the network computes at once. They stay in the processor's cache.
const BATCH: usize = 16;

/// What a comparison needs beside the network.
#[derive(Debug)]
pub struct CompanionSetup {
    forward: ReadyForward,
    error: Vec<f32>,
    sources: Vec<Source>,
    spec: ConsistencySpec,
}

/// Where a label of the forward model comes from: the sum of these labels of the regressor.
#[derive(Debug, Clone, PartialEq)]
struct Source {
    labels: Vec<usize>,
    /// Its value where there are none.
    default: f64,
    /// Whether the regressor does not give it: an abundance then follows iron.
    assumed: bool,
}

/// A forward network with what is needed to compare its spectra.
pub struct Companion {
    setup: Arc<CompanionSetup>,
    engine: ForwardEngine,
    checker: Checker,
    /// The squared error of the flux around each starting point of a fit.
    variances: Vec<(Vec<f64>, Vec<f32>)>,
    /// Whether the spectra themselves are asked for.
    spectra: bool,
}

/// Places in label space, each with the squared error of the flux there.
type Variances = Vec<(Vec<f64>, Vec<f32>)>;

impl CompanionSetup {
    /// The forward model that a manifest names, unless the configuration does not want it.
    pub(super) fn of(config: &Config, manifest: &Manifest) -> Result<Option<Self>, SetupError> {
        let Some(spec) = manifest.consistency.as_ref().filter(|_| config.models.consistency) else {
            return Ok(None);
        };
        let forward = ReadyForward::open(config, &spec.model).map_err(|source| {
            let (model, companion) = (manifest.name.clone(), spec.model.clone());
            SetupError::Companion { model, companion, source: Box::new(source) }
        })?;
        let labels = &forward.model.manifest.labels;
        let sources = labels.iter().map(|label| Source::of(label, manifest)).collect();
        let error = forward.model.model_error()?;
        Ok(Some(Self { forward, error, sources, spec: spec.clone() }))
    }

    /// The pixels that the comparison needs.
    pub(super) fn recipe(&self) -> (Vec<toml::Table>, usize) {
        native_recipe(&self.forward.wavelength, 0.0, &self.spec.skip)
    }

    /// Name, version and the beginning of the network's hash.
    pub(super) fn id_with_hash(&self) -> String {
        let hash = self.model().onnx_sha256();
        format!("{} ({})", self.forward.id(), hash.get(..16).unwrap_or(hash))
    }

    /// Name and version.
    pub(super) fn id(&self) -> String {
        self.forward.id()
    }

    /// The forward model.
    pub fn model(&self) -> &ForwardModel {
        &self.forward.model
    }

    /// The labels of the forward model that the regressor does not give.
    pub(super) fn assumed(&self) -> Vec<&str> {
        let labels = self.model().manifest.labels.iter().zip(&self.sources);
        labels.filter(|(_, source)| source.assumed).map(|(label, _)| label.name.as_str()).collect()
    }

    /// Its columns; with the spectra, if they are asked for.
    pub(super) fn columns(&self, spectra: bool) -> Vec<VectorColumn> {
        columns(spectra.then_some(self.forward.wavelength.len()))
    }

    /// Opens the network, and holds it to its golden spectra if asked.
    pub(super) fn open(
        self: &Arc<Self>,
        runtime: &Runtime,
        options: &EngineOptions,
        (proven, spectra): (bool, bool),
    ) -> Result<Companion, EngineError> {
        let model = self.model();
        let variances = self.variances(runtime, options)?;
        let options = EngineOptions { batch: BATCH, ..options.clone() };
        let mut engine = ForwardEngine::open(runtime, model, &options)?;
        if proven {
            engine.verify(&model.golden()?)?;
        }
        let fwhm = match model.manifest.spectrum.normalisation {
            Normalisation::Gaussian { fwhm } => fwhm,
            Normalisation::Continuum {} => SMOOTHING,
        };
        let ConsistencySpec { limit, region_limit, region_factors, .. } = self.spec.clone();
        let (whole, region) = (Curve(limit), Curve(region_limit));
        let limits = Limits { whole, region, factors: region_factors };
        let checker = Checker::new(&self.forward.wavelength, fwhm, limits);
        Ok(Companion { setup: Arc::clone(self), engine, checker, variances, spectra })
    }

    /// The squared error of the flux at each place from which a fit would start: that of the model, of
    /// what no model has, and to first order what the errors of the velocity and of the regressor's
    /// labels, one independent of the other, make of it.
    fn variances(
        &self,
        runtime: &Runtime,
        options: &EngineOptions,
    ) -> Result<Variances, EngineError> {
        let model = self.model();
        let manifest = &model.manifest;
        let pixels = self.error.iter().zip(&self.forward.wavelength);
        let of_model: Vec<f32> =
            pixels.map(|(error, &wave)| error * error + self.unmodelled(wave).powi(2)).collect();
        let places = match &manifest.fit {
            Some(fit) => fit.starts.clone(),
            None => vec![manifest.defaults()],
        };
        if manifest.output.jacobian.is_none() {
            return Ok(vec![(manifest.defaults(), of_model)]);
        }
        let options = EngineOptions { batch: 1, ..options.clone() };
        let mut engine = ForwardEngine::open_with_jacobian(runtime, model, &options)?;
        let variances = places.into_iter().map(|place| {
            let tangent = engine.run_with_jacobian(rows(std::slice::from_ref(&place)).view())?;
            let of_labels = self.of_labels(&tangent.jacobian.view());
            let of_velocity = self.of_velocity(&tangent.flux.row(0).to_vec());
            let all = of_model.iter().zip(of_labels).zip(of_velocity);
            let variance = all.map(|((model, labels), velocity)| model + labels + velocity);
            Ok((place, variance.collect()))
        });
        variances.collect()
    }

    /// By what part of the flux spectra are off here, beside noise. Ranges are wide, and the star's
    /// velocity does not matter to them.
    #[expect(clippy::cast_possible_truncation, reason = "flux is single precision")]
    fn unmodelled(&self, wave: f64) -> f32 {
        let ranges = self.spec.unmodelled.iter();
        let here = ranges.filter(|[first, last, _]| (*first..*last).contains(&wave));
        here.map(|[_, _, error]| *error as f32).fold(0.0, f32::max)
    }

    /// The variance that the error of the velocity makes. Pixels at an end have none:
    /// a comparison does not use them.
    #[expect(clippy::cast_possible_truncation, reason = "flux is single precision")]
    fn of_velocity(&self, flux: &[f32]) -> Vec<f32> {
        let wave = &self.forward.wavelength;
        let error = self.spec.rv_error / SPEED_OF_LIGHT;
        let mut variance = vec![0.0; flux.len()];
        for (pixel, variance) in variance.iter_mut().enumerate().skip(1) {
            if let Some(after) = flux.get(pixel + 1) {
                let slope =
                    f64::from(after - flux[pixel - 1]) / (wave[pixel + 1] - wave[pixel - 1]);
                *variance = (slope * wave[pixel] * error).powi(2) as f32;
            }
        }
        variance
    }

    /// The variance that the errors of labels make, for a Jacobian of one row.
    #[expect(clippy::cast_possible_truncation, reason = "flux is single precision")]
    fn of_labels(&self, jacobian: &ArrayView3<'_, f32>) -> Vec<f32> {
        let jacobian = jacobian.index_axis(Axis(0), 0);
        let mut variance = vec![0.0f32; self.error.len()];
        let mut add = |error: f64, labels: &mut dyn Iterator<Item = usize>| {
            let mut change = vec![0.0f32; self.error.len()];
            for label in labels {
                change.iter_mut().zip(jacobian.row(label)).for_each(|(sum, slope)| *sum += slope);
            }
            let error = error as f32;
            variance.iter_mut().zip(change).for_each(|(sum, x)| *sum += (error * x).powi(2));
        };
        for (number, &error) in self.spec.errors.iter().enumerate() {
            let follows = |(_, source): &(usize, &Source)| source.labels.contains(&number);
            add(error, &mut self.sources.iter().enumerate().filter(follows).map(|(at, _)| at));
        }
        for (at, source) in self.sources.iter().enumerate() {
            if source.assumed && !source.labels.is_empty() {
                add(self.spec.scatter, &mut std::iter::once(at));
            }
        }
        variance
    }
}

impl Source {
    fn of(label: &ForwardLabel, manifest: &Manifest) -> Self {
        let position = |name: &str| manifest.labels.iter().position(|label| label.name == name);
        let sum = || {
            let derived = manifest.derived.iter().find(|derived| derived.name == label.name)?;
            Some(derived.sum.iter().filter_map(|name| position(name)).collect())
        };
        let given = position(&label.name).map(|position| vec![position]).or_else(sum);
        let assumed = given.is_none();
        let is_abundance = label.name.ends_with("_h");
        let iron = || position("fe_h").filter(|_| is_abundance).into_iter().collect();
        Self { labels: given.unwrap_or_else(iron), default: label.default, assumed }
    }

    fn value(&self, labels: &[f32]) -> f64 {
        if self.labels.is_empty() {
            return self.default;
        }
        self.labels.iter().map(|&label| f64::from(labels[label])).sum()
    }
}

impl Companion {
    /// Holds the spectrum of each row against the labels that a regressor gave it.
    ///
    /// # Errors
    /// [`EngineError`] when ONNX Runtime fails.
    pub fn judge<'a>(
        &mut self,
        spectra: &[(&Identity, &Prepared)],
        labels: impl Fn(usize) -> &'a [f32],
    ) -> Result<Vec<Goodness>, EngineError> {
        let mut all: Vec<Goodness> = (0..spectra.len()).map(|_| Goodness::none()).collect();
        let mut places = Vec::with_capacity(spectra.len());
        for (row, (_, prepared)) in spectra.iter().enumerate() {
            if prepared.native.is_empty() {
                all[row].verdict = Err(Missing::Pixels);
            } else if let Some(place) = self.place(labels(row)) {
                places.push((row, place));
            }
        }
        for places in places.chunks(BATCH) {
            let inputs: Vec<Vec<f64>> = places.iter().map(|(_, place)| place.clone()).collect();
            let flux = self.engine.run(rows(&inputs).view())?;
            for ((row, place), flux) in places.iter().zip(flux.rows()) {
                let (identity, prepared) = spectra[*row];
                if let Some(flux) = flux.as_slice() {
                    let rv = known_rv(&identity.meta);
                    all[*row] = self.compare(Pixels::of(&prepared.native), (place, flux), rv);
                }
            }
        }
        Ok(all)
    }

    /// The same for the outputs of a network, each with the values of its columns.
    pub(super) fn columns_of(
        &mut self,
        spectra: &[(&Identity, &Prepared)],
        labels: &Array2<f32>,
    ) -> Result<Vec<(Goodness, Vec<f32>)>, EngineError> {
        let labels: Vec<Vec<f32>> = labels.rows().into_iter().map(|row| row.to_vec()).collect();
        let all = self.judge(spectra, |row| &labels[row])?;
        let pixels = self.spectra.then_some(self.setup.forward.wavelength.len());
        let with_values = |goodness: Goodness| {
            let values = goodness.values(pixels);
            (goodness, values)
        };
        Ok(all.into_iter().map(with_values).collect())
    }

    /// Whether the spectra themselves are given.
    pub(super) fn with_spectra(&mut self, spectra: bool) {
        self.spectra = spectra;
    }

    /// The labels of the forward model, if they lie in its box.
    fn place(&self, labels: &[f32]) -> Option<Vec<f64>> {
        let CompanionSetup { forward, sources, .. } = &*self.setup;
        let place: Vec<f64> = sources.iter().map(|source| source.value(labels)).collect();
        let mut pairs = forward.model.manifest.labels.iter().zip(&place);
        pairs.all(|(label, &value)| label.contains(value)).then_some(place)
    }

    fn compare(
        &mut self,
        pixels: Pixels<'_>,
        (place, flux): (&[f64], &[f32]),
        rv: Option<f64>,
    ) -> Goodness {
        let Some(variance) = self.nearest(place) else { return Goodness::none() };
        let expected = Expected { flux, variance: &self.variances[variance].1 };
        let verdict = self.checker.compare(pixels, expected, rv);
        let mut goodness = Goodness { fitted_rv: rv.is_none(), ..Goodness::none() };
        if self.spectra {
            goodness.hold(verdict, (&self.checker, flux));
        } else {
            goodness.judge(verdict);
        }
        goodness
    }

    /// The starting point whose labels are nearest.
    fn nearest(&self, place: &[f64]) -> Option<usize> {
        let labels = &self.setup.model().manifest.labels;
        let distance = |other: &[f64]| -> f64 {
            let pairs = place.iter().zip(other).zip(labels);
            pairs.map(|((a, b), label)| ((a - b) / label.step).powi(2)).sum()
        };
        let all = self.variances.iter().map(|(other, _)| distance(other)).enumerate();
        all.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
    }
}

/// The native pixels that a comparison takes, beside the input of the regressor.
pub(super) fn beside(recipe: Recipe, setup: &CompanionSetup) -> Result<Recipe, SetupError> {
    let (steps, width) = setup.recipe();
    let native = Recipe::parse(&steps, width, None).map_err(|source| SetupError::Recipe {
        manifest: setup.model().dir.join("manifest.toml"),
        source,
    })?;
    Ok(recipe.with_native(native))
}

#[expect(clippy::cast_possible_truncation, reason = "the network takes single precision")]
fn rows(labels: &[Vec<f64>]) -> Array2<f32> {
    let width = labels.first().map_or(0, Vec::len);
    Array2::from_shape_fn((labels.len(), width), |(row, label)| labels[row][label] as f32)
}
