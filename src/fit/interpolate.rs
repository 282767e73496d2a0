//! Spectra between the pixels of a model.
//!
//! A spectrum of R = 1800 has about two and a half pixels in the width of a line. Interpolated
//! linearly it would be blurred by an amount that depends on the shift, and so on the velocity. A
//! spline through pixels blurs it too, if less: enough for a bias of a seventh of the error of iron
//! at S/N 100. So a value is put between each two pixels first, by a windowed sinc, and a cubic
//! spline goes through both.
//!
//! On even pixels all of that is one sum over the pixels around a place, whose weights are cubic
//! polynomials of the place, one from each pixel to the middle and one from there on. What lies
//! beyond twenty-four pixels weighs 1e-8 of it and is left out. Sixteen would leave out 4e-4, and
//! change the depth of all lines by what moves iron by a twentieth of its error at S/N 200.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for the processor")]

use std::f64::consts::PI;

/// Pixels that give a value; those of them at or left of the place.
pub const TAPS: usize = 24;
const LEFT: usize = TAPS / 2;
/// The first of them, counted from the pixel left of the place.
const FIRST: i32 = -11;
/// The weights of that many pixels.
pub(super) type Taps = [f32; TAPS];
/// Pixels on either side of the middle between two that the sinc takes.
const REACH: usize = 8;
/// How far steps may be off the middle one for pixels to count as even.
const EVEN: f64 = 0.01;

/// The pixels of a model.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    at: Vec<f64>,
    /// For each pixel, whether those around a place right of it are even.
    even: Vec<bool>,
    /// The weights left and right of the middle: the coefficients of their polynomials.
    halves: [[Taps; 4]; 2],
}

/// Where a place lies among the pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The first pixel that gives the value.
    pub(super) first: usize,
    /// The pixel left of it.
    left: usize,
    /// How far it is from there to the next, from 0 to 1.
    offset: f64,
}

impl Place {
    /// Weights of the pixels around. Those beyond an end are given to the last one before it.
    #[inline(always)]
    fn within(&self, weights: Taps) -> Taps {
        if self.first + LEFT == self.left + 1 { weights } else { self.cut_off(&weights) }
    }

    #[inline(never)]
    fn cut_off(&self, weights: &Taps) -> Taps {
        let mut kept = [0.0; TAPS];
        for (tap, weight) in weights.iter().enumerate() {
            let kept_tap = (self.left + 1 + tap).saturating_sub(self.first + LEFT).min(TAPS - 1);
            kept[kept_tap] += weight;
        }
        kept
    }
}

impl Grid {
    /// Pixels at increasing places, at least as many as give one value.
    pub(super) fn new(pixels: &[f64]) -> Self {
        let even = (0..pixels.len())
            .map(|left| {
                let Some(around) = pixels.get((left + 1).wrapping_sub(REACH)..=left + REACH) else {
                    return false;
                };
                let step = pixels[left + 1] - pixels[left];
                let is_even = |pair: &[f64]| ((pair[1] - pair[0]) / step - 1.0).abs() < EVEN;
                around.windows(2).all(is_even)
            })
            .collect();
        Self { at: pixels.to_vec(), even, halves: [half(0), half(1)] }
    }

    pub(super) fn first(&self) -> f64 {
        self.at[0]
    }

    pub(super) fn last(&self) -> f64 {
        self.at[self.at.len() - 1]
    }

    /// Where a place between the first and the last pixel lies. `from` is a pixel at or left of it,
    /// and moves on to the nearest such.
    pub(super) fn place(&self, wave: f64, from: &mut usize) -> Place {
        while *from + 2 < self.at.len() && self.at[*from + 1] <= wave {
            *from += 1;
        }
        let left = *from;
        let offset = (wave - self.at[left]) / (self.at[left + 1] - self.at[left]);
        let first = (left + 1).saturating_sub(LEFT).min(self.at.len() - TAPS);
        Place { first, left, offset }
    }

    /// The pixel nearest to a place. `from` is as for [`Grid::place`].
    pub(super) fn nearest(&self, wave: f64, from: &mut usize) -> usize {
        let place = self.place(wave, from);
        place.left + usize::from(place.offset >= 0.5)
    }

