//! What the files hold: the same bytes from the same request, in both formats.

use std::fs::{self, File};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::folder::{Folder, ended, read_fits};
use crate::support::has_library;

/// More than one batch of the network, and not a whole number of them.
const SOBOL: [&str; 4] = ["--sobol", "77", "--seed", "5"];

#[test]
fn equal_requests_give_equal_bytes() {
    if !has_library("equal_requests_give_equal_bytes") {
        return;
    }
    let folder = Folder::new();
    for ending in ["fits", "parquet"] {
        let bytes = |name: &str, more: &[&str]| {
            let name = format!("{name}.{ending}");
            let output = folder.generate(&name, &[&SOBOL, more].concat());
            ended(&output, 0, &["spectra=77"]);
            fs::read(folder.path(&name)).unwrap()
        };
        let noisy = ["--snr", "40"];
        assert!(bytes("a", &noisy) == bytes("b", &noisy), "{ending}");
        assert!(bytes("a", &noisy) != bytes("b", &[]), "{ending}");
    }
}

#[test]
fn both_formats_hold_the_same() {
    if !has_library("both_formats_hold_the_same") {
        return;
    }
    let folder = Folder::new();
    let request = [&SOBOL[..], &["--snr", "40", "--rv", "-120"]].concat();
    ended(&folder.generate("x.fits", &request), 0, &["spectra=77"]);
    ended(&folder.generate("x.parquet", &request), 0, &["spectra=77"]);
    let fits = read_fits(&folder.path("x.fits"));

    let file = File::open(folder.path("x.parquet")).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = builder.schema().clone();
    let batches: Vec<_> =
        builder.with_batch_size(1000).build().unwrap().map(Result::unwrap).collect();
    let [batch] = batches.as_slice() else { panic!("one batch") };
    let column = |name: &str| batch.column_by_name(name).unwrap();
    assert_eq!(column("row").as_primitive::<Int64Type>().values(), fits.rows.as_slice());
    for (label, expected) in ["teff", "logg", "fe_h"].iter().zip(&fits.labels) {
        assert_eq!(column(label).as_primitive::<Float64Type>().values(), expected.as_slice());
    }
    for (name, expected) in [("flux", &fits.flux), ("ivar", fits.ivar.as_ref().unwrap())] {
        let values = column(name).as_fixed_size_list().values().as_primitive::<Float32Type>();
        assert_eq!(values.values(), expected.concat().as_slice(), "{name}");
    }
    let flux = schema.field_with_name("flux").unwrap();
    let wavelength: Vec<f64> = serde_json::from_str(&flux.metadata()["wavelength"]).unwrap();
    assert_eq!(wavelength, fits.wavelength);
    assert_eq!(schema.field_with_name("teff").unwrap().metadata()["unit"], "K");
    assert_eq!(schema.metadata()["starmill.model"], "tiny_forward");

    // The star comes nearer, so that its lines are bluer: 6532 and 6596 A at rest.
    let shift = ((1.0 - 120.0 / 299_792.458) / (1.0 + 120.0 / 299_792.458_f64)).sqrt();
    for (pixel, rest) in [(0, 6532.0), (32, 6596.0)] {
        assert!((fits.wavelength[pixel] - rest * shift).abs() < 1e-9, "{pixel}");
    }
}

#[test]
fn noise_has_the_strength_that_the_file_states() {
    if !has_library("noise_has_the_strength_that_the_file_states") {
        return;
    }
    let folder = Folder::new();
    let noisy = [&SOBOL[..], &["--snr", "50"]].concat();
    ended(&folder.generate("clean.fits", &SOBOL), 0, &["spectra=77"]);
    ended(&folder.generate("noisy.fits", &noisy), 0, &["spectra=77"]);
    let (clean, noisy) =
        (read_fits(&folder.path("clean.fits")), read_fits(&folder.path("noisy.fits")));
    assert!(clean.ivar.is_none());
    assert_eq!(clean.labels, noisy.labels);
    let (flux, ivar) = (noisy.flux.concat(), noisy.ivar.unwrap().concat());
    let pixels = flux.len() as f64;
    let chi2: f64 = flux
        .iter()
        .zip(clean.flux.concat())
        .zip(&ivar)
        .map(|((noisy, clean), ivar)| f64::from(*ivar) * f64::from(noisy - clean).powi(2))
        .sum();
    // Five standard deviations of a chi-square of so many degrees of freedom.
    assert!((chi2 - pixels).abs() < 5.0 * (2.0 * pixels).sqrt(), "{chi2} of {pixels}");
    assert!(ivar.iter().all(|&ivar| (ivar - 2500.0).abs() < 0.1));
}

#[test]
fn a_row_has_its_own_noise_whatever_stands_before_it() {
    if !has_library("a_row_has_its_own_noise_whatever_stands_before_it") {
        return;
    }
    let folder = Folder::new();
    let first = folder.write("a.csv", "teff\n4000\n5000\n");
    let second = folder.write("b.csv", "teff\n9000\n5000\n");
    let request = |table: &std::path::Path| {
        let table = table.to_str().unwrap().to_owned();
        ["--labels".to_owned(), table, "--snr".into(), "20".into(), "--skip-outside".into()]
    };
    let flux = |name: &str, table: &std::path::Path, code| {
        let request = request(table);
        let request: Vec<&str> = request.iter().map(String::as_str).collect();
        ended(&folder.generate(name, &request), code, &["spectra="]);
        read_fits(&folder.path(name)).flux
    };
    let (both, alone) = (flux("a.fits", &first, 0), flux("b.fits", &second, 1));
    assert_eq!(both[1], alone[0]);
}
