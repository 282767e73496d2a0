//! The recipe for medium-resolution spectra of two arms (Xiong et al. 2022, RRNet): the flux in
//! windows of constant step, in the rest frame, divided by its pseudo-continuum.
//!
//! Where the paper is silent the published code decides, and where both are, this table does:
//!
//! | step | the paper | its code | here |
//! |---|---|---|---|
//! | S/N | at least 10 | | of the worse arm |
//! | rest frame | `lambda / (1 + RV / c)` | the same, single precision | double precision |
//! | bad pixels | at most 100, 30 in a row | not there | masks and zero ivar, native pixels that serve a window |
//! | their flux | | used as it is | as it is, or bridged: a setting; what is no number is bridged |
//! | windows | [4968, 5328], [6339, 6699], 0.1 A | half-open, 3600 + 3600 | the same; never across a gap of 10 steps |
//! | despike | | median of 3, zeros beyond the ends; 3 sigma below, 4 above | the same |
//! | continuum | order 5 | outliers become the fit until none is left | the same; at most so many fits; must be positive |
//! | numerator | the flux | the despiked flux | as the code |
//! | limits | | -0.5 to 2.5 | the same |
//! | scale | | mean and deviation of each pixel | the same, in the model's folder |

use std::ops::Range;

use super::bad_pixels::{BadPixels, Fill};
use super::continuum::{Basis, Continuum};
use super::despike::Despike;
use super::grid::Grid;
use super::observer::{Observer, Seen};
use super::resample::{Nodes, Window};
use super::rest_frame::{Doppler, RestFrame};
use super::scale::{Clip, Scale};
use super::snr::SnrRule;
use super::{Prepared, RecipeError, Step, single_precision};
use crate::quality::Quality;
use crate::reject::{Code, Reject};
use crate::spectrum::{MAX_PIXELS, Meta, Spectrum};

/// Steps of a two-armed recipe; those that are `None` are left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Windowed {
    snr: Option<SnrRule>,
    rest_frame: Option<RestFrame>,
    bad_pixels: Option<BadPixels>,
    windows: Vec<Window>,
    despike: Option<Despike>,
    continuum: Option<(Continuum, Vec<Basis>)>,
    clip: Option<Clip>,
    scale: Option<Scale>,
}

/// Room to work in, kept from spectrum to spectrum so that none of it is allocated anew.
#[derive(Debug, Default)]
pub struct Workspace {
    nodes: Nodes,
    values: Vec<f64>,
    medians: Vec<f64>,
    filled: Vec<f64>,
}

impl Workspace {
    /// The most that it grows to for a model that takes so many pixels, bytes.
    pub fn most_bytes(pixels: usize) -> usize {
        // A vector that grows may take twice what it holds.
        2 * (Nodes::PIXEL_BYTES * MAX_PIXELS + 3 * size_of::<f64>() * pixels)
    }
}

/// Takes the next step off `steps` if it is of this kind.
macro_rules! optional {
    ($steps:ident, $kind:path) => {
        match $steps {
            [$kind(step), rest @ ..] => {
                $steps = rest;
                Some(step.clone())
            }
            _ => None,
        }
    };
}

impl Windowed {
    /// The recipe of these steps and its grid; `None` if it is not of this kind. `scale` is the
    /// content of the model's file of means and deviations.
    pub(super) fn new(
        steps: &[Step],
        scale: Option<&[u8]>,
    ) -> Option<Result<(Self, Grid), RecipeError>> {
        let mut rest = steps;
        let snr = optional!(rest, Step::Snr);
        let rest_frame = optional!(rest, Step::RestFrame);
        let bad_pixels = optional!(rest, Step::BadPixels);
        let resample = optional!(rest, Step::Resample)?;
        let resample_number = steps.len() - rest.len();
        let despike = optional!(rest, Step::Despike);
        let continuum = optional!(rest, Step::Continuum);
        let continuum_number = steps.len() - rest.len();
        let clip = optional!(rest, Step::Clip);
        let has_scale = match rest {
            [] => false,
            [Step::Scale {}] => true,
            _ => return None,
        };
        let at = |number| move |problem| RecipeError::Step { number, problem };
        let build = || {
            let windows = resample.windows().map_err(at(resample_number))?;
            let mut grid = Grid::default();
            for window in &windows {
                grid.extend(&window.grid());
            }
            let continuum = match continuum {
                None => None,
                Some(step) => {
                    let bases = windows.iter().map(|window| step.basis(window));
                    let bases = bases.collect::<Result<_, _>>().map_err(at(continuum_number))?;
                    Some((step, bases))
                }
            };
            let scale = match (has_scale, scale) {
                (false, _) => None,
                (true, None) => {
                    let problem = "the manifest names no file for it; add files.scale".into();
                    return Err(at(steps.len())(problem));
                }
                (true, Some(content)) => {
                    Some(Scale::parse(content, grid.bins()).map_err(at(steps.len()))?)
                }
            };
            let recipe =
                Self { snr, rest_frame, bad_pixels, windows, despike, continuum, clip, scale };
            Ok((recipe, grid))
        };
        Some(build())
    }