    /// The weights of the pixels from the first on.
    #[inline(always)]
    pub(super) fn weights(&self, place: &Place) -> Taps {
        if !self.even[place.left] {
            return self.through_four(place, 0);
        }
        let (half, x) = within_half(place.offset);
        let [constant, linear, square, cubic] = &self.halves[half];
        let weight =
            |tap: usize| constant[tap] + x * (linear[tap] + x * (square[tap] + x * cubic[tap]));
        place.within(std::array::from_fn(weight))
    }

    /// The weights that give the slope.
    #[inline(always)]
    pub(super) fn slopes(&self, place: &Place) -> Taps {
        if !self.even[place.left] {
            return self.through_four(place, 1);
        }
        let (half, x) = within_half(place.offset);
        let [_, linear, square, cubic] = &self.halves[half];
        let rate = single(2.0 / (self.at[place.left + 1] - self.at[place.left]));
        let slope =
            |tap: usize| rate * (linear[tap] + x * (2.0 * square[tap] + x * 3.0 * cubic[tap]));
        place.within(std::array::from_fn(slope))
    }

    /// Those of a cubic through four pixels, or of its slope: beside an end or a gap.
    #[inline(never)]
    fn through_four(&self, place: &Place, derivative: usize) -> Taps {
        let begin = place.left.saturating_sub(1).min(self.at.len() - 4);
        let four = &self.at[begin..begin + 4];
        let wave = four[place.left - begin]
            + place.offset * (four[place.left + 1 - begin] - four[place.left - begin]);
        let mut weights = [0.0; TAPS];
        for own in 0..4 {
            // The polynomial that is one here and zero at the others, and its slope.
            let (mut value, mut slope) = (1.0, 0.0);
            for other in (0..4).filter(|&other| other != own) {
                let factor = 1.0 / (four[own] - four[other]);
                slope = (slope * (wave - four[other]) + value) * factor;
                value *= (wave - four[other]) * factor;
            }
            weights[begin + own - place.first] = single([value, slope][derivative]);
        }
        weights
    }
}

/// Which half between two pixels, and the place in it from 0 to 1.
#[inline(always)]
fn within_half(offset: f64) -> (usize, f32) {
    let half = usize::from(offset >= 0.5);
    (half, single(2.0 * offset - half as f64))
}

/// The weights in one half: those of the spline through pixels and middles, by the B-splines of even
/// knots (Unser, Aldroubi & Eden 1993, section II).
fn half(half: i32) -> [Taps; 4] {
    // Pieces of the four B-splines over an interval, as coefficients of 1, x, x^2, x^3.
    const PIECES: [[f64; 4]; 4] = [
        [1.0, -3.0, 3.0, -1.0],
        [4.0, 0.0, -6.0, 3.0],
        [1.0, 3.0, 3.0, -3.0],
        [0.0, 0.0, 0.0, 1.0],
    ];
    // What is left of a coefficient at the next knot.
    let decay = 3f64.sqrt() - 2.0;
    let sinc = windowed_sinc();
    // By pixel, the coefficients of the polynomial.
    let mut weights = [[0.0; 4]; TAPS];
    for (weights, pixel) in weights.iter_mut().zip(FIRST..) {
        // Knots are half a pixel apart, and count from the pixel left of the place.
        let pixel = 2 * pixel;
        // The coefficient of the B-spline at a knot, if this pixel is one and the others are zero.
        let coefficient = |knot: i32| {
            let of = |other: i32| 3f64.sqrt() * decay.powi((knot - other).abs());
            let middles = (1..)
                .step_by(2)
                .zip(sinc)
                .map(|(steps, weight)| weight * (of(pixel - steps) + of(pixel + steps)));
            of(pixel) + middles.sum::<f64>()
        };
        for (spline, piece) in (0..).zip(PIECES) {
            let coefficient = coefficient(half + spline - 1) / 6.0;
            for (weight, factor) in weights.iter_mut().zip(piece) {
                *weight += coefficient * factor;
            }
        }
    }
    // A flat spectrum stays flat: what was left out is given to the two in the middle.
    std::array::from_fn(|power| {
        let sum: f64 = weights.iter().map(|weights| weights[power]).sum();
        let missing = if power == 0 { 1.0 } else { 0.0 } - sum;
        std::array::from_fn(|tap| {
            let is_middle = tap == LEFT - 1 || tap == LEFT;
            single(weights[tap][power] + if is_middle { 0.5 * missing } else { 0.0 })
        })
    })
}

