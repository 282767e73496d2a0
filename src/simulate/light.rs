//! The light that reaches the detector, without noise.
//!
//! A star is the forward model's normalised flux, moved by its velocity, times a Planck function of
//! its temperature: files are calibrated, so that the throughput shows in the noise alone. Pixels
//! beyond the model's window have the smooth part alone: no lines. A galaxy or quasar is a power law
//! with lines: it is meant to be unlike a star, not to be measured.

use std::f64::consts::PI;
use std::ops::Range;

use super::target::{Kind, Target};
use crate::generate::doppler;

/// Second radiation constant hc/k, Angstrom Kelvin.
const HC_OVER_K: f64 = 1.438_776_877e8;

/// Counts at 5500 Angstrom.
const COUNTS: f64 = 1000.0;

/// A forward model's spectrum: its grid in the rest frame, and the flux there.
pub(super) struct Model<'a> {
    pub(super) wavelength: &'a [f64],
    pub(super) flux: &'a [f32],
    /// Those of the grid.
    pub(super) windows: &'a [Range<usize>],
}

/// The windows of a grid: where steps are even.
pub(super) fn windows(wavelength: &[f64]) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let mut first = 0;
    for pixel in 1..wavelength.len() {
        // Between the windows of two arms there is no model.
        if wavelength[pixel] - wavelength[pixel - 1] > 20.0 {
            windows.push(first..pixel);
            first = pixel;
        }
    }
    windows.push(first..wavelength.len());
    windows
}

/// The flux of the target at these vacuum wavelengths, which increase.
pub(super) fn light(target: &Target, model: &Model, wave: &[f64]) -> Vec<f64> {
    match target.kind {
        Kind::Star => {
            let shift = doppler(target.velocity);
            let planck = planck(target.teff);
            let at = |&w: &f64| COUNTS * planck(w) * normalised(model, w / shift);
            wave.iter().map(at).collect()
        }
        Kind::Galaxy(z) => {
            wave.iter().map(|&w| COUNTS * nebula(w / (1.0 + z), -1.0, &GALAXY)).collect()
        }
        Kind::Quasar(z) => {
            wave.iter().map(|&w| COUNTS * nebula(w / (1.0 + z), -1.5, &QUASAR)).collect()
        }
    }
}

/// A black body, 1 at 5500 Angstrom.
fn planck(teff: f64) -> impl Fn(f64) -> f64 {
    let power = move |w: f64| w.powi(-5) / (HC_OVER_K / (w * teff)).exp_m1();
    let unit = power(5500.0);
    move |w| power(w) / unit
}

/// Pixels to each side that give the flux between two.
const REACH: f64 = 8.0;

/// The model's flux between its pixels, or 1 beyond its windows.
///
/// Its pixels sample what is of limited resolution, so that a windowed sinc (Lanczos) gives what
/// lies between them; a straight line would make lines shallower than the labels say.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a pixel of the grid")]
fn normalised(model: &Model, rest: f64) -> f64 {
    let wave = model.wavelength;
    let upper = wave.partition_point(|&w| w <= rest);
    let inside = |window: &&Range<usize>| window.start < upper && upper < window.end;
    let Some(window) = model.windows.iter().find(inside) else {
        return 1.0;
    };
    let place = (upper - 1) as f64 + (rest - wave[upper - 1]) / (wave[upper] - wave[upper - 1]);
    let first = window.start.max((place - REACH).ceil().max(0.0) as usize);
    let last = window.end.min((place + REACH) as usize + 1);
    let (mut sum, mut weights) = (0.0, 0.0);
    for pixel in first..last {
        let distance = place - pixel as f64;
        let weight = sinc(distance) * sinc(distance / REACH);
        sum += weight * f64::from(model.flux[pixel]);
        weights += weight;
    }
    sum / weights
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// Vacuum wavelength, standard deviation and height of lines, Angstrom and parts of the continuum.
type Lines = [(f64, f64, f64)];

/// [O II], H beta, [O III], H alpha, [N II], [S II], and calcium H and K, magnesium and sodium.
const GALAXY: [(f64, f64, f64); 12] = [
    (3728.5, 5.0, 1.5),
    (3934.8, 8.0, -0.4),
    (3969.6, 8.0, -0.4),
    (4862.7, 4.0, 0.6),
    (4960.3, 4.0, 0.5),
    (5008.2, 4.0, 1.5),
    (5176.0, 15.0, -0.25),
    (5895.6, 8.0, -0.2),
    (6564.6, 5.0, 2.5),
    (6585.3, 5.0, 0.9),
    (6718.3, 5.0, 0.5),
    (6732.7, 5.0, 0.4),
];

/// C IV, C III], Mg II, H gamma, H beta, [O III].
const QUASAR: [(f64, f64, f64); 6] = [
    (1549.1, 25.0, 1.5),
    (1908.7, 30.0, 0.8),
    (2798.8, 30.0, 1.0),
    (4341.7, 40.0, 0.3),
    (4862.7, 40.0, 0.8),
    (5008.2, 8.0, 0.5),
];

/// A power law with lines, 1 at 5500 Angstrom in its rest frame without them.
fn nebula(rest: f64, slope: f64, lines: &Lines) -> f64 {
    let bump = |&(centre, width, height): &(f64, f64, f64)| {
        height * (-0.5 * ((rest - centre) / width).powi(2)).exp()
    };
    (rest / 5500.0).powf(slope) * (1.0 + lines.iter().map(bump).sum::<f64>()).max(0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_depth_between_pixels_and_nothing_lies_beyond_the_windows() {
        // A line as narrow as R = 1800 lets it be, at many places between two pixels.
        let line = |pixel: f64| 1.0 - 0.5 * (-0.5 * (pixel / 1.02).powi(2)).exp();
        let mut wavelength: Vec<f64> = (0..200).map(|i| 5000.0 + f64::from(i)).collect();
        wavelength.extend((0..100).map(|i| 6000.0 + f64::from(i)));
        let flux: Vec<f32> = wavelength.iter().map(|w| line(w - 5100.3) as f32).collect();
        let windows = windows(&wavelength);
        assert_eq!(windows, [0..200, 200..300]);
        let model = Model { wavelength: &wavelength, flux: &flux, windows: &windows };
        for step in 0..100 {
            let rest = 5095.0 + 0.1 * f64::from(step);
            let error = normalised(&model, rest) - line(rest - 5100.3);
            // A cubic spline would be wrong by four times as much, a straight line by 0.05.
            assert!(error.abs() < 2e-3, "{rest}: {error}");
        }
        for beyond in [4999.0, 5199.5, 5600.0, 6099.5] {
            assert_eq!(normalised(&model, beyond), 1.0);
        }
    }

    #[test]
    fn a_hotter_star_is_bluer() {
        assert!((planck(5000.0)(5500.0) - 1.0).abs() < 1e-12);
        assert!(planck(4000.0)(4000.0) < planck(6000.0)(4000.0));
    }
}
