//! The recipe for surveys whose spectra all lie on one grid: its pixels as they are, zscore.

use serde::Deserialize;

use super::degrade::fill_gaps;
use super::grid::{Grid, MAX_BINS};
use super::observer::{Observer, Seen};
use super::zscore::zscore;
use super::{Prepared, RecipeError, Step, single_precision};
use crate::quality::Quality;
use crate::reject::{Code, Reject};
use crate::spectrum::Spectrum;

/// How far a pixel may lie from its place, in spacings: surveys write wavelengths in single precision.
const OFF: f64 = 1e-3;

/// The step as a manifest writes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NativeGrid {
    /// First pixel, vacuum Angstrom.
    pub first: f64,
    /// From pixel to pixel, Angstrom.
    pub spacing: f64,
    /// Number of pixels.
    pub pixels: usize,
    /// The part of them that may be unusable, 0 to 1; these are interpolated.
    #[serde(default)]
    pub max_bad_fraction: f64,
}

/// Native pixels, scaled or not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OnGrid {
    step: NativeGrid,
    zscore: bool,
}

impl OnGrid {
    /// The recipe of these steps and its grid; `None` if it is not of this kind.
    pub(super) fn new(steps: &[Step]) -> Option<Result<(Self, Grid), RecipeError>> {
        let (step, zscore) = match steps {
            [Step::NativeGrid(step)] => (step, false),
            [Step::NativeGrid(step), Step::Zscore {}] => (step, true),
            _ => return None,
        };
        let grid = step.grid().map_err(|problem| RecipeError::Step { number: 1, problem });
        Some(grid.map(|grid| (Self { step: step.clone(), zscore }, grid)))
    }

    pub(super) fn prepare(
        &self,
        spectrum: &Spectrum,
        grid: &Grid,
        observer: &mut impl Observer,
    ) -> Result<Prepared, Reject> {
        observer.begin("native_grid");
        let (mut values, bad) = self.step.apply(spectrum, grid)?;
        observer.see(|| Seen::NativeGrid { bad, values: &values });
        if self.zscore {
            observer.begin("zscore");
            zscore(&mut values)?;
            observer.see(|| Seen::Zscore { values: &values });
        }
        let mut quality = Quality::NONE;
        quality.set_if(bad > 0, Quality::BAD_PIXELS | Quality::EMPTY_BINS);
        quality.set_if(spectrum.repaired() > 0, Quality::REPAIRED_VALUES);
        Ok(Prepared {
            input: single_precision(&values),
            quality,
            pixels: values.len(),
            bad_pixels: bad,
            empty_bins: bad,
            native: Vec::new(),
        })
    }
}

impl NativeGrid {
    fn grid(&self) -> Result<Grid, String> {
        let Self { first, spacing, pixels, max_bad_fraction } = *self;
        if !(first > 0.0 && spacing > 0.0 && (first + spacing * pixels as f64).is_finite()) {
            return Err("first and spacing must be positive numbers".into());
        }
        if !(2..=MAX_BINS).contains(&pixels) {
            return Err(format!("{pixels} pixels are asked for, 2 to {MAX_BINS} are possible"));
        }
        if !(0.0..=1.0).contains(&max_bad_fraction) {
            return Err("max_bad_fraction must lie between 0 and 1".into());
        }
        let at = |pixel: f64| first + spacing * pixel;
        let centres = (0..pixels).map(|pixel| at(pixel as f64)).collect();
        let edges = (0..=pixels).map(|pixel| at(pixel as f64 - 0.5)).collect();
        Ok(Grid::contiguous(centres, edges))
    }

