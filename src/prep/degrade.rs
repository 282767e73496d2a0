//! Degrading to constant resolving power: a top-hat mean of the native pixels in each bin.

use std::ops::Range;

use serde::Deserialize;

use super::grid::{Grid, MAX_BINS};
use crate::reject::{Code, Reject};
use crate::spectrum::Spectrum;

/// Parameters of the step (Lustig-Yaeger et al. 2019, as used by Li et al. 2025, section 2).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Degrade {
    /// Centre of the first bin and start of the window, vacuum Angstrom.
    pub first: f64,
    /// End of the window, vacuum Angstrom.
    pub last: f64,
    /// Resolving power of the bins: each centre is `1 + 1/R` times the one before.
    pub resolving_power: f64,
    /// How the pixels of a bin are averaged.
    pub weighting: Weighting,
    /// How many bins without a usable pixel may be filled from their neighbours.
    pub max_empty_bins: usize,
}

/// How the pixels of a bin are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weighting {
    /// All pixels alike, usable or not: the paper's form.
    Uniform,
    /// All usable pixels alike.
    Good,
    /// Usable pixels by their ivar.
    Ivar,
}

impl Degrade {
    /// The grid, bin by bin as `coronagraph.construct_lam(first, last, Res=resolving_power)` and
    /// the edges of `downbin_spec` define it.
    ///
    /// # Errors
    /// A phrase on parameters that give no grid.
    pub fn grid(&self) -> Result<Grid, String> {
        let Self { first, last, resolving_power: r, .. } = *self;
        if !(first > 0.0 && last > first && last.is_finite() && r >= 1.0 && r.is_finite()) {
            return Err("0 < first < last and resolving_power >= 1 are needed".into());
        }
        let mut centres = vec![first];
        while centres[centres.len() - 1] < last + last / r {
            if centres.len() > MAX_BINS {
                return Err(format!("the grid has more than {MAX_BINS} bins"));
            }
            centres.push(centres[centres.len() - 1] * (1.0 + 1.0 / r));
        }
        let count = centres.len();
        let width = |bin: usize| match bin {
            0 => first / r,
            _ => 0.5 * (centres[(bin + 1).min(count - 1)] - centres[bin - 1]),
        };
        // The last centre serves only to give the one before it a width.
        let bins = count - 1;
        let mut edges: Vec<f64> = (0..bins).map(|bin| centres[bin] - 0.5 * width(bin)).collect();
        edges.push(centres[bins - 1] + 0.5 * width(bins - 1));
        centres.truncate(bins);
        Ok(Grid::contiguous(centres, edges))
    }

    /// Averages the pixels of `window` into the bins of `grid`; also returns how many bins were
    /// empty. `good` has one entry for each pixel of the window.
    ///
    /// # Errors
    /// [`Code::TOO_MANY_BAD_PIXELS`] when more bins are empty than may be filled.
    pub fn apply(
        &self,
        spectrum: &Spectrum,
        window: Range<usize>,
        good: &[bool],
        grid: &Grid,
    ) -> Result<(Vec<f64>, usize), Reject> {
        let wave = &spectrum.wave()[window.clone()];
        let flux = &spectrum.flux()[window.clone()];
        let ivar = &spectrum.ivar()[window];
        let weight = |pixel: usize| match self.weighting {
            Weighting::Uniform => f64::from(u8::from(flux[pixel].is_finite())),
            Weighting::Good => f64::from(u8::from(good[pixel])),
            Weighting::Ivar if good[pixel] => f64::from(ivar[pixel]),
            Weighting::Ivar => 0.0,
        };
        let mut means = Vec::with_capacity(grid.bins());
        let mut pixel = wave.partition_point(|&w| w < grid.edges()[0]);
        for edge in &grid.edges()[1..] {
            let (mut sum, mut weights) = (0.0, 0.0);
            while pixel < wave.len() && wave[pixel] < *edge {
                let w = weight(pixel);
                if w > 0.0 {
                    sum += w * f64::from(flux[pixel]);
                    weights += w;
                }
                pixel += 1;
            }
            means.push(if weights > 0.0 { sum / weights } else { f64::NAN });
        }
        let empty = fill_gaps(grid.centres(), &mut means);
        if empty > self.max_empty_bins || empty == means.len() {
            return Err(Code::TOO_MANY_BAD_PIXELS.because(format!(
                "{empty} of {} bins have no usable pixel, the recipe allows {}",
                means.len(),
                self.max_empty_bins
            )));
        }
        Ok((means, empty))
    }
}

