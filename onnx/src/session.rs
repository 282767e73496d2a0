//! Sessions of ONNX Runtime: how they are set up, and whether they are what the manifest says.

use std::sync::{Mutex, PoisonError};

use ort::ep::cuda::ConvAlgorithmSearch;
use ort::ep::{ArenaExtendStrategy, CPU, CUDA, ExecutionProvider, ExecutionProviderDispatch};
use ort::session::Session;
use ort::value::{Outlet, TensorElementType};

use crate::device::Device;
use crate::engine::EngineOptions;
use crate::manifest::{CovarianceSpec, Manifest};
use crate::operators;
use crate::runtime::Runtime;

/// The name ONNX Runtime gives to what runs on the device.
pub(crate) const fn provider(device: Device) -> &'static str {
    match device {
        Device::Cpu => CPU::NAME,
        Device::Cuda { .. } => CUDA::NAME,
    }
}

/// Held while a session with operators of our own is opened.
static OPENING: Mutex<()> = Mutex::new(());

/// Opens the graph on the device asked for and on no other.
pub(crate) fn open(
    runtime: &Runtime,
    graph: &[u8],
    options: &EngineOptions,
) -> ort::Result<Session> {
    let builder = Session::builder(runtime.environment())?
        .with_intra_threads(options.threads)?
        // A spinning thread takes a core from the stage that prepares the next batch.
        .with_intra_op_spinning(false)?
        .with_deterministic_compute(true)?;
    let Device::Cuda { index } = options.device else {
        // They run on the CPU alone: a GPU takes the functions that the graph has in their place.
        // ONNX Runtime notes the domain of operators in a map of the whole process, and fails where
        // two sessions do so at once.
        let _alone = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        return builder.with_operators(operators::domain()?)?.commit_from_memory(graph);
    };
    if !CUDA::is_available()? {
        return Err(ort::Error::new("this ONNX Runtime was built without CUDA"));
    }
    builder
        .with_execution_providers([cuda(index)])?
        // Registering the GPU does not place the nodes on it; this makes the rest an error.
        .with_disable_cpu_fallback()?
        .commit_from_memory(graph)
}

fn cuda(index: u32) -> ExecutionProviderDispatch {
    CUDA::default()
        .with_device_id(index.cast_signed())
        // The default doubles the arena at each growth, and searches kernels for every new shape.
        .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
        .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
        // Nineteen-bit products would not reproduce the golden cases.
        .with_tf32(false)
        .build()
        // Without this the session runs on the CPU and says nothing.
        .error_on_failure()
}

/// Says where the session's inputs and outputs differ from the manifest.
pub(crate) fn check(session: &Session, manifest: &Manifest, batch: usize) -> Result<(), String> {
    check_input(session, &manifest.input.name, &[batch, manifest.input.pixels])?;
    let outputs = session.outputs();
    tensor(outputs, "output", &manifest.output.labels, &[batch, manifest.labels.len()])?;
    let (spec, labels) = (&manifest.output, manifest.labels.len());
    if let Some(novelty) = &spec.novelty {
        tensor(outputs, "output", novelty, &[batch])?;
    }
    if let Some(sigma) = &spec.sigma {
        tensor(outputs, "output", sigma, &[batch, labels])?;
    }
    if let Some(CovarianceSpec { factor, rank }) = &spec.covariance {
        tensor(outputs, "output", factor, &[batch, *rank, labels])?;
    }
    spec.columns.iter().try_for_each(|column| {
        let shape: Vec<usize> = [batch].iter().chain(&column.shape).copied().collect();
        tensor(outputs, "output", &column.output, &shape)
    })
}

/// Demands one input, of this name and shape.
pub(crate) fn check_input(session: &Session, name: &str, shape: &[usize]) -> Result<(), String> {
    let [input] = session.inputs() else {
        return Err(format!("the graph has {} inputs, not 1", session.inputs().len()));
    };
    tensor(std::slice::from_ref(input), "input", name, shape)
}

/// Demands a float32 tensor of the shape; the first axis, the rows, may be open in the graph.
pub(crate) fn tensor(
    found: &[Outlet],
    kind: &str,
    name: &str,
    shape: &[usize],
) -> Result<(), String> {
    let Some(outlet) = found.iter().find(|outlet| outlet.name() == name) else {
        let names: Vec<_> = found.iter().map(Outlet::name).collect();
        return Err(format!("{kind} {name:?} is not among {names:?}"));
    };
    let dtype = outlet.dtype();
    if dtype.tensor_type() != Some(TensorElementType::Float32) {
        return Err(format!("{kind} {name:?} is {dtype}, not float32"));
    }
    let dims: &[i64] = dtype.tensor_shape().map_or(&[], |dims| dims);
    let fits = |(axis, (&dim, &size)): (usize, (&i64, &usize))| {
        (axis == 0 && dim == -1) || usize::try_from(dim) == Ok(size)
    };
    if dims.len() == shape.len() && dims.iter().zip(shape).enumerate().all(fits) {
        return Ok(());
    }
    Err(format!("{kind} {name:?} has shape {dims:?} where {shape:?} is needed (-1 is any)"))
}
