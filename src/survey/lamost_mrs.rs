//! LAMOST medium-resolution spectra (R ~ 7500, blue arm 4950-5350 A and red arm 6300-6800 A, vacuum,
//! heliocentric).
//!
//! Data model: <https://www.lamost.org/dr9/v1.0/doc/mr-data-production-description>. A file holds one
//! fibre of one night: the sum of its exposures in extensions `COADD_B` and `COADD_R`, then each
//! exposure in B-LMJM and R-LMJM, where LMJM is the local modified Julian minute at which it began. Extensions
//! are found by name, for a sum is missing where `COMBIN_B` or `COMBIN_R` is F, and an exposure may have
//! one arm. Each sum and each exposure is a spectrum of its own: blue pixels, then red pixels, with
//! nothing between the arms.
//!
//! - Until DR9 v0 a pixel is a row, with LOGLAM in single precision. Red exposures descend.
//! - Since DR9 v1 a table is one row of vector cells, with WAVELENGTH in Angstrom. No public sample is
//!   known; the reader follows those of laspec and pylamost and takes masks of any numeric type.
//!
//! Pixels are kept as they are, also masked ones, whose flux may be ten million. In single precision
//! two neighbours could share a LOGLAM, though none of 72 tables at hand does it: of pixels that share
//! a wavelength the one of the largest ivar stays. S/N stands in each table. Class and radial velocity
//! are in catalogues alone.

use std::f64::consts::LN_10;

use chrono::{DateTime, TimeDelta};

use super::lamost::{mask_bits, observation, require_lamost, signal_to_noise};
use super::{Layout, Take};
use crate::fits::{Fits, FitsError, Hdu, Header, Table};
use crate::reject::{Code, Reject};
use crate::spectrum::{Arrays, Meta, Spectrum, check_pixels};

/// The survey, as manifests name it.
pub const SURVEY: &str = "lamost-mrs";

/// Until DR9 v0: a row for each pixel.
pub struct PixelRows(pub Take);
/// DR9 v1 and later: one row of vector cells.
pub struct VectorCells(pub Take);

/// How pixels lie in a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Rows,
    Cells,
}

/// Columns of a table: five or six are known. Each costs a search through the header.
const MOST_COLUMNS: i64 = 64;

impl Layout for PixelRows {
    fn name(&self) -> &'static str {
        "lamost-mrs-rows"
    }
    fn survey(&self) -> &'static str {
        SURVEY
    }
    fn summary(&self) -> &'static str {
        "LAMOST MRS, until DR9 v0: tables COADD_B, COADD_R, B-LMJM, R-LMJM with a row for each pixel"
    }
    fn recognise(&self, fits: &Fits) -> Result<(), String> {
        match form(fits)? {
            Form::Rows => Ok(()),
            Form::Cells => Err("its first arm has a column WAVELENGTH".into()),
        }
    }
    fn count(&self, fits: &Fits) -> usize {
        count(fits, self.0)
    }
    fn read(&self, fits: &Fits, index: usize) -> Result<Spectrum, Reject> {
        read(fits, Form::Rows, self.0, index)
    }
    fn taking(&self, take: Take) -> Option<&'static dyn Layout> {
        Some(match take {
            Take::Coadd => &Self(Take::Coadd),
            Take::Exposures => &Self(Take::Exposures),
            Take::Both => &Self(Take::Both),
        })
    }
}

impl Layout for VectorCells {
    fn name(&self) -> &'static str {
        "lamost-mrs-cells"
    }
    fn survey(&self) -> &'static str {
        SURVEY
    }
    fn summary(&self) -> &'static str {
        "LAMOST MRS, DR9 v1 and later: tables COADD_B, COADD_R, B-LMJM, R-LMJM of one row"
    }
    fn recognise(&self, fits: &Fits) -> Result<(), String> {
        match form(fits)? {
            Form::Cells => Ok(()),
            Form::Rows => Err("its first arm has a column LOGLAM".into()),
        }
    }
    fn count(&self, fits: &Fits) -> usize {
        count(fits, self.0)
    }
    fn read(&self, fits: &Fits, index: usize) -> Result<Spectrum, Reject> {
        read(fits, Form::Cells, self.0, index)
    }
    fn taking(&self, take: Take) -> Option<&'static dyn Layout> {
        Some(match take {
            Take::Coadd => &Self(Take::Coadd),
            Take::Exposures => &Self(Take::Exposures),
            Take::Both => &Self(Take::Both),
        })
    }
}

