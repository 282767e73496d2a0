//! The recipe for models that are fitted: the pixels of a window as they were observed.

use std::ops::Range;

use serde::Deserialize;

use super::mask::{MaskRule, is_good};
use super::snr::SnrRule;
use super::{Prepared, Step};
use crate::quality::Quality;
use crate::reject::{Code, Reject};
use crate::spectrum::Spectrum;

/// The step: the window, as observed, vacuum Angstrom.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// First wavelength.
    pub first: f64,
    /// Last wavelength.
    pub last: f64,
    /// The part of the window, 0 to 1, that a spectrum must reach over.
    pub min_coverage: f64,
    /// The most pixels in the window.
    pub max_pixels: usize,
    /// Ranges that lose their weight, first and last wavelength: what the air or the sky did there is
    /// in no model.
    #[serde(default)]
    pub skip: Vec<[f64; 2]>,
}

/// Wavelength, flux and ivar of the pixels in a window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Native {
    snr: Option<SnrRule>,
    mask: MaskRule,
    window: Window,
}

/// The input of a fit: what [`Prepared::input`] holds behind each other. Single precision moves a
/// pixel by less than 0.02 km/s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pixels<'a> {
    /// Vacuum wavelength as observed, Angstrom.
    pub wave: &'a [f32],
    /// Flux in the survey's unit; zero where it is masked.
    pub flux: &'a [f32],
    /// Inverse variance; zero where it is masked.
    pub ivar: &'a [f32],
}

impl<'a> Pixels<'a> {
    /// The pixels in the input of a recipe of this kind.
    pub fn of(input: &'a [f32]) -> Self {
        let pixels = input.len() / 3;
        let (wave, values) = input.split_at(pixels);
        let (flux, ivar) = values.split_at(pixels);
        Self { wave, flux, ivar: &ivar[..pixels] }
    }
}

impl Native {
    /// The recipe of these steps; `None` if it is not of this kind.
    pub(super) fn new(steps: &[Step]) -> Option<Self> {
        let (snr, mask, window) = match steps {
            [Step::Mask(mask), Step::Native(window)] => (None, mask, window),
            [Step::Snr(snr), Step::Mask(mask), Step::Native(window)] => (Some(snr), mask, window),
            _ => return None,
        };
        Some(Self { snr: snr.cloned(), mask: mask.clone(), window: window.clone() })
    }

    /// The most values that it gives.
    pub(super) fn width(&self) -> usize {
        3 * self.window.max_pixels
    }

    pub(super) fn prepare(&self, spectrum: &Spectrum) -> Result<Prepared, Reject> {
        let snr = match &self.snr {
            Some(snr) => snr.judge(&spectrum.meta)?,
            None => Quality::NONE,
        };
        let window = self.range(spectrum)?;
        let mut quality = snr | self.mask.judge(spectrum, window.clone())?;
        let (input, bad_pixels) = self.values(spectrum, window.clone())?;
        quality.set_if(bad_pixels > 0, Quality::BAD_PIXELS);
        quality.set_if(spectrum.repaired() > 0, Quality::REPAIRED_VALUES);
        let pixels = window.len();
        Ok(Prepared { input, quality, pixels, bad_pixels, empty_bins: 0, native: Vec::new() })
    }

    /// The [`Pixels`] alone, for a spectrum that another recipe judges as a whole.
    pub(super) fn pixels(&self, spectrum: &Spectrum) -> Result<Vec<f32>, Reject> {
        let window = self.range(spectrum)?;
        self.values(spectrum, window).map(|(values, _)| values)
    }

    /// The pixels in the window.
    fn range(&self, spectrum: &Spectrum) -> Result<Range<usize>, Reject> {
        let Window { first, last, min_coverage, max_pixels, .. } = self.window;
        let wave = spectrum.wave();
        let (begins, ends) = (wave[0].max(first), wave[wave.len() - 1].min(last));
        if ends - begins < min_coverage * (last - first) {
            return Err(Code::WAVELENGTH_COVERAGE.because(format!(
                "it covers {:.1} to {:.1} A, the model needs {:.0} % of {first:.1} to {last:.1} A",
                wave[0],
                wave[wave.len() - 1],
                100.0 * min_coverage
            )));
        }
        let window = wave.partition_point(|&w| w < first)..wave.partition_point(|&w| w <= last);
        let pixels = window.len();
        if pixels > max_pixels {
            return Err(Code::TOO_LARGE
                .because(format!("{pixels} pixels in the window, the most is {max_pixels}")));
        }
        Ok(window)
    }

