//! Limits and scales of the values of each pixel.

use serde::Deserialize;

/// The step that limits values. The published code of Xiong et al. 2022 limits the divided flux to
/// -0.5 and 2.5.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clip {
    /// The least value.
    pub low: f64,
    /// The greatest.
    pub high: f64,
}

impl Clip {
    /// Limits the values.
    pub fn apply(&self, values: &mut [f64]) {
        for value in values {
            let raised = if *value < self.low { self.low } else { *value };
            *value = if raised > self.high { self.high } else { raised };
        }
    }
}

/// Mean and standard deviation of each pixel over the training set.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl Scale {
    /// Reads the content of a model's file: single precision, little-endian, first all means, then
    /// all deviations.
    ///
    /// # Errors
    /// A phrase on a file that does not scale `pixels` values.
    pub fn parse(content: &[u8], pixels: usize) -> Result<Self, String> {
        let (numbers, rest) = content.as_chunks::<4>();
        if !rest.is_empty() || numbers.len() != 2 * pixels {
            return Err(format!(
                "the scale file has {} bytes, {pixels} means and deviations take {}",
                content.len(),
                8 * pixels
            ));
        }
        let mut means: Vec<f64> =
            numbers.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect();
        let deviations = means.split_off(pixels);
        if let Some(pixel) = means.iter().position(|mean| !mean.is_finite()) {
            return Err(format!("the mean of pixel {pixel} is {}", means[pixel]));
        }
        if let Some(pixel) = deviations.iter().position(|d| !(d.is_finite() && *d > 0.0)) {
            return Err(format!("the deviation of pixel {pixel} is {}", deviations[pixel]));
        }
        Ok(Self { means, deviations })
    }

    /// Subtracts the means and divides by the deviations.
    pub fn apply(&self, values: &mut [f64]) {
        for ((value, mean), deviation) in values.iter_mut().zip(&self.means).zip(&self.deviations) {
            *value = (*value - mean) / deviation;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(numbers: &[f32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    #[test]
    fn values_are_limited_and_scaled() {
        let mut values = [-9.0, 1.0, 2.0, 9.0];
        Clip { low: -0.5, high: 2.5 }.apply(&mut values);
        assert_eq!(values, [-0.5, 1.0, 2.0, 2.5]);
        let scale = file(&[0.5, 1.0, 1.0, 0.5, 1.0, 1.0, 0.25, 2.0]);
        Scale::parse(&scale, 4).unwrap().apply(&mut values);
        assert_eq!(values, [-1.0, 0.0, 4.0, 1.0]);
    }

    #[test]
    fn a_file_that_does_not_scale_is_refused() {
        let check = |numbers: &[f32], says: &str| {
            let error = Scale::parse(&file(numbers), 2).unwrap_err();
            assert!(error.contains(says), "{error:?} should say {says:?}");
        };
        check(&[1.0, 1.0, 1.0], "12 bytes");
        check(&[1.0, f32::NAN, 1.0, 1.0], "mean of pixel 1");
        check(&[1.0, 1.0, 0.0, 1.0], "deviation of pixel 0 is 0");
        assert!(Scale::parse(&[0; 17], 2).is_err());
    }
}
