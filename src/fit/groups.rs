//! The pixels of one grid of wavelengths in groups, and the Gaussian normalisation between groups.
//!
//! What `smoother` does for fits, for one comparison and at a small part of the cost: sums under the
//! kernel are taken from sums of groups, a quarter of the kernel's FWHM wide, and the ratio of data
//! to model that comes of them is a straight line within each group.

use std::ops::Range;

/// Groups in the full width at half maximum of the kernel.
pub(super) const IN_FWHM: usize = 4;
/// Groups on each side that the kernel reaches: 3.5 standard deviations.
const REACH: usize = 6;

/// The groups of one grid.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    /// The pixels of each group: those between two multiples of its width. Some may have none.
    pub(super) list: Vec<Range<usize>>,
    /// Where each pixel lies in its group, from -0.5 to 0.5.
    pub(super) offset: Vec<f32>,
    /// Which multiple the first group begins at.
    first: f64,
    width: f64,
    /// The kernel's weights of a group itself, its neighbours, theirs, ...
    kernel: [f64; REACH + 1],
}

impl Groups {
    /// Groups of increasing wavelengths, at least one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a wavelength is at or behind the first"
    )]
    pub(super) fn new(wave: &[f32], fwhm: f64) -> Self {
        let width = fwhm / IN_FWHM as f64;
        let place = |wave: f32| f64::from(wave) / width;
        let first = place(wave[0]).floor();
        let mut list: Vec<Range<usize>> = Vec::new();
        for (pixel, &wave) in wave.iter().enumerate() {
            let group = (place(wave).floor() - first) as usize;
            if list.len() <= group {
                list.resize(group + 1, pixel..pixel);
            }
            list[group].end = pixel + 1;
        }
        let offset = wave.iter().map(|&wave| (place(wave).fract() - 0.5) as f32).collect();
        // In units of its FWHM, a Gaussian is 2^(-4 x^2).
        let kernel =
            std::array::from_fn(|group| (-4.0 * (group as f64 / IN_FWHM as f64).powi(2)).exp2());
        Self { list, offset, first, width, kernel }
    }

    /// The wavelength at which a group begins, Angstrom.
    pub(super) fn begin(&self, group: usize) -> f64 {
        (self.first + group as f64) * self.width
    }

    /// The group of a wavelength, and where it lies in it.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is checked to be one of the groups"
    )]
    pub(super) fn find(&self, wave: f64) -> Option<(usize, f64)> {
        let place = wave / self.width;
        let group = place.floor() - self.first;
        let is_one = (0.0..self.list.len() as f64).contains(&group);
        is_one.then(|| (group as usize, place.fract() - 0.5))
    }

    /// The sum of each group, of a value of each pixel. Four sums run side by side.
    pub(super) fn totals(&self, values: &[f32], out: &mut Vec<f64>) {
        out.clear();
        out.extend(self.list.iter().map(|within| {
            let (fours, rest) = values[within.clone()].as_chunks::<4>();
            let mut sums = [0.0f32; 4];
            for four in fours {
                sums.iter_mut().zip(four).for_each(|(sum, value)| *sum += value);
            }
            sums.iter_mut().zip(rest).for_each(|(sum, value)| *sum += value);
            f64::from((sums[0] + sums[1]) + (sums[2] + sums[3]))
        }));
    }

    /// Sums under the kernel at each group, of a value of each group.
    pub(super) fn sum(&self, values: &[f64], out: &mut Vec<f64>) {
        sum(&self.kernel, values, out);
    }

    /// The same with the square of the kernel.
    pub(super) fn sum_squared(&self, values: &[f64], out: &mut Vec<f64>) {
        sum(&self.kernel.map(|weight| weight * weight), values, out);
    }

    /// The weight of a group in its own sum.
    pub(super) fn own_weight(&self) -> f64 {
        self.kernel[0]
    }
}

/// How much a curve on groups rises from one end of each group to the other. Where it is not positive
/// it is not known.
pub(super) fn rises(curve: &[f64], out: &mut Vec<f64>) {
    out.clear();
    out.extend(curve.iter().enumerate().map(|(at, &here)| {
        let known = |other: Option<usize>| curve.get(other?).copied().filter(|&value| value > 0.0);
        match (known(at.checked_sub(1)), known(at.checked_add(1))) {
            (Some(before), Some(after)) => 0.5 * (after - before),
            (Some(before), None) => here - before,
            (None, Some(after)) => after - here,
            (None, None) => 0.0,
        }
    }));
}

/// Both sides of the kernel at once; the few at the ends, where it is cut off, one by one.
fn sum(kernel: &[f64; REACH + 1], values: &[f64], out: &mut Vec<f64>) {
    out.clear();
    let within = |at: usize| {
        let sides = kernel.iter().enumerate().skip(1).map(|(apart, weight)| {
            let left = at.checked_sub(apart).map_or(0.0, |at| values[at]);
            weight * (left + values.get(at + apart).copied().unwrap_or(0.0))
        });
        kernel[0] * values[at] + sides.sum::<f64>()
    };
    let ends = REACH.min(values.len());
    out.extend((0..ends).map(within));
    out.extend(values.windows(2 * REACH + 1).map(|near| {
        (1..=REACH).fold(kernel[0] * near[REACH], |sum, apart| {
            sum + kernel[apart] * (near[REACH - apart] + near[REACH + apart])
        })
    }));
    out.extend((values.len().saturating_sub(REACH).max(ends)..values.len()).map(within));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_reach_as_far_as_the_kernel() {
        let wave: Vec<f32> =
            (0..400).map(|i| if i < 200 { 5000.0 } else { 6000.0 } + i as f32).collect();
        let groups = Groups::new(&wave, 50.0);
        assert_eq!(groups.list.iter().map(ExactSizeIterator::len).sum::<usize>(), 400);
        let has_pixels = |group: &Range<usize>| if group.is_empty() { 0.0 } else { 1.0 };
        let ones: Vec<f64> = groups.list.iter().map(has_pixels).collect();
        let mut sums = Vec::new();
        groups.sum(&ones, &mut sums);
        // The integral of 2^(-4 x^2) in steps of a quarter: 4 sqrt(pi / (4 ln 2)) = 4.258.
        let (middle, place) = groups.find(5101.0).unwrap();
        assert!((sums[middle] - 4.258).abs() < 0.01, "{}", sums[middle]);
        assert!((place - (5101.0 / 12.5 - 408.5)).abs() < 1e-9);
        assert!(groups.begin(middle) <= 5101.0 && groups.begin(middle + 1) > 5101.0);
        let (last, _) = groups.find(5199.0).unwrap();
        assert!((sums[last] - 0.5 * (4.258 + 1.0)).abs() < 0.01, "{}", sums[last]);
        let (empty, _) = groups.find(5700.0).unwrap();
        assert!(sums[empty] == 0.0 && groups.find(7000.0).is_none());
    }

    #[test]
    fn rises_are_those_between_neighbours_that_are_known() {
        let mut out = Vec::new();
        rises(&[1.0, 2.0, 4.0, 0.0, 5.0], &mut out);
        assert_eq!(out[..3], [1.0, 1.5, 2.0]);
        assert_eq!(out[4], 0.0);
    }
}
