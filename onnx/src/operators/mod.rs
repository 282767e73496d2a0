//! Operators of the domain `starmill`, which a session on the CPU runs in place of the functions
//! of these names that a graph brings along.
//!
//! The functions consist of standard operators, so any ONNX Runtime runs the same file. Where an
//! operator of the name is registered it comes first; on a GPU none is, and the function runs.

mod polyphase;
mod recurrence;
mod residual_blocks;

use ort::Result;
use ort::operator::{KernelContext, OperatorDomain};
use ort::value::TensorValueType;

use recurrence::Recurrence;
use residual_blocks::ResidualBlocks;

/// All operators, for one session.
pub(crate) fn domain() -> Result<OperatorDomain> {
    OperatorDomain::new("starmill")?.add(ResidualBlocks::default())?.add(Recurrence)
}

/// Shape and values of an input that is part of the graph.
fn constant(context: &KernelContext<'_>, index: usize) -> Result<(Vec<usize>, Vec<f32>)> {
    let value = context.constant_input::<TensorValueType<f32>>(index)?;
    let (shape, values) = value.extract_tensor();
    let shape = shape.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect();
    Ok((shape, values.to_vec()))
}
