//! Bins of constant velocity, in which spectra and templates are correlated.

use crate::prep::{Basis, Continuum};
use crate::spectrum::Spectrum;

/// Width of a bin in log10 of the wavelength, 13.8 km/s: two native pixels, a third of the profile of
/// a line at R = 7500. Bins are centred on whole numbers of it, so that a shift is a number of bins.
pub(super) const STEP: f64 = 2e-5;
/// How far templates reach beyond the spectrum on either side, bins: 636 km/s, so that a peak at the
/// greatest velocity that is trusted has neighbours.
pub(super) const MARGIN: usize = 46;
/// Bins over which weights fall to zero at both ends of an arm.
const TAPER: usize = 40;
/// An arm with fewer usable bins than this part is not measured.
const LEAST_USABLE: f64 = 0.5;
/// What stands out upwards by so many robust deviations is a cosmic ray or emission.
const TALLEST: f64 = 5.0;
/// No bin counts more than so many typical ones, whatever its ivar says.
const HEAVIEST: f64 = 4.0;
/// Standard deviations in a median absolute deviation of Gaussian noise.
const DEVIATIONS_IN_MAD: f64 = 1.482_6;
/// That of the recipes of `RRNet` and SPEMR, whatever the model: lines stay, response and reddening go.
pub(super) const CONTINUUM: Continuum =
    Continuum { order: 5, lower: 3.0, upper: 4.0, max_iterations: 100 };

/// The bins of one arm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// The first bin of the templates, in steps.
    pub first: u32,
    /// How many there are.
    pub bins: usize,
}

/// Blue and red, as far as the grid of syntheses reaches: 4961 to 5336 and 6332 to 6707 A.
pub(super) const ARMS: [Span; 2] =
    [Span { first: 184_784, bins: 1580 }, Span { first: 190_084, bins: 1245 }];

impl Span {
    /// The bins of the spectrum, which templates cover at every trial velocity.
    pub(super) fn inner(self) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a constant of two digits")]
        let margin = MARGIN as u32;
        Self { first: self.first + margin, bins: self.bins - 2 * MARGIN }
    }

    /// Polynomials for the continuum.
    pub(super) fn basis(self) -> Basis {
        let log = (0..self.bins).map(|bin| STEP * (f64::from(self.first) + bin as f64));
        Basis::of_log(&log.collect::<Vec<_>>(), CONTINUUM.order)
    }
}

/// An arm of a spectrum: the depth of its lines, negative, and the weight of each bin.
#[derive(Debug, Clone, Default)]
pub(super) struct Depths {
    pub depth: Vec<f64>,
    pub weight: Vec<f64>,
}

impl Depths {
    /// Of the arm that has these bins, if the spectrum has one that can be used.
    pub(super) fn of(spectrum: &Spectrum, span: Span, basis: &Basis) -> Option<Self> {
        let (mut flux, mut weight) = means(spectrum, span);
        let usable = weight.iter().filter(|&&weight| weight > 0.0).count();
        if (usable as f64) < LEAST_USABLE * span.bins as f64 {
            return None;
        }
        bridge(&mut flux, &weight);
        let mut depth = flux.clone();
        CONTINUUM.divide(basis, &mut depth, &mut Vec::new()).ok()?;
        let typical = {
            for ((weight, flux), normal) in weight.iter_mut().zip(&flux).zip(&depth) {
                // ivar of the normalised flux: times the continuum squared.
                let continuum = flux / normal;
                *weight = if continuum.is_finite() { *weight * continuum * continuum } else { 0.0 };
            }
            let weights = weight.iter().copied().filter(|&weight| weight > 0.0);
            median(&mut weights.collect::<Vec<_>>())?
        };
        for depth in &mut depth {
            *depth -= 1.0;
        }
        let centre = median(&mut depth.clone())?;
        let mut away: Vec<f64> = depth.iter().map(|depth| (depth - centre).abs()).collect();
        let tallest = centre + TALLEST * DEVIATIONS_IN_MAD * median(&mut away)?;
        for (bin, (weight, depth)) in weight.iter_mut().zip(&depth).enumerate() {
            let edge = bin.min(span.bins - 1 - bin);
            let part = (edge as f64 + 0.5) / TAPER as f64;
            let taper =
                if part < 1.0 { 0.5 - 0.5 * (std::f64::consts::PI * part).cos() } else { 1.0 };
            let is_sound = *depth < tallest;
            *weight = if is_sound { taper * (*weight / typical).min(HEAVIEST) } else { 0.0 };
        }
        Some(Self { depth, weight })
    }
}