/// Replaces each NaN by linear interpolation between its neighbours, at the ends by the nearest
/// value. Returns how many there were.
pub(super) fn fill_gaps(x: &[f64], y: &mut [f64]) -> usize {
    let known: Vec<usize> = (0..y.len()).filter(|&i| !y[i].is_nan()).collect();
    let empty = y.len() - known.len();
    if empty == 0 || known.is_empty() {
        return empty;
    }
    for i in (0..y.len()).filter(|i| known.binary_search(i).is_err()).collect::<Vec<_>>() {
        let right = known.partition_point(|&k| k < i);
        y[i] = match (right.checked_sub(1).map(|left| known[left]), known.get(right)) {
            (Some(left), Some(&right)) => {
                let part = (x[i] - x[left]) / (x[right] - x[left]);
                y[left] + part * (y[right] - y[left])
            }
            (Some(nearest), None) | (None, Some(&nearest)) => y[nearest],
            (None, None) => y[i],
        };
    }
    empty
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(weighting: Weighting) -> Degrade {
        Degrade {
            first: 10f64.powf(3.6021),
            last: 10f64.powf(3.9096),
            resolving_power: 200.0,
            weighting,
            max_empty_bins: 5,
        }
    }

    #[test]
    fn the_grid_is_that_of_coronagraph() {
        // coronagraph 1.1: lam, dlam = construct_lam(10**3.6021, 10**3.9096, Res=200)
        let grid = step(Weighting::Good).grid().unwrap();
        assert_eq!(grid.bins(), 143);
        let near = |value: f64, expected: f64| {
            assert!((value / expected - 1.0).abs() < 1e-11, "{value} is not {expected}");
        };
        near(grid.centres()[0], 4_000.368_510_46);
        near(grid.centres()[1], 4_020.370_353_01);
        near(grid.centres()[71], 5_700.203_818_17);
        near(grid.centres()[142], 8_122.332_601_05);
        near(grid.edges()[0], 4_000.368_510_46 - 0.5 * 20.001_842_55);
        near(grid.edges()[143], 8_122.332_601_05 + 0.5 * 40.510_638_97);
    }

    #[test]
    fn gaps_are_filled_from_their_neighbours() {
        let x = [0.0, 1.0, 3.0, 4.0, 5.0];
        let mut y = [f64::NAN, 1.0, f64::NAN, 4.0, f64::NAN];
        assert_eq!(fill_gaps(&x, &mut y), 3);
        assert_eq!(y, [1.0, 1.0, 3.0, 4.0, 4.0]);
        let mut nothing = [f64::NAN; 2];
        assert_eq!(fill_gaps(&x, &mut nothing), 2);
    }

    proptest! {
        #[test]
        fn a_constant_stays_constant_and_weights_do_not_matter_then(level in 0.1f32..100.0) {
            let spectrum = crate::prep::tests::spectrum(|_| level);
            for weighting in [Weighting::Uniform, Weighting::Good, Weighting::Ivar] {
                let step = step(weighting);
                let good = vec![true; 3076];
                let (means, empty) = step.apply(&spectrum, 339..3415, &good, &step.grid().unwrap()).unwrap();
                prop_assert_eq!(empty, 0);
                prop_assert!(means.iter().all(|mean| (mean / f64::from(level) - 1.0).abs() < 1e-12));
            }
        }

        #[test]
        fn unusable_pixels_have_no_say(at in 339usize..3415, value in -1e6f32..1e6) {
            let clean = crate::prep::tests::spectrum(|w| w as f32);
            let spoiled = crate::prep::tests::spectrum(|w| {
                if (w - clean.wave()[at]).abs() < 1e-6 { value } else { w as f32 }
            });
            let step = step(Weighting::Good);
            let mut good = vec![true; 3076];
            good[at - 339] = false;
            let grid = step.grid().unwrap();
            let (a, _) = step.apply(&clean, 339..3415, &good, &grid).unwrap();
            let (b, _) = step.apply(&spoiled, 339..3415, &good, &grid).unwrap();
            prop_assert_eq!(a, b);
        }
    }
}
