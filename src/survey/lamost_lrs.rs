//! LAMOST low-resolution spectra (R ~ 1800, 3700-9100 A, vacuum, heliocentric).
//!
//! Data model: <https://www.lamost.org/dr10/v2.0/doc/lr-data-production-description>. The releases
//! use three layouts, told apart by structure, for `DATA_V` is no guide (a file from the DR8 portal
//! calls itself DR9):
//!
//! - the pilot survey and DR1: a primary image of five rows in which row 3 is *flux minus
//!   continuum*; wavelengths come from COEFF0 and COEFF1 alone;
//! - DR2 to DR8: the same image, in which row 3 is the wavelength;
//! - DR9 and later: a binary table COADD of one row with vector cells. The primary header keeps
//!   NAXIS1 and NAXIS2 cards beside NAXIS = 0.
//!
//! Where a wavelength row exists it is used: COEFF0 is rounded to four digits in the header, which
//! in some files is 1.2 km/s off.

use super::Layout;
use super::lamost::{mask_bits, observation, require_lamost, signal_to_noise};
use crate::fits::{Fits, FitsError, Hdu, Header};
use crate::reject::{Code, Reject};
use crate::spectrum::{Arrays, Meta, Spectrum, check_pixels};

const SURVEY: &str = "lamost-lrs";

/// Pilot survey and DR1: no wavelength row.
pub struct PilotImage;
/// DR2 to DR8: five-row image with a wavelength row.
pub struct Image;
/// DR9 and later: COADD table.
pub struct CoaddTable;

impl Layout for PilotImage {
    fn name(&self) -> &'static str {
        "lamost-lrs-pilot"
    }
    fn survey(&self) -> &'static str {
        SURVEY
    }
    fn summary(&self) -> &'static str {
        "LAMOST LRS, pilot survey and DR1: image whose row 3 is continuum-subtracted flux"
    }
    fn recognise(&self, fits: &Fits) -> Result<(), String> {
        match third_row(fits)? {
            ThirdRow::Subcontinuum => Ok(()),
            ThirdRow::Wavelength => Err("row 3 is the wavelength".into()),
        }
    }
    fn count(&self, _: &Fits) -> usize {
        1
    }
    fn read(&self, fits: &Fits, _: usize) -> Result<Spectrum, Reject> {
        let primary = fits.primary();
        let (pixels, _) = primary.float_image_shape().unwrap_or_default();
        check_pixels(pixels)?;
        let wave = log_linear_wavelengths(&primary.header, pixels)?;
        image_spectrum(primary, wave)
    }
}

impl Layout for Image {
    fn name(&self) -> &'static str {
        "lamost-lrs-image"
    }
    fn survey(&self) -> &'static str {
        SURVEY
    }
    fn summary(&self) -> &'static str {
        "LAMOST LRS, DR2 to DR8: image of flux, ivar, wavelength, andmask, ormask"
    }
    fn recognise(&self, fits: &Fits) -> Result<(), String> {
        match third_row(fits)? {
            ThirdRow::Wavelength => Ok(()),
            ThirdRow::Subcontinuum => Err("row 3 is continuum-subtracted flux".into()),
        }
    }
    fn count(&self, _: &Fits) -> usize {
        1
    }
    fn read(&self, fits: &Fits, _: usize) -> Result<Spectrum, Reject> {
        check_pixels(fits.primary().float_image_shape().unwrap_or_default().0)?;
        let wave = fits.primary().image_row(2)?.into_iter().map(f64::from).collect();
        image_spectrum(fits.primary(), wave)
    }
}

impl Layout for CoaddTable {
    fn name(&self) -> &'static str {
        "lamost-lrs-table"
    }
    fn survey(&self) -> &'static str {
        SURVEY
    }
    fn summary(&self) -> &'static str {
        "LAMOST LRS, DR9 and later: table COADD of one row with vector cells"
    }
    fn recognise(&self, fits: &Fits) -> Result<(), String> {
        require_lamost(fits)?;
        // A file with both would be two observations, or one twice: nobody writes it.
        if fits.primary().float_image_shape().is_some() {
            return Err("the primary HDU holds an image".into());
        }
        let coadd = fits.named("COADD").ok_or("there is no extension COADD")?;
        coadd.table().map(|_| ()).map_err(|error| error.to_string())
    }
    fn count(&self, _: &Fits) -> usize {
        1
    }
    fn read(&self, fits: &Fits, _: usize) -> Result<Spectrum, Reject> {
        let hdu = fits.named("COADD").unwrap_or(fits.primary());
        let table = hdu.table()?;
        if table.rows != 1 {
            let what = format!("COADD has {} rows, 1 was expected", table.rows);
            return Err(FitsError::Malformed { hdu: hdu.number, what }.into());
        }
        let cell = |name: &str| -> Result<Vec<f32>, Reject> {
            let column = table.column(name)?;
            check_pixels(column.repeat)?;
            Ok(table.floats(column, 0)?)
        };
        let arrays = Arrays {
            wave: cell("WAVELENGTH")?.into_iter().map(f64::from).collect(),
            flux: cell("FLUX")?,
            ivar: cell("IVAR")?,
            andmask: mask_bits(&cell("ANDMASK")?),
            ormask: mask_bits(&cell("ORMASK")?),
        };
        Spectrum::new(SURVEY, arrays, read_meta(&fits.primary().header))
    }
}

