//! One file per family of survey layouts. A layout is recognised by the structure of the file,
//! never by its name or by what a header says of its release.
//!
//! To add a survey: write `survey/<name>.rs` with a type for each layout, add a line to
//! [`LAYOUTS`], and a fixture to the tests.

mod early;
mod gaia_xp;
mod lamost;
mod lamost_lrs;
mod lamost_mrs;

pub use early::need_of_coadd;
pub use gaia_xp::SURVEY as GAIA_XP;
pub use lamost_mrs::SURVEY as LAMOST_MRS;
use serde::{Deserialize, Serialize};

use crate::fits::Fits;
use crate::reject::{Code, Reject};
use crate::spectrum::Spectrum;

/// Which spectra are taken of a file that holds single exposures beside their sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Take {
    /// The sum of the exposures.
    #[default]
    Coadd,
    /// Each exposure.
    Exposures,
    /// The sum, then each exposure.
    Both,
}

impl Take {
    /// Whether the sum is taken.
    pub fn coadd(self) -> bool {
        self != Self::Exposures
    }

    /// Whether single exposures are taken.
    pub fn exposures(self) -> bool {
        self != Self::Coadd
    }
}

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
    /// The same layout, giving other spectra of its files; `None` if they hold one kind.
    fn taking(&self, _: Take) -> Option<&'static dyn Layout> {
        None
    }
}

/// Every layout that can be read. At most one recognises a file, so their order does not matter.
pub const LAYOUTS: &[&dyn Layout] = &[
    &lamost_lrs::PilotImage,
    &lamost_lrs::Image,
    &lamost_lrs::CoaddTable,
    &lamost_mrs::PixelRows(Take::Coadd),
    &lamost_mrs::VectorCells(Take::Coadd),
    &gaia_xp::RowTable,
];

/// Finds the layout of a file; of exposures and their sum it gives the sum.
///
/// # Errors
/// [`Code::UNKNOWN_LAYOUT`] with what each layout misses.
pub fn detect(fits: &Fits) -> Result<&'static dyn Layout, Reject> {
    detect_taking(fits, Take::Coadd)
}

/// Finds the layout of a file.
///
/// # Errors
/// [`Code::UNKNOWN_LAYOUT`] with what each layout misses.
pub fn detect_taking(fits: &Fits, take: Take) -> Result<&'static dyn Layout, Reject> {
    let mut reasons = Vec::new();
    for &layout in LAYOUTS {
        match layout.recognise(fits) {
            Ok(()) => return Ok(layout.taking(take).unwrap_or(layout)),
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
