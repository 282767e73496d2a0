//! The operator `Recurrence`: the states of a recurrent layer from what drives it.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for the processor")]

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput,
};
use ort::value::TensorElementType;
use ort::{Error, Result};
use pulp::{Arch, Simd, WithSimd};

use super::constant;

/// Inputs: drives [N, steps, width] and the constant weight [width, width] that takes a state to
/// the next step. Output: [N, steps x width], `state = tanh(drive + state before @ weight)`.
pub(super) struct Recurrence;

impl Operator for Recurrence {
    type Kernel<'attr> = Carry;

    #[expect(clippy::unnecessary_literal_bound, reason = "the trait has this signature")]
    fn name(&self) -> &str {
        "Recurrence"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [TensorElementType::Float32; 2].map(OperatorInput::required)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel(&self, context: &KernelContext<'_>) -> Result<Carry> {
        match constant(context, 1)? {
            (shape, weight) if matches!(shape[..], [width, other] if width == other) => {
                Ok(Carry::new(shape[0], &weight))
            }
            _ => Err(malformed("its weight is no square")),
        }
    }
}

fn malformed(what: &str) -> Error {
    Error::new(format!("starmill:Recurrence: {what}; export the model again"))
}

/// Vectors of a state in hand at once, for each of `ROWS` spectra.
const VECTORS: usize = 2;
const ROWS: usize = 4;

/// Columns are filled up to a multiple of this, `VECTORS` of 16 lanes.
const WIDEST: usize = VECTORS * 16;

pub(super) struct Carry {
    width: usize,
    /// Width of a row of `weight`.
    padded: usize,
    weight: Vec<f32>,
}

impl Carry {
    fn new(width: usize, weight: &[f32]) -> Self {
        let padded = width.next_multiple_of(WIDEST);
        let mut filled = vec![0.0; width * padded];
        for (to, from) in filled.chunks_exact_mut(padded.max(1)).zip(weight.chunks(width.max(1))) {
            to[..width].copy_from_slice(from);
        }
        Self { width, padded, weight: filled }
    }

    /// Drives and states are [rows, steps, width].
    fn run(&self, steps: usize, drives: &[f32], states: &mut [f32]) {
        Arch::new().dispatch(Spectra { carry: self, steps, drives, states });
    }
}

impl Kernel for Carry {
    fn compute(&mut self, context: &ComputeContext) -> Result<()> {
        let missing = || malformed("it has no drives or no output");
        let drives = context.input(0)?.ok_or_else(missing)?;
        let (shape, drives) = drives.try_extract_tensor::<f32>()?;
        let (rows, steps) = match shape[..] {
            [rows, steps, width] if width == self.width.cast_signed() as i64 => (rows, steps),
            _ => return Err(malformed("its drives are not as wide as its weight")),
        };
        let features = steps * self.width.cast_signed() as i64;
        let mut output = context.output(0, vec![rows, features])?.ok_or_else(missing)?;
        let (_, states) = output.try_extract_tensor_mut::<f32>()?;
        self.run(usize::try_from(steps).unwrap_or(0), drives, states);
        Ok(())
    }
}

struct Spectra<'a> {
    carry: &'a Carry,
    steps: usize,
    drives: &'a [f32],
    states: &'a mut [f32],
}

impl WithSimd for Spectra<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let rows = self.drives.len() / (self.steps * self.carry.width).max(1);
        // Rows that are left over go alone; a row has the same sums either way.
        let together = rows - rows % ROWS;
        for row in (0..together).step_by(ROWS) {
            self.carry_rows::<S, ROWS>(simd, row);
        }
        for row in together..rows {
            self.carry_rows::<S, 1>(simd, row);
        }
    }
}

