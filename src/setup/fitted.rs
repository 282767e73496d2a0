//! A forward model that is fitted to spectra, as a run sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use starmill_onnx::{
    ColumnSpec, CovarianceSpec, EngineError, EngineOptions, Files, FitSpec, ForwardEngine,
    ForwardManifest, ForwardModel, GoldenTolerance, InputSpec, Label, Manifest, Model,
    Normalisation, OutputSpec, Quality, Runtime,
};

use super::estimator::{FitEngine, Network};
use super::forward::ReadyForward;
use super::goodness;
use super::{Ready, SetupError, chosen, label_rule};
use crate::catalogue::VectorColumn;
use crate::config::Config;
use crate::fit::{Curve, FEWEST_PIXELS, Limits, Parameter, Plan};
use crate::prep::{Doppler, Recipe};
use crate::stage::Reading;

/// Spectra that the network computes at once. Their derivatives stay in the processor's cache.
const BATCH: usize = 8;
/// No star of the Galaxy that is not leaving it is faster, km/s.
const MAX_RV: f64 = 600.0;
/// The Gaussian of Ho et al. 2017 for models that were divided by their true continuum, Angstrom.
pub(super) const SMOOTHING: f64 = 50.0;
/// Ting et al. 2017 (section 3) reach 0.1 dex from this S/N on.
const MIN_SNR: f64 = 30.0;
/// The part of a model's window that a spectrum must reach over.
const MIN_COVERAGE: f64 = 0.9;
/// Pixels of a spectrum in the model's window for each pixel of the model.
const OVERSAMPLING: usize = 4;

/// What a fit needs beside the network.
#[derive(Debug)]
pub struct FitSetup {
    model: ForwardModel,
    wavelength: Vec<f64>,
    plan: Arc<Plan>,
}

/// A forward model as a run sees it: like a model that gives labels.
pub(super) fn open(config: &Config, name: &str) -> Result<Ready, SetupError> {
    let ReadyForward { model, wavelength } = ReadyForward::open(config, name)?;
    let manifest = &model.manifest;
    let unfit = || SetupError::NotFitted { model: manifest.name.clone() };
    let fit = manifest.fit.as_ref().ok_or_else(unfit)?;
    let is_short = wavelength.len() < FEWEST_PIXELS;
    if manifest.surveys.is_empty() || manifest.output.jacobian.is_none() || is_short {
        return Err(unfit());
    }
    let plan = Arc::new(plan(&model, fit)?);
    let manifest = as_regressor(manifest, &wavelength, &fit.skip);
    let recipe =
        Recipe::parse(&manifest.recipe, manifest.input.pixels, None).map_err(|source| {
            SetupError::Recipe { manifest: model.dir.join("manifest.toml"), source }
        })?;
    let reading = Reading::of(config, &manifest.surveys)?;
    let as_model = Model { dir: model.dir.clone(), manifest };
    let columns = chosen(&as_model, &config.models.columns)?;
    let labels = Arc::new(label_rule(&as_model, columns));
    let fit = Some(Arc::new(FitSetup { model, wavelength, plan }));
    let companion = None;
    let (recipe, spectra) = (Arc::new(recipe), config.models.spectra);
    Ok(Ready { model: as_model, recipe, labels, reading, fit, companion, spectra })
}

impl FitSetup {
    /// How well the fit went; with the columns of model spectra, if they are asked for.
    pub(super) fn columns(&self, spectra: bool) -> Vec<VectorColumn> {
        goodness::columns(spectra.then_some(self.wavelength.len()))
    }

    /// Opens the network and prepares its starting points. `spectra` says whether rows have those.
    pub(super) fn engine(
        &self,
        runtime: &Runtime,
        options: &EngineOptions,
        spectra: bool,
    ) -> Result<FitEngine, EngineError> {
        let options = EngineOptions { batch: BATCH, ..options.clone() };
        let engine = ForwardEngine::open_with_jacobian(runtime, &self.model, &options)?;
        let network = Network::new(engine, self.wavelength.clone());
        FitEngine::new(network, Arc::clone(&self.plan), spectra)
    }

    /// The same, held to the golden spectra.
    pub(super) fn proven_engine(
        &self,
        runtime: &Runtime,
        options: &EngineOptions,
        spectra: bool,
    ) -> Result<FitEngine, EngineError> {
        let options = EngineOptions { batch: BATCH, ..options.clone() };
        let mut engine = ForwardEngine::open_with_jacobian(runtime, &self.model, &options)?;
        engine.verify(&self.model.golden()?)?;
        let network = Network::new(engine, self.wavelength.clone());
        let mut engine = FitEngine::new(network, Arc::clone(&self.plan), spectra)?;
        // What a fit takes in memory is there from the start.
        engine.warm_up()?;
        Ok(engine)
    }
}

fn plan(model: &ForwardModel, fit: &FitSpec) -> Result<Plan, SetupError> {
    let manifest = &model.manifest;
    let labels = manifest.labels.iter().map(|label| Parameter {
        name: label.name.clone(),
        valid: label.valid,
        step: label.step,
    });
    Ok(Plan {
        labels: labels.collect(),
        starts: fit.starts.clone(),
        max_iterations: fit.max_iterations,
        smoothing_fwhm: match manifest.spectrum.normalisation {
            Normalisation::Gaussian { fwhm } => fwhm,
            Normalisation::Continuum {} => SMOOTHING,
        },
        model_error: model.model_error()?,
        limits: Limits {
            whole: Curve::straight(fit.limit),
            region: Curve::straight(fit.region_limit),
            factors: Vec::new(),
        },
        max_rv_kms: MAX_RV,
    })
}