    /// The flux on the grid, and how many values of it are interpolated.
    fn apply(&self, spectrum: &Spectrum, grid: &Grid) -> Result<(Vec<f64>, usize), Reject> {
        let (wave, centres) = (spectrum.wave(), grid.centres());
        let near = OFF * self.spacing;
        let start = wave.partition_point(|&w| w < self.first - near);
        let pixels = start..start + self.pixels;
        let lies_on_grid = |wave: &[f64]| {
            wave.iter().zip(centres).all(|(wave, centre)| (wave - centre).abs() <= near)
        };
        if !wave.get(pixels.clone()).is_some_and(lies_on_grid) {
            return Err(Code::WAVELENGTH_COVERAGE.because(format!(
                "it has {} pixels from {:.1} to {:.1} A, the model needs {} from {:.1} A, {} A apart",
                wave.len(),
                wave[0],
                wave[wave.len() - 1],
                self.pixels,
                self.first,
                self.spacing
            )));
        }
        let (flux, ivar) = (&spectrum.flux()[pixels.clone()], &spectrum.ivar()[pixels]);
        let value = |(&flux, &ivar): (&f32, &f32)| if ivar > 0.0 { flux.into() } else { f64::NAN };
        let mut values: Vec<f64> = flux.iter().zip(ivar).map(value).collect();
        let bad = fill_gaps(centres, &mut values);
        if bad as f64 > self.max_bad_fraction * values.len() as f64 || bad == values.len() {
            return Err(Code::TOO_MANY_BAD_PIXELS.because(format!(
                "{bad} of {} pixels are unusable, the recipe allows {:.0} %",
                values.len(),
                100.0 * self.max_bad_fraction
            )));
        }
        Ok((values, bad))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prep::Recipe;
    use crate::spectrum::{Arrays, Meta};

    fn recipe(more: &str, width: usize) -> Result<Recipe, RecipeError> {
        let text = format!(
            "[[recipe]]\nstep = \"native_grid\"\nfirst = 3360.0\nspacing = 20.0\n{more}\n\
             [[recipe]]\nstep = \"zscore\"\n"
        );
        let table: toml::Table = text.parse().unwrap();
        let steps = table["recipe"].as_array().unwrap();
        let steps: Vec<_> = steps.iter().map(|step| step.as_table().unwrap().clone()).collect();
        Recipe::parse(&steps, width, None)
    }

    fn spectrum(first: f64, pixels: u16, bad: &[usize]) -> Spectrum {
        let mut arrays = Arrays {
            wave: (0..pixels).map(|pixel| first + 20.0 * f64::from(pixel)).collect(),
            flux: (0..pixels).map(|pixel| f32::from(pixel) * 0.25 - 3.0).collect(),
            ivar: vec![100.0; pixels.into()],
            andmask: vec![0; pixels.into()],
            ormask: vec![0; pixels.into()],
        };
        for &pixel in bad {
            (arrays.flux[pixel], arrays.ivar[pixel]) = (1e9, 0.0);
        }
        Spectrum::new("test", arrays, Meta::default()).unwrap()
    }

    #[test]
    fn pixels_of_the_grid_are_scaled_wherever_it_begins_in_the_spectrum() {
        // numpy: x = np.arange(5.0); (x - x.mean()) / x.std()
        let expected = [-std::f32::consts::SQRT_2, -0.707_106_77, 0.0, 0.707_106_77];
        for begin in [3360.0, 3360.0 - 40.0, 3360.0 - 1.5e-2] {
            let prepared =
                recipe("pixels = 5", 5).unwrap().prepare(&spectrum(begin, 9, &[])).unwrap();
            let close = |(found, expected): (&f32, &f32)| (found - expected).abs() < 1e-6;
            assert!(prepared.input.iter().zip(&expected).all(close), "{:?}", prepared.input);
            assert_eq!((prepared.pixels, prepared.quality), (5, Quality::NONE));
        }
    }

    #[test]
    fn spectra_beside_the_grid_are_rejects() {
        let code = |first, pixels| {
            let recipe = recipe("pixels = 5", 5).unwrap();
            recipe.prepare(&spectrum(first, pixels, &[])).unwrap_err().code
        };
        for (first, pixels) in [(3370.0, 9), (3380.0, 9), (3360.0, 4), (3300.0, 2), (3360.1, 9)] {
            assert_eq!(code(first, pixels), Code::WAVELENGTH_COVERAGE, "{first} {pixels}");
        }
    }

    #[test]
    fn unusable_pixels_are_interpolated_as_far_as_the_recipe_allows() {
        let whole = recipe("pixels = 9", 9).unwrap().prepare(&spectrum(3360.0, 9, &[])).unwrap();
        let lenient = recipe("pixels = 9\nmax_bad_fraction = 0.25", 9).unwrap();
        // The flux is a straight line, so that nothing is lost.
        let prepared = lenient.prepare(&spectrum(3360.0, 9, &[3, 4])).unwrap();
        assert_eq!(prepared.input, whole.input);
        assert_eq!((prepared.bad_pixels, prepared.empty_bins), (2, 2));
        assert_eq!(prepared.quality, Quality::BAD_PIXELS | Quality::EMPTY_BINS);
        let refused = [
            lenient.prepare(&spectrum(3360.0, 9, &[3, 4, 5])),
            recipe("pixels = 9", 9).unwrap().prepare(&spectrum(3360.0, 9, &[3])),
        ];
        for refused in refused {
            assert_eq!(refused.unwrap_err().code, Code::TOO_MANY_BAD_PIXELS);
        }
    }

    #[test]
    fn a_grid_that_cannot_be_says_why() {
        for (more, width, says) in [
            ("pixels = 1", 1, "2 to 100000"),
            ("pixels = 9\nmax_bad_fraction = 2.0", 9, "between 0 and 1"),
            ("pixels = 9\nstride = 2", 9, "stride"),
            ("pixels = 9", 8, "gives 9 values"),
        ] {
            let error = recipe(more, width).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