/// What the third row of the image layouts holds.
enum ThirdRow {
    Wavelength,
    Subcontinuum,
}

/// Tells the image layouts apart: by the list of rows in EXTEN0, and where that is missing by
/// whether the row agrees with the dispersion that the header states.
fn third_row(fits: &Fits) -> Result<ThirdRow, String> {
    require_lamost(fits)?;
    let primary = fits.primary();
    let width = match primary.float_image_shape() {
        Some((width, 5)) => width,
        Some((_, rows)) => return Err(format!("the primary image has {rows} rows instead of 5")),
        None => return Err("the primary HDU is no two-dimensional float image".into()),
    };
    let listed = primary.header.text("EXTEN0").unwrap_or_default().to_lowercase();
    if listed.contains("wavelength") {
        return Ok(ThirdRow::Wavelength);
    }
    if listed.contains("subcontinuum") {
        return Ok(ThirdRow::Subcontinuum);
    }
    if check_pixels(width).is_err() {
        // Whichever row it is, reading refuses it; it need not be decoded to tell.
        return Ok(ThirdRow::Subcontinuum);
    }
    let row = primary.image_row(2).map_err(|error| error.to_string())?;
    let agrees = log_linear_wavelengths(&primary.header, row.len()).is_ok_and(|wave| {
        let near = |pixel: usize| (f64::from(row[pixel]) / wave[pixel] - 1.0).abs() < 1e-4;
        !row.is_empty() && near(0) && near(row.len() / 2) && near(row.len() - 1)
    });
    Ok(if agrees { ThirdRow::Wavelength } else { ThirdRow::Subcontinuum })
}

/// Pixels whose wavelengths share one power.
const BLOCK: usize = 64;

/// Wavelengths 10^(COEFF0 + i COEFF1), i from 0, in Angstrom.
fn log_linear_wavelengths(header: &Header, pixels: usize) -> Result<Vec<f64>, Reject> {
    let number = |keyword: &str, other: &str| {
        header.float(keyword).or_else(|| header.float(other)).ok_or_else(|| {
            Code::BAD_WAVELENGTH
                .because(format!("HDU 0: neither {keyword} nor {other} is a number"))
        })
    };
    let (first, step) = (number("COEFF0", "CRVAL1")?, number("COEFF1", "CD1_1")?);
    // A power for every pixel would take as long as inflating the file: one for each block of
    // pixels and one for each place in a block are exact to the last bits and fast.
    let places: [f64; BLOCK] = std::array::from_fn(|place| 10f64.powf(step * place as f64));
    let mut wave = Vec::with_capacity(pixels);
    for start in (0..pixels).step_by(BLOCK) {
        let anchor = 10f64.powf(first + step * start as f64);
        let length = BLOCK.min(pixels - start);
        wave.extend(places[..length].iter().map(|factor| anchor * factor));
    }
    Ok(wave)
}

fn image_spectrum(primary: &Hdu, wave: Vec<f64>) -> Result<Spectrum, Reject> {
    let arrays = Arrays {
        wave,
        flux: primary.image_row(0)?,
        ivar: primary.image_row(1)?,
        andmask: mask_bits(&primary.image_row(3)?),
        ormask: mask_bits(&primary.image_row(4)?),
    };
    Spectrum::new(SURVEY, arrays, read_meta(&primary.header))
}

fn read_meta(header: &Header) -> Meta {
    let snr = |new: &str, pilot: &str| {
        let keyword = if header.float(new).is_some() { new } else { pilot };
        signal_to_noise(header, keyword)
    };
    Meta {
        snr: [
            snr("SNRU", "SN_U"),
            snr("SNRG", "SN_G"),
            snr("SNRR", "SN_R"),
            snr("SNRI", "SN_I"),
            snr("SNRZ", "SN_Z"),
        ],
        ..observation(header)
    }
}