    /// The shift between the wavelengths of a spectrum and those of the windows.
    pub(super) fn doppler(&self, meta: &Meta) -> Doppler {
        let found = self.rest_frame.as_ref().and_then(|step| step.doppler(meta).ok());
        found.map_or(Doppler::NONE, |(doppler, _)| doppler)
    }

    /// Whether pixels that stand out are replaced or left out of a fit.
    pub(super) fn has_outliers(&self) -> bool {
        self.despike.is_some() || self.continuum.is_some()
    }

    pub(super) fn prepare(
        &self,
        spectrum: &Spectrum,
        work: &mut Workspace,
        observer: &mut impl Observer,
    ) -> Result<Prepared, Reject> {
        let mut quality = Quality::NONE;
        quality.set_if(spectrum.repaired() > 0, Quality::REPAIRED_VALUES);
        if let Some(snr) = &self.snr {
            observer.begin("snr");
            observer.see(|| Seen::Snr { snr: spectrum.meta.limiting_snr(), min: snr.min });
            quality = quality | snr.judge(&spectrum.meta)?;
        }
        let mut doppler = Doppler::NONE;
        if let Some(rest_frame) = &self.rest_frame {
            observer.begin("rest_frame");
            let (found, bits) = rest_frame.doppler(&spectrum.meta)?;
            let is_known = bits == Quality::NONE;
            observer.see(|| Seen::RestFrame { rv_kms: spectrum.meta.rv_kms.filter(|_| is_known) });
            (doppler, quality) = (found, quality | bits);
        }
        // Which native pixels there must be is up to the windows of this step.
        observer.begin("resample");
        let served = self.served(spectrum, doppler)?;
        let mut bad_pixels = 0;
        if let Some(rule) = &self.bad_pixels {
            observer.begin("bad_pixels");
            observer.see(|| rule.seen(spectrum, &served));
            let (bad, bits) = rule.judge(spectrum, &served)?;
            (bad_pixels, quality) = (bad, quality | bits);
        }
        let pixels = served.iter().map(Range::len).sum();
        observer.begin("resample");
        self.interpolate(spectrum, doppler, &served, work)?;
        observer.see(|| Seen::Resample { native: &served, values: &work.values });
        self.normalise(work, observer)?;
        let input = single_precision(&work.values);
        if input.iter().any(|value| !value.is_finite()) {
            return Err(Code::FLAT_SPECTRUM.because("a prepared value is not finite"));
        }
        Ok(Prepared { input, quality, pixels, bad_pixels, empty_bins: 0, native: Vec::new() })
    }

    /// The native pixels that serve each window.
    fn served(&self, spectrum: &Spectrum, doppler: Doppler) -> Result<Vec<Range<usize>>, Reject> {
        let windows = self.windows.iter().enumerate();
        let served = windows.map(|(number, window)| {
            let arm = match (number, self.windows.len()) {
                (0, 2) => "the blue arm",
                (1, 2) => "the red arm",
                _ => "this window",
            };
            window.native(spectrum.wave(), doppler, arm)
        });
        served.collect()
    }

    /// Fills `work.values` with the flux in the windows, one behind the other.
    fn interpolate(
        &self,
        spectrum: &Spectrum,
        doppler: Doppler,
        served: &[Range<usize>],
        work: &mut Workspace,
    ) -> Result<(), Reject> {
        work.values.resize(self.windows.iter().map(Window::pixels).sum(), 0.0);
        let mut values = work.values.as_mut_slice();
        let flux = spectrum.flux();
        let is_bad = match &self.bad_pixels {
            Some(rule) if rule.fill == Fill::Linear => Some(rule.predicate(spectrum)),
            _ => None,
        };
        for (window, served) in self.windows.iter().zip(served) {
            let (out, rest) = values.split_at_mut(window.pixels());
            let served = served.clone();
            values = rest;
            let nodes = &mut work.nodes;
            if let Some(is_bad) = &is_bad {
                window.interpolate(spectrum, doppler, served, is_bad, nodes, out)?;
            } else {
                let is_nothing = |pixel: usize| !flux[pixel].is_finite();
                window.interpolate(spectrum, doppler, served, is_nothing, nodes, out)?;
            }
        }
        Ok(())
    }

