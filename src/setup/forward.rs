//! A forward model ready to run.

use starmill_onnx::{Device, EngineOptions, ForwardEngine, ForwardModel, Runtime};

use super::{SetupError, model_dir};
use crate::config::Config;

/// A forward model whose files are verified.
#[derive(Debug, Clone)]
pub struct ReadyForward {
    /// The model's folder and manifest.
    pub model: ForwardModel,
    /// Vacuum wavelength of each pixel in the star's rest frame, Angstrom.
    pub wavelength: Vec<f64>,
}

impl ReadyForward {
    /// Opens a forward model by name and verifies the hashes of all its files.
    ///
    /// # Errors
    /// [`SetupError`] says what is missing or broken, or that it is a model of another kind.
    pub fn open(config: &Config, name: &str) -> Result<Self, SetupError> {
        let model = ForwardModel::open(model_dir(config, name)?)?;
        model.check_files()?;
        let wavelength = model.wavelength()?;
        Ok(Self { model, wavelength })
    }

    /// Opens the model on the configured device, with the Jacobian where it has one, and holds it
    /// to its golden cases, which also warms it up.
    ///
    /// # Errors
    /// [`SetupError::Engine`] when the graph does not fit the manifest, the device is not there or
    /// this machine's arithmetic is not the exporter's.
    pub fn proven_engine(
        &self,
        runtime: &Runtime,
        config: &Config,
    ) -> Result<ForwardEngine, SetupError> {
        let options = options(config, config.infer.batch)?;
        let mut engine = if self.model.manifest.output.jacobian.is_some() {
            ForwardEngine::open_with_jacobian(runtime, &self.model, &options)?
        } else {
            ForwardEngine::open(runtime, &self.model, &options)?
        };
        engine.verify(&self.model.golden()?)?;
        Ok(engine)
    }

    /// The same for spectra alone, in batches of this many.
    ///
    /// # Errors
    /// Those of [`ReadyForward::proven_engine`].
    pub fn proven_spectra(
        &self,
        runtime: &Runtime,
        config: &Config,
        batch: usize,
    ) -> Result<ForwardEngine, SetupError> {
        let mut engine = ForwardEngine::open(runtime, &self.model, &options(config, batch)?)?;
        engine.verify(&self.model.golden()?)?;
        Ok(engine)
    }

    /// Name and version: `generator 1.0.0`.
    pub fn id(&self) -> String {
        format!("{} {}", self.model.manifest.name, self.model.manifest.version)
    }
}

pub(super) fn options(config: &Config, batch: usize) -> Result<EngineOptions, SetupError> {
    let device = config.onnx.device.parse::<Device>()?;
    Ok(EngineOptions { device, batch, threads: config.infer.threads })
}
