//! Linear interpolation to windows of constant step.

use std::ops::Range;

use serde::Deserialize;

use super::grid::{Grid, MAX_BINS};
use super::rest_frame::Doppler;
use crate::reject::{Code, Reject};
use crate::spectrum::Spectrum;

/// Steps of a window between two native pixels; beyond it an interpolation would invent flux. The
/// pixels of LAMOST's medium resolution are 1.2 to 1.6 steps apart, its arms 9,000.
const WIDEST_GAP: f64 = 10.0;

/// The smallest step of a window, in its wavelength: a hundredth of what the best spectrographs
/// resolve, and far above the digits of a wavelength.
const FINEST: f64 = 1e-8;

/// The step as a manifest writes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resample {
    /// First pixel, end and step of each window, Angstrom in the rest frame, in order. The end is
    /// no pixel: `[4968, 5328, 0.1]` are the 3600 pixels 4968.0 to 5327.9, as `numpy.arange` in the
    /// published code of Xiong et al. 2022 gives them; the paper writes [4968, 5328].
    pub windows: Vec<[f64; 3]>,
}

/// Pixels of constant step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    first: f64,
    step: f64,
    pixels: usize,
}

/// Native pixels on their way through an interpolation, kept from spectrum to spectrum.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    wave: Vec<f64>,
    flux: Vec<f64>,
    slope: Vec<f64>,
}

impl Nodes {
    /// Bytes of a native pixel.
    pub(super) const PIXEL_BYTES: usize = 3 * size_of::<f64>();
}

impl Resample {
    /// The windows, checked.
    ///
    /// # Errors
    /// A phrase on numbers that give no windows.
    pub fn windows(&self) -> Result<Vec<Window>, String> {
        let windows: Vec<_> =
            self.windows.iter().map(|&numbers| Window::new(numbers)).collect::<Result<_, _>>()?;
        if windows.is_empty() {
            return Err("windows names none; write [[first, end, step], ...]".into());
        }
        if windows.windows(2).any(|pair| pair[1].edge(0) < pair[0].edge(pair[0].pixels)) {
            return Err("the windows overlap or are not in order; sort and separate them".into());
        }
        if windows.iter().map(|window| window.pixels).sum::<usize>() > MAX_BINS {
            return Err(format!("the windows have more than {MAX_BINS} pixels; widen the step"));
        }
        Ok(windows)
    }
}

