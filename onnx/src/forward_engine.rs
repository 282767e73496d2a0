//! One forward model in memory, from a batch of labels to spectra.

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Array3, ArrayView2, s};
use ort::session::Session;
use ort::value::TensorRef;

use crate::engine::{EngineOptions, refused};
use crate::engine_error::EngineError;
use crate::forward_manifest::ForwardManifest;
use crate::forward_model::ForwardModel;
use crate::found::Found;
use crate::prune;
use crate::runtime::Runtime;
use crate::session;

/// Spectra and how they change with the labels, row by row as the labels came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Tangent {
    /// Normalised flux, shape `[rows, pixels]`.
    pub flux: Array2<f32>,
    /// Derivative of the flux with respect to each label in its unit, shape
    /// `[rows, labels, pixels]`.
    pub jacobian: Array3<f32>,
}

/// The sessions of one forward model. It can move between threads, and each worker owns one.
#[derive(Debug)]
pub struct ForwardEngine {
    /// The graph without what only the Jacobian needs.
    flux: Session,
    /// The whole graph, where the Jacobian was asked for.
    tangent: Option<Session>,
    manifest: ForwardManifest,
    path: PathBuf,
    options: EngineOptions,
    /// The labels of rows that are missing: the defaults, which lie inside the trained box.
    padding: Array1<f32>,
    /// Shape `[batch, labels]`, used again for every run.
    buffer: Array2<f32>,
}

impl ForwardEngine {
    /// Opens the network of `model` for spectra alone, and holds it to the manifest: names, types
    /// and widths of input and output, then one run on the default labels.
    ///
    /// ONNX Runtime computes every node of a graph whatever outputs are asked for, so that the
    /// part that only the Jacobian needs is taken out before.
    ///
    /// # Errors
    /// [`EngineError::Options`] for a batch or thread number of 0, [`EngineError::Model`] for a
    /// file that is missing or changed, [`EngineError::Session`] for a graph that ONNX Runtime
    /// refuses, [`EngineError::Graph`] for one that does not fit the manifest, and
    /// [`EngineError::DeviceRefused`] when any part of it would not run on the device asked for.
    pub fn open(
        runtime: &Runtime,
        model: &ForwardModel,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        options.check()?;
        let manifest = model.manifest.clone();
        let entry = &manifest.files.onnx;
        let path = model.dir.join(&entry.path);
        let graph = model.read(entry)?;
        let pruned = prune::keep_outputs(&graph, &[&manifest.output.flux]);
        let graph = pruned.as_deref().unwrap_or(&graph);
        let flux = open_session(runtime, graph, options, &path, &manifest, false)?;
        let padding: Array1<f32> = manifest.defaults().into_iter().map(single).collect();
        let buffer = Array2::from_shape_fn((options.batch, padding.len()), |(_, at)| padding[at]);
        let options = options.clone();
        let mut engine = Self { flux, tangent: None, manifest, path, options, padding, buffer };
        // A device that is lost at the first kernel is found here rather than at the first star.
        engine.infer_flux(1)?;
        Ok(engine)
    }

    /// Opens the network for spectra alone and for spectra with their Jacobian.
    ///
    /// # Errors
    /// Those of [`ForwardEngine::open`], and [`EngineError::NoJacobian`] for a model without.
    pub fn open_with_jacobian(
        runtime: &Runtime,
        model: &ForwardModel,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        let mut engine = Self::open(runtime, model, options)?;
        if engine.manifest.output.jacobian.is_none() {
            return Err(EngineError::NoJacobian { path: engine.path });
        }
        let graph = model.read(&model.manifest.files.onnx)?;
        let tangent = open_session(runtime, &graph, options, &engine.path, &engine.manifest, true)?;
        engine.tangent = Some(tangent);
        engine.infer_tangent(1)?;
        Ok(engine)
    }

    /// Spectra of 1 to `batch` rows of labels, shape `[rows, labels]` in their units; the result
    /// has the shape `[rows, pixels]`.
    ///
    /// The network always sees a full batch, with the default labels in the rows that are missing.
    /// So what a row gives depends, to the last bit, neither on the other rows nor on its
    /// position, as long as the graph's operators take each row alike. Labels outside the trained
    /// box are the caller's to refuse.
    ///
    /// # Errors
    /// [`EngineError::Labels`] for another shape, [`EngineError::Run`] when ONNX Runtime fails.
    #[expect(clippy::needless_pass_by_value, reason = "a view is itself a reference")]
    pub fn run(&mut self, labels: ArrayView2<'_, f32>) -> Result<Array2<f32>, EngineError> {
        let rows = self.fill(&labels)?;
        self.infer_flux(rows)
    }