    /// Wavelength, flux and ivar, and how many pixels are unusable.
    #[expect(clippy::cast_possible_truncation, reason = "the model takes single precision")]
    fn values(
        &self,
        spectrum: &Spectrum,
        window: Range<usize>,
    ) -> Result<(Vec<f32>, usize), Reject> {
        let pixels = window.len();
        let wave = &spectrum.wave()[window.clone()];
        let flux = &spectrum.flux()[window.clone()];
        let ivar = &spectrum.ivar()[window.clone()];
        let mut values = Vec::with_capacity(3 * pixels);
        values.extend(wave.iter().map(|&wave| wave as f32));
        if let Some(bits) = self.mask.bits(spectrum, window) {
            let kept = |(value, good): (f32, bool)| if good { value } else { 0.0 };
            let good = || ivar.iter().zip(bits).map(|(&ivar, &bit)| is_good(ivar, bit));
            values.extend(flux.iter().copied().zip(good()).map(kept));
            values.extend(ivar.iter().copied().zip(good()).map(kept));
        } else {
            let kept = |(&value, &ivar): (&f32, &f32)| if ivar > 0.0 { value } else { 0.0 };
            values.extend(flux.iter().zip(ivar).map(kept));
            values.extend(ivar.iter().zip(ivar).map(kept));
        }
        let bad = values[2 * pixels..].iter().map(|&ivar| usize::from(ivar == 0.0)).sum();
        self.mask.allow(bad, pixels)?;
        for &[from, to] in &self.window.skip {
            let from = wave.partition_point(|&wave| wave < from);
            let to = wave.partition_point(|&wave| wave <= to);
            values[pixels + from..pixels + to].fill(0.0);
            values[2 * pixels + from..2 * pixels + to].fill(0.0);
        }
        Ok((values, bad))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::spectrum;
    use super::*;
    use crate::prep::{PixelMask, Recipe, Rule};

    fn recipe(max_pixels: usize) -> Result<Recipe, crate::prep::RecipeError> {
        let text = format!(
            r#"
            [[recipe]]
            step = "mask"
            pixels = "andmask"
            fibermask = "flag"
            ormask = "flag"
            max_bad_fraction = 0.2
            [[recipe]]
            step = "native"
            first = 4000.0
            last = 8000.0
            min_coverage = 0.9
            max_pixels = {max_pixels}
            "#
        );
        let table: toml::Table = text.parse().unwrap();
        let steps = table["recipe"].as_array().unwrap();
        let steps: Vec<_> = steps.iter().map(|step| step.as_table().unwrap().clone()).collect();
        Recipe::parse(&steps, 3 * max_pixels, None)
    }

    #[test]
    fn pixels_go_on_as_they_were_observed() {
        let spectrum = spectrum(|w| (w / 1000.0) as f32);
        let prepared = recipe(5000).unwrap().prepare(&spectrum).unwrap();
        let Pixels { wave, flux, ivar } = Pixels::of(&prepared.input);
        assert_eq!((wave.len(), flux.len(), ivar.len()), (3010, 3010, 3010));
        assert_eq!(prepared.pixels, 3010);
        assert!(wave[0] >= 4000.0 && wave[3009] <= 8000.0);
        assert!(wave.iter().zip(flux).all(|(wave, flux)| (wave / 1000.0 - flux).abs() < 1e-5));
        assert!(ivar.iter().all(|&ivar| ivar == 1.0));
    }

    #[test]
    fn what_is_masked_is_zero_and_what_does_not_reach_is_a_reject() {
        let mask = MaskRule {
            pixels: PixelMask::None,
            fibermask: Rule::Flag,
            ormask: Rule::Flag,
            max_bad_fraction: 0.2,
        };
        let window = |first, last| Window {
            first,
            last,
            min_coverage: 0.9,
            max_pixels: 5000,
            skip: vec![[5000.0, 5010.0]],
        };
        let native = |window| Native { snr: None, mask: mask.clone(), window };
        let spectrum = spectrum(|w| if w < 4001.0 { f32::NAN } else { 1.0 });
        let prepared = native(window(4000.0, 8000.0)).prepare(&spectrum).unwrap();
        let pixels = Pixels::of(&prepared.input);
        assert_eq!((pixels.flux[0], pixels.ivar[0]), (0.0, 0.0));
        for (&wave, &ivar) in pixels.wave.iter().zip(pixels.ivar).skip(10) {
            assert_eq!(ivar == 0.0, (5000.0..=5010.0).contains(&wave), "{wave}");
        }
        assert!(prepared.bad_pixels >= 1 && prepared.quality.contains(Quality::BAD_PIXELS));
        let far = native(window(4000.0, 20_000.0)).prepare(&spectrum).unwrap_err();
        assert_eq!(far.code, Code::WAVELENGTH_COVERAGE);
        assert_eq!(recipe(100).unwrap().prepare(&spectrum).unwrap_err().code, Code::TOO_LARGE);
    }
}
