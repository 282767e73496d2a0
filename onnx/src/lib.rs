//! Models as folders with a manifest, run by ONNX Runtime.
//!
//! The parts, in the order data meets them:
//!
//! - [`Manifest`]: what a model requires and delivers, read from `manifest.toml`;
//! - [`Model`]: a model folder whose manifest holds together, and [`list`] for a folder of them;
//! - [`find_library`] and [`Runtime`]: the ONNX Runtime library, found and loaded once a process;
//! - [`Device`] and [`EngineOptions`]: where a network runs;
//! - [`Engine`]: one session, owned by one worker, from prepared spectra to labels;
//! - [`Golden`]: inputs with known outputs, held against an engine by [`Engine::verify`];
//! - [`ForwardManifest`], [`ForwardModel`], [`ForwardEngine`], [`ForwardGolden`]: the same for
//!   models that go the other way, from labels to spectra and their derivatives.
//!
//! This crate speaks of arrays and names. It knows neither surveys nor preprocessing: the recipe
//! of a manifest passes through as tables. Nothing here reads a clock or the network.

mod device;
mod engine;
mod engine_error;
mod folder;
mod forward_engine;
mod forward_golden;
mod forward_manifest;
mod forward_model;
mod forward_validate;
mod found;
mod golden;
mod hash;
mod library;
mod manifest;
mod model;
mod model_error;
mod operators;
mod probe;
mod prune;
mod runtime;
mod session;
mod validate;
mod verify;

pub use device::{Device, ParseDeviceError};
pub use engine::{Engine, EngineOptions, Outputs};
pub use engine_error::EngineError;
pub use folder::Kind;
pub use forward_engine::{ForwardEngine, Tangent};
pub use forward_golden::{ForwardCase, ForwardGolden};
pub use forward_manifest::{
    FitSpec, ForwardFiles, ForwardInput, ForwardLabel, ForwardManifest, ForwardOutput,
    ForwardTolerance, Normalisation, SpectrumSpec,
};
pub use forward_model::ForwardModel;
pub use golden::{Case, Golden, Tolerances, Worst};
pub use library::find_library;
pub use manifest::{
    ColumnSpec, ConsistencySpec, CovarianceSpec, Derived, FileEntry, Files, GoldenTolerance,
    InputSpec, Label, Manifest, OutputSpec, Quality, TrainedOn,
};
pub use model::{AnyModel, Model, list};
pub use model_error::ModelError;
pub use runtime::Runtime;
