//! A model ready to run: its folder found and hashed, its recipe parsed, the library loaded.

mod companion;
mod described;
mod estimator;
mod fitted;
mod forward;
mod goodness;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use starmill_onnx::{AnyModel, Engine, EngineError, Model, ModelError, Runtime};
use thiserror::Error;

use crate::config::Config;
use crate::estimate::LabelRule;
use crate::prep::{Recipe, RecipeError};
use crate::rv::RvError;
use crate::stage::Reading;
use crate::survey::{GAIA_XP, LAMOST_MRS};

pub use companion::{Companion, CompanionSetup};
pub use described::recipe_names;
pub(crate) use estimator::known_rv;
pub use estimator::{Estimates, Estimator, FitEngine, Network};
pub use fitted::FitSetup;
pub use forward::ReadyForward;
pub use goodness::{Goodness, Missing};

/// A model that cannot be used as configured.
#[derive(Debug, Error)]
pub enum SetupError {
    /// No folder of models was found.
    #[error("no folder of models at {0}; set models.dir or run from the repository's root")]
    NoModels(String),
    /// There is no model of this name.
    #[error("there is no model {name} in {dir}; `starmill models list` shows what is there")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// Where.
        dir: PathBuf,
    },
    /// The model's folder is broken.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A column was requested that the model does not offer.
    #[error(
        "models.columns names {column}, which {model} does not offer on request; it offers \
         {offered:?}"
    )]
    NoColumn {
        /// The model.
        model: String,
        /// What was requested.
        column: String,
        /// What could be.
        offered: Vec<String>,
    },
    /// The model's recipe cannot be run.
    #[error("{manifest}: {source}; this version of Starmill cannot prepare spectra for the model")]
    Recipe {
        /// The manifest.
        manifest: PathBuf,
        /// The cause.
        source: RecipeError,
    },
    /// ONNX Runtime or the device cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A forward model that is not meant to be fitted, or that only is.
    #[error(
        "the forward model {model} cannot be fitted to spectra: that needs a [fit] section, \
         surveys and a Jacobian; use it with `starmill generate`, or choose another model"
    )]
    NotFitted {
        /// The model.
        model: String,
    },
    /// The forward model that a manifest names is not there or broken.
    #[error(
        "{model} is held against the forward model {companion}: {source}; put it beside {model}, or \
         set models.consistency = false"
    )]
    Companion {
        /// The model.
        model: String,
        /// The forward model.
        companion: String,
        /// The cause.
        source: Box<SetupError>,
    },
    /// Model spectra are asked for where there is no forward model.
    #[error(
        "{model} has no forward model whose spectra could be written; choose another model, set \
         models.consistency = true, or leave --model-spectra and models.spectra out"
    )]
    NoSpectra {
        /// The model.
        model: String,
    },
    /// A fit where a network that gives labels is needed.
    #[error("{model} is fitted and has no network from spectra to labels; choose another model")]
    NoNetwork {
        /// The model.
        model: String,
    },
    /// The radial velocities that the model may need cannot be read.
    #[error(transparent)]
    Velocities(#[from] RvError),
    /// The configured device has no such name.
    #[error("onnx.device: {0}")]
    Device(#[from] starmill_onnx::ParseDeviceError),
}

/// A model whose files are verified, with everything that the stages need of it.
#[derive(Clone)]
pub struct Ready {
    /// The model's folder and manifest.
    pub model: Model,
    /// How spectra are prepared for it.
    pub recipe: Arc<Recipe>,
    /// How its outputs are read.
    pub labels: Arc<LabelRule>,
    /// What is read of files, and what is added to it.
    pub reading: Reading,
    /// How the model is fitted, if it goes from labels to spectra.
    pub fit: Option<Arc<FitSetup>>,
    /// The forward model against which its rows are held.
    pub companion: Option<Arc<CompanionSetup>>,
    /// Whether model spectra are columns.
    pub spectra: bool,
}

/// The folder of models: as configured, else the first of the usual places that exists.
///
/// # Errors
/// [`SetupError::NoModels`] lists the places.
pub fn models_dir(config: &Config) -> Result<PathBuf, SetupError> {
    if !config.models.dir.as_os_str().is_empty() {
        let dir = &config.models.dir;
        let missing = || SetupError::NoModels(dir.display().to_string());
        return dir.is_dir().then(|| dir.clone()).ok_or_else(missing);
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.parent()?.join("share/starmill/models")));
    let places: Vec<PathBuf> =
        std::iter::once(PathBuf::from("onnx/models")).chain(beside).collect();
    places.iter().find(|place| place.is_dir()).cloned().ok_or_else(|| {
        let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
        SetupError::NoModels(places.join(" or "))
    })
}

