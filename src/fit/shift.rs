//! A model's flux at the pixels of one spectrum, moved by a radial velocity.
//!
//! Fits use splines, which bend with every label. Here one flux is moved once, so it is interpolated
//! with Lagrange's polynomials through eight pixels: for lines of R = 1800 as good as a spline, and
//! where data and model are on one logarithmic grid, as LAMOST's are, a convolution with eight numbers.

use crate::prep::Doppler;

/// Pixels of the model that give one of the data.
pub(super) const POINTS: usize = 8;
/// Those of them at or left of the place.
const LEFT: usize = 4;
/// How far a pixel may be off an even grid, in pixels.
const EVEN: f64 = 0.02;
/// A step of so many times the one before it is a gap between two windows.
const GAP: f64 = 3.0;

/// The grid of a model.
#[derive(Debug, Clone)]
pub(super) struct Source {
    wave: Vec<f64>,
    /// The step in the natural logarithm, if that is the same everywhere.
    step: Option<f64>,
    /// For each pixel, whether the pixels that a place right of it needs are without a gap.
    whole: Vec<bool>,
}

/// Where data lie on the grid of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// Evenly: the first pixel of the data is this far from the first of the model, in its pixels.
    Even(f64),
    /// Anyhow.
    Anyhow,
}

impl Source {
    pub(super) fn new(wave: &[f64]) -> Self {
        let pixels = wave.len();
        let steps: Vec<f64> = wave.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mut gaps_before = vec![0; pixels];
        for pixel in 2..pixels {
            let is_gap = steps[pixel - 1] > GAP * steps[pixel - 2];
            gaps_before[pixel] = gaps_before[pixel - 1] + usize::from(is_gap);
        }
        let whole = (0..pixels)
            .map(|left| {
                left + 1 >= LEFT
                    && left + LEFT < pixels
                    && gaps_before[left + 1 - LEFT] == gaps_before[left + LEFT]
            })
            .collect();
        let log_step = (wave[pixels - 1] / wave[0]).ln() / (pixels as f64 - 1.0);
        let is_even = wave.iter().enumerate().all(|(pixel, wave_here)| {
            ((wave_here / wave[0]).ln() / log_step - pixel as f64).abs() < EVEN
        });
        Self { wave: wave.to_vec(), step: is_even.then_some(log_step), whole }
    }

    pub(super) fn wave(&self) -> &[f64] {
        &self.wave
    }

    /// How these pixels lie on the grid.
    pub(super) fn place(&self, wave: &[f32]) -> Place {
        let Some(step) = self.step else { return Place::Anyhow };
        let at = |wave: f32| (f64::from(wave) / self.wave[0]).ln() / step;
        let first = at(wave[0]);
        let is_even = wave
            .iter()
            .enumerate()
            .all(|(pixel, &wave)| (at(wave) - first - pixel as f64).abs() < EVEN);
        if is_even { Place::Even(first) } else { Place::Anyhow }
    }

    /// Writes flux and squared error of the model at each pixel, moved by a velocity. Pixels that the
    /// model does not reach lose their weight.
    pub(super) fn moved(
        &self,
        (wave, place): (&[f32], Place),
        rv_kms: f64,
        (flux, variance): (&[f32], &[f32]),
        out: Moved<'_>,
    ) {
        let doppler = Doppler::of(rv_kms);
        match (place, self.step) {
            (Place::Even(first), Some(step)) => {
                let first = first - doppler.to_observed(1.0).ln() / step;
                self.moved_evenly(first, (flux, variance), out);
            }
            _ => self.moved_anyhow((wave, doppler), (flux, variance), out),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "pixels are counted in thousands, and what is negative is cut off first"
    )]
    fn moved_evenly(&self, first: f64, (flux, variance): (&[f32], &[f32]), out: Moved<'_>) {
        let Moved { flux: to_flux, variance: to_variance, ivar: to_ivar } = out;
        let (pixels, model) = (to_flux.len() as i64, self.wave.len() as i64);
        let left = first.floor() as i64;
        let weights = lagrange((first - first.floor()) as f32);
        // The first of the eight is at `pixel + begin`, and the last must be there too.
        let begin = left + 1 - LEFT as i64;
        let from = (-begin).clamp(0, pixels) as usize;
        let to = (model - POINTS as i64 + 1 - begin).clamp(from as i64, pixels) as usize;
        to_ivar[..from].fill(0.0);
        to_ivar[to..].fill(0.0);
        to_flux.fill(1.0);
        if from == to {
            return;
        }
        let (start, count) = ((from as i64 + begin) as usize, to - from);
        convolve(&weights, &flux[start..start + count + POINTS - 1], &mut to_flux[from..to]);
        // A model's error changes little from one pixel to the next.
        let near = start + LEFT - 1;
        to_variance[from..to].copy_from_slice(&variance[near..near + count]);
    }

