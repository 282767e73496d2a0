//! Preprocessing as a recipe of named steps, run by pure functions.
//!
//! A model's manifest lists the steps with their parameters, so that a spectrum is prepared for a
//! model exactly as its training spectra were. Nothing here reads a file, a clock or a random
//! number, or writes a log.

mod bad_pixels;
mod binned;
mod continuum;
mod degrade;
mod despike;
mod grid;
mod lanes;
mod mask;
mod native;
mod native_grid;
mod observer;
mod resample;
mod rest_frame;
mod scale;
mod snr;
mod windowed;
mod zscore;

pub use bad_pixels::{BadPixels, Fill};
pub use continuum::{Basis, Continuum, outliers};
pub use degrade::{Degrade, Weighting};
pub use despike::Despike;
pub use grid::Grid;
pub use mask::{MaskRule, PixelMask, Rule};
pub use native::{Pixels, Window as NativeWindow};
pub use native_grid::NativeGrid;
pub use observer::{Observer, Seen};
pub use resample::{Resample, Window};
pub(crate) use rest_frame::SPEED_OF_LIGHT;
pub use rest_frame::{Doppler, Frame, Missing, RestFrame};
pub use scale::{Clip, Scale};
pub use snr::SnrRule;
pub use windowed::Workspace;
pub use zscore::zscore;

use serde::Deserialize;
use thiserror::Error;

use crate::quality::Quality;
use crate::reject::Reject;
use crate::spectrum::{Meta, Spectrum};
use binned::Binned;
use native::Native;
use native_grid::OnGrid;
use windowed::Windowed;

/// A step as a manifest writes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Decides which pixels count.
    Mask(MaskRule),
    /// Averages native pixels into bins of constant resolving power.
    Degrade(Degrade),
    /// Scales each spectrum to zero mean and unit standard deviation.
    Zscore {},
    /// Takes the pixels of a window as they are.
    Native(NativeWindow),
    /// Takes the pixels of a grid on which all spectra of the survey lie.
    NativeGrid(NativeGrid),
    /// Judges the signal-to-noise ratio.
    Snr(SnrRule),
    /// Shifts the wavelengths to the rest frame of the star.
    RestFrame(RestFrame),
    /// Judges the number of bad pixels.
    BadPixels(BadPixels),
    /// Interpolates to windows of constant step.
    Resample(Resample),
    /// Replaces single pixels that stand out.
    Despike(Despike),
    /// Divides by the pseudo-continuum.
    Continuum(Continuum),
    /// Limits the values.
    Clip(Clip),
    /// Scales each pixel with its mean and standard deviation over the training set.
    Scale {},
}

/// A recipe that cannot be run.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecipeError {
    /// A step is unknown or has wrong parameters.
    #[error(
        "recipe step {number}: {problem}; this version knows mask, degrade and zscore, native_grid \
         and zscore, mask and native, and snr, rest_frame, bad_pixels, resample, despike, continuum, clip and scale"
    )]
    Step {
        /// Position in the manifest, from 1.
        number: usize,
        /// What is wrong.
        problem: String,
    },
    /// The steps do not come in an order that can be run.
    #[error(
        "the recipe must be mask, degrade, then any zscore; or native_grid, then any zscore; or any snr, \
         mask, native; or resample, with any of snr, rest_frame, bad_pixels before it and any of \
         despike, continuum, clip, scale behind it, in this order; it is {0}"
    )]
    Order(String),
    /// The recipe gives another number of values than the model takes.
    #[error("the recipe gives {gives} values, the model takes {takes}")]
    Width {
        /// Values that the recipe gives.
        gives: usize,
        /// Values that the model takes.
        takes: usize,
    },
}

/// A checked recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    kind: Kind,
    grid: Grid,
    /// The pixels as they are, beside what the recipe gives.
    native: Option<Native>,
}

/// What a recipe makes of a spectrum: means in bins, the pixels of a grid or of a window as they are,
/// or the normalised flux in windows.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Binned(Binned),
    OnGrid(OnGrid),
    Native(Native),
    Windowed(Box<Windowed>),
}

