//! Which region of a spectrum fits worst, and whether that is worse than it should be.

use super::groups::IN_FWHM;

/// Widths of the kernel in a region.
pub(super) const FWHM_IN_REGION: usize = 2;
/// Pixels below which a region says nothing.
const FEWEST_IN_REGION: f64 = 20.0;

/// Steps by which a straight limit is written as a curve.
const STEPS: u32 = 16;

/// Reduced chi-squares beyond which a fit is poor. Errors of a model are the same in neighbouring
/// pixels, so that chi-square scatters more the larger their part of the variance is.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Of the whole spectrum.
    pub whole: Curve,
    /// Of the region that fits worst.
    pub region: Curve,
    /// First and last wavelength of a region, and the factor by which the model raises its limit: what
    /// errors of labels do differs from region to region. It is one elsewhere.
    pub factors: Vec<[f64; 3]>,
}

/// A limit by the square root of the model's part of the variance, from 0, where all is noise, to 1:
/// straight between values at even steps, of which there are at least two.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve(pub Vec<f64>);

/// A region of a spectrum and how well it fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// First and last wavelength, as observed, Angstrom.
    pub wave: [f64; 2],
    /// Chi-square by degrees of freedom.
    pub reduced_chi2: f64,
}

/// What some pixels of a comparison add up to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) chi2: f64,
    /// Degrees of freedom.
    pub(super) freedom: f64,
    pub(super) pixels: f64,
    /// The model's part of the variance, summed over the pixels.
    pub(super) share: f64,
}

/// What is said of a comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Verdict {
    /// The region that fits worst for what its limit is, if any has enough pixels.
    pub(super) worst: Option<Region>,
    /// Whether the whole or a region is beyond its limit.
    pub(super) poor: bool,
}

impl Limits {
    /// Judges a spectrum by all of it, and by its regions with their ends.
    pub(super) fn judge(
        &self,
        whole: Tally,
        regions: impl Iterator<Item = ([f64; 2], Tally)>,
    ) -> Verdict {
        let worst = regions
            .filter(|(_, tally)| tally.freedom >= FEWEST_IN_REGION)
            .map(|(wave, tally)| {
                let factor = self.factor(0.5 * (wave[0] + wave[1]));
                (tally.excess(&self.region, factor), wave, tally.reduced())
            })
            // Of equals the first.
            .reduce(|worst, other| if other.0 > worst.0 { other } else { worst });
        Verdict {
            worst: worst.map(|(_, wave, reduced_chi2)| Region { wave, reduced_chi2 }),
            poor: whole.excess(&self.whole, 1.0) > 1.0
                || worst.is_some_and(|(excess, ..)| excess > 1.0),
        }
    }

    /// The factor of the region around this wavelength.
    fn factor(&self, wave: f64) -> f64 {
        let mut all = self.factors.iter();
        all.find(|[first, last, _]| (*first..*last).contains(&wave)).map_or(1.0, |[.., it]| *it)
    }
}

impl Curve {
    /// Straight in the part of the variance itself, from all noise to all model.
    pub fn straight([noise, model]: [f64; 2]) -> Self {
        let part = |step: u32| (f64::from(step) / f64::from(STEPS)).powi(2);
        Self((0..=STEPS).map(|step| noise + (model - noise) * part(step)).collect())
    }

    /// The limit for a part of the variance.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part is from 0 to 1"
    )]
    fn at(&self, part: f64) -> f64 {
        let steps = self.0.len() - 1;
        let place = part.clamp(0.0, 1.0).sqrt() * steps as f64;
        let left = (place as usize).min(steps - 1);
        self.0[left] + (self.0[left + 1] - self.0[left]) * (place - left as f64)
    }
}

/// The regions of increasing wavelengths with their ends, as `Groups` would have them. `fwhm` is that
/// of the kernel.
pub(super) fn regions(
    wave: &[f64],
    fwhm: f64,
    tally: impl Fn(usize) -> Tally,
) -> Vec<([f64; 2], Tally)> {
    let group = fwhm / IN_FWHM as f64;
    let multiple = |wave: f64| (wave / group).floor();
    let Some(first) = wave.first().map(|&wave| multiple(wave)) else { return Vec::new() };
    let groups = (FWHM_IN_REGION * IN_FWHM) as f64;
    let begin = |wave: f64| first + ((multiple(wave) - first) / groups).floor() * groups;
    let last = multiple(wave[wave.len() - 1]) + 1.0;
    let mut regions: Vec<([f64; 2], Tally)> = Vec::new();
    for (pixel, &wave) in wave.iter().enumerate() {
        let begin = begin(wave);
        let ends = [begin * group, (begin + groups).min(last) * group];
        if regions.last().is_none_or(|(known, _)| known[0] < ends[0]) {
            regions.push((ends, Tally::default()));
        }
        if let Some((_, sum)) = regions.last_mut() {
            sum.add(tally(pixel));
        }
    }
    regions
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.chi2 += other.chi2;
        self.freedom += other.freedom;
        self.pixels += other.pixels;
        self.share += other.share;
    }

    /// Chi-square by degrees of freedom.
    fn reduced(self) -> f64 {
        self.chi2 / self.freedom
    }

    /// The same by its limit for the part of the variance that is the model's, which raises the limit
    /// above that of noise so many times as the curve says.
    fn excess(self, limit: &Curve, factor: f64) -> f64 {
        let noise = limit.at(0.0);
        let model = limit.at(self.share / self.pixels) - noise;
        self.reduced() / (noise + factor * model)
    }
}
