//! Which pixels count, and which spectra do.

use std::ops::Range;

use serde::Deserialize;

use crate::quality::Quality;
use crate::reject::{Code, Reject};
use crate::spectrum::Spectrum;

/// The mask rule of a recipe. The paper drops every spectrum with a nonzero fibre mask or ormask
/// (Li et al. 2025, section 2); on real files both occur on spectra of S/N above 100, so each is a
/// setting.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskRule {
    /// Which pixel mask makes a pixel unusable, beside zero ivar.
    pub pixels: PixelMask,
    /// What a nonzero fibre mask does to the spectrum.
    pub fibermask: Rule,
    /// What a nonzero ormask in the window does to the spectrum.
    pub ormask: Rule,
    /// The largest part of the window's pixels that may be unusable, 0 to 1.
    pub max_bad_fraction: f64,
}

/// A choice of pixel mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelMask {
    /// Neither mask.
    None,
    /// Bad in every exposure.
    Andmask,
    /// Bad in at least one exposure.
    Ormask,
}

/// What a finding does to a spectrum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Nothing.
    Ignore,
    /// Its row gets a quality bit.
    Flag,
    /// It becomes a reject.
    Reject,
}

/// The verdict on a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Masked {
    /// One entry for each pixel of the window.
    pub good: Vec<bool>,
    /// How many are false.
    pub bad: usize,
    /// Bits that the rule sets.
    pub quality: Quality,
}

impl MaskRule {
    /// Judges the pixels of `window`.
    ///
    /// # Errors
    /// [`Code::FIBER_MASK`], [`Code::OR_MASK`] or [`Code::TOO_MANY_BAD_PIXELS`].
    pub fn apply(&self, spectrum: &Spectrum, window: Range<usize>) -> Result<Masked, Reject> {
        let mut quality = self.judge(spectrum, window.clone())?;
        let pixels = window.len();
        let bits = self.bits(spectrum, window.clone());
        let ivar = &spectrum.ivar()[window];
        let good: Vec<bool> = match bits {
            None => ivar.iter().map(|&ivar| ivar > 0.0).collect(),
            Some(bits) => ivar.iter().zip(bits).map(|(&ivar, &bit)| is_good(ivar, bit)).collect(),
        };
        let bad = good.iter().filter(|&&good| !good).count();
        self.allow(bad, pixels)?;
        quality.set_if(bad > 0, Quality::BAD_PIXELS);
        Ok(Masked { good, bad, quality })
    }

    /// What the masks say of the spectrum as a whole.
    pub(super) fn judge(
        &self,
        spectrum: &Spectrum,
        window: Range<usize>,
    ) -> Result<Quality, Reject> {
        let mut quality = Quality::NONE;
        let fibermask = spectrum.meta.fibermask.unwrap_or(0);
        if self.fibermask != Rule::Ignore && fibermask != 0 {
            quality = quality | Quality::FIBER_MASK;
            if self.fibermask == Rule::Reject {
                return Err(Code::FIBER_MASK.because(format!("the fibre mask is {fibermask}")));
            }
        }
        let ormask = &spectrum.ormask()[window];
        if self.ormask != Rule::Ignore && ormask.iter().any(|&bits| bits != 0) {
            quality = quality | Quality::OR_MASK;
            if self.ormask == Rule::Reject {
                let pixels = ormask.iter().filter(|&&bits| bits != 0).count();
                return Err(Code::OR_MASK.because(format!("{pixels} pixels carry an ormask bit")));
            }
        }
        Ok(quality)
    }

    /// The bits of each pixel of which none may be set.
    pub(super) fn bits<'a>(
        &self,
        spectrum: &'a Spectrum,
        window: Range<usize>,
    ) -> Option<&'a [u16]> {
        match self.pixels {
            PixelMask::None => None,
            PixelMask::Andmask => Some(&spectrum.andmask()[window]),
            PixelMask::Ormask => Some(&spectrum.ormask()[window]),
        }
    }

    /// Whether so many unusable pixels of all are few enough.
    pub(super) fn allow(&self, bad: usize, pixels: usize) -> Result<(), Reject> {
        if bad as f64 <= self.max_bad_fraction * pixels as f64 {
            return Ok(());
        }
        Err(Code::TOO_MANY_BAD_PIXELS.because(format!(
            "{bad} of {pixels} pixels are unusable, the recipe allows {:.0} %",
            100.0 * self.max_bad_fraction
        )))
    }
}

/// Whether a pixel counts.
#[expect(clippy::needless_bitwise_bool, reason = "both are looked at, so that it runs in vectors")]
pub(super) fn is_good(ivar: f32, bits: u16) -> bool {
    (ivar > 0.0) & (bits == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectrum::{Arrays, Meta};

    fn masked(rule: &MaskRule, fibermask: i32) -> Result<Masked, Code> {
        let arrays = Arrays {
            wave: vec![1.0, 2.0, 3.0, 4.0],
            flux: vec![1.0; 4],
            ivar: vec![0.0, 1.0, 1.0, 1.0],
            andmask: vec![0, 4, 0, 0],
            ormask: vec![0, 4, 1, 0],
        };
        let meta = Meta { fibermask: Some(fibermask), ..Meta::default() };
        let spectrum = Spectrum::new("s", arrays, meta).unwrap();
        rule.apply(&spectrum, 0..4).map_err(|reject| reject.code)
    }

    #[test]
    fn each_rule_does_what_it_says() {
        let lenient = MaskRule {
            pixels: PixelMask::None,
            fibermask: Rule::Ignore,
            ormask: Rule::Ignore,
            max_bad_fraction: 1.0,
        };
        let check = |rule: MaskRule, bad, quality| {
            let masked = masked(&rule, 64).unwrap();
            assert_eq!((masked.bad, masked.quality), (bad, quality), "{rule:?}");
        };
        check(lenient.clone(), 1, Quality::BAD_PIXELS);
        check(MaskRule { pixels: PixelMask::Andmask, ..lenient.clone() }, 2, Quality::BAD_PIXELS);
        check(MaskRule { pixels: PixelMask::Ormask, ..lenient.clone() }, 3, Quality::BAD_PIXELS);
        let flags = MaskRule { fibermask: Rule::Flag, ormask: Rule::Flag, ..lenient.clone() };
        check(flags, 1, Quality::BAD_PIXELS | Quality::FIBER_MASK | Quality::OR_MASK);

        let reject = |rule: MaskRule| masked(&rule, 64).unwrap_err();
        assert_eq!(
            reject(MaskRule { fibermask: Rule::Reject, ..lenient.clone() }),
            Code::FIBER_MASK
        );
        assert_eq!(reject(MaskRule { ormask: Rule::Reject, ..lenient.clone() }), Code::OR_MASK);
        let strict = MaskRule { max_bad_fraction: 0.24, ..lenient };
        assert_eq!(reject(strict), Code::TOO_MANY_BAD_PIXELS);
    }
}