impl Window {
    /// A window from `[first, end, step]`.
    ///
    /// # Errors
    /// A phrase on numbers that give no whole number of steps.
    pub fn new([first, end, step]: [f64; 3]) -> Result<Self, String> {
        let steps = (end - first) / step;
        let sound = first > 0.0 && step > 0.0 && end.is_finite() && steps > 1.5;
        if !(sound && steps <= MAX_BINS as f64 && (steps - steps.round()).abs() < 1e-6) {
            return Err(format!(
                "[{first}, {end}, {step}] is no window; write first > 0, and an end that is 2 to \
                 {MAX_BINS} whole steps above it"
            ));
        }
        if step < FINEST * end {
            return Err(format!("a step of {step} A at {end} A is finer than digits; widen it"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        let pixels = steps.round() as usize;
        Ok(Self { first, step, pixels })
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.pixels
    }

    /// Wavelength of a pixel, Angstrom.
    pub fn pixel(&self, index: usize) -> f64 {
        self.first + self.step * index as f64
    }

    /// The grid of this window alone.
    pub(super) fn grid(&self) -> Grid {
        let centres = (0..self.pixels).map(|index| self.pixel(index)).collect();
        Grid::contiguous(centres, (0..=self.pixels).map(|index| self.edge(index)).collect())
    }

    /// Wavelength where a pixel begins.
    fn edge(&self, index: usize) -> f64 {
        self.first + self.step * (index as f64 - 0.5)
    }

    fn last(&self) -> f64 {
        self.pixel(self.pixels - 1)
    }

    /// The native pixels that serve the window: those inside it and one more at either end.
    ///
    /// # Errors
    /// [`Code::MISSING_ARM`] when none is inside, with `arm` as its name;
    /// [`Code::WAVELENGTH_COVERAGE`] when they do not reach both ends or have a gap.
    pub fn native(
        &self,
        wave: &[f64],
        doppler: Doppler,
        arm: &str,
    ) -> Result<Range<usize>, Reject> {
        let start = wave.partition_point(|&w| doppler.to_rest(w) <= self.first);
        let end = wave.partition_point(|&w| doppler.to_rest(w) < self.last());
        let inside = |pixel: usize| {
            let rest = wave.get(pixel).map(|&w| doppler.to_rest(w));
            rest.is_some_and(|w| (self.first..=self.last()).contains(&w))
        };
        if ![start.checked_sub(1), Some(start)].into_iter().flatten().any(inside) {
            return Err(Code::MISSING_ARM.because(format!(
                "it has no pixel in {arm}, {:.1} to {:.1} A in the rest frame",
                self.first,
                self.last()
            )));
        }
        if start == 0 || end == wave.len() {
            return Err(self.not_covered(wave, doppler));
        }
        let served = start - 1..end + 1;
        self.check_gaps(&wave[served.clone()], doppler)?;
        Ok(served)
    }

    /// Interpolates the flux to the window's pixels, between those native ones that are not
    /// dropped: `served`, or nearby ones where its ends are dropped.
    ///
    /// # Errors
    /// [`Code::WAVELENGTH_COVERAGE`] when there is nothing near to bridge from.
    pub(super) fn interpolate(
        &self,
        spectrum: &Spectrum,
        doppler: Doppler,
        served: Range<usize>,
        is_dropped: impl Fn(usize) -> bool + Copy,
        nodes: &mut Nodes,
        out: &mut [f64],
    ) -> Result<(), Reject> {
        let (wave, flux) = (spectrum.wave(), spectrum.flux());
        let before = (0..=served.start).rev().find(|&pixel| !is_dropped(pixel));
        let after = (served.end - 1..wave.len()).find(|&pixel| !is_dropped(pixel));
        let (Some(first), Some(last)) = (before, after) else {
            return Err(self.not_covered(wave, doppler));
        };
        if first < served.start || last >= served.end {
            self.check_gaps(&wave[first..=last], doppler)?;
        }
        nodes.wave.clear();
        nodes.flux.clear();
        nodes.slope.clear();
        if (first..=last).fold(false, |any, pixel| any | is_dropped(pixel)) {
            let kept = (first..=last).filter(|&pixel| !is_dropped(pixel));
            nodes.wave.extend(kept.clone().map(|pixel| doppler.to_rest(wave[pixel])));
            nodes.flux.extend(kept.map(|pixel| f64::from(flux[pixel])));
        } else {
            // The usual case, without a branch for each pixel.
            nodes.wave.extend(wave[first..=last].iter().map(|&w| doppler.to_rest(w)));
            nodes.flux.extend(flux[first..=last].iter().map(|&f| f64::from(f)));
        }
        let pairs = nodes.wave.windows(2).zip(nodes.flux.windows(2));
        nodes.slope.extend(pairs.map(|(wave, flux)| (flux[1] - flux[0]) / (wave[1] - wave[0])));
        let Nodes { wave, flux, slope } = nodes;
        let mut node = 0;
        for (index, value) in out.iter_mut().enumerate() {
            let at = self.pixel(index);
            // The last node lies at or beyond the last pixel, so the search ends.
            while wave[node + 1] < at {
                node += 1;
            }
            *value = flux[node] + slope[node] * (at - wave[node]);
        }
        Ok(())
    }

    fn check_gaps(&self, wave: &[f64], doppler: Doppler) -> Result<(), Reject> {
        let widest = doppler.to_observed(WIDEST_GAP * self.step);
        match wave.windows(2).find(|pair| pair[1] - pair[0] > widest) {
            None => Ok(()),
            Some(gap) => Err(Code::WAVELENGTH_COVERAGE.because(format!(
                "it has no pixel between {:.1} and {:.1} A, the model needs {:.1} to {:.1} A",
                gap[0],
                gap[1],
                self.first,
                self.last()
            ))),
        }
    }

    fn not_covered(&self, wave: &[f64], doppler: Doppler) -> Reject {
        Code::WAVELENGTH_COVERAGE.because(format!(
            "it covers {:.1} to {:.1} A in the rest frame, the model needs {:.1} to {:.1} A",
            doppler.to_rest(wave[0]),
            doppler.to_rest(wave[wave.len() - 1]),
            self.first,
            self.last()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectrum::{Arrays, Meta};
    use proptest::prelude::*;

    /// A spectrum whose flux is a function of its wavelength.
    fn spectrum(wave: Vec<f64>, flux: impl Fn(f64) -> f64) -> Spectrum {
        let count = wave.len();
        #[expect(clippy::cast_possible_truncation, reason = "as files hold it")]
        let arrays = Arrays {
            flux: wave.iter().map(|&w| flux(w) as f32).collect(),
            ivar: vec![1.0; count],
            andmask: vec![0; count],
            ormask: vec![0; count],
            wave,
        };
        Spectrum::new("lamost-mrs", arrays, Meta::default()).unwrap()
    }

    fn steps(first: f64, step: f64, count: u32) -> impl Iterator<Item = f64> {
        (0..count).map(move |index| first + step * f64::from(index))
    }

    fn resample(
        spectrum: &Spectrum,
        window: Window,
        rv: f64,
        dropped: &[usize],
    ) -> Result<Vec<f64>, Code> {
        let doppler = Doppler::of(rv);
        let served = window.native(spectrum.wave(), doppler, "the arm");
        let served = served.map_err(|reject| reject.code)?;
        let mut out = vec![0.0; window.pixels()];
        let is_dropped = |pixel| dropped.contains(&pixel);
        let nodes = &mut Nodes::default();
        window
            .interpolate(spectrum, doppler, served, is_dropped, nodes, &mut out)
            .map_err(|reject| reject.code)?;
        Ok(out)
    }

    #[test]
    fn a_window_ends_before_its_end() {
        let step = Resample { windows: vec![[4968.0, 5328.0, 0.1], [6339.0, 6699.0, 0.1]] };
        let windows = step.windows().unwrap();
        for (window, [first, last]) in windows.iter().zip([[4968.0, 5327.9], [6339.0, 6698.9]]) {
            assert_eq!(window.pixels(), 3600);
            assert!((window.pixel(0) - first).abs() < 1e-9 && (window.last() - last).abs() < 1e-9);
        }
    }

    #[test]
    fn numbers_that_give_no_windows_are_refused() {
        let check = |windows: &[[f64; 3]], says: &str| {
            let error = Resample { windows: windows.to_vec() }.windows().unwrap_err();
            assert!(error.contains(says), "{error:?} should say {says:?}");
        };
        check(&[], "names none");
        check(&[[5000.0, 5001.0, 0.3]], "whole steps");
        check(&[[5000.0, 4999.0, 0.1]], "no window");
        check(&[[0.0, 10.0, 1.0]], "no window");
        check(&[[5000.0, 5001.0, 1.0]], "2 to");
        check(&[[5000.0, 5001.0, 1e-9]], "no window");
        check(&[[f64::NAN, 5001.0, 0.1]], "no window");
        check(&[[1e15, 1e15 + 1.0, 0.125]], "finer than digits");
        check(&[[5000.0, 5010.0, 1.0], [5005.0, 5020.0, 1.0]], "overlap");
        check(&[[6000.0, 6010.0, 1.0], [5000.0, 5010.0, 1.0]], "not in order");
        check(&[[1.0, 60_001.0, 1.0], [70_000.0, 120_000.0, 1.0]], "more than");
    }

    #[test]
    fn an_arm_that_is_missing_short_or_broken_is_a_reject() {
        let window = Window::new([5000.0, 5010.0, 0.1]).unwrap();
        let check = |wave: Vec<f64>, expected: Result<(), Code>| {
            let found = resample(&spectrum(wave, |w| w), window, 0.0, &[]);
            assert_eq!(found.map(drop), expected);
        };
        check(steps(4999.95, 0.15, 80).collect(), Ok(()));
        check(steps(6000.0, 0.15, 80).collect(), Err(Code::MISSING_ARM));
        check(steps(4000.0, 0.15, 80).collect(), Err(Code::MISSING_ARM));
        // Arms on both sides and none between.
        let around = steps(4900.0, 0.15, 80).chain(steps(5100.0, 0.15, 80));
        check(around.collect(), Err(Code::MISSING_ARM));
        check(steps(5000.05, 0.15, 80).collect(), Err(Code::WAVELENGTH_COVERAGE));
        check(steps(4998.0, 0.15, 60).collect(), Err(Code::WAVELENGTH_COVERAGE));
        // A blue arm that ends early and a red one that must not bridge to it.
        let short = steps(4999.0, 0.15, 40).chain(steps(6300.0, 0.15, 80));
        check(short.collect(), Err(Code::WAVELENGTH_COVERAGE));
        let broken = steps(4999.0, 0.15, 40).chain(steps(5006.1, 0.15, 40));
        check(broken.collect(), Err(Code::WAVELENGTH_COVERAGE));
    }

    #[test]
    fn dropped_pixels_are_bridged_also_at_the_ends() {
        let window = Window::new([5000.0, 5010.0, 0.1]).unwrap();
        let line = |w: f64| 2.0 * (w - 4990.0);
        let whole = spectrum(steps(4998.0, 0.15, 100).collect(), line);
        let spoiled = |w: f64| if (w - 5005.0).abs() < 0.3 { 1e9 } else { line(w) };
        let spoiled = spectrum(steps(4998.0, 0.15, 100).collect(), spoiled);
        let bad: Vec<usize> = (0..100).filter(|&pixel| spoiled.flux()[pixel] > 1e8).collect();
        assert_eq!(bad.len(), 4);
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
        let expected = resample(&whole, window, 0.0, &[]).unwrap();
        assert!(near(&resample(&spoiled, window, 0.0, &bad).unwrap(), &expected));
        // The pixels that reach the ends are 13 and 80.
        assert!(near(&resample(&whole, window, 0.0, &[13, 80]).unwrap(), &expected));
        let everything: Vec<usize> = (0..100).collect();
        assert_eq!(resample(&whole, window, 0.0, &everything), Err(Code::WAVELENGTH_COVERAGE));
    }

    proptest! {
        #[test]
        fn a_line_stays_a_line_and_moves_with_its_star(rv in -400.0..400.0, slope in -3.0..3.0) {
            let window = Window::new([5000.0, 5010.0, 0.1]).unwrap();
            let line = |rest: f64| 100.0 + slope * (rest - 5005.0);
            let doppler = Doppler::of(rv);
            let moved = spectrum(steps(4985.0, 0.15, 300).collect(), |w| line(doppler.to_rest(w)));
            let found = resample(&moved, window, rv, &[]).unwrap();
            for (index, value) in found.iter().enumerate() {
                prop_assert!((value - line(window.pixel(index))).abs() < 1e-4);
            }
        }
    }
}