/// What an extension holds, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Held<'a> {
    Coadd,
    /// With its LMJM as it is written.
    Exposure(&'a str),
}

/// What the extension of this name holds; `None` if it is no arm.
pub(super) fn held(extname: &str) -> Option<Held<'_>> {
    if matches!(extname, "COADD_B" | "COADD_R") {
        return Some(Held::Coadd);
    }
    let lmjm = extname.strip_prefix("B-").or_else(|| extname.strip_prefix("R-"))?;
    let is_minute = matches!(lmjm.len(), 1..=10) && lmjm.bytes().all(|byte| byte.is_ascii_digit());
    is_minute.then_some(Held::Exposure(lmjm))
}

fn form(fits: &Fits) -> Result<Form, String> {
    require_lamost(fits)?;
    if fits.primary().float_image_shape().is_some() {
        return Err("the primary HDU holds an image".into());
    }
    if fits.named("COADD").is_some() {
        return Err("it has an extension COADD".into());
    }
    let arm = fits.extensions().find(|(name, _)| held(name).is_some());
    let (name, hdu) = arm.ok_or("there is no extension COADD_B, COADD_R, B-LMJM or R-LMJM")?;
    let table = open_table(hdu).map_err(|error| error.to_string())?;
    match (table.column("LOGLAM").is_ok(), table.column("WAVELENGTH").is_ok()) {
        (true, false) => Ok(Form::Rows),
        (false, true) => Ok(Form::Cells),
        (true, true) => Err(format!("{name} has both LOGLAM and WAVELENGTH")),
        (false, false) => Err(format!("{name} has neither LOGLAM nor WAVELENGTH")),
    }
}

/// The spectra that are taken of a file: the sum, then the exposures in the order of time.
fn parts<'f>(fits: &'f Fits, take: Take) -> Vec<Held<'f>> {
    let all = || fits.extensions().filter_map(|(name, _)| held(name));
    let mut minutes: Vec<&str> = Vec::new();
    if take.exposures() {
        minutes.extend(all().filter_map(|part| match part {
            Held::Exposure(lmjm) => Some(lmjm),
            Held::Coadd => None,
        }));
        minutes.sort_unstable_by_key(|lmjm| (lmjm.len(), *lmjm));
        minutes.dedup();
    }
    let coadd = take.coadd() && all().any(|part| part == Held::Coadd);
    let coadd = coadd.then_some(Held::Coadd);
    coadd.into_iter().chain(minutes.into_iter().map(Held::Exposure)).collect()
}

/// A file without a spectrum of the kind that is taken counts as one, which reading refuses.
fn count(fits: &Fits, take: Take) -> usize {
    parts(fits, take).len().max(1)
}

fn read(fits: &Fits, form: Form, take: Take, index: usize) -> Result<Spectrum, Reject> {
    if form == Form::Rows && take.exposures() {
        require_all_extensions(fits)?;
    }
    let parts = parts(fits, take);
    let part = *parts.get(index).ok_or_else(|| not_held(take))?;
    let named = |arm: char| match part {
        Held::Coadd => fits.named(&format!("COADD_{arm}")),
        Held::Exposure(lmjm) => fits.named(&format!("{arm}-{lmjm}")),
    };
    let (blue, red) = (named('B'), named('R'));
    let mut arrays = Arrays::default();
    for hdu in [blue, red].into_iter().flatten() {
        let arm = in_order(read_arm(hdu, form)?);
        arrays.wave.extend(arm.wave);
        arrays.flux.extend(arm.flux);
        arrays.ivar.extend(arm.ivar);
        arrays.andmask.extend(arm.andmask);
        arrays.ormask.extend(arm.ormask);
    }
    let snr = |arm: Option<&Hdu>| signal_to_noise(&arm?.header, "SNR");
    let first = |of: &dyn Fn(&Header) -> Option<i64>| {
        let arms = [blue, red].into_iter().flatten();
        arms.filter_map(|arm| of(&arm.header)).min()
    };
    let shown = [blue, red].into_iter().flatten().find_map(|arm| arm.header.text("DATE-OBS"));
    let primary = observation(&fits.primary().header);
    let meta = match part {
        Held::Coadd => {
            Meta { lmjm: first(&first_minute), date_obs: shown.or(primary.date_obs), ..primary }
        }
        Held::Exposure(lmjm) => {
            let lmjm = lmjm.parse().ok();
            let length = first(&|header| header.integer("EXPTIME"));
            Meta {
                is_exposure: true,
                lmjm,
                date_obs: shown.or_else(|| median_utc(lmjm?, length?)),
                ..primary
            }
        }
    };
    let extname = |arm: Option<&Hdu>| arm?.header.text("EXTNAME");
    let meta = Meta { extname_blue: extname(blue), extname_red: extname(red), ..meta };
    Spectrum::new(SURVEY, arrays, Meta { snr_b: snr(blue), snr_r: snr(red), ..meta })
}

