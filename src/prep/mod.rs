//! Preprocessing as a recipe of named steps, run by pure functions.
//!
//! A model's manifest lists the steps with their parameters, so that a spectrum is prepared for a
//! model exactly as its training spectra were. Nothing here reads a file, a clock or a random
//! number, or writes a log.

mod degrade;
mod mask;
mod zscore;

pub use degrade::{Degrade, Grid, Weighting};
pub use mask::{MaskRule, PixelMask, Rule};
pub use zscore::zscore;

use std::ops::Range;

use serde::Deserialize;
use thiserror::Error;

use crate::quality::Quality;
use crate::reject::{Code, Reject};
use crate::spectrum::Spectrum;

/// A step as a manifest writes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Decides which pixels count.
    Mask(MaskRule),
    /// Averages native pixels into bins of constant resolving power.
    Degrade(Degrade),
    /// Scales to zero mean and unit standard deviation.
    Zscore {},
}

/// A recipe that cannot be run.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecipeError {
    /// A step is unknown or has wrong parameters.
    #[error("recipe step {number}: {problem}; this version knows mask, degrade and zscore")]
    Step {
        /// Position in the manifest, from 1.
        number: usize,
        /// What is wrong.
        problem: String,
    },
    /// The steps do not come in an order that can be run.
    #[error("the recipe must be mask, degrade, then any scaling; it is {0}")]
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
    mask: MaskRule,
    degrade: Degrade,
    grid: Grid,
    zscore: bool,
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
}

impl Recipe {
    /// Reads the steps of a manifest and checks that they fit together and give `width` values.
    ///
    /// # Errors
    /// [`RecipeError`] names the step.
    pub fn parse(steps: &[toml::Table], width: usize) -> Result<Self, RecipeError> {
        let mut parsed = Vec::with_capacity(steps.len());
        for (index, table) in steps.iter().enumerate() {
            let step = table.clone().try_into::<Step>().map_err(|error| RecipeError::Step {
                number: index + 1,
                problem: error.message().to_owned(),
            })?;
            parsed.push(step);
        }
        let (mask, degrade, zscore) = match parsed.as_slice() {
            [Step::Mask(mask), Step::Degrade(degrade)] => (mask, degrade, false),
            [Step::Mask(mask), Step::Degrade(degrade), Step::Zscore {}] => (mask, degrade, true),
            _ => {
                let names = steps.iter().filter_map(|step| step.get("step")?.as_str());
                return Err(RecipeError::Order(names.collect::<Vec<_>>().join(", ")));
            }
        };
        let grid = degrade.grid().map_err(|problem| RecipeError::Step { number: 2, problem })?;
        if grid.bins() != width {
            return Err(RecipeError::Width { gives: grid.bins(), takes: width });
        }
        Ok(Self { mask: mask.clone(), degrade: degrade.clone(), grid, zscore })
    }

    /// Prepares one spectrum.
    ///
    /// # Errors
    /// A coded reject when the recipe's rules exclude the spectrum.
    pub fn prepare(&self, spectrum: &Spectrum) -> Result<Prepared, Reject> {
        let window = self.window(spectrum)?;
        let masked = self.mask.apply(spectrum, window.clone())?;
        let (mut values, empty_bins) =
            self.degrade.apply(spectrum, window.clone(), &masked.good, &self.grid)?;
        if self.zscore {
            zscore(&mut values)?;
        }
        let mut quality = masked.quality;
        quality.set_if(empty_bins > 0, Quality::EMPTY_BINS);
        quality.set_if(spectrum.repaired() > 0, Quality::REPAIRED_VALUES);
        #[expect(clippy::cast_possible_truncation, reason = "the model takes single precision")]
        let input = values.into_iter().map(|value| value as f32).collect();
        let pixels = window.len();
        Ok(Prepared { input, quality, pixels, bad_pixels: masked.bad, empty_bins })
    }

    /// The grid of the model's input.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The native pixels between the first and the last centre of the grid, both included.
    fn window(&self, spectrum: &Spectrum) -> Result<Range<usize>, Reject> {
        let wave = spectrum.wave();
        let (first, last) = (self.degrade.first, self.degrade.last);
        // Stored wavelengths are single precision: a pixel on the edge must not fall out.
        let start = wave.partition_point(|&w| w < first * (1.0 - GRID_TOLERANCE));
        let end = wave.partition_point(|&w| w <= last * (1.0 + GRID_TOLERANCE));
        let covered = start < end
            && wave[start] < self.grid.edges()[1]
            && wave[end - 1] >= self.grid.edges()[self.grid.bins() - 1];
        if covered {
            return Ok(start..end);
        }
        Err(Code::WAVELENGTH_COVERAGE.because(format!(
            "it covers {:.1} to {:.1} A, the model needs {first:.1} to {last:.1} A",
            wave[0],
            wave[wave.len() - 1]
        )))
    }
}

/// Relative slack for a native pixel at the edge of the window: a fifth of a LAMOST pixel.
const GRID_TOLERANCE: f64 = 4e-5;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::spectrum::{Arrays, Meta};

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

    const CSST: &str = r#"
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
        [[recipe]]
        step = "zscore"
    "#;

    fn recipe(text: &str) -> Result<Recipe, RecipeError> {
        let table: toml::Table = text.parse().unwrap();
        let steps = table["recipe"].as_array().unwrap();
        let steps: Vec<_> = steps.iter().map(|step| step.as_table().unwrap().clone()).collect();
        Recipe::parse(&steps, 143)
    }

    #[test]
    fn the_published_grid_has_143_bins() {
        assert_eq!(recipe(CSST).unwrap().grid().bins(), 143);
    }

    #[test]
    fn a_recipe_that_cannot_be_run_says_why() {
        let check = |from: &str, to: &str, says: &str| {
            let error = recipe(&CSST.replace(from, to)).unwrap_err().to_string();
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
            recipe(CSST).unwrap().prepare(&spectrum(|w| (w / 5000.0).sin() as f32)).unwrap();
        let mean = prepared.input.iter().sum::<f32>() / 143.0;
        let variance = prepared.input.iter().map(|x| x * x).sum::<f32>() / 143.0;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
        assert_eq!(prepared.quality, Quality::NONE);
        assert_eq!(prepared.pixels, 3076);
    }

    #[test]
    fn a_constant_spectrum_and_a_short_one_are_rejects() {
        let recipe = recipe(CSST).unwrap();
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