/// Mean flux and its inverse variance in each bin; zero variance where less than half of a bin is
/// covered by usable pixels.
fn means(spectrum: &Spectrum, span: Span) -> (Vec<f64>, Vec<f64>) {
    let wave = spectrum.wave();
    let (first, bins) = (f64::from(span.first), span.bins);
    let place = |wave: f64| wave.log10() / STEP - first + 0.5;
    let wave_of = |bin: f64| 10f64.powf(STEP * (first + bin));
    let (begin, end) = (wave_of(-2.0), wave_of(bins as f64 + 1.0));
    let from = wave.partition_point(|&wave| wave < begin);
    let to = wave.partition_point(|&wave| wave <= end);
    let places: Vec<f64> = wave[from..to].iter().map(|&wave| place(wave)).collect();
    let mut covered = vec![0.0; bins];
    let (mut sums, mut variances) = (vec![0.0; bins], vec![0.0; bins]);
    for (pixel, neighbours) in places.windows(3).enumerate().map(|(at, three)| (at + 1, three)) {
        let ivar = f64::from(spectrum.ivar()[from + pixel]);
        if ivar <= 0.0 {
            continue;
        }
        let (left, right) =
            (0.5 * (neighbours[0] + neighbours[1]), 0.5 * (neighbours[1] + neighbours[2]));
        // Beside a gap a pixel would be taken for as wide as the gap.
        if right - left > 2.0 || right <= 0.0 || left >= bins as f64 {
            continue;
        }
        let flux = f64::from(spectrum.flux()[from + pixel]);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "limited to the bins, of which there are some thousand"
        )]
        let (low, high) = (left.max(0.0) as usize, (right as usize).min(bins - 1));
        for bin in low..=high {
            let overlap = right.min(bin as f64 + 1.0) - left.max(bin as f64);
            if overlap > 0.0 {
                covered[bin] += overlap;
                sums[bin] += overlap * flux;
                variances[bin] += overlap * overlap / ivar;
            }
        }
    }
    for bin in 0..bins {
        if covered[bin] > 0.5 {
            sums[bin] /= covered[bin];
            variances[bin] = covered[bin] * covered[bin] / variances[bin];
        } else {
            (sums[bin], variances[bin]) = (0.0, 0.0);
        }
    }
    (sums, variances)
}

/// Puts a straight line into every gap, for the continuum; gaps have no weight.
fn bridge(flux: &mut [f64], weight: &[f64]) {
    let mut last: Option<usize> = None;
    for bin in 0..flux.len() {
        if weight[bin] <= 0.0 {
            continue;
        }
        let begin = last.map_or(0, |last| last + 1);
        let left = flux[last.unwrap_or(bin)];
        let steps = (bin + 1 - begin) as f64;
        for gap in begin..bin {
            let part = if last.is_some() { (gap + 1 - begin) as f64 / steps } else { 1.0 };
            flux[gap] = left + (flux[bin] - left) * part;
        }
        last = Some(bin);
    }
    if let Some(last) = last {
        let held = flux[last];
        flux[last..].fill(held);
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_bridged_by_lines_and_ends_are_held() {
        let mut flux = [9.0, 2.0, 9.0, 9.0, 5.0, 9.0];
        bridge(&mut flux, &[0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(flux, [2.0, 2.0, 3.0, 4.0, 5.0, 5.0]);
    }
}