    #[expect(clippy::cast_possible_truncation, reason = "flux is single precision")]
    fn moved_anyhow(
        &self,
        (wave, doppler): (&[f32], Doppler),
        (flux, variance): (&[f32], &[f32]),
        out: Moved<'_>,
    ) {
        let Moved { flux: to_flux, variance: to_variance, ivar: to_ivar } = out;
        let mut left = 0;
        for (pixel, &wave) in wave.iter().enumerate() {
            let rest = doppler.to_rest(f64::from(wave));
            while left + 2 < self.wave.len() && self.wave[left + 1] <= rest {
                left += 1;
            }
            let place = (rest - self.wave[left]) / (self.wave[left + 1] - self.wave[left]);
            if !self.whole[left] || !(0.0..1.0).contains(&place) {
                (to_flux[pixel], to_ivar[pixel]) = (1.0, 0.0);
                continue;
            }
            let first = left + 1 - LEFT;
            let points = flux[first..first + POINTS].iter().zip(lagrange(place as f32));
            to_flux[pixel] = points.map(|(flux, weight)| flux * weight).sum();
            to_variance[pixel] = variance[left];
        }
    }
}

/// Where a moved model is written, a value for each pixel of the data.
pub(super) struct Moved<'a> {
    pub(super) flux: &'a mut [f32],
    pub(super) variance: &'a mut [f32],
    pub(super) ivar: &'a mut [f32],
}

/// Eight weights times eight neighbours for each pixel. Blocks of pixels run in vectors.
fn convolve(weights: &[f32; POINTS], values: &[f32], out: &mut [f32]) {
    const BLOCK: usize = 16;
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    let done = blocks.len() * BLOCK;
    for (block, begin) in blocks.iter_mut().zip((0..).step_by(BLOCK)) {
        let near = &values[begin..begin + BLOCK + POINTS - 1];
        *block = [0.0; BLOCK];
        for (point, weight) in weights.iter().enumerate() {
            let near = &near[point..point + BLOCK];
            block.iter_mut().zip(near).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    for (sum, near) in rest.iter_mut().zip(values[done..].windows(POINTS)) {
        *sum = weights.iter().zip(near).map(|(weight, value)| weight * value).sum();
    }
}

/// Lagrange's weights of values at -3 to 4, for a place from 0 to 1.
fn lagrange(place: f32) -> [f32; POINTS] {
    let at = |point: usize| point as f32 + 1.0 - LEFT as f32;
    let others = |point: usize| (0..POINTS).filter(move |&other| other != point);
    std::array::from_fn(|point| {
        others(point).map(|other| (place - at(other)) / (at(point) - at(other))).product()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of 2.6 pixels FWHM each ten pixels, as narrow as those of R = 1800 on LAMOST's grid.
    fn lines(place: f64) -> f64 {
        let distance = (place / 10.0 - (place / 10.0).round()) * 10.0;
        1.0 - 0.4 * (-0.5 * (distance / 1.1).powi(2)).exp()
    }

    fn moved(source: &Source, wave: &[f32], rv: f64, flux: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let count = wave.len();
        let (mut out, mut variance, mut ivar) =
            (vec![0.0; count], vec![0.0; count], vec![1.0; count]);
        let into = Moved { flux: &mut out, variance: &mut variance, ivar: &mut ivar };
        let errors = vec![0.1; flux.len()];
        source.moved((wave, source.place(wave)), rv, (flux, &errors), into);
        (out, ivar)
    }

    #[test]
    fn a_moved_line_keeps_its_shape_on_even_grids_and_others() {
        let step = 1e-4 * std::f64::consts::LN_10;
        let even: Vec<f64> = (0..600).map(|i| 4500.0 * (step * f64::from(i)).exp()).collect();
        let flux: Vec<f32> = (0..600).map(|i| lines(f64::from(i)) as f32).collect();
        let source = Source::new(&even);
        for (shift, rv) in [(0.0, 0.0), (0.37, 133.0), (17.5, -250.0)] {
            let at = |i: u32| shift + f64::from(i);
            let wave: Vec<f32> = (0..550).map(|i| (4500.0 * (step * at(i)).exp()) as f32).collect();
            assert!(matches!(source.place(&wave), Place::Even(_)));
            let (found, ivar) = moved(&source, &wave, rv, &flux);
            // The same without the knowledge that the grid is even.
            let mut without = source.clone();
            without.step = None;
            let (other, other_ivar) = moved(&without, &wave, rv, &flux);
            let by = (1.0 + rv / 299_792.458).ln() / step;
            for i in 0..550 {
                let pixel = i as usize;
                if ivar[pixel] == 0.0 || other_ivar[pixel] == 0.0 {
                    continue;
                }
                let expected = lines(at(i) - by);
                assert!((f64::from(found[pixel]) - expected).abs() < 0.006, "{i} {expected}");
                assert!((found[pixel] - other[pixel]).abs() < 0.002, "{i}");
            }
            assert!(ivar.iter().filter(|&&ivar| ivar > 0.0).count() > 530);
        }
    }

    #[test]
    fn nothing_is_interpolated_across_a_gap_or_an_end() {
        let windows = (0..100).map(|i| 5000.0 + 0.1 * f64::from(i));
        let source = Source::new(
            &windows.chain((0..100).map(|i| 6000.0 + 0.1 * f64::from(i))).collect::<Vec<_>>(),
        );
        let wave: Vec<f32> = (0..1200).map(|i| 4999.0 + i as f32).collect();
        let (_, ivar) = moved(&source, &wave, 0.0, &vec![1.0; 200]);
        let good: Vec<f32> = wave
            .iter()
            .zip(&ivar)
            .filter(|(_, ivar)| **ivar > 0.0)
            .map(|(wave, _)| *wave)
            .collect();
        assert_eq!(good.len(), 18, "{good:?}");
        assert!(good.iter().all(|w| (5000.3..5009.6).contains(w) || (6000.3..6009.6).contains(w)));
    }
}