/// The folder of a model by name.
///
/// # Errors
/// [`SetupError::NoModels`] and [`SetupError::UnknownModel`].
pub fn model_dir(config: &Config, name: &str) -> Result<PathBuf, SetupError> {
    let dir = models_dir(config)?;
    let plain = !name.is_empty() && Path::new(name).file_name() == Some(name.as_ref());
    if !plain || !dir.join(name).is_dir() {
        return Err(SetupError::UnknownModel { name: name.into(), dir });
    }
    Ok(dir.join(name))
}

/// Loads ONNX Runtime from the configured or a usual place.
///
/// # Errors
/// [`EngineError`] says where it was looked for and how to get it.
pub fn load_runtime(config: &Config) -> Result<&'static Runtime, EngineError> {
    let library = &config.onnx.library;
    let explicit = (!library.as_os_str().is_empty()).then_some(library.as_path());
    Runtime::load(&starmill_onnx::find_library(explicit)?)
}

impl Ready {
    /// Opens a model by name and verifies the hashes of all its files.
    ///
    /// # Errors
    /// [`SetupError`] says what is missing or broken.
    pub fn open(config: &Config, name: &str) -> Result<Self, SetupError> {
        let model = match AnyModel::open(model_dir(config, name)?)? {
            AnyModel::Regressor(model) => *model,
            AnyModel::Forward(_) => return fitted::open(config, name),
        };
        model.check_files()?;
        let manifest = &model.manifest;
        let scale = manifest.files.scale.as_ref().map(|file| model.read(file)).transpose()?;
        let (steps, pixels) = (&manifest.recipe, manifest.input.pixels);
        let recipe = Recipe::parse(steps, pixels, scale.as_deref()).map_err(|source| {
            SetupError::Recipe { manifest: model.dir.join("manifest.toml"), source }
        })?;
        let chosen = chosen(&model, &config.models.columns)?;
        let labels = Arc::new(label_rule(&model, chosen));
        let reading = Reading::of(config, &model.manifest.surveys)?;
        let companion = CompanionSetup::of(config, manifest)?.map(Arc::new);
        let spectra = config.models.spectra;
        if spectra && companion.is_none() {
            return Err(SetupError::NoSpectra { model: manifest.name.clone() });
        }
        let recipe = match &companion {
            Some(companion) => companion::beside(recipe, companion)?,
            None => recipe,
        };
        Ok(Self { recipe: Arc::new(recipe), labels, model, reading, fit: None, companion, spectra })
    }

    /// Opens a session of the model on the configured device.
    ///
    /// # Errors
    /// [`SetupError::Engine`] when the graph does not fit the manifest or the device is not there,
    /// [`SetupError::NoNetwork`] for a model that is fitted.
    pub fn engine(&self, runtime: &Runtime, config: &Config) -> Result<Engine, SetupError> {
        if self.fit.is_some() {
            return Err(SetupError::NoNetwork { model: self.id() });
        }
        let options = forward::options(config, config.infer.batch)?;
        Ok(Engine::open(runtime, &self.model, &options)?)
    }

    /// Opens whatever gives labels: a session of the network, or its fit.
    ///
    /// # Errors
    /// [`SetupError::Engine`] when the graph does not fit the manifest or the device is not there.
    pub fn estimator(&self, runtime: &Runtime, config: &Config) -> Result<Estimator, SetupError> {
        let Some(fit) = &self.fit else {
            let companion = self.companion(runtime, config, false)?;
            return Ok(Estimator::Network(Box::new(self.engine(runtime, config)?), companion));
        };
        let options = forward::options(config, config.infer.batch)?;
        Ok(Estimator::Fit(Box::new(fit.engine(runtime, &options, self.spectra)?)))
    }

    /// The same, held to the golden cases, which also warms it up.
    ///
    /// # Errors
    /// Those of [`Ready::estimator`], and [`EngineError::GoldenMismatch`] when this machine's
    /// arithmetic is not the exporter's.
    pub fn proven_estimator(
        &self,
        runtime: &Runtime,
        config: &Config,
    ) -> Result<Estimator, SetupError> {
        let Some(fit) = &self.fit else {
            let companion = self.companion(runtime, config, true)?;
            let engine = self.proven_engine(runtime, config)?;
            return Ok(Estimator::Network(Box::new(engine), companion));
        };
        let options = forward::options(config, config.infer.batch)?;
        Ok(Estimator::Fit(Box::new(fit.proven_engine(runtime, &options, self.spectra)?)))
    }

    fn companion(
        &self,
        runtime: &Runtime,
        config: &Config,
        proven: bool,
    ) -> Result<Option<Box<Companion>>, SetupError> {
        let Some(setup) = &self.companion else { return Ok(None) };
        let options = forward::options(config, config.infer.batch)?;
        Ok(Some(Box::new(setup.open(runtime, &options, (proven, self.spectra))?)))
    }

