//! Sums in an order that is the same on every machine and that runs in vectors.
//!
//! The compiler may not reorder a sum of floats, so a plain one waits for each addition. Eight
//! running sums wait for none, and their order is part of the code.

/// Running sums side by side: four vectors of two on any x86-64.
pub(super) const LANES: usize = 8;

/// The sum of `term` over all values.
pub(super) fn sum(values: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += term(value);
        }
    }
    for (sum, &value) in sums.iter_mut().zip(rest) {
        *sum += term(value);
    }
    sums.iter().sum()
}

/// Mean and standard deviation of the population.
pub(super) fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = sum(values, |value| value) / count;
    (mean, (sum(values, |value| (value - mean) * (value - mean)) / count).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_counts_once() {
        for length in 1..40 {
            let values: Vec<f64> = (0..length).map(f64::from).collect();
            let expected = f64::from(length * (length - 1) / 2);
            assert!((sum(&values, |value| value) - expected).abs() < 1e-9, "{length}");
        }
        // numpy: numpy.mean([1, 2, 4]), numpy.std([1, 2, 4])
        let (mean, deviation) = mean_and_deviation(&[1.0, 2.0, 4.0]);
        assert!(
            (mean - 7.0 / 3.0).abs() < 1e-15 && (deviation - 1.247_219_128_924_647).abs() < 1e-15
        );
    }
}
