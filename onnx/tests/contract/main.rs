//! What the crate promises, promise by promise.
//!
//! Tests that need ONNX Runtime say so and pass where it is not installed;
//! `ops/fetch-onnxruntime.sh` installs it.

mod committee;
mod engine;
mod fixture;
mod forward;
mod golden;
mod manifest;
mod operators;
mod padding;
mod shipped;