    /// Does to `work.values` what the recipe does after the interpolation.
    fn normalise(&self, work: &mut Workspace, observer: &mut impl Observer) -> Result<(), Reject> {
        let Workspace { values, medians, filled, .. } = work;
        let mut first = 0;
        for (number, window) in self.windows.iter().enumerate() {
            let flux = &mut values[first..first + window.pixels()];
            first += window.pixels();
            if let Some(despike) = &self.despike {
                observer.begin("despike");
                despike.apply(flux, medians, filled);
                observer.see(|| Seen::Despike { window: number, flux });
            }
            if let Some((continuum, bases)) = &self.continuum {
                observer.begin("continuum");
                let fits = continuum.divide(&bases[number], flux, filled)?;
                observer.see(|| Seen::Continuum { window: number, fits, filled, flux });
            }
        }
        if let Some(clip) = &self.clip {
            observer.begin("clip");
            clip.apply(values);
            observer.see(|| Seen::Clip { values });
        }
        if let Some(scale) = &self.scale {
            observer.begin("scale");
            scale.apply(values);
            observer.see(|| Seen::Scale { values });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Recipe, RecipeError};
    use super::*;
    use crate::spectrum::Arrays;

    const TWO_ARMS: &str = include_str!("../../tests/mrs_recipe/recipe.toml");

    fn parse(text: &str, scale: Option<&[u8]>) -> Result<Recipe, RecipeError> {
        let table: toml::Table = text.parse().unwrap();
        let steps = table["recipe"].as_array().unwrap();
        let steps: Vec<_> = steps.iter().map(|step| step.as_table().unwrap().clone()).collect();
        Recipe::parse(&steps, 600, scale)
    }

    /// Means of zero and deviations of one.
    fn no_scale() -> Vec<u8> {
        [0f32; 600].iter().chain(&[1f32; 600]).flat_map(|number| number.to_le_bytes()).collect()
    }

    fn star() -> (Arrays, Meta) {
        let arm = |first: f64| (0..400).map(move |pixel| first + 0.12 * f64::from(pixel));
        let wave: Vec<f64> = arm(5150.0).chain(arm(6540.0)).collect();
        #[expect(clippy::cast_possible_truncation, reason = "as files hold it")]
        let flux = wave.iter().map(|w| (300.0 + 20.0 * (3.0 * w).sin()) as f32).collect();
        let zeros = vec![0; wave.len()];
        let ivar = vec![1.0; wave.len()];
        let arrays = Arrays { flux, ivar, andmask: zeros.clone(), ormask: zeros, wave };
        let meta =
            Meta { snr_b: Some(50.0), snr_r: Some(60.0), rv_kms: Some(21.0), ..Meta::default() };
        (arrays, meta)
    }

    #[test]
    fn the_steps_come_in_one_order_and_most_may_be_left_out() {
        let scale = no_scale();
        let recipe = parse(TWO_ARMS, Some(&scale)).unwrap();
        let windows: Vec<_> =
            recipe.grid().windows().map(|(bins, edges)| (bins, edges.len())).collect();
        assert_eq!(windows, [(0..300, 301), (300..600, 301)]);
        assert!(recipe.grid().edges().is_sorted() && recipe.grid().centres().is_sorted());
        let alone = "[[recipe]]\nstep = \"resample\"\nwindows = [[5160.0, 5220.0, 0.1]]";
        assert!(parse(alone, None).is_ok());
        let narrow = parse(&alone.replace("5220", "5210"), None);
        assert_eq!(narrow, Err(RecipeError::Width { gives: 500, takes: 600 }));

        let check = |from: &str, to: &str, says: &str| {
            let error = parse(&TWO_ARMS.replace(from, to), Some(&scale)).unwrap_err().to_string();
            assert!(error.contains(says), "{error:?} should say {says:?}");
        };
        check("\"clip\"", "\"clamp\"", "recipe step 7");
        check("5190.0, 0.1", "5190.0, 0.7", "recipe step 4: [5160");
        check("order = 5", "order = 9", "recipe step 6: order is 9");
        check("5190.0, 0.1", "5180.0, 0.1", "500 means");
        let step = "[[recipe]]\nstep = \"despike\"\nlower = 3.0\nupper = 4.0";
        check(step, "[[recipe]]\nstep = \"zscore\"", "resample, zscore, continuum");
        check(
            "[[recipe]]\nstep = \"resample\"",
            &format!("{step}\n[[recipe]]\nstep = \"resample\""),
            "bad_pixels, despike, resample",
        );
        let error = parse(TWO_ARMS, None).unwrap_err().to_string();
        assert!(error.contains("recipe step 8") && error.contains("files.scale"), "{error}");
        let error = parse(TWO_ARMS, Some(&scale[4..])).unwrap_err().to_string();
        assert!(error.contains("4796 bytes"), "{error}");
    }

    #[test]
    fn a_spectrum_that_a_rule_excludes_is_a_reject_that_says_what_is_wrong() {
        let recipe = parse(TWO_ARMS, Some(&no_scale())).unwrap();
        let prepare = |change: fn(&mut Arrays, &mut Meta)| {
            let (mut arrays, mut meta) = star();
            change(&mut arrays, &mut meta);
            recipe.prepare(&Spectrum::new("lamost-mrs", arrays, meta).unwrap())
        };
        let good = prepare(|_, _| ()).unwrap();
        assert_eq!((good.quality, good.bad_pixels, good.input.len()), (Quality::NONE, 0, 600));
        let mean = good.input.iter().sum::<f32>() / 600.0;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");

        let check = |change: fn(&mut Arrays, &mut Meta), code, says: &str| {
            let reject = prepare(change).unwrap_err();
            assert_eq!(reject.code, code);
            assert!(reject.detail.contains(says), "{reject}");
        };
        check(|_, meta| meta.snr_r = Some(9.0), Code::LOW_SNR, "9.0");
        check(|_, meta| meta.rv_kms = None, Code::NO_RADIAL_VELOCITY, "unknown");
        check(|_, meta| meta.rv_kms = Some(-9999.0), Code::NO_RADIAL_VELOCITY, "-9999");
        check(
            |arrays, _| arrays.ivar[100..106].fill(0.0),
            Code::TOO_MANY_BAD_PIXELS,
            "6 pixels in",
        );
        check(|arrays, _| arrays.ormask[100..142].fill(4), Code::TOO_MANY_BAD_PIXELS, "42 pixels");
        check(|arrays, _| keep(arrays, 400..800), Code::MISSING_ARM, "the blue arm, 5160.0");
        check(|arrays, _| keep(arrays, 0..400), Code::MISSING_ARM, "the red arm, 6550.0");
        check(|arrays, _| keep(arrays, 0..600), Code::WAVELENGTH_COVERAGE, "6550.0");
        check(|arrays, _| arrays.flux.fill(1.0), Code::FLAT_SPECTRUM, "deviation");
        let negative = |arrays: &mut Arrays, _: &mut Meta| {
            arrays.flux.iter_mut().for_each(|flux| *flux -= 300.0);
        };
        check(negative, Code::BAD_CONTINUUM, "goes down to");
    }

    #[test]
    fn nothing_that_is_no_number_reaches_the_model() {
        let recipe = "[[recipe]]\nstep = \"resample\"\nwindows = [[5160.0, 5220.0, 0.1]]";
        let recipe = parse(recipe, None).unwrap();
        let (mut arrays, meta) = star();
        keep(&mut arrays, 0..400);
        arrays.wave.iter_mut().for_each(|wave| *wave = 5150.0 + 2.0 * (*wave - 5150.0));
        arrays.flux[100..103].fill(f32::NAN);
        let whole = Spectrum::new("lamost-mrs", arrays.clone(), meta.clone()).unwrap();
        let prepared = recipe.prepare(&whole).unwrap();
        assert_eq!(prepared.quality, Quality::REPAIRED_VALUES);
        assert!(prepared.input.iter().all(|value| (200.0..400.0).contains(value)));
        arrays.flux.fill(f32::NAN);
        let nothing = Spectrum::new("lamost-mrs", arrays, meta).unwrap();
        assert_eq!(recipe.prepare(&nothing).unwrap_err().code, Code::WAVELENGTH_COVERAGE);
    }

    fn keep(arrays: &mut Arrays, pixels: Range<usize>) {
        let Arrays { wave, flux, ivar, andmask, ormask } = arrays;
        *wave = wave[pixels.clone()].to_vec();
        for values in [flux, ivar] {
            *values = values[pixels.clone()].to_vec();
        }
        for bits in [andmask, ormask] {
            *bits = bits[pixels.clone()].to_vec();
        }
    }
}
