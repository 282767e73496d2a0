//! Looking on while a recipe is run, for those who want to see what each step did.

use std::ops::Range;

/// Who looks on. Nothing that is only needed to be seen is computed unless somebody looks: `()` does
/// not, and what it is told is compiled to nothing.
pub trait Observer {
    /// A step begins, by its name in manifests; in recipes of two arms one and then the other. Where a
    /// spectrum is refused, the step that began last refuses it.
    fn begin(&mut self, _step: &'static str) {}

    /// What the step found or made.
    fn see<'a>(&mut self, _seen: impl FnOnce() -> Seen<'a>) {}
}

impl Observer for () {}

/// What a step found or made. Values and fluxes are on the grid of the model's input.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen<'a> {
    /// Of `snr`, before it judges.
    Snr {
        /// The S/N that the limit is about.
        snr: Option<f32>,
        /// The limit.
        min: f64,
    },
    /// Of `rest_frame`.
    RestFrame {
        /// The velocity that was taken, km/s; `None` if none is known.
        rv_kms: Option<f64>,
    },
    /// Of `bad_pixels`, before it judges.
    BadPixels {
        /// Native pixels that serve the windows.
        pixels: usize,
        /// Those that are bad.
        bad: usize,
        /// The most bad ones in a row.
        longest_run: usize,
    },
    /// Of `resample`.
    Resample {
        /// The native pixels that serve each window.
        native: &'a [Range<usize>],
        /// The flux in all windows.
        values: &'a [f64],
    },
    /// Of `despike`, in one window.
    Despike {
        /// Which window.
        window: usize,
        /// Its flux.
        flux: &'a [f64],
    },
    /// Of `continuum`, in one window.
    Continuum {
        /// Which window.
        window: usize,
        /// Fits until there were no outliers.
        fits: usize,
        /// The standardised flux with its outliers replaced, see [`super::outliers`].
        filled: &'a [f64],
        /// The flux, divided.
        flux: &'a [f64],
    },
    /// Of `clip`.
    Clip {
        /// The values in all windows.
        values: &'a [f64],
    },
    /// Of `scale`.
    Scale {
        /// The values in all windows.
        values: &'a [f64],
    },
    /// Of `mask`.
    Mask {
        /// The native pixels of the window.
        window: Range<usize>,
        /// Which of them are usable.
        good: &'a [bool],
    },
    /// Of `degrade`.
    Degrade {
        /// Bins without a usable pixel.
        empty: usize,
        /// The means.
        values: &'a [f64],
    },
    /// Of `native_grid`.
    NativeGrid {
        /// Unusable pixels, which were interpolated.
        bad: usize,
        /// The flux.
        values: &'a [f64],
    },
    /// Of `zscore`.
    Zscore {
        /// The values.
        values: &'a [f64],
    },
}
