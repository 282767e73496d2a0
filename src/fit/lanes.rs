//! Sixteen numbers side by side: the derivatives by the labels at one pixel. Loops over them run in
//! the vectors that the processor has.
//!
//! Nothing is multiplied and added in one rounding, and sums have one order, so that the digits are
//! those of any other processor.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for the processor")]

use pulp::Arch;

/// How many.
pub(super) const LANES: usize = 16;

/// Sixteen numbers.
pub(super) type Lanes = [f32; LANES];

/// Runs what it is given, compiled for the vectors that this processor has.
#[inline(always)]
pub(super) fn in_vectors<R>(work: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(work)
}

/// Adds a multiple. The loop is unrolled, so that sums stay in registers.
#[inline(always)]
pub(super) fn add(to: &mut Lanes, factor: f32, from: &Lanes) {
    for lane in 0..LANES {
        to[lane] += factor * from[lane];
    }
}

/// The sum of products of a multiple of eight.
#[inline(always)]
pub(super) fn dot<const N: usize>(a: &[f32; N], b: &[f32; N]) -> f32 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    let [first, last] = [&sums[..4], &sums[4..]];
    (first[0] + last[0]) + (first[2] + last[2]) + ((first[1] + last[1]) + (first[3] + last[3]))
}

/// The sum of as many multiples as there are weights.
#[inline(always)]
pub(super) fn sum<'a>(weights: &[f32], values: impl Iterator<Item = &'a Lanes>) -> Lanes {
    // Four sums do not wait for each other.
    let mut sums = [[0.0; LANES]; 4];
    let mut values = values;
    let fours = weights.chunks_exact(4);
    let rest = fours.remainder();
    for four in fours {
        for (sum, weight) in sums.iter_mut().zip(four) {
            if let Some(value) = values.next() {
                add(sum, *weight, value);
            }
        }
    }
    for (weight, value) in rest.iter().zip(values) {
        add(&mut sums[0], *weight, value);
    }
    let [mut total, others @ ..] = sums;
    for sum in &others {
        add(&mut total, 1.0, sum);
    }
    total
}

/// The sum of products of a kernel and as many values, in double precision.
#[inline(always)]
pub(super) fn dot_double(kernel: &[f32], values: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (kernels, values) = (kernel.chunks_exact(8), values.chunks_exact(8));
    let rest: f64 = kernels
        .remainder()
        .iter()
        .zip(values.remainder())
        .map(|(kernel, value)| f64::from(*kernel) * value)
        .sum();
    for (kernel, values) in kernels.zip(values) {
        let pairs = kernel.iter().zip(values);
        sums.iter_mut().zip(pairs).for_each(|(sum, (kernel, value))| {
            *sum += f64::from(*kernel) * value;
        });
    }
    sums.iter().sum::<f64>() + rest
}