impl Spectra<'_> {
    #[inline(always)]
    fn carry_rows<S: Simd, const ROWS: usize>(&mut self, simd: S, first: usize) {
        for step in 0..self.steps {
            for column in (0..self.carry.width).step_by(VECTORS * S::F32_LANES) {
                self.carry_tile::<S, ROWS>(simd, first, step, column);
            }
        }
    }

    /// Some columns of the states of some rows at one step.
    #[inline(always)]
    fn carry_tile<S: Simd, const ROWS: usize>(
        &mut self,
        simd: S,
        first: usize,
        step: usize,
        column: usize,
    ) {
        let Carry { width, padded, ref weight } = *self.carry;
        let lanes = S::F32_LANES;
        let place = |row: usize, step: usize| ((first + row) * self.steps + step) * width;
        // What lies within the row of the vector with this number.
        let part = |vector: usize| {
            let begin = (column + vector * lanes).min(width);
            begin..(begin + lanes).min(width)
        };
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        for (row, sums) in sums.iter_mut().enumerate() {
            let drives = &self.drives[place(row, step)..][..width];
            for (vector, sum) in sums.iter_mut().enumerate() {
                *sum = simd.partial_load_f32s(&drives[part(vector)]);
            }
        }
        if step > 0 {
            let before: [&[f32]; ROWS] =
                std::array::from_fn(|row| &self.states[place(row, step - 1)..][..width]);
            for (index, weight) in weight.chunks_exact(padded).take(width).enumerate() {
                let (weight, _) = S::as_simd_f32s(&weight[column..][..VECTORS * lanes]);
                let weight: [S::f32s; VECTORS] = std::array::from_fn(|vector| weight[vector]);
                for (sums, before) in sums.iter_mut().zip(&before) {
                    let state = simd.splat_f32s(before[index]);
                    for (sum, &weight) in sums.iter_mut().zip(&weight) {
                        *sum = simd.mul_add_e_f32s(state, weight, *sum);
                    }
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            let place = place(row, step);
            let states = &mut self.states[place..][..width];
            for (vector, &sum) in sums.iter().enumerate() {
                simd.partial_store_f32s(&mut states[part(vector)], tanh(simd, sum));
            }
        }
    }
}

/// The hyperbolic tangent to some units of the last place, as a quotient of polynomials: that of
/// Eigen and of ONNX Runtime itself. What is no number stays so.
#[inline(always)]
fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const ODD: [f32; 7] = [
        -2.760_768_5e-16,
        2.000_188e-13,
        -8.604_672e-11,
        5.122_297e-8,
        1.485_722_4e-5,
        6.372_619_3e-4,
        4.893_524_6e-3,
    ];
    const EVEN: [f32; 4] = [1.198_258_4e-6, 1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3];
    let x = simd.max_f32s(simd.splat_f32s(-9.0), simd.min_f32s(simd.splat_f32s(9.0), x));
    let square = simd.mul_f32s(x, x);
    let horner = |coefficients: &[f32]| {
        let mut sum = simd.splat_f32s(coefficients[0]);
        for &coefficient in &coefficients[1..] {
            sum = simd.mul_add_e_f32s(sum, square, simd.splat_f32s(coefficient));
        }
        sum
    };
    simd.div_f32s(simd.mul_f32s(x, horner(&ODD)), horner(&EVEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|index| scale * (index as f32 * 0.7).sin()).collect()
    }

    #[test]
    fn states_are_those_of_the_formula_and_a_row_has_the_same_bits_among_others() {
        for (rows, steps, width) in [(6, 4, 64), (9, 3, 5), (1, 40, 64), (4, 2, 360), (5, 1, 33)] {
            let weight = wave(width * width, 0.2);
            let carry = Carry::new(width, &weight);
            let drives = wave(rows * steps * width, 1.5);
            let mut states = vec![f32::NAN; drives.len()];
            carry.run(steps, &drives, &mut states);
            for row in 0..rows {
                let range = row * steps * width..(row + 1) * steps * width;
                let mut alone = vec![0.0; steps * width];
                carry.run(steps, &drives[range.clone()], &mut alone);
                assert_eq!(states[range], alone, "{rows} {steps} {width}");
                for place in 0..steps * width {
                    let mut sum = f64::from(drives[row * steps * width + place]);
                    for index in 0..if place < width { 0 } else { width } {
                        let before = alone[place / width * width - width + index];
                        sum += f64::from(before) * f64::from(weight[index * width + place % width]);
                    }
                    let difference = (f64::from(alone[place]) - sum.tanh()).abs();
                    assert!(difference < 1e-5, "{rows} {steps} {width}: {difference}");
                }
            }
        }
    }

    #[test]
    fn far_values_saturate_and_what_is_no_number_stays_so() {
        let carry = Carry::new(4, &[0.0; 16]);
        let mut states = [0.0; 4];
        carry.run(1, &[f32::INFINITY, -50.0, f32::NAN, 1e-4], &mut states);
        assert!((states[0] - 1.0).abs() < 1e-6 && (states[1] + 1.0).abs() < 1e-6);
        assert!(states[2].is_nan() && (states[3] - 1e-4).abs() < 1e-10);
    }
}