/// A plain file that is cut between two extensions looks whole but lacks exposures. `N_EXTEN` counts all
/// HDUs in the older layout; whether it does in the newer one is not known.
fn require_all_extensions(fits: &Fits) -> Result<(), Reject> {
    let (present, said) = (fits.hdus.len(), fits.primary().header.integer("N_EXTEN"));
    match said.and_then(|said| usize::try_from(said).ok()) {
        Some(said) if said > present => {
            let what = format!("N_EXTEN says {said} HDUs, {present} are there");
            Err(FitsError::Malformed { hdu: 0, what }.into())
        }
        _ => Ok(()),
    }
}

fn not_held(take: Take) -> Reject {
    Code::NOT_HELD.because(match take {
        Take::Coadd | Take::Both => "there is neither COADD_B nor COADD_R",
        Take::Exposures => "there is no extension B-LMJM or R-LMJM",
    })
}

fn open_table<'a>(hdu: &Hdu<'a>) -> Result<Table<'a>, FitsError> {
    match hdu.header.integer("TFIELDS") {
        Some(columns) if columns > MOST_COLUMNS => {
            let what = format!("an arm has {columns} columns, the most is {MOST_COLUMNS}");
            Err(FitsError::Malformed { hdu: hdu.number, what })
        }
        _ => hdu.table(),
    }
}

/// The pixels of a table as they stand in it.
fn read_arm(hdu: &Hdu, form: Form) -> Result<Arrays, Reject> {
    let table = open_table(hdu)?;
    if form == Form::Cells && table.rows != 1 {
        let what = format!("the table has {} rows, 1 was expected", table.rows);
        return Err(FitsError::Malformed { hdu: hdu.number, what }.into());
    }
    // The first of the columns that is there: an exposure has one mask, a sum has two.
    let values = |names: &[&str]| -> Result<Vec<f32>, Reject> {
        let present = names.iter().find(|name| table.column(name).is_ok());
        let column = table.column(present.unwrap_or(&names[0]))?;
        check_pixels(if form == Form::Rows { table.rows } else { column.repeat })?;
        Ok(match form {
            Form::Rows => table.float_column(column)?,
            Form::Cells => table.floats(column, 0)?,
        })
    };
    let wave = match form {
        Form::Rows => {
            let loglam = values(&["LOGLAM"])?;
            loglam.into_iter().map(|loglam| (f64::from(loglam) * LN_10).exp()).collect()
        }
        Form::Cells => values(&["WAVELENGTH"])?.into_iter().map(f64::from).collect(),
    };
    let arrays = Arrays {
        wave,
        flux: values(&["FLUX"])?,
        ivar: values(&["IVAR"])?,
        andmask: mask_bits(&values(&["ANDMASK", "PIXMASK", "ORMASK"])?),
        ormask: mask_bits(&values(&["ORMASK", "PIXMASK"])?),
    };
    let pixels = arrays.wave.len();
    let lengths = [arrays.flux.len(), arrays.ivar.len(), arrays.andmask.len(), arrays.ormask.len()];
    if lengths.iter().any(|&length| length != pixels) {
        let what = format!("{pixels} wavelengths but {lengths:?} values of flux, ivar and masks");
        return Err(FitsError::Malformed { hdu: hdu.number, what }.into());
    }
    Ok(arrays)
}

/// Brings descending pixels into ascending order, and leaves one of those that share a wavelength.
/// Pixels in any other order stay as they are: a spectrum refuses them.
fn in_order(mut arrays: Arrays) -> Arrays {
    if arrays.wave.first() > arrays.wave.last() {
        arrays.wave.reverse();
        arrays.flux.reverse();
        arrays.ivar.reverse();
        arrays.andmask.reverse();
        arrays.ormask.reverse();
    }
    #[expect(clippy::float_cmp, reason = "equal numbers of the file stay equal")]
    let shares = |a: usize, b: usize| arrays.wave[a] == arrays.wave[b];
    let pixels = arrays.wave.len();
    if !(1..pixels).any(|pixel| shares(pixel - 1, pixel)) {
        return arrays;
    }
    let mut kept: Vec<usize> = Vec::with_capacity(pixels);
    for pixel in 0..pixels {
        match kept.last_mut() {
            Some(last) if shares(*last, pixel) => {
                if arrays.ivar[pixel] > arrays.ivar[*last] || arrays.ivar[*last].is_nan() {
                    *last = pixel;
                }
            }
            _ => kept.push(pixel),
        }
    }
    Arrays {
        wave: only(&arrays.wave, &kept),
        flux: only(&arrays.flux, &kept),
        ivar: only(&arrays.ivar, &kept),
        andmask: only(&arrays.andmask, &kept),
        ormask: only(&arrays.ormask, &kept),
    }
}