/// A sinc in Lanczos' window at 0.5, 1.5, ... steps, both sides of which sum to one.
fn windowed_sinc() -> [f64; REACH] {
    let sinc = |x: f64| (PI * x).sin() / (PI * x);
    let weights: [f64; REACH] = std::array::from_fn(|distance| {
        let steps = distance as f64 + 0.5;
        sinc(steps) * sinc(steps / REACH as f64)
    });
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / (2.0 * sum))
}

#[expect(clippy::cast_possible_truncation, reason = "flux is single precision")]
#[inline(always)]
fn single(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::lanes::dot;

    /// Value and slope of a curve at places.
    fn interpolated(
        grid: &Grid,
        curve: &[f32],
        places: impl Iterator<Item = f64>,
    ) -> Vec<[f64; 2]> {
        let mut from = 0;
        let both = places.map(|place| {
            let place = grid.place(place, &mut from);
            let around: &Taps = curve[place.first..place.first + TAPS].try_into().unwrap();
            [grid.weights(&place), grid.slopes(&place)].map(|of| f64::from(dot(&of, around)))
        });
        both.collect()
    }

    #[test]
    fn smooth_curves_and_their_slopes_are_followed_on_even_pixels_and_others() {
        let even = |i: u32| 0.05 * f64::from(i);
        let uneven = |i: u32| 0.05 * f64::from(i) + 0.01 * f64::from(i % 2);
        for (at, tolerance) in [(&even as &dyn Fn(u32) -> f64, 2e-6), (&uneven, 6e-6)] {
            let pixels: Vec<f64> = (0..400).map(at).collect();
            let grid = Grid::new(&pixels);
            let curve: Vec<f32> = pixels.iter().map(|x| x.sin() as f32).collect();
            let places = || (0..1000).map(|step| 0.61 + 0.0187 * f64::from(step));
            for (place, [value, slope]) in places().zip(interpolated(&grid, &curve, places())) {
                assert!((value - place.sin()).abs() < tolerance, "{place}: {value}");
                assert!((slope - place.cos()).abs() < 500.0 * tolerance, "{place}: {slope}");
            }
        }
    }

    #[test]
    fn a_line_of_two_and_a_half_pixels_keeps_its_depth_wherever_it_lies() {
        let line = |place: f64| (-4.0 * 2f64.ln() * (place / 2.5).powi(2)).exp();
        let pixels: Vec<f64> = (0..60).map(f64::from).collect();
        let grid = Grid::new(&pixels);
        for tenth in 0..10 {
            let centre = 30.0 + 0.1 * f64::from(tenth);
            let flux: Vec<f32> = pixels.iter().map(|x| line(x - centre) as f32).collect();
            let places = || (0..500).map(|step| 25.0 + 0.02 * f64::from(step));
            for (place, [value, _]) in places().zip(interpolated(&grid, &flux, places())) {
                // A spline through the pixels alone is off by 0.013; 0.002 is lost in the sampling.
                assert!((value - line(place - centre)).abs() < 3e-3, "{centre}, {place}: {value}");
            }
        }
    }

    #[test]
    fn a_flat_spectrum_stays_flat_and_has_no_slope() {
        let wave: Vec<f64> = (0..200).map(|i| 5000.0 * (2.3e-4 * f64::from(i)).exp()).collect();
        let places = || (0..2280).map(|step| 5000.0 + 0.1 * f64::from(step));
        for [value, slope] in interpolated(&Grid::new(&wave), &[1.0; 200], places()) {
            assert!((value - 1.0).abs() < 1e-6 && slope.abs() < 1e-6, "{value} {slope}");
        }
    }

    #[test]
    fn the_nearest_pixel_is_that() {
        let pixels: Vec<f64> = (0..40).map(f64::from).collect();
        let grid = Grid::new(&pixels);
        let mut from = 0;
        for (place, nearest) in [(0.0, 0), (0.4, 0), (0.6, 1), (1.4, 1), (1.6, 2), (39.0, 39)] {
            assert_eq!(grid.nearest(place, &mut from), nearest, "{place}");
        }
    }
}
