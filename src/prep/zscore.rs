//! Scaling of each spectrum by itself.

use crate::reject::{Code, Reject};

/// Scales to zero mean and unit standard deviation (Li et al. 2025, equation 1), with the
/// population's standard deviation.
///
/// # Errors
/// [`Code::FLAT_SPECTRUM`] when the deviation is zero next to the mean, or not finite.
pub fn zscore(values: &mut [f64]) -> Result<(), Reject> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
    // Below this the digits of single-precision fluxes are all that varies.
    if !deviation.is_finite() || deviation <= 1e-7 * mean.abs() {
        return Err(Code::FLAT_SPECTRUM.because(format!("its standard deviation is {deviation:e}")));
    }
    for x in values {
        *x = (*x - mean) / deviation;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_the_population() {
        // numpy: (x - x.mean()) / x.std()
        let mut values = [1.0, 2.0, 4.0];
        zscore(&mut values).unwrap();
        let expected =
            [-1.069_044_967_649_697_5, -0.267_261_241_912_424_4, 1.336_306_209_562_121_9];
        assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{values:?}");
    }

    #[test]
    fn what_cannot_be_scaled_is_a_reject() {
        for mut values in
            [vec![0.0, 0.0], vec![5.0, 5.0], vec![f64::NAN, 1.0], vec![f64::INFINITY, 1.0]]
        {
            assert_eq!(zscore(&mut values).unwrap_err().code, Code::FLAT_SPECTRUM);
        }
    }
}
