//! The product of derivatives with themselves.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for the processor")]

use nalgebra::{DMatrix, DVector};

use super::lanes::{LANES, Lanes, add, in_vectors};

/// Pixels whose products are summed in single precision.
const BLOCK: usize = 128;
/// Rows of the product in hand at once, so that they stay in registers.
const ROWS: usize = 4;

/// `J^T J` and `J^T r` of the derivatives `J` by labels, which stand in lanes pixel by pixel, by one
/// more parameter, which stands beside them, and of the residuals `r`, which follow it.
pub(super) fn square(
    total: &[Lanes],
    beside: &[[f32; 2]],
    labels: usize,
) -> (DMatrix<f64>, DVector<f64>) {
    let width = labels.div_ceil(LANES);
    let mut square = DMatrix::zeros(labels + 1, labels + 1);
    let mut pull = DVector::zeros(labels + 1);
    for (total, beside) in total.chunks(BLOCK * width).zip(beside.chunks(BLOCK)) {
        for part in 0..width {
            let columns = part * LANES..labels.min((part + 1) * LANES);
            for first in (0..columns.end).step_by(ROWS) {
                let sums = in_vectors(|| rows(total, width, (first, part)));
                for (row, sums) in (first..labels).zip(sums) {
                    for (column, sum) in columns.clone().zip(sums) {
                        square[(row, column)] += f64::from(sum);
                    }
                }
            }
            let [by_rv, of_residual] = in_vectors(|| with_beside(total, beside, (width, part)));
            for (column, (by_rv, of_residual)) in columns.zip(by_rv.into_iter().zip(of_residual)) {
                square[(labels, column)] += f64::from(by_rv);
                pull[column] += f64::from(of_residual);
            }
        }
        for &[by_rv, residual] in beside {
            square[(labels, labels)] += f64::from(by_rv * by_rv);
            pull[labels] += f64::from(by_rv * residual);
        }
    }
    for column in 0..labels {
        for row in 0..column {
            square[(column, row)] = square[(row, column)];
        }
        square[(column, labels)] = square[(labels, column)];
    }
    (square, pull)
}

/// Some rows of the product, in one part of its columns.
#[inline(always)]
fn rows(total: &[Lanes], width: usize, (first, part): (usize, usize)) -> [Lanes; ROWS] {
    let mut sums = [[0.0; LANES]; ROWS];
    for pixel in total.chunks_exact(width) {
        let of_rows = &pixel.as_flattened()[first..first + ROWS];
        for (sum, value) in sums.iter_mut().zip(of_rows) {
            add(sum, *value, &pixel[part]);
        }
    }
    sums
}

/// The products with what stands beside, in one part of the columns.
#[inline(always)]
fn with_beside(total: &[Lanes], beside: &[[f32; 2]], (width, part): (usize, usize)) -> [Lanes; 2] {
    let mut sums = [[0.0; LANES]; 2];
    for (pixel, beside) in total.chunks_exact(width).zip(beside) {
        add(&mut sums[0], beside[0], &pixel[part]);
        add(&mut sums[1], beside[1], &pixel[part]);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_matrix() {
        for labels in [3_usize, 16, 21] {
            let value =
                |pixel: usize, column: usize| ((pixel * 31 + column * 17) % 23) as f32 - 11.0;
            let width = labels.div_ceil(LANES);
            let mut total = vec![[0.0; LANES]; 300 * width];
            for pixel in 0..300 {
                for label in 0..labels {
                    total[pixel * width + label / LANES][label % LANES] = value(pixel, label);
                }
            }
            let beside: Vec<[f32; 2]> =
                (0..300).map(|pixel| [value(pixel, labels), value(pixel, 90)]).collect();
            let matrix =
                DMatrix::from_fn(300, labels + 1, |pixel, column| f64::from(value(pixel, column)));
            let residuals = DVector::from_fn(300, |pixel, _| f64::from(value(pixel, 90)));
            let found = square(&total, &beside, labels);
            // Whole numbers have no rounding.
            assert_eq!(found, (matrix.transpose() * &matrix, matrix.transpose() * residuals));
        }
    }
}
