//! A model that runs, and what a catalogue says of it.

use starmill_onnx::Runtime;

use crate::catalogue::{Made, Schema};
use crate::config::Config;
use crate::pipeline;
use crate::setup::{Ready, SetupError, load_runtime, models_dir};

/// A model that was loaded and held to its golden rows, which has warmed it up.
pub(crate) struct Maker {
    pub(crate) model: Ready,
    pub(crate) runtime: &'static Runtime,
    pub(crate) provider: String,
    pub(crate) made: Made,
}

impl Maker {
    /// Loads the model of a configuration.
    pub(crate) fn load(config: &Config) -> anyhow::Result<Self> {
        Self::of(config, Ready::open(config, &config.serve.model)?)
    }

    /// Finds the model that a catalogue was begun with among those that are there.
    pub(crate) fn find(config: &Config, id: &str) -> anyhow::Result<Self> {
        let dir = models_dir(config)?;
        let mut as_begun = config.clone();
        as_begun.models.columns = Ready::requested_in(id);
        as_begun.models.consistency = Ready::has_companion_in(id);
        as_begun.models.spectra = Ready::has_spectra_in(id);
        for model in starmill_onnx::list(&dir)?.into_iter().flatten() {
            let name = model.dir().file_name().unwrap_or_default().to_string_lossy().into_owned();
            match Ready::open(&as_begun, &name) {
                Ok(model) if model.id_with_hash() == id => return Self::of(config, model),
                _ => {}
            }
        }
        Err(SetupError::UnknownModel { name: id.to_owned(), dir }.into())
    }

    fn of(config: &Config, model: Ready) -> anyhow::Result<Self> {
        let runtime = load_runtime(config)?;
        let provider = model.proven_estimator(runtime, config)?.provider().to_owned();
        let made = Made {
            provenance: model.provenance(runtime, &provider),
            model_files: model.file_digests()?,
            settings: pipeline::settings(config, &model),
        };
        Ok(Self { model, runtime, provider, made })
    }

    /// What a catalogue is bound to.
    pub(crate) fn id(&self) -> String {
        self.model.id_with_hash()
    }

    /// The columns of its catalogues.
    pub(crate) fn schema(&self) -> Schema {
        self.model.schema()
    }
}
