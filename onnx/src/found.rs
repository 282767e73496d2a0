//! What a run of ONNX Runtime gave, taken out by name and held to its shape.

use ndarray::{Array, Array2, ArrayViewD, Axis, Dimension, Slice};
use ort::session::SessionOutputs;

/// The outputs of one run.
pub(crate) struct Found<'a, 's> {
    pub(crate) outputs: &'a SessionOutputs<'s>,
    pub(crate) batch: usize,
    /// Rows that are asked for, at most a batch.
    pub(crate) rows: usize,
}

impl Found<'_, '_> {
    /// The rows of an output that has this shape for each.
    pub(crate) fn array<D: Dimension>(
        &self,
        name: &str,
        shape: &[usize],
    ) -> Result<Array<f32, D>, String> {
        let rows = self.view(name, shape)?;
        rows.into_dimensionality().map(|rows| rows.to_owned()).map_err(|error| error.to_string())
    }

    /// The same with all values of a row in one axis.
    pub(crate) fn flat(&self, name: &str, shape: &[usize]) -> Result<Array2<f32>, String> {
        let rows = self.view(name, shape)?.to_owned();
        let width: usize = shape.iter().product();
        rows.into_shape_with_order((self.rows, width)).map_err(|error| error.to_string())
    }

    /// A graph may leave its width open, so the shape is checked here.
    fn view(&self, name: &str, shape: &[usize]) -> Result<ArrayViewD<'_, f32>, String> {
        let value = self.outputs.get(name).ok_or_else(|| format!("there is no output {name:?}"))?;
        let mut array = value.try_extract_array::<f32>().map_err(|error| error.to_string())?;
        let shape: Vec<usize> = [self.batch].iter().chain(shape).copied().collect();
        if array.shape() != shape {
            return Err(format!("output {name:?} has shape {:?}, not {shape:?}", array.shape()));
        }
        array.slice_axis_inplace(Axis(0), Slice::from(..self.rows));
        Ok(array)
    }
}
