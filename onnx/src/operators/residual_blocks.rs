//! The operator `ResidualBlocks`: all residual blocks of `RRNet` from spectra to features.

use std::sync::{Arc, Mutex, PoisonError};

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput,
};
use ort::value::TensorElementType;
use ort::{Error, Result};

use super::constant;
use super::polyphase::{BlockWeights, Blocks, Convolution};

/// Inputs: spectra [N, pixels], then five constants for each block: weight [outputs, inputs, 3] and
/// bias of the first convolution, weight [outputs, outputs, 4] of the second with the pool in it,
/// weight [outputs, inputs, 2] of the shortcut with the pool in it, and the bias of their sum.
/// Output: [N, pixels / 2^blocks, channels] behind a `Relu`.
#[derive(Default)]
pub(super) struct ResidualBlocks {
    /// Shared by all nodes of a session, which run one after another: it stays in the cache.
    workspace: Arc<Mutex<Vec<f32>>>,
}

const CONSTANTS: usize = 5;

impl Operator for ResidualBlocks {
    type Kernel<'attr> = ResidualKernel;

    #[expect(clippy::unnecessary_literal_bound, reason = "the trait has this signature")]
    fn name(&self) -> &str {
        "ResidualBlocks"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::variadic(1 + CONSTANTS).homogenous(TensorElementType::Float32)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel(&self, context: &KernelContext<'_>) -> Result<ResidualKernel> {
        let inputs = context.inputs()?;
        let pixels = inputs.first().and_then(|spectra| match spectra.dtype().tensor_shape()?[..] {
            [_, pixels] => usize::try_from(pixels).ok(),
            _ => None,
        });
        let pixels = pixels.ok_or_else(|| malformed("the number of pixels is not fixed"))?;
        let mut blocks = Vec::new();
        for first in (1..inputs.len()).step_by(CONSTANTS) {
            let vector = |index| constant(context, index).map(|(_, values)| values);
            let convolution = |index| {
                let (shape, weight) = constant(context, index)?;
                match shape[..] {
                    [outputs, inputs, taps] => Ok(Convolution { outputs, inputs, taps, weight }),
                    _ => Err(malformed("a weight has not three dimensions")),
                }
            };
            blocks.push(BlockWeights {
                first: convolution(first)?,
                first_bias: vector(first + 1)?,
                second: convolution(first + 2)?,
                shortcut: convolution(first + 3)?,
                bias: vector(first + 4)?,
            });
        }
        let blocks = Blocks::new(pixels, &blocks).map_err(malformed)?;
        Ok(ResidualKernel { blocks, workspace: Arc::clone(&self.workspace) })
    }
}

fn malformed(what: &str) -> Error {
    Error::new(format!("starmill:ResidualBlocks: {what}; export the model again"))
}

pub(super) struct ResidualKernel {
    blocks: Blocks,
    workspace: Arc<Mutex<Vec<f32>>>,
}

impl Kernel for ResidualKernel {
    fn compute(&mut self, context: &ComputeContext) -> Result<()> {
        let missing = || malformed("it has no spectra or no output");
        let spectra = context.input(0)?.ok_or_else(missing)?;
        let (shape, spectra) = spectra.try_extract_tensor::<f32>()?;
        let [rows, _] = shape[..] else { return Err(malformed("spectra are no matrix")) };
        let [length, channels] = self.blocks.output_shape().map(usize::cast_signed);
        let mut output =
            context.output(0, vec![rows, length as i64, channels as i64])?.ok_or_else(missing)?;
        let (_, output) = output.try_extract_tensor_mut::<f32>()?;
        // What a panic leaves behind is overwritten but for its margins, which nothing writes.
        let mut workspace = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        self.blocks.run(&mut workspace, spectra, output).map_err(malformed)
    }
}
