//! The recipe for low-resolution spectra: mask, degrade, zscore (Li et al. 2025).

use std::ops::Range;

use super::degrade::Degrade;
use super::grid::Grid;
use super::mask::MaskRule;
use super::observer::{Observer, Seen};
use super::zscore::zscore;
use super::{Prepared, RecipeError, Step, single_precision};
use crate::quality::Quality;
use crate::reject::{Code, Reject};
use crate::spectrum::Spectrum;

/// Relative slack for a native pixel at the edge of the window: a fifth of a LAMOST pixel.
const GRID_TOLERANCE: f64 = 4e-5;

/// Means of native pixels in bins of constant resolving power.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Binned {
    mask: MaskRule,
    degrade: Degrade,
    zscore: bool,
}

impl Binned {
    /// The recipe of these steps and its grid; `None` if it is not of this kind.
    pub(super) fn new(steps: &[Step]) -> Option<Result<(Self, Grid), RecipeError>> {
        let (mask, degrade, zscore) = match steps {
            [Step::Mask(mask), Step::Degrade(degrade)] => (mask, degrade, false),
            [Step::Mask(mask), Step::Degrade(degrade), Step::Zscore {}] => (mask, degrade, true),
            _ => return None,
        };
        let recipe = Self { mask: mask.clone(), degrade: degrade.clone(), zscore };
        let grid = degrade.grid().map_err(|problem| RecipeError::Step { number: 2, problem });
        Some(grid.map(|grid| (recipe, grid)))
    }

    pub(super) fn prepare(
        &self,
        spectrum: &Spectrum,
        grid: &Grid,
        observer: &mut impl Observer,
    ) -> Result<Prepared, Reject> {
        // The window is a parameter of this step.
        observer.begin("degrade");
        let window = self.window(spectrum, grid)?;
        observer.begin("mask");
        let masked = self.mask.apply(spectrum, window.clone())?;
        observer.see(|| Seen::Mask { window: window.clone(), good: &masked.good });
        observer.begin("degrade");
        let (mut values, empty_bins) =
            self.degrade.apply(spectrum, window.clone(), &masked.good, grid)?;
        observer.see(|| Seen::Degrade { empty: empty_bins, values: &values });
        if self.zscore {
            observer.begin("zscore");
            zscore(&mut values)?;
            observer.see(|| Seen::Zscore { values: &values });
        }
        let mut quality = masked.quality;
        quality.set_if(empty_bins > 0, Quality::EMPTY_BINS);
        quality.set_if(spectrum.repaired() > 0, Quality::REPAIRED_VALUES);
        let (input, pixels) = (single_precision(&values), window.len());
        Ok(Prepared {
            input,
            quality,
            pixels,
            bad_pixels: masked.bad,
            empty_bins,
            native: Vec::new(),
        })
    }

    /// The native pixels between the first and the last centre of the grid, both included.
    fn window(&self, spectrum: &Spectrum, grid: &Grid) -> Result<Range<usize>, Reject> {
        let wave = spectrum.wave();
        let (first, last) = (self.degrade.first, self.degrade.last);
        // Stored wavelengths are single precision: a pixel on the edge must not fall out.
        let start = wave.partition_point(|&w| w < first * (1.0 - GRID_TOLERANCE));
        let end = wave.partition_point(|&w| w <= last * (1.0 + GRID_TOLERANCE));
        let covered = start < end
            && wave[start] < grid.edges()[1]
            && wave[end - 1] >= grid.edges()[grid.bins() - 1];
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
