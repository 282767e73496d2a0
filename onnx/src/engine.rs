//! One network in memory, from a batch of prepared spectra to labels.

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Array3, ArrayView2, s};
use ort::session::Session;
use ort::value::TensorRef;

use crate::device::Device;
use crate::engine_error::EngineError;
use crate::found::Found;
use crate::manifest::{CovarianceSpec, Manifest};
use crate::model::Model;
use crate::runtime::Runtime;
use crate::session;

/// Where and in what portions an engine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// The processor.
    pub device: Device,
    /// Rows of every run; fewer are padded, so that one shape is all the engine ever sees.
    pub batch: usize,
    /// Threads of one engine on the CPU. Two engines of one thread outrun one of two.
    pub threads: usize,
}

impl EngineOptions {
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if self.batch == 0 {
            return Err(EngineError::Options { rule: "a batch of 0 rows; use at least 1" });
        }
        if self.threads == 0 {
            return Err(EngineError::Options { rule: "an engine of 0 threads; use at least 1" });
        }
        Ok(())
    }
}

/// What a network makes of a batch, row by row as it came in.
///
/// Values that are not finite are returned as they are; the caller flags them.
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs {
    /// Shape `[rows, labels]`, in the units of the manifest.
    pub labels: Array2<f32>,
    /// Shape `[rows]`, where the model has a novelty output.
    pub novelty: Option<Array1<f32>>,
    /// Shape `[rows, labels]`, where the model has errors.
    pub sigma: Option<Array2<f32>>,
    /// Shape `[rows, rank, labels]`, where the model has a covariance.
    pub factor: Option<Array3<f32>>,
    /// The further columns in the manifest's order, each of shape `[rows, width]`.
    pub columns: Vec<Array2<f32>>,
}

/// One session of ONNX Runtime. It can move between threads, and each worker owns one.
#[derive(Debug)]
pub struct Engine {
    session: Session,
    manifest: Manifest,
    path: PathBuf,
    device: Device,
    /// Shape `[batch, pixels]`, used again for every run.
    buffer: Array2<f32>,
}

impl Engine {
    /// Opens the network of `model`, whose file is hashed, and holds it to the manifest: names,
    /// types and widths of input and outputs, then one run on zeros.
    ///
    /// # Errors
    /// [`EngineError::Options`] for a batch or thread number of 0, [`EngineError::Model`] for a
    /// file that is missing or changed, [`EngineError::Session`] for a graph that ONNX Runtime
    /// refuses, [`EngineError::Graph`] for one that does not fit the manifest, and
    /// [`EngineError::DeviceRefused`] when any part of it would not run on the device asked for.
    pub fn open(
        runtime: &Runtime,
        model: &Model,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        options.check()?;
        let entry = &model.manifest.files.onnx;
        let path = model.dir.join(&entry.path);
        let graph = model.read(entry)?;
        let session = session::open(runtime, &graph, options)
            .map_err(|error| refused(options.device, &path, &error.to_string()))?;
        session::check(&session, &model.manifest, options.batch)
            .map_err(|mismatch| EngineError::Graph { path: path.clone(), mismatch })?;
        let buffer = Array2::zeros((options.batch, model.manifest.input.pixels));
        let manifest = model.manifest.clone();
        let mut engine = Self { session, manifest, path, device: options.device, buffer };
        // A device that is lost at the first kernel is found here rather than at the first star.
        engine.infer(options.batch)?;
        Ok(engine)
    }

    /// Runs 1 to `batch` rows of prepared spectra, shape `[rows, pixels]`.
    ///
    /// The network always sees the full `[batch, pixels]`, with zeros in the rows that are missing.
    /// So what a row gives depends, to the last bit, neither on the other rows nor on its
    /// position, as long as the graph's operators take each row alike. Matrix products do,
    /// `ReduceMean` and `ReduceSum` over an odd width do not.
    ///
    /// # Errors
    /// [`EngineError::Batch`] for another shape, [`EngineError::Run`] when ONNX Runtime fails.
    #[expect(clippy::needless_pass_by_value, reason = "a view is itself a reference")]
    pub fn run(&mut self, input: ArrayView2<'_, f32>) -> Result<Outputs, EngineError> {
        let (rows, width) = input.dim();
        let (batch, pixels) = self.buffer.dim();
        if rows == 0 || rows > batch || width != pixels {
            let path = self.path.clone();
            return Err(EngineError::Batch { path, rows, width, batch, pixels });
        }
        self.buffer.slice_mut(s![..rows, ..]).assign(&input);
        self.buffer.slice_mut(s![rows.., ..]).fill(0.0);
        self.infer(rows)
    }

    /// What the network really runs on: `CPUExecutionProvider` or `CUDAExecutionProvider`.
    ///
    /// An engine is only ever opened on the device asked for, as a whole.
    pub fn provider(&self) -> &'static str {
        session::provider(self.device)
    }

    /// Runs the buffer and returns its first `rows` rows.
    fn infer(&mut self, rows: usize) -> Result<Outputs, EngineError> {
        outputs(&mut self.session, &self.manifest, &self.buffer, rows)
            .map_err(|reason| EngineError::Run { path: self.path.clone(), reason })
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn batch(&self) -> usize {
        self.buffer.nrows()
    }
}

fn outputs(
    session: &mut Session,
    manifest: &Manifest,
    buffer: &Array2<f32>,
    rows: usize,
) -> Result<Outputs, String> {
    let message = |error: ort::Error| error.to_string();
    let tensor = TensorRef::from_array_view(buffer.view()).map_err(message)?;
    let input = ort::inputs![manifest.input.name.as_str() => tensor];
    let found = session.run(input).map_err(message)?;
    let (spec, labels) = (&manifest.output, manifest.labels.len());
    let found = Found { outputs: &found, batch: buffer.nrows(), rows };
    let columns = spec.columns.iter().map(|column| found.flat(&column.output, &column.shape));
    Ok(Outputs {
        labels: found.array(&spec.labels, &[labels])?,
        novelty: spec.novelty.as_ref().map(|name| found.array(name, &[])).transpose()?,
        sigma: spec.sigma.as_ref().map(|name| found.array(name, &[labels])).transpose()?,
        factor: spec
            .covariance
            .as_ref()
            .map(|CovarianceSpec { factor, rank }| found.array(factor, &[*rank, labels]))
            .transpose()?,
        columns: columns.collect::<Result<_, _>>()?,
    })
}

pub(crate) fn refused(device: Device, path: &Path, message: &str) -> EngineError {
    let (path, reason) = (path.to_owned(), message.trim_end().to_owned());
    match device {
        Device::Cpu => EngineError::Session { path, reason },
        Device::Cuda { .. } => EngineError::DeviceRefused { device, path, reason },
    }
}
