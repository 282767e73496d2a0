//! Random numbers that depend on the seed and on what they are for, never on the order of work.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal, StandardUniform};

/// The random numbers of one star or of one of its visits.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// Those of this stream; other streams do not shift them.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Self(random)
    }

    /// Uniform from `low` to below `high`.
    pub(super) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        let unit: f64 = StandardUniform.sample(&mut self.0);
        low + (high - low) * unit
    }

    /// Gaussian with this mean and standard deviation.
    pub(super) fn normal(&mut self, mean: f64, sigma: f64) -> f64 {
        let deviate: f64 = StandardNormal.sample(&mut self.0);
        mean + sigma * deviate
    }

    /// A whole number below `count`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below count")]
    pub(super) fn below(&mut self, count: usize) -> usize {
        (self.uniform(0.0, count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Whether something of this probability happens.
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        self.uniform(0.0, 1.0) < probability
    }
}
