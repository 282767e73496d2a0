//! Which native pixels are bad, and how many of them a spectrum may have.

use std::ops::Range;

use serde::Deserialize;

use super::mask::PixelMask;
use super::observer::Seen;
use crate::quality::Quality;
use crate::reject::{Code, Reject};
use crate::spectrum::Spectrum;

/// The rule on bad pixels. Xiong et al. 2022 (section 2.1) drop spectra with more than 100, or with
/// more than 30 in a row; neither the paper nor its code says what makes a pixel bad, so here it is
/// the survey's masks and a missing ivar, in the native pixels that serve the windows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadPixels {
    /// Which pixel mask makes a pixel bad, beside zero ivar.
    pub pixels: PixelMask,
    /// The most bad pixels, in all windows together.
    pub max_bad: usize,
    /// The most bad pixels in a row.
    pub max_run: usize,
    /// What stands for them.
    pub fill: Fill,
}

/// What stands for a bad pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// Its own flux, as in the published code. What is no number is bridged all the same.
    None,
    /// The line between its good neighbours.
    Linear,
}

impl BadPixels {
    /// Counts the bad pixels of the windows.
    ///
    /// # Errors
    /// [`Code::TOO_MANY_BAD_PIXELS`] when there are too many, in all or in a row.
    pub fn judge(
        &self,
        spectrum: &Spectrum,
        windows: &[Range<usize>],
    ) -> Result<(usize, Quality), Reject> {
        let is_bad = self.predicate(spectrum);
        let in_window = |window: &Range<usize>| window.clone().filter(|&p| is_bad(p)).count();
        let bad: usize = windows.iter().map(in_window).sum();
        if bad > self.max_bad {
            return Err(Code::TOO_MANY_BAD_PIXELS
                .because(format!("{bad} pixels are bad, the recipe allows {}", self.max_bad)));
        }
        let mut quality = Quality::NONE;
        quality.set_if(bad > 0, Quality::BAD_PIXELS);
        // Fewer than a run has cannot make one.
        if bad > self.max_run {
            let run = windows.iter().map(|window| longest_run(window.clone(), &is_bad));
            let run = run.max().unwrap_or(0);
            if run > self.max_run {
                return Err(Code::TOO_MANY_BAD_PIXELS.because(format!(
                    "{run} pixels in a row are bad, the recipe allows {}",
                    self.max_run
                )));
            }
        }
        Ok((bad, quality))
    }

    /// What there is to judge, the longest run included, which judging needs to know of few spectra.
    pub(super) fn seen(&self, spectrum: &Spectrum, windows: &[Range<usize>]) -> Seen<'static> {
        let is_bad = self.predicate(spectrum);
        let bad = |window: &Range<usize>| window.clone().filter(|&pixel| is_bad(pixel)).count();
        let run = windows.iter().map(|window| longest_run(window.clone(), &is_bad));
        Seen::BadPixels {
            pixels: windows.iter().map(Range::len).sum(),
            bad: windows.iter().map(bad).sum(),
            longest_run: run.max().unwrap_or(0),
        }
    }

    /// Says of a native pixel whether it is bad.
    pub(super) fn predicate<'a>(&self, spectrum: &'a Spectrum) -> impl Fn(usize) -> bool + use<'a> {
        let ivar = spectrum.ivar();
        let bits = match self.pixels {
            PixelMask::None => None,
            PixelMask::Andmask => Some(spectrum.andmask()),
            PixelMask::Ormask => Some(spectrum.ormask()),
        };
        // A flux that is no number has zero ivar, and no ivar is NaN: the constructor sees to it.
        move |pixel| ivar[pixel] <= 0.0 || bits.is_some_and(|bits| bits[pixel] != 0)
    }
}

fn longest_run(mut pixels: Range<usize>, is_bad: impl Fn(usize) -> bool) -> usize {
    let longest = |(run, longest): (usize, usize), pixel| {
        let run = if is_bad(pixel) { run + 1 } else { 0 };
        (run, run.max(longest))
    };
    pixels.by_ref().fold((0, 0), longest).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectrum::{Arrays, Meta};

    fn judge(bad: &[usize], max_bad: usize, max_run: usize) -> Result<(usize, Quality), String> {
        let pixels = 40;
        let mut arrays = Arrays {
            wave: (1..=pixels).map(f64::from).collect(),
            flux: vec![1.0; 40],
            ivar: vec![1.0; 40],
            andmask: vec![0; 40],
            ormask: vec![0; 40],
        };
        for &pixel in bad {
            // Each way to be bad in turn.
            match pixel % 3 {
                0 => arrays.ivar[pixel] = 0.0,
                1 => arrays.ormask[pixel] = 4,
                _ => arrays.flux[pixel] = f32::NAN,
            }
        }
        let spectrum = Spectrum::new("lamost-mrs", arrays, Meta::default()).unwrap();
        let rule = BadPixels { pixels: PixelMask::Ormask, max_bad, max_run, fill: Fill::None };
        let judged = rule.judge(&spectrum, &[0..20, 20..40]);
        judged.map_err(|reject| {
            assert_eq!(reject.code, Code::TOO_MANY_BAD_PIXELS);
            reject.detail
        })
    }

    #[test]
    fn too_many_and_too_many_in_a_row_are_rejects() {
        assert_eq!(judge(&[], 0, 0), Ok((0, Quality::NONE)));
        assert_eq!(judge(&[3, 4, 5, 9], 4, 3), Ok((4, Quality::BAD_PIXELS)));
        assert!(judge(&[3, 4, 5, 9], 3, 3).unwrap_err().starts_with("4 pixels are bad"));
        assert!(judge(&[3, 4, 5, 9], 4, 2).unwrap_err().starts_with("3 pixels in a row"));
        // The end of one window and the start of the next are far apart in wavelength.
        assert_eq!(judge(&[18, 19, 20, 21], 4, 2), Ok((4, Quality::BAD_PIXELS)));
    }
}
