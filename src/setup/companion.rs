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
use crate::catalogue::VectorColumn;
use crate::config::Config;
use crate::fit::{Checker, Consistency, Expected, Limits};
use crate::outcome::Identity;
use crate::prep::{Pixels, Prepared, Recipe};
use crate::quality::Quality;

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

/// What is said of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Goodness {
    /// How well its labels fit, or why that is not known.
    pub verdict: Result<Consistency, Missing>,
    /// Whether the velocity is one that was looked for.
    pub fitted_rv: bool,
    /// Whether the fit is worse than those of good rows.
    pub poor: bool,
    /// Wavelengths, then flux; empty if nobody asked.
    pub spectrum: Vec<f32>,
    /// The continuum by which both are divided, at the same wavelengths.
    pub continuum: Vec<f32>,
}

/// Why a row has no chi-square.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Labels lie where the forward model was not trained.
    Labels,
    /// Too little of the spectrum lies where the forward model has pixels.
    Pixels,
}

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
        native_recipe(&self.forward.wavelength, 0.0)
    }

    /// Name, version and the beginning of the network's hash.
    pub(super) fn id_with_hash(&self) -> String {
        let hash = self.model().onnx_sha256();
        format!("{} ({})", self.forward.id(), hash.get(..16).unwrap_or(hash))
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
        let ConsistencySpec { limit, region_limit, .. } = self.spec;
        let limits = Limits { whole: limit, region: region_limit };
        let checker = Checker::new(&self.forward.wavelength, fwhm, limits);
        Ok(Companion { setup: Arc::clone(self), engine, checker, variances, spectra })
    }

    /// The squared error of the flux at each place from which a fit would start: that of the model,
    /// and to first order what the errors of the regressor's labels, one independent of the other,
    /// make of it.
    fn variances(
        &self,
        runtime: &Runtime,
        options: &EngineOptions,
    ) -> Result<Vec<(Vec<f64>, Vec<f32>)>, EngineError> {
        let model = self.model();
        let manifest = &model.manifest;
        let of_model: Vec<f32> = self.error.iter().map(|error| error * error).collect();
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
            let variance = of_model.iter().zip(of_labels).map(|(of, labels)| of + labels);
            Ok((place, variance.collect()))
        });
        variances.collect()
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
        let with_values = |goodness: Goodness| {
            let values = self.values(&goodness);
            (goodness, values)
        };
        Ok(all.into_iter().map(with_values).collect())
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
        let verdict = self.checker.compare(pixels, expected, rv).ok_or(Missing::Pixels);
        let poor = verdict.as_ref().is_ok_and(|found| found.poor);
        let (mut spectrum, mut continuum) = (Vec::new(), Vec::new());
        if let Some(found) = verdict.as_ref().ok().filter(|_| self.spectra) {
            let pixels = self.checker.spectrum(flux, found.rv_kms);
            let column = |at: usize| pixels.iter().map(move |pixel| pixel[at]);
            spectrum = column(0).chain(column(1)).collect();
            continuum = column(2).collect();
        }
        Goodness { verdict, fitted_rv: rv.is_none(), poor, spectrum, continuum }
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

    /// Values of the columns, in the order of [`CompanionSetup::columns`].
    #[expect(clippy::cast_possible_truncation, reason = "catalogues hold single precision")]
    pub(super) fn values(&self, goodness: &Goodness) -> Vec<f32> {
        let Goodness { verdict, fitted_rv, spectrum, .. } = goodness;
        let mut values = match verdict {
            Ok(found) => {
                let [wave, worst] = found.worst.map_or([f64::NAN; 2], |worst| {
                    [0.5 * (worst.wave[0] + worst.wave[1]), worst.reduced_chi2]
                });
                [found.chi2, found.freedom, found.reduced_chi2(), wave, worst].map(|x| x as f32)
            }
            Err(_) => [f32::NAN; 5],
        }
        .to_vec();
        values.push(match verdict {
            Ok(_) if *fitted_rv => 1.0,
            Ok(_) => 0.0,
            Err(Missing::Labels) => 2.0,
            Err(Missing::Pixels) => 3.0,
        });
        if self.spectra {
            let width = 2 * self.setup.forward.wavelength.len();
            values.extend(spectrum.iter().copied().chain(std::iter::repeat(f32::NAN)).take(width));
        }
        values
    }
}

impl Goodness {
    fn none() -> Self {
        Self {
            verdict: Err(Missing::Labels),
            fitted_rv: false,
            poor: false,
            spectrum: Vec::new(),
            continuum: Vec::new(),
        }
    }

    /// The quality bits that it sets.
    pub fn quality(&self) -> Quality {
        if self.poor { Quality::POOR_FIT } else { Quality::NONE }
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

fn columns(pixels: Option<usize>) -> Vec<VectorColumn> {
    let column = |name: &str, unit: &str, ucd: &str, description: &str| VectorColumn {
        name: name.into(),
        unit: unit.into(),
        ucd: ucd.into(),
        description: description.into(),
        ..VectorColumn::default()
    };
    let state = column(
        "chi2_state",
        "",
        "meta.code",
        "0, 1: chi2 at the known, a fitted rv; 2, 3: none, see docs",
    );
    let mut columns = vec![
        column("chi2", "", "stat.fit.chi2", "Chi-square of the forward model at these labels"),
        column("dof", "", "stat.fit.dof", "Degrees of freedom, less the continuum's"),
        column("chi2_red", "", "stat.fit.chi2", "Chi-square by degrees of freedom"),
        column(
            "worst_wave",
            "Angstrom",
            "em.wl",
            "Middle of the 100 A that fit worst, as observed",
        ),
        column("worst_chi2", "", "stat.fit.chi2", "Chi-square by degrees of freedom in them"),
        VectorColumn { integer: true, ..state },
    ];
    if let Some(pixels) = pixels {
        let wave = column(
            "model_wave",
            "Angstrom",
            "em.wl",
            "Wavelength of model_flux: vacuum, as observed",
        );
        let flux = column(
            "model_flux",
            "",
            "phot.flux",
            "Model spectrum at these labels, in the file's unit",
        );
        columns.extend([wave, flux].map(|column| VectorColumn { shape: vec![pixels], ..column }));
    }
    columns
}

#[expect(clippy::cast_possible_truncation, reason = "the network takes single precision")]
fn rows(labels: &[Vec<f64>]) -> Array2<f32> {
    let width = labels.first().map_or(0, Vec::len);
    Array2::from_shape_fn((labels.len(), width), |(row, label)| labels[row][label] as f32)
}