    /// The same with the derivatives, of an engine that was opened with them.
    ///
    /// # Errors
    /// Those of [`ForwardEngine::run`], and [`EngineError::NoJacobian`] otherwise.
    #[expect(clippy::needless_pass_by_value, reason = "a view is itself a reference")]
    pub fn run_with_jacobian(
        &mut self,
        labels: ArrayView2<'_, f32>,
    ) -> Result<Tangent, EngineError> {
        let rows = self.fill(&labels)?;
        self.infer_tangent(rows)
    }

    /// Whether [`ForwardEngine::run_with_jacobian`] can be asked.
    pub fn gives_jacobian(&self) -> bool {
        self.tangent.is_some()
    }

    /// The contract it was held to.
    pub fn manifest(&self) -> &ForwardManifest {
        &self.manifest
    }

    /// Rows of every run.
    pub fn batch(&self) -> usize {
        self.options.batch
    }

    /// What the network really runs on: `CPUExecutionProvider` or `CUDAExecutionProvider`.
    pub fn provider(&self) -> &'static str {
        session::provider(self.options.device)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the rows into the buffer and says how many they are.
    fn fill(&mut self, rows: &ArrayView2<'_, f32>) -> Result<usize, EngineError> {
        let (count, width) = rows.dim();
        let (batch, labels) = self.buffer.dim();
        if count == 0 || count > batch || width != labels {
            let path = self.path.clone();
            return Err(EngineError::Labels { path, rows: count, width, batch, labels });
        }
        self.buffer.slice_mut(s![..count, ..]).assign(rows);
        self.buffer.slice_mut(s![count.., ..]).assign(&self.padding);
        Ok(count)
    }

    fn infer_flux(&mut self, rows: usize) -> Result<Array2<f32>, EngineError> {
        let (name, pixels) = (&self.manifest.output.flux, self.manifest.spectrum.pixels);
        run(&mut self.flux, &self.manifest, &self.buffer, rows, |found| {
            found.array(name, &[pixels])
        })
        .map_err(|reason| EngineError::Run { path: self.path.clone(), reason })
    }

    fn infer_tangent(&mut self, rows: usize) -> Result<Tangent, EngineError> {
        let output = &self.manifest.output;
        let (Some(session), Some(jacobian)) = (&mut self.tangent, &output.jacobian) else {
            return Err(EngineError::NoJacobian { path: self.path.clone() });
        };
        let (labels, pixels) = (self.manifest.labels.len(), self.manifest.spectrum.pixels);
        run(session, &self.manifest, &self.buffer, rows, |found| {
            Ok(Tangent {
                flux: found.array(&output.flux, &[pixels])?,
                jacobian: found.array(jacobian, &[labels, pixels])?,
            })
        })
        .map_err(|reason| EngineError::Run { path: self.path.clone(), reason })
    }
}

fn open_session(
    runtime: &Runtime,
    graph: &[u8],
    options: &EngineOptions,
    path: &Path,
    manifest: &ForwardManifest,
    with_jacobian: bool,
) -> Result<Session, EngineError> {
    let session = session::open(runtime, graph, options)
        .map_err(|error| refused(options.device, path, &error.to_string()))?;
    check(&session, manifest, options.batch, with_jacobian)
        .map_err(|mismatch| EngineError::Graph { path: path.to_owned(), mismatch })?;
    Ok(session)
}

/// Says where the session's input and outputs differ from the manifest.
fn check(
    session: &Session,
    manifest: &ForwardManifest,
    batch: usize,
    with_jacobian: bool,
) -> Result<(), String> {
    let (labels, pixels) = (manifest.labels.len(), manifest.spectrum.pixels);
    session::check_input(session, &manifest.input.name, &[batch, labels])?;
    let outputs = session.outputs();
    session::tensor(outputs, "output", &manifest.output.flux, &[batch, pixels])?;
    match &manifest.output.jacobian {
        Some(jacobian) if with_jacobian => {
            session::tensor(outputs, "output", jacobian, &[batch, labels, pixels])
        }
        _ => Ok(()),
    }
}

fn run<T>(
    session: &mut Session,
    manifest: &ForwardManifest,
    buffer: &Array2<f32>,
    rows: usize,
    take: impl FnOnce(&Found<'_, '_>) -> Result<T, String>,
) -> Result<T, String> {
    let message = |error: ort::Error| error.to_string();
    let tensor = TensorRef::from_array_view(buffer.view()).map_err(message)?;
    let outputs =
        session.run(ort::inputs![manifest.input.name.as_str() => tensor]).map_err(message)?;
    take(&Found { outputs: &outputs, batch: buffer.nrows(), rows })
}

#[expect(clippy::cast_possible_truncation, reason = "the graph computes in single precision")]
fn single(value: f64) -> f32 {
    value as f32
}