/// A spectrum in the form in which the model takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The model's input.
    pub input: Vec<f32>,
    /// What preparation found.
    pub quality: Quality,
    /// Native pixels in the model's window.
    pub pixels: usize,
    /// Those of them that are unusable.
    pub bad_pixels: usize,
    /// Bins that had no usable pixel.
    pub empty_bins: usize,
    /// The [`Pixels`] beside the input, where they are asked for and there are enough of them.
    pub native: Vec<f32>,
}

impl Recipe {
    /// Reads the steps of a manifest and checks that they fit together and give `width` values.
    /// `scale` is the content of the file that the manifest names for the step of that name.
    ///
    /// # Errors
    /// [`RecipeError`] names the step.
    pub fn parse(
        steps: &[toml::Table],
        width: usize,
        scale: Option<&[u8]>,
    ) -> Result<Self, RecipeError> {
        let mut parsed = Vec::with_capacity(steps.len());
        for (index, table) in steps.iter().enumerate() {
            let step = table.clone().try_into::<Step>().map_err(|error| RecipeError::Step {
                number: index + 1,
                problem: error.message().to_owned(),
            })?;
            parsed.push(step);
        }
        let (kind, grid) = if let Some(binned) = Binned::new(&parsed) {
            let (binned, grid) = binned?;
            (Kind::Binned(binned), grid)
        } else if let Some(on_grid) = OnGrid::new(&parsed) {
            let (on_grid, grid) = on_grid?;
            (Kind::OnGrid(on_grid), grid)
        } else if let Some(native) = Native::new(&parsed) {
            (Kind::Native(native), Grid::default())
        } else if let Some(windowed) = Windowed::new(&parsed, scale) {
            let (windowed, grid) = windowed?;
            (Kind::Windowed(Box::new(windowed)), grid)
        } else {
            let names = steps.iter().filter_map(|step| step.get("step")?.as_str());
            return Err(RecipeError::Order(names.collect::<Vec<_>>().join(", ")));
        };
        let gives = match &kind {
            Kind::Native(native) => native.width(),
            _ => grid.bins(),
        };
        if gives != width {
            return Err(RecipeError::Width { gives, takes: width });
        }
        Ok(Self { kind, grid, native: None })
    }

    /// The same with the native pixels that another recipe takes beside it.
    #[must_use]
    pub fn with_native(self, other: Self) -> Self {
        let native = match other.kind {
            Kind::Native(native) => Some(native),
            Kind::Binned(_) | Kind::OnGrid(_) | Kind::Windowed(_) => None,
        };
        Self { native, ..self }
    }

    /// The most values of native pixels beside the input.
    pub fn native_width(&self) -> usize {
        self.native.as_ref().map_or(0, Native::width)
    }

    /// Prepares one spectrum.
    ///
    /// # Errors
    /// A coded reject when the recipe's rules exclude the spectrum.
    pub fn prepare(&self, spectrum: &Spectrum) -> Result<Prepared, Reject> {
        self.prepare_in(&mut Workspace::default(), spectrum)
    }

    /// The same, for one spectrum after the other, in room that is kept.
    ///
    /// # Errors
    /// As [`Recipe::prepare`].
    pub fn prepare_in(
        &self,
        workspace: &mut Workspace,
        spectrum: &Spectrum,
    ) -> Result<Prepared, Reject> {
        self.prepare_observed(workspace, spectrum, &mut ())
    }

    /// The same, while somebody looks on. A run is looked at by `()`, which costs nothing.
    ///
    /// # Errors
    /// As [`Recipe::prepare`].
    pub fn prepare_observed(
        &self,
        workspace: &mut Workspace,
        spectrum: &Spectrum,
        observer: &mut impl Observer,
    ) -> Result<Prepared, Reject> {
        let mut prepared = match &self.kind {
            Kind::Binned(recipe) => recipe.prepare(spectrum, &self.grid, observer),
            Kind::OnGrid(recipe) => recipe.prepare(spectrum, &self.grid, observer),
            Kind::Native(recipe) => recipe.prepare(spectrum),
            Kind::Windowed(recipe) => recipe.prepare(spectrum, workspace, observer),
        }?;
        if let Some(native) = &self.native {
            // What is good enough for the model is a row, whatever its native pixels are.
            prepared.native = native.pixels(spectrum).unwrap_or_default();
        }
        Ok(prepared)
    }

    /// The shift between the wavelengths of a spectrum and those of the grid.
    pub fn doppler(&self, meta: &Meta) -> Doppler {
        match &self.kind {
            Kind::Windowed(recipe) => recipe.doppler(meta),
            Kind::Binned(_) | Kind::OnGrid(_) | Kind::Native(_) => Doppler::NONE,
        }
    }

