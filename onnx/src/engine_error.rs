//! What can go wrong between a library, a model and a batch.

use std::path::PathBuf;

use thiserror::Error;

use crate::device::Device;
use crate::golden::Worst;
use crate::model_error::ModelError;

/// An engine that cannot be had, or a batch that it cannot run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The library is in none of the places searched.
    #[error(
        "no ONNX Runtime library in {}; run ./ops/fetch-onnxruntime.sh, or take \
         libonnxruntime.so.1.31.1 out of the PyPI wheel onnxruntime==1.31.1 and name it in \
         STARMILL_ONNXRUNTIME",
        listed(tried)
    )]
    LibraryNotFound {
        /// Every place searched, in order.
        tried: Vec<PathBuf>,
    },
    /// The file is not a usable ONNX Runtime.
    #[error(
        "{path} is not a usable ONNX Runtime library: {reason}; run ./ops/fetch-onnxruntime.sh \
         for one that is"
    )]
    Library {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A process can hold one ONNX Runtime, and holds another.
    #[error("cannot load {requested}: this process already runs {loaded}; name one library only")]
    OtherLibrary {
        /// The library in use.
        loaded: PathBuf,
        /// The library asked for.
        requested: PathBuf,
    },
    /// An option is out of range; the phrase ends with the remedy.
    #[error("{rule}")]
    Options {
        /// The rule and the remedy.
        rule: &'static str,
    },
    /// The model folder cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// ONNX Runtime refuses the graph.
    #[error("cannot open {path}: {reason}; export the model again, or use a newer ONNX Runtime")]
    Session {
        /// The graph.
        path: PathBuf,
        /// The message of ONNX Runtime.
        reason: String,
    },
    /// The graph is not what its manifest says.
    #[error("{path} does not fit its manifest: {mismatch}; export the model again")]
    Graph {
        /// The graph.
        path: PathBuf,
        /// The difference.
        mismatch: String,
    },
    /// The device cannot run the whole network, and running it elsewhere was not asked for.
    #[error(
        "cannot run {path} on {device}: {reason}; a GPU needs the driver, CUDA 13, cuDNN 9 and \
         the library of ./ops/fetch-onnxruntime.sh --gpu, or choose device \"cpu\""
    )]
    DeviceRefused {
        /// The device asked for.
        device: Device,
        /// The graph.
        path: PathBuf,
        /// What stands in the way.
        reason: String,
    },
    /// A batch does not fit the engine.
    #[error(
        "a batch of {rows} rows and {width} pixels does not fit the engine of {path}; send 1 to \
         {batch} rows of {pixels} pixels"
    )]
    Batch {
        /// The graph.
        path: PathBuf,
        /// Rows of the batch.
        rows: usize,
        /// Pixels of the batch.
        width: usize,
        /// Rows the engine takes at most.
        batch: usize,
        /// Pixels the engine takes.
        pixels: usize,
    },
    /// Labels do not fit the engine of a forward model.
    #[error(
        "{rows} rows of {width} labels do not fit the engine of {path}; send 1 to {batch} rows of \
         {labels} labels"
    )]
    Labels {
        /// The graph.
        path: PathBuf,
        /// Rows of the batch.
        rows: usize,
        /// Labels of a row.
        width: usize,
        /// Rows the engine takes at most.
        batch: usize,
        /// Labels the engine takes.
        labels: usize,
    },
    /// Derivatives were asked of an engine that has none.
    #[error(
        "{path} was not opened with a Jacobian, or its manifest names none under output.jacobian; \
         use a forward model that has one"
    )]
    NoJacobian {
        /// The graph.
        path: PathBuf,
    },
    /// ONNX Runtime failed on a batch.
    #[error(
        "{path} failed on a batch: {reason}; check the model with `starmill models verify`, then run again, with a smaller infer.batch if memory was short"
    )]
    Run {
        /// The graph.
        path: PathBuf,
        /// The message of ONNX Runtime.
        reason: String,
    },
    /// The golden cases or tolerances given do not belong to this model.
    #[error("golden cases do not fit {path}: {reason}; use those of the same model")]
    ForeignGolden {
        /// The graph.
        path: PathBuf,
        /// The difference.
        reason: String,
    },
    /// The engine computes something else than what was exported.
    #[error(
        "{path} differs from its golden case {} in {} by {:.3e}, {:.3} times the tolerance; run \
         ./ops/fetch-onnxruntime.sh for the tested library, or export the model again",
        worst.case, worst.label, worst.difference, worst.share
    )]
    GoldenMismatch {
        /// The graph.
        path: PathBuf,
        /// The largest difference.
        worst: Worst,
    },
}

fn listed(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
}