    /// Opens a session and holds it to the golden rows, which also warms it up.
    ///
    /// # Errors
    /// Those of [`Ready::engine`], and [`EngineError::GoldenMismatch`] when this machine's
    /// arithmetic is not the exporter's.
    pub fn proven_engine(&self, runtime: &Runtime, config: &Config) -> Result<Engine, SetupError> {
        let mut engine = self.engine(runtime, config)?;
        engine.verify(&self.model.golden()?, &self.model.manifest.tolerances())?;
        Ok(engine)
    }

    /// Name and version: `fcresnet 1.0.0`.
    pub fn id(&self) -> String {
        format!("{} {}", self.model.manifest.name, self.model.manifest.version)
    }

    /// Name, version and the beginning of the network's hash: what a catalogue is bound to. Which
    /// spectra are taken with which velocities is a part of it, where that is a choice, and so are
    /// columns that were requested.
    pub fn id_with_hash(&self) -> String {
        let hash = self.model.onnx_sha256();
        let mut id = format!("{} ({})", self.id(), hash.get(..16).unwrap_or(hash));
        if self.takes_medium() {
            id += &self.reading.name();
        }
        if let Some(companion) = &self.companion {
            id += BESIDE;
            id += &companion.id_with_hash();
        }
        if self.spectra {
            id += AND_SPECTRA;
        }
        let requested = self.requested();
        if !requested.is_empty() {
            id += WITH;
            id += &requested.join(",");
        }
        id
    }

    /// The columns of an identifier that [`Ready::id_with_hash`] gave.
    pub fn requested_in(id: &str) -> Vec<String> {
        let columns = id.split_once(WITH).map(|(_, columns)| columns.split(','));
        columns.into_iter().flatten().map(str::to_owned).collect()
    }

    /// Name and version of the forward model of its rows: the one beside it, or itself.
    pub fn forward_id(&self) -> String {
        self.companion.as_ref().map_or_else(|| self.id(), |companion| companion.id())
    }

    /// Whether an identifier that [`Ready::id_with_hash`] gave is of rows with model spectra.
    pub fn has_spectra_in(id: &str) -> bool {
        id.contains(AND_SPECTRA)
    }

    /// Whether an identifier that [`Ready::id_with_hash`] gave names a forward model.
    pub fn has_companion_in(id: &str) -> bool {
        id.contains(BESIDE)
    }

    /// The most values that a prepared spectrum has.
    pub fn prepared_width(&self) -> usize {
        self.model.manifest.input.pixels + self.recipe.native_width()
    }

    /// The columns that were requested and are written, by name.
    fn requested(&self) -> Vec<&str> {
        let columns = &self.model.manifest.output.columns;
        let chosen = self.labels.columns.iter().map(|&index| &columns[index]);
        chosen.filter(|column| column.on_request).map(|column| column.name.as_str()).collect()
    }

    /// Whether the model is for spectra of a medium-resolution survey.
    pub fn takes_medium(&self) -> bool {
        self.takes(LAMOST_MRS)
    }

    /// Whether the model is for spectra of this survey.
    fn takes(&self, survey: &str) -> bool {
        self.model.manifest.surveys.iter().any(|name| name == survey)
    }

    /// The S/N that limits of the model are about, in words.
    pub fn snr_name(&self) -> &'static str {
        if self.takes_medium() {
            "in the worse arm"
        } else if self.takes(GAIA_XP) {
            "of the median pixel"
        } else {
            "in g"
        }
    }
}

/// Between an identifier and the forward model beside it.
const BESIDE: &str = " beside ";
/// What an identifier says of model spectra.
const AND_SPECTRA: &str = " and model spectra";
/// Between an identifier and the columns that were requested.
const WITH: &str = " with ";

/// The further columns that are written: those that always are, and the requested ones.
fn chosen(model: &Model, requested: &[String]) -> Result<Vec<usize>, SetupError> {
    let columns = &model.manifest.output.columns;
    let on_request = || columns.iter().filter(|column| column.on_request);
    if let Some(column) =
        requested.iter().find(|name| on_request().all(|column| column.name != **name))
    {
        return Err(SetupError::NoColumn {
            model: model.manifest.name.clone(),
            column: column.clone(),
            offered: on_request().map(|column| column.name.clone()).collect(),
        });
    }
    let written = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !column.on_request || requested.contains(&column.name));
    Ok(written.map(|(index, _)| index).collect())
}

fn label_rule(model: &Model, columns: Vec<usize>) -> LabelRule {
    let manifest = &model.manifest;
    let position = |name: &String| manifest.labels.iter().position(|label| label.name == *name);
    LabelRule {
        valid: manifest.labels.iter().map(|label| label.valid).collect(),
        // Opening the model has checked that every name of a sum is a label.
        derived: manifest
            .derived
            .iter()
            .map(|d| d.sum.iter().filter_map(position).collect())
            .collect(),
        min_snr: manifest.quality.min_snr,
        columns,
    }
}