    /// Whether it decides which pixels stand out, so that it answers to a change of the flux in jumps.
    pub fn has_outliers(&self) -> bool {
        matches!(&self.kind, Kind::Windowed(recipe) if recipe.has_outliers())
    }

    /// The grid of the model's input; empty if that is the pixels as they are.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the model takes single precision")]
fn single_precision(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::reject::Code;
    use crate::spectrum::Arrays;

    pub(crate) fn spectrum(flux: impl Fn(f64) -> f32) -> Spectrum {
        let wave: Vec<f64> = (0..3909).map(|i| 10f64.powf(3.5682 + 1e-4 * f64::from(i))).collect();
        let arrays = Arrays {
            flux: wave.iter().map(|&w| flux(w)).collect(),
            ivar: vec![1.0; wave.len()],
            andmask: vec![0; wave.len()],
            ormask: vec![0; wave.len()],
            wave,
        };
        Spectrum::new("lamost-lrs", arrays, Meta::default()).unwrap()
    }

    /// Means in 143 bins, by the paper's grid.
    pub(crate) const BINS: &str = r#"
        [[recipe]]
        step = "mask"
        pixels = "andmask"
        fibermask = "flag"
        ormask = "flag"
        max_bad_fraction = 0.2
        [[recipe]]
        step = "degrade"
        first = 4000.3685
        last = 8120.8222
        resolving_power = 200.0
        weighting = "good"
        max_empty_bins = 5
    "#;
    pub(crate) const ZSCORE: &str = "[[recipe]]\nstep = \"zscore\"";

    fn csst() -> String {
        [BINS, ZSCORE].concat()
    }

    pub(crate) fn recipe(text: &str) -> Result<Recipe, RecipeError> {
        let table: toml::Table = text.parse().unwrap();
        let steps = table["recipe"].as_array().unwrap();
        let steps: Vec<_> = steps.iter().map(|step| step.as_table().unwrap().clone()).collect();
        Recipe::parse(&steps, 143, None)
    }

    #[test]
    fn the_published_grid_has_143_bins() {
        assert_eq!(recipe(&csst()).unwrap().grid().bins(), 143);
    }

    #[test]
    fn a_recipe_that_cannot_be_run_says_why() {
        let check = |from: &str, to: &str, says: &str| {
            let error = recipe(&csst().replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(says), "{error:?} should say {says:?}");
        };
        check("\"zscore\"", "\"rescale\"", "rescale");
        check("weighting = \"good\"", "weighting = \"best\"", "step 2");
        check("max_bad_fraction", "max_bad_part", "step 1");
        check("\"zscore\"", "\"zscore\"\nextra = 1", "step 3");
        check("last = 8120.8222", "last = 8200.0", "145 values");
        check("last = 8120.8222", "last = 3000.0", "step 2");
    }

    #[test]
    fn prepared_values_have_zero_mean_and_unit_deviation() {
        let prepared =
            recipe(&csst()).unwrap().prepare(&spectrum(|w| (w / 5000.0).sin() as f32)).unwrap();
        let mean = prepared.input.iter().sum::<f32>() / 143.0;
        let variance = prepared.input.iter().map(|x| x * x).sum::<f32>() / 143.0;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
        assert_eq!(prepared.quality, Quality::NONE);
        assert_eq!(prepared.pixels, 3076);
    }

    #[test]
    fn a_constant_spectrum_and_a_short_one_are_rejects() {
        let recipe = recipe(&csst()).unwrap();
        assert_eq!(recipe.prepare(&spectrum(|_| 3.0)).unwrap_err().code, Code::FLAT_SPECTRUM);
        let wave: Vec<f64> = (0..100).map(|i| 4500.0 + f64::from(i)).collect();
        let arrays = Arrays {
            flux: vec![1.0; 100],
            ivar: vec![1.0; 100],
            andmask: vec![0; 100],
            ormask: vec![0; 100],
            wave,
        };
        let short = Spectrum::new("lamost-lrs", arrays, Meta::default()).unwrap();
        assert_eq!(recipe.prepare(&short).unwrap_err().code, Code::WAVELENGTH_COVERAGE);
    }
}
