//! What the detector makes of light: noise, the sky's leftovers, cosmic rays and bad pixels.

use super::dice::Dice;

/// Pixel of a bad column of the CCD, as LAMOST's masks write it.
const BADCCD: u8 = 1;

/// Strong lines of the night sky, vacuum, Angstrom: [O I] 5577, Na D, [O I] 6300 and 6364, and the
/// brightest of OH (Osterbrock et al. 1996).
const SKY: [f64; 14] = [
    5578.89, 5891.58, 5897.56, 6302.05, 6365.54, 6865.86, 7278.29, 7342.93, 7796.38, 7915.83,
    8346.90, 8401.50, 8432.66, 8829.52,
];

/// Standard deviation of a residual, Angstrom.
const SKY_WIDTH: f64 = 1.6;

/// A spectrum as it is reduced.
pub(super) struct Exposed {
    pub(super) flux: Vec<f32>,
    pub(super) ivar: Vec<f32>,
    /// Bad in every exposure.
    pub(super) andmask: Vec<u8>,
    /// Bad in at least one.
    pub(super) ormask: Vec<u8>,
}

/// Exposes light to this signal to noise a pixel, which holds at the median flux.
///
/// The variance has a part of the photons and a part of sky and read-out, 4 to 1 at the median; ivar
/// is its inverse to single precision. Both grow toward the ends of the range, where the instrument
/// sees less. A `clean` spectrum has nothing else. Residuals of sky lines and unflagged cosmic rays
/// are not in ivar, as they are not in real files.
#[expect(clippy::cast_possible_truncation, reason = "files hold single precision")]
pub(super) fn expose(
    light: &[f64],
    wave: &[f64],
    snr: f64,
    clean: bool,
    dice: &mut Dice,
) -> Exposed {
    let typical = median(light);
    let unit = (typical / snr).powi(2);
    let variance = |pixel: usize| {
        unit * (0.2 + 0.8 * (light[pixel] / typical).max(0.0)) / throughput(wave[pixel])
    };
    let pixels = light.len();
    let mut exposed = Exposed {
        flux: Vec::with_capacity(pixels),
        ivar: Vec::with_capacity(pixels),
        andmask: vec![0; pixels],
        ormask: vec![0; pixels],
    };
    for (pixel, &flux) in light.iter().enumerate() {
        exposed.flux.push(dice.normal(flux, variance(pixel).sqrt()) as f32);
        exposed.ivar.push((1.0 / variance(pixel)) as f32);
    }
    if clean {
        return exposed;
    }
    let sigma = |pixel: usize| variance(pixel).sqrt();
    for line in SKY {
        let height = dice.normal(0.0, 4.0);
        let first = wave.partition_point(|&w| w < line - 5.0 * SKY_WIDTH);
        let last = wave.partition_point(|&w| w < line + 5.0 * SKY_WIDTH);
        for (pixel, w) in wave.iter().enumerate().take(last).skip(first) {
            let profile = (-0.5 * ((w - line) / SKY_WIDTH).powi(2)).exp();
            exposed.flux[pixel] += (height * profile * sigma(pixel)) as f32;
        }
    }
    for _ in 0..dice.below(4) {
        let pixel = dice.below(pixels);
        exposed.flux[pixel] += (dice.uniform(8.0, 40.0) * sigma(pixel)) as f32;
    }
    for _ in 0..dice.below(5) {
        let pixel = dice.below(pixels);
        exposed.flux[pixel] += (dice.uniform(20.0, 200.0) * sigma(pixel)) as f32;
        exposed.flag(pixel);
    }
    // A bad column, a few pixels wide.
    if dice.happens(0.3) {
        let first = dice.below(pixels);
        for pixel in first..(first + 2 + dice.below(6)).min(pixels) {
            exposed.flux[pixel] = 0.0;
            exposed.flag(pixel);
        }
    }
    exposed
}

impl Exposed {
    /// Signal to noise a pixel, the median between two wavelengths; 0 if none is usable there.
    pub(super) fn snr(&self, wave: &[f64], low: f64, high: f64) -> f64 {
        let pixels = wave.partition_point(|&w| w < low)..wave.partition_point(|&w| w < high);
        let usable = pixels.filter(|&pixel| self.ivar[pixel] > 0.0);
        let ratios: Vec<f64> =
            usable.map(|p| f64::from(self.flux[p]) * f64::from(self.ivar[p]).sqrt()).collect();
        if ratios.is_empty() { 0.0 } else { median(&ratios).max(0.0) }
    }

    fn flag(&mut self, pixel: usize) {
        self.ivar[pixel] = 0.0;
        self.andmask[pixel] = BADCCD;
        self.ormask[pixel] = BADCCD;
    }
}

/// The throughput, 1 in the middle of the survey's range.
fn throughput(w: f64) -> f64 {
    let edge = |from: f64, width: f64| 1.0 / (1.0 + (-(w - from) / width).exp());
    0.05 + 0.95 * edge(4050.0, 180.0) * (1.0 - 0.6 * edge(8500.0, 350.0))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_noise_is_as_strong_as_ivar_says(seed in any::<u64>(), snr in 5.0..300.0_f64, slope in -1.0..1.0_f64) {
            let wave: Vec<f64> = (0..6000).map(|i| 4000.0 + f64::from(i) * 0.75).collect();
            let light: Vec<f64> = wave.iter().map(|w| 1000.0 * (1.0 + slope * (w - 6250.0) / 5000.0)).collect();
            let seen = expose(&light, &wave, snr, false, &mut Dice::new(seed, 1));
            // Away from the sky's lines, without what stands out as cosmic rays do.
            let is_clean = |pixel: usize| seen.ivar[pixel] > 0.0 && SKY.iter().all(|line| (wave[pixel] - line).abs() > 9.0);
            let pulls: Vec<f64> = (0..wave.len()).filter(|&pixel| is_clean(pixel))
                .map(|pixel| (f64::from(seen.flux[pixel]) - light[pixel]) * f64::from(seen.ivar[pixel]).sqrt())
                .filter(|pull| pull.abs() < 6.0).collect();
            let chi2 = pulls.iter().map(|pull| pull * pull).sum::<f64>() / pulls.len() as f64;
            // Five standard errors, and the part that at most three rays of 8 sigma less 2 could leave.
            prop_assert!((chi2 - 1.0).abs() < 5.0 * (2.0 / pulls.len() as f64).sqrt() + 0.01, "{chi2}");
            let typical = median(&light);
            let near: Vec<f64> = (0..wave.len()).filter(|&p| seen.ivar[p] > 0.0 && (5200.0..7000.0).contains(&wave[p]) && (light[p] / typical - 1.0).abs() < 0.02)
                .map(|p| light[p] * f64::from(seen.ivar[p]).sqrt()).collect();
            let ratio = near.iter().sum::<f64>() / near.len() as f64;
            prop_assert!((ratio / snr - 1.0).abs() < 0.03, "{ratio} {snr}");
            let stated = seen.snr(&wave, 6000.0, 6500.0);
            prop_assert!((stated / snr - 1.0).abs() < 0.1 + 0.3 / snr, "{stated} {snr}");
        }
    }
}