fn only<T: Copy>(values: &[T], kept: &[usize]) -> Vec<T> {
    kept.iter().map(|&pixel| values[pixel]).collect()
}

/// The first LMJM in the list of a sum, `83555758-83555772-83555785`. Up to three stand in LMJMLIST,
/// more in LMJMLIS0, LMJMLIS1, ...
fn first_minute(header: &Header) -> Option<i64> {
    let list = header.text("LMJMLIST").or_else(|| header.text("LMJMLIS0"))?;
    list.split('-').next()?.parse().ok().filter(|&lmjm| lmjm > 0)
}

/// Minutes that the clock of the observatory is ahead of UTC.
const BEIJING: i64 = 8 * 60;
/// The Unix epoch as a modified Julian day.
const UNIX_EPOCH: i64 = 40_587;

/// The middle of an exposure as DATE-OBS writes it. Builds before 2020 have no date of exposures,
/// but LMJM is their beginning to the minute.
fn median_utc(lmjm: i64, seconds: i64) -> Option<String> {
    let begin = lmjm.checked_sub(BEIJING + UNIX_EPOCH * 24 * 60)?.checked_mul(60)?;
    let half = TimeDelta::try_seconds(seconds.clamp(0, 86_400) / 2)?;
    let middle = DateTime::from_timestamp(begin, 0)?.checked_add_signed(half)?;
    Some(middle.format("%Y-%m-%dT%H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrays(pixels: &[(f64, f32)]) -> Arrays {
        Arrays {
            wave: pixels.iter().map(|pixel| pixel.0).collect(),
            flux: (0..pixels.len()).map(|pixel| pixel as f32).collect(),
            ivar: pixels.iter().map(|pixel| pixel.1).collect(),
            andmask: vec![0; pixels.len()],
            ormask: (0..pixels.len()).map(|pixel| pixel as u16).collect(),
        }
    }

    #[test]
    fn descending_pixels_are_turned_and_one_of_a_wavelength_stays() {
        let check = |given: &[(f64, f32)], order: &[f32]| {
            let arrays = in_order(arrays(given));
            assert_eq!(arrays.flux, order, "{given:?}");
            assert!(arrays.ormask.iter().map(|&mask| f32::from(mask)).eq(arrays.flux));
            assert_eq!(arrays.wave.len(), order.len());
        };
        check(&[(1.0, 1.0), (2.0, 1.0)], &[0.0, 1.0]);
        check(&[(3.0, 1.0), (2.0, 1.0), (1.0, 1.0)], &[2.0, 1.0, 0.0]);
        check(&[(1.0, 1.0), (1.0, 2.0), (1.0, 2.0), (2.0, 0.0)], &[1.0, 3.0]);
        check(&[(2.0, 0.0), (1.0, f32::NAN), (1.0, 0.0)], &[2.0, 0.0]);
        check(&[], &[]);
        // What is neither order is left for the spectrum to refuse.
        check(&[(1.0, 1.0), (3.0, 1.0), (2.0, 1.0)], &[0.0, 1.0, 2.0]);
    }

    #[test]
    fn extensions_are_told_by_their_names() {
        assert!(held("COADD_B") == Some(Held::Coadd) && held("COADD_R") == Some(Held::Coadd));
        assert!(held("R-83555772") == Some(Held::Exposure("83555772")));
        for name in ["", "COADD", "COADD_G", "B-", "B-8355577x", "G-83555772", "B-99999999999"] {
            assert!(held(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_middle_of_an_exposure_follows_from_its_minute() {
        // Both stand in med-58025-HIP9645901_sp02-051, which cuts the seconds of its dates.
        let check = |lmjm, expected| assert_eq!(median_utc(lmjm, 600).as_deref(), Some(expected));
        check(83_555_772, "2017-09-28T12:17:00");
        check(83_555_799, "2017-09-28T12:44:00");
        assert_eq!(median_utc(i64::MAX, 600), None);
    }
}
