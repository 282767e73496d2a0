//! Replacing single pixels that stand out of their neighbours.

use serde::Deserialize;

use super::lanes;

/// The step: a pixel stays if `-upper sigma < median - flux < lower sigma`, where the median is that
/// of the pixel and its two neighbours and sigma the standard deviation of the differences;
/// otherwise it becomes the median.
///
/// This stands in the published code of Xiong et al. 2022 and not in the paper: 3 sigma below, 4
/// above. The code takes zeros for what lies beyond the ends, as `scipy.signal.medfilt` does, so the
/// first and the last pixel are compared with the smaller of themselves and their neighbour.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Despike {
    /// How far below the median a flux may lie, standard deviations.
    pub lower: f64,
    /// How far above.
    pub upper: f64,
}

impl Despike {
    /// Replaces outliers of one window. `medians` and `below` are room to work in.
    pub fn apply(&self, flux: &mut [f64], medians: &mut Vec<f64>, below: &mut Vec<f64>) {
        medians.clear();
        below.clear();
        let (&[first, ..], &[.., last]) = (&*flux, &*flux) else {
            return;
        };
        let (second, last_but_one) = match *flux {
            [_, second, ..] => (second, flux[flux.len() - 2]),
            _ => (0.0, 0.0),
        };
        medians.push(median([0.0, first, second]));
        medians.extend(flux.windows(3).map(|three| median([three[0], three[1], three[2]])));
        if flux.len() > 1 {
            medians.push(median([last_but_one, last, 0.0]));
        }
        below.extend(medians.iter().zip(&*flux).map(|(median, flux)| median - flux));
        let (_, sigma) = lanes::mean_and_deviation(below);
        let (low, high) = (-self.upper * sigma, self.lower * sigma);
        for ((flux, &median), &below) in flux.iter_mut().zip(&*medians).zip(&*below) {
            let stays = below > low && below < high;
            *flux = if stays { *flux } else { median };
        }
    }
}

/// The middle one of three.
fn median([a, b, c]: [f64; 3]) -> f64 {
    // Plain comparisons: `f64::min` looks for NaN first, and is four times as slow.
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    let smaller = if large < c { large } else { c };
    if small > smaller { small } else { smaller }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PUBLISHED: Despike = Despike { lower: 3.0, upper: 4.0 };

    fn despiked(mut flux: Vec<f64>) -> Vec<f64> {
        PUBLISHED.apply(&mut flux, &mut Vec::new(), &mut Vec::new());
        flux
    }

    #[test]
    fn spikes_go_and_their_neighbours_stay() {
        let smooth: Vec<f64> = (0..200).map(|i| 100.0 + (f64::from(i) / 20.0).sin()).collect();
        let mut spiked = smooth.clone();
        spiked[50] = 500.0;
        spiked[120] = -300.0;
        let result = despiked(spiked);
        for (pixel, (found, expected)) in result.iter().zip(&smooth).enumerate() {
            let is_spike = pixel == 50 || pixel == 120;
            assert!((found - expected).abs() < if is_spike { 0.1 } else { 1e-12 }, "{pixel}");
        }
    }

    #[test]
    fn the_limits_are_not_the_same_on_both_sides() {
        // Two of three differences are 1 or -1, so sigma is 0.83; that of the pixel is 1 less than d.
        let check = |d: f64, stays: bool| {
            let mut flux: Vec<f64> = (0..297).map(|i| [9.0, 10.0, 11.0][i % 3]).collect();
            flux[148] += d;
            let found = despiked(flux.clone());
            assert_eq!((found[148] - flux[148]).abs() < 1e-12, stays, "{d}");
        };
        check(3.7, true);
        check(-3.7, false);
        check(30.0, false);
    }

    #[test]
    fn short_and_empty_windows_pass() {
        assert!(despiked(vec![]).is_empty());
        assert_eq!(despiked(vec![2.0]), [0.0]);
        assert_eq!(despiked(vec![2.0, 2.0]), [2.0, 2.0]);
    }

    proptest! {
        #[test]
        fn the_median_is_the_middle(mut three in prop::array::uniform3(-1e6..1e6)) {
            let found = median(three);
            three.sort_by(f64::total_cmp);
            prop_assert_eq!(found.to_bits(), three[1].to_bits());
        }

        #[test]
        fn what_rises_or_falls_changes_at_its_ends_alone_and_only_once(
            rate in -0.01..0.01f64, count in 10u32..300,
        ) {
            let flux: Vec<f64> = (0..count).map(|i| 2000.0 * (rate * f64::from(i)).exp()).collect();
            let once = despiked(flux.clone());
            let inner = 1..flux.len() - 1;
            prop_assert_eq!(&once[inner.clone()], &flux[inner]);
            prop_assert_eq!(&despiked(once.clone()), &once);
        }
    }
}
