//! Noise of a stated strength, the same for a row wherever it stands in a batch.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// Gaussian noise that is as strong in every pixel.
pub(super) struct Noise {
    sigma: f64,
    random: ChaCha8Rng,
}

impl Noise {
    /// Noise for this signal to noise in a pixel of flux 1.
    pub(super) fn new(snr: f64, seed: u64) -> Self {
        Self { sigma: 1.0 / snr, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The inverse variance of a pixel.
    #[expect(clippy::cast_possible_truncation, reason = "files hold single precision")]
    pub(super) fn ivar(&self) -> f32 {
        (1.0 / (self.sigma * self.sigma)) as f32
    }

    /// Adds the noise of this row.
    #[expect(clippy::cast_possible_truncation, reason = "files hold single precision")]
    pub(super) fn add<'a>(&self, row: u64, flux: impl Iterator<Item = &'a mut f32>) {
        // Each row has a stream of its own, so that others do not shift it.
        let mut random = self.random.clone();
        random.set_stream(row);
        for value in flux {
            let deviate: f64 = StandardNormal.sample(&mut random);
            *value = (f64::from(*value) + self.sigma * deviate) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_as_strong_as_stated_and_its_own_in_every_row() {
        let noise = Noise::new(50.0, 3);
        let draw = |row| {
            let mut flux = vec![1.0; 40_000];
            noise.add(row, flux.iter_mut());
            flux
        };
        let flux = draw(7);
        let mean = flux.iter().map(|&x| f64::from(x)).sum::<f64>() / flux.len() as f64;
        let variance = flux.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>()
            / (flux.len() - 1) as f64;
        // Five standard errors of the mean, and of the standard deviation.
        assert!((mean - 1.0).abs() < 5.0 * 0.02 / 200.0, "{mean}");
        assert!((variance.sqrt() / 0.02 - 1.0).abs() < 5.0 / 283.0, "{variance}");
        assert!((noise.ivar() - 2500.0).abs() < 0.01);
        assert_eq!(draw(7), flux);
        assert_ne!(draw(8), flux);
    }
}
