//! One file per family of survey layouts. A layout is recognised by the structure of the file,
//! never by its name or by what a header says of its release.
//!
//! To add a survey: write `survey/<name>.rs` with a type for each layout, add a line to
//! [`LAYOUTS`], and a fixture to the tests.

mod lamost_lrs;

use crate::fits::Fits;
use crate::reject::{Code, Reject};
use crate::spectrum::Spectrum;

/// A way in which spectra lie in FITS files.
pub trait Layout: Sync {
    /// Name of the layout: `lamost-lrs-table`.
    fn name(&self) -> &'static str;
    /// Name of the survey as manifests list it: `lamost-lrs`.
    fn survey(&self) -> &'static str;
    /// One line for people.
    fn summary(&self) -> &'static str;
    /// Whether the file has this layout; if not, why not.
    ///
    /// # Errors
    /// A short phrase on what differs.
    fn recognise(&self, fits: &Fits) -> Result<(), String>;
    /// How many spectra the file holds.
    fn count(&self, fits: &Fits) -> usize;
    /// Reads one spectrum of the file.
    ///
    /// # Errors
    /// A coded reject that names the HDU.
    fn read(&self, fits: &Fits, index: usize) -> Result<Spectrum, Reject>;
}

/// Every layout that can be read. At most one recognises a file, so their order does not matter.
pub const LAYOUTS: &[&dyn Layout] =
    &[&lamost_lrs::PilotImage, &lamost_lrs::Image, &lamost_lrs::CoaddTable];

/// Finds the layout of a file.
///
/// # Errors
/// [`Code::UNKNOWN_LAYOUT`] with what each layout misses.
pub fn detect(fits: &Fits) -> Result<&'static dyn Layout, Reject> {
    let mut reasons = Vec::new();
    for &layout in LAYOUTS {
        match layout.recognise(fits) {
            Ok(()) => return Ok(layout),
            Err(reason) => reasons.push(format!("not {}: {reason}", layout.name())),
        }
    }
    Err(Code::UNKNOWN_LAYOUT.because(reasons.join("; ")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn layouts_have_names_of_their_own() {
        for (position, layout) in super::LAYOUTS.iter().enumerate() {
            assert!(super::LAYOUTS[..position].iter().all(|other| other.name() != layout.name()));
            assert!(layout.name().starts_with(layout.survey()));
        }
    }
}
