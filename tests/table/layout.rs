//! The reader of the layout, on bytes.

use starmill::fits::Fits;
use starmill::prep::Recipe;
use starmill::reject::Code;
use starmill::spectrum::Spectrum;
use starmill::survey;

use crate::support::xp::{NO_SOURCE, PIXELS, Row, stars, to_fits};

fn read(rows: &[Row]) -> Vec<Spectrum> {
    let bytes = to_fits(rows);
    let fits = Fits::parse(&bytes).unwrap();
    let layout = survey::detect(&fits).unwrap();
    assert_eq!((layout.name(), layout.survey()), ("gaia-xp-table", "gaia-xp"));
    assert_eq!(layout.count(&fits), rows.len());
    (0..rows.len()).map(|row| layout.read(&fits, row).unwrap()).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn each_row_is_the_spectrum_that_was_written() {
    let rows = stars(3);
    for (number, (spectrum, row)) in read(&rows).iter().zip(&rows).enumerate() {
        let wave = spectrum.wave();
        assert_eq!((wave.len(), wave[0], wave[1], wave[342]), (PIXELS, 3360.0, 3380.0, 10_200.0));
        assert_eq!(bits(spectrum.flux()), bits(&row.flux));
        for (ivar, error) in spectrum.ivar().iter().zip(&row.flux_error) {
            assert!((ivar * error * error - 1.0).abs() < 1e-6);
        }
        let meta = &spectrum.meta;
        assert_eq!(spectrum.name().unwrap(), format!("gaia-xp:{}-{number}", row.source));
        assert_eq!(
            (meta.obsid, meta.designation.as_ref()),
            (Some(row.source), Some(&row.apogee_id))
        );
        assert_eq!(meta.magnitudes, row.magnitudes.map(Some));
        assert_eq!((meta.ra, meta.dec, meta.class.as_ref()), (None, None, None));
        // The noise is the same in every pixel and the median of the flux is 1.
        let snr = meta.limiting_snr().unwrap();
        assert!((snr * row.flux_error[0] - 1.0).abs() < 1e-5, "{snr}");
    }
}

#[test]
fn what_is_missing_is_missing_and_what_is_no_error_is_no_measurement() {
    let mut rows = stars(3);
    rows[0].source = NO_SOURCE;
    rows[1].apogee_id = String::new();
    rows[1].magnitudes = [f32::NAN, 99.0, -9999.0];
    let bad = [(3, 0.0), (4, -1.0), (5, f32::NAN), (6, f32::INFINITY), (7, 1e-30)];
    for (pixel, error) in bad {
        rows[2].flux_error[pixel] = error;
    }
    let spectra = read(&rows);
    assert_eq!((spectra[0].name(), spectra[0].meta.obsid), (None, None));
    assert_eq!(
        (spectra[1].meta.designation.as_ref(), spectra[1].meta.magnitudes),
        (None, [None; 3])
    );
    for (pixel, error) in bad {
        assert!(spectra[2].ivar()[pixel] <= 0.0, "an error of {error}");
    }
    assert_eq!(spectra[2].ivar().iter().filter(|ivar| **ivar <= 0.0).count(), bad.len());
}

#[test]
fn tables_of_another_form_are_not_taken_and_say_why() {
    let bytes = to_fits(&stars(2));
    let check = |from: &str, to: &str, says: &str| {
        let mut bytes = bytes.clone();
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes());
        bytes[at.unwrap()..][..to.len()].copy_from_slice(to.as_bytes());
        let fits = Fits::parse(&bytes).unwrap();
        let reject = survey::detect(&fits).err().unwrap();
        assert_eq!(reject.code, Code::UNKNOWN_LAYOUT);
        assert!(reject.detail.contains(&format!("not gaia-xp-table: {says}")), "{reject}");
    };
    check("'flux    '", "'fluxes  '", "HDU 1: the table has no column flux");
    check("'flux_error'", "'flux_sigma'", "HDU 1: the table has no column flux_error");
    check("EXTEND  =                    T", "TELESCOP= 'LAMOST  '          ", "TELESCOP is LAMOST");
}

#[test]
fn cfitsio_reads_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.fits");
    let rows = stars(40);
    std::fs::write(&path, to_fits(&rows)).unwrap();
    compare_with_cfitsio(&path, &read(&rows));
}

/// Holds spectra against the rows that CFITSIO reads.
#[expect(clippy::disallowed_methods, reason = "the comparison opens a trusted name with CFITSIO")]
pub fn compare_with_cfitsio(path: &std::path::Path, spectra: &[Spectrum]) {
    let mut file = fitsio::FitsFile::open(path).unwrap();
    let hdu = file.hdu(1).unwrap();
    let sources: Vec<i64> = hdu.read_col(&mut file, "gaiaedr3_source_id").unwrap();
    let flux: Vec<f32> = hdu.read_col(&mut file, "flux").unwrap();
    let error: Vec<f32> = hdu.read_col(&mut file, "flux_error").unwrap();
    assert!(sources.len() >= spectra.len());
    let cells = flux.chunks(PIXELS).zip(error.chunks(PIXELS));
    for ((spectrum, source), (flux, error)) in spectra.iter().zip(sources).zip(cells) {
        assert_eq!(spectrum.meta.obsid, Some(source));
        assert_eq!(bits(spectrum.flux()), bits(flux));
        let ivar: Vec<f32> = error.iter().map(|error| 1.0 / (error * error)).collect();
        assert_eq!(bits(spectrum.ivar()), bits(&ivar));
    }
}

#[test]
fn inputs_are_those_of_astropy_and_numpy() {
    let test = "inputs_are_those_of_astropy_and_numpy";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.fits");
    let rows = stars(30);
    std::fs::write(&path, to_fits(&rows)).unwrap();
    compare_with_numpy(test, &path, &read(&rows));
}

/// Holds what the recipe of one grid makes of spectra against the first rows of a table in numpy.
pub fn compare_with_numpy(test: &str, path: &std::path::Path, spectra: &[Spectrum]) {
    let Some(mut python) = crate::support::python(test) else { return };
    let grid = "step = 'native_grid'\nfirst = 3360.0\nspacing = 20.0\npixels = 343";
    let steps = [grid, "step = 'zscore'"].map(|step| step.parse::<toml::Table>().unwrap());
    let recipe = Recipe::parse(&steps, PIXELS, None).unwrap();
    let inputs: Vec<Vec<f32>> =
        spectra.iter().map(|spectrum| recipe.prepare(spectrum).unwrap().input).collect();
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("inputs.json");
    std::fs::write(&json, serde_json::to_string(&inputs).unwrap()).unwrap();
    let output =
        python.arg("tests/python/check_xp_inputs.py").args([path, &json]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let agree = format!("{} rows agree", spectra.len());
    assert!(String::from_utf8_lossy(&output.stdout).contains(&agree), "{said}");
}