/// The manifest of a model that gave what the fit gives: recipe, labels with errors, columns. So a
/// catalogue of fits is made like any other.
fn as_regressor(forward: &ForwardManifest, wavelength: &[f64], skip: &[[f64; 2]]) -> Manifest {
    let mut labels: Vec<Label> = forward
        .labels
        .iter()
        .map(|label| Label {
            name: label.name.clone(),
            unit: label.unit.clone(),
            ucd: label.ucd.clone(),
            description: label.description.clone(),
            alias: None,
            valid: label.valid,
        })
        .collect();
    labels.push(Label {
        name: "rv".into(),
        unit: "km/s".into(),
        ucd: "spect.dopplerVeloc;pos.heliocentric".into(),
        description: "Heliocentric radial velocity, from the fit".into(),
        alias: None,
        valid: [-MAX_RV, MAX_RV],
    });
    let parameters = labels.len();
    let (recipe, width) = native_recipe(wavelength, MAX_RV, skip);
    let files = &forward.files;
    let output = OutputSpec {
        labels: "labels".into(),
        novelty: None,
        novelty_false_alarm: None,
        sigma: Some("sigma".into()),
        covariance: Some(CovarianceSpec { factor: "factor".into(), rank: parameters }),
        columns: columns(parameters),
    };
    Manifest {
        kind: starmill_onnx::Kind::Regressor,
        schema: forward.schema,
        name: forward.name.clone(),
        version: forward.version.clone(),
        title: forward.title.clone(),
        paper: forward.paper.clone(),
        license: forward.license.clone(),
        surveys: forward.surveys.clone(),
        trained_on: forward.trained_on,
        // The list of all files, whose digests `run.json` holds.
        files: Files {
            onnx: files.onnx.clone(),
            golden: files.golden.clone(),
            card: files.card.clone(),
            recipe_golden: Some(files.wavelength.clone()),
            scale: files.model_error.clone(),
            templates: None,
        },
        input: InputSpec { name: forward.input.name.clone(), pixels: width },
        output,
        recipe,
        derived: Vec::new(),
        quality: Quality { min_snr: MIN_SNR },
        consistency: None,
        golden: GoldenTolerance {
            tolerance: forward.golden.tolerance,
            scale: vec![1.0; parameters],
        },
        provenance: BTreeMap::new(),
        labels,
    }
}

/// Where spectra show the air rather than the star, vacuum Angstrom as observed: the bands of oxygen
/// (gamma, B, A) and of water, and what is left of the brightest line of the night sky.
const EARTHLY: [[f64; 2]; 5] =
    [[5574.0, 5584.0], [6275.0, 6325.0], [6860.0, 6965.0], [7160.0, 7340.0], [7590.0, 7720.0]];

/// Mask rules as for the other models of low-resolution spectra, and the window that the model
/// reaches at every velocity up to `max_rv`; and how many values that gives at most. `skip` is left
/// out beside what is earthly.
pub(super) fn native_recipe(
    wavelength: &[f64],
    max_rv: f64,
    skip: &[[f64; 2]],
) -> (Vec<toml::Table>, usize) {
    let max_pixels = OVERSAMPLING * wavelength.len();
    let end = |wavelength: Option<&f64>, rv| {
        wavelength.map_or(0.0, |&wavelength| Doppler::of(rv).to_observed(wavelength))
    };
    let (first, last) = (end(wavelength.first(), max_rv), end(wavelength.last(), -max_rv));
    let mask = toml::toml! {
        step = "mask"
        pixels = "andmask"
        fibermask = "flag"
        ormask = "flag"
        max_bad_fraction = 0.2
    };
    let mut native = toml::Table::new();
    native.insert("step".into(), "native".into());
    native.insert("first".into(), first.into());
    native.insert("last".into(), last.into());
    native.insert("min_coverage".into(), MIN_COVERAGE.into());
    native.insert("max_pixels".into(), i64::try_from(max_pixels).unwrap_or(i64::MAX).into());
    let skip = EARTHLY.iter().chain(skip).map(|range| toml::Value::from(range.to_vec()));
    native.insert("skip".into(), skip.collect::<Vec<_>>().into());
    (vec![mask, native], 3 * max_pixels)
}

/// What a fit gives beside labels, in the order of [`FitEngine`]'s outputs.
fn columns(parameters: usize) -> Vec<ColumnSpec> {
    let column = |name: &str, integer, shape: &[usize], ucd: &str, description: &str| ColumnSpec {
        output: name.into(),
        name: name.into(),
        shape: shape.to_vec(),
        integer,
        on_request: false,
        unit: String::new(),
        ucd: ucd.into(),
        description: description.into(),
    };
    let all = [parameters];
    vec![
        column("crb", false, &all, "stat.error", "Cramer-Rao bound of each label, last of rv"),
        column("at_bound", true, &all, "meta.code", "1 if a label, or last rv, is at its bound"),
        column("chi2_continuum", false, &[], "stat.fit.chi2", "Chi-square of no lines at all"),
        column("iterations", true, &[], "meta.number", "Steps that the fit tried"),
        column("converged", true, &[], "meta.code", "1 if the last step was small"),
    ]
}
