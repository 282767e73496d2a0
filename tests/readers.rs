//! Every layout gives the spectrum that was written, and the real files give theirs.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]
#![allow(clippy::disallowed_methods, reason = "the comparison opens trusted names with CFITSIO")]

mod support;

use std::path::Path;

use starmill::fits::Fits;
use starmill::input::{Limits, Reader};
use starmill::reject::{Code, Reject};
use starmill::spectrum::Spectrum;
use starmill::survey;
use support::lrs::{Layout, Lrs};

const LIMITS: Limits = Limits { file_bytes: 1 << 30, inflated_bytes: 1 << 30 };

fn read_bytes(bytes: &[u8]) -> Result<(&'static str, Spectrum), Reject> {
    let fits = Fits::parse(bytes)?;
    let layout = survey::detect(&fits)?;
    assert_eq!(layout.count(&fits), 1);
    Ok((layout.name(), layout.read(&fits, 0)?))
}

fn read(path: &Path) -> Result<(&'static str, Spectrum), Reject> {
    let mut reader = Reader::new(LIMITS);
    reader.read(path, &mut std::thread::sleep)?;
    read_bytes(reader.inflate(&mut std::thread::sleep)?)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn every_layout_gives_what_was_written() {
    let mut star = Lrs::star(7);
    star.andmask[100] = 4.0;
    star.ormask[100] = 5.0;
    star.ivar[200] = 0.0;
    for (layout, name) in [
        (Layout::Pilot, "lamost-lrs-pilot"),
        (Layout::Image, "lamost-lrs-image"),
        (Layout::Table, "lamost-lrs-table"),
    ] {
        let (taken, spectrum) = read_bytes(&star.to_fits(layout)).unwrap();
        assert_eq!(taken, name);
        assert_eq!(bits(spectrum.flux()), bits(&star.flux));
        assert_eq!(bits(spectrum.ivar()), bits(&star.ivar));
        assert_eq!((spectrum.andmask()[100], spectrum.ormask()[100]), (4, 5));
        for (found, written) in spectrum.wave().iter().zip(&star.wave) {
            // The pilot layout has no wavelengths but those of its dispersion.
            assert!((found / f64::from(*written) - 1.0).abs() < 1e-7);
        }
        assert_eq!(spectrum.name().unwrap(), "lamost-lrs:58069-HD000000N-01-008");
        assert_eq!(spectrum.meta.obsid, Some(100_000_007));
        assert_eq!(spectrum.meta.snr[1], Some(48.25));
        assert_eq!(spectrum.meta.class.as_deref(), Some("STAR"));
    }
}

#[test]
fn an_image_without_its_list_of_rows_is_told_by_its_numbers() {
    let star = Lrs::star(1);
    for (layout, name) in [(Layout::Pilot, "lamost-lrs-pilot"), (Layout::Image, "lamost-lrs-image")]
    {
        let mut bytes = star.to_fits(layout);
        let at = bytes.windows(6).position(|window| window == b"EXTEN0").unwrap();
        bytes[at..at + 6].copy_from_slice(b"EXTENX");
        assert_eq!(read_bytes(&bytes).unwrap().0, name);
    }
}

#[test]
fn the_release_that_a_file_names_does_not_matter() {
    let star = Lrs::star(1).with("DATA_V", "'LAMOST DR9'");
    assert_eq!(read_bytes(&star.to_fits(Layout::Image)).unwrap().0, "lamost-lrs-image");
    let star = star.with("TELESCOP", "'SDSS 2.5-M'");
    let reject = read_bytes(&star.to_fits(Layout::Image)).unwrap_err();
    assert_eq!(reject.code, Code::UNKNOWN_LAYOUT);
    assert!(reject.detail.contains("TELESCOP is SDSS 2.5-M"), "{reject}");
}

#[test]
fn twin_files_of_two_releases_give_bit_equal_spectra() {
    let files = support::real_files("the twin files", "spec-55859-F5902_sp01-001");
    let [old, new] = files.as_slice() else {
        println!("skipped: the twin files are not here");
        return;
    };
    let ((old_name, old), (new_name, new)) = (read(old).unwrap(), read(new).unwrap());
    assert_ne!(old_name, new_name);
    assert_eq!(bits(old.flux()), bits(new.flux()));
    assert_eq!(bits(old.ivar()), bits(new.ivar()));
    assert_eq!(old.wave(), new.wave());
    assert_eq!((old.andmask(), old.ormask()), (new.andmask(), new.ormask()));
    assert_eq!((old.name(), old.meta.obsid), (new.name(), new.meta.obsid));
}

#[test]
fn every_real_file_is_read() {
    let files = support::real_files("reading real files", "");
    let mut counts = std::collections::BTreeMap::new();
    for path in &files {
        let text = path.to_string_lossy();
        let expected = if text.contains("med-") {
            "lamost-mrs-rows"
        } else if text.contains("dr1_image") {
            "lamost-lrs-pilot"
        } else if text.contains("lrs_dr9") || text.contains("lrs_dr10") {
            "lamost-lrs-table"
        } else if text.contains("spec-") && text.contains(".fits") && !text.contains("sdss") {
            "lamost-lrs-image"
        } else {
            "none"
        };
        match read(path) {
            Ok((name, spectrum)) => {
                assert_eq!(name, expected, "{}", path.display());
                assert!(spectrum.name().is_some(), "{}", path.display());
                assert!(spectrum.wave().len() >= 3700);
                assert_eq!(spectrum.repaired(), 0, "{}", path.display());
            }
            Err(reject) => {
                assert_eq!(expected, "none", "{}: {reject}", path.display());
                assert_eq!(reject.code, Code::UNKNOWN_LAYOUT, "{}: {reject}", path.display());
            }
        }
        *counts.entry(expected).or_insert(0) += 1;
    }
    println!("read {counts:?}");
}

#[test]
fn cfitsio_reads_the_same_numbers() {
    for path in support::real_files("the comparison with CFITSIO", "lrs_") {
        let (name, spectrum) = read(&path).unwrap();
        let mut file = fitsio::FitsFile::open(&path).unwrap();
        let (flux, ivar): (Vec<f32>, Vec<f32>) = if name == "lamost-lrs-table" {
            let hdu = file.hdu("COADD").unwrap();
            (hdu.read_col(&mut file, "FLUX").unwrap(), hdu.read_col(&mut file, "IVAR").unwrap())
        } else {
            let hdu = file.primary_hdu().unwrap();
            let pixels = spectrum.wave().len();
            let rows: Vec<f32> = hdu.read_section(&mut file, 0, 2 * pixels).unwrap();
            (rows[..pixels].to_vec(), rows[pixels..].to_vec())
        };
        assert_eq!(bits(spectrum.flux()), bits(&flux), "{}", path.display());
        assert_eq!(bits(spectrum.ivar()), bits(&ivar), "{}", path.display());
        let mut key = |name: &str| -> Option<i64> {
            let hdu = file.primary_hdu().unwrap();
            hdu.read_key(&mut file, name).ok()
        };
        assert_eq!(spectrum.meta.obsid, key("OBSID"), "{}", path.display());
        assert_eq!(spectrum.meta.fiberid.map(i64::from), key("FIBERID"), "{}", path.display());
    }
}

/// A file with one scaled image and one table of scaled columns, among them whole numbers with a
/// value that stands for none.
fn scaled() -> Vec<u8> {
    let header = |cards: &[&str]| {
        let cards = cards.iter().chain(&["END"]);
        let mut bytes: Vec<u8> =
            cards.flat_map(|card| format!("{card:<80}").into_bytes()).collect();
        bytes.resize(bytes.len().next_multiple_of(2880), b' ');
        bytes
    };
    let mut bytes = header(&[
        "SIMPLE  =                    T",
        "BITPIX  =                  -32",
        "NAXIS   =                    2",
        "NAXIS1  =                    3",
        "NAXIS2  =                    1",
        "EXTEND  =                    T",
        "BSCALE  =                 2.5",
        "BZERO   =               -10.0",
    ]);
    bytes.extend([1f32, -0.1, 1e30].map(f32::to_be_bytes).concat());
    bytes.resize(2 * 2880, 0);
    let columns = [("1E", 4), ("1D", 8), ("1I", 2), ("1J", 4), ("1B", 1), ("1K", 8)];
    let mut cards: Vec<String> = [
        "XTENSION= 'BINTABLE'",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                   27",
        "NAXIS2  =                    2",
        "PCOUNT  =                    0",
        "GCOUNT  =                    1",
        "TFIELDS =                    6",
        "TNULL3  =                   -7",
    ]
    .map(String::from)
    .to_vec();
    for (number, (form, _)) in (1..).zip(columns) {
        cards.push(format!("TTYPE{number}  = 'C{number}'"));
        cards.push(format!("TFORM{number}  = '{form}'"));
        cards.push(format!("TSCAL{number}  = 0.125"));
        cards.push(format!("TZERO{number}  = 32768"));
    }
    bytes.extend(header(&cards.iter().map(String::as_str).collect::<Vec<_>>()));
    for number in [-7i8, 100] {
        bytes.extend(f32::from(number).to_be_bytes());
        bytes.extend((f64::from(number) * 1e5).to_be_bytes());
        bytes.extend(i16::from(number).to_be_bytes());
        bytes.extend((i32::from(number) * 1_000_003).to_be_bytes());
        bytes.extend(number.to_be_bytes());
        bytes.extend((i64::from(number) * 3).to_be_bytes());
    }
    bytes.resize(4 * 2880, 0);
    bytes
}

#[test]
fn scaled_values_are_those_of_cfitsio() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scaled.fits");
    let bytes = scaled();
    std::fs::write(&path, &bytes).unwrap();
    let fits = Fits::parse(&bytes).unwrap();
    let mut file = fitsio::FitsFile::open(&path).unwrap();
    let image: Vec<f32> = file.primary_hdu().unwrap().read_section(&mut file, 0, 3).unwrap();
    assert_eq!(bits(&fits.primary().image_row(0).unwrap()), bits(&image));

    let table = fits.hdus[1].table().unwrap();
    let hdu = file.hdu(1).unwrap();
    for column in table.columns() {
        let theirs: Vec<f32> = hdu.read_col(&mut file, &column.name).unwrap();
        for (row, value) in theirs.into_iter().enumerate() {
            let ours = table.floats(column, row).unwrap();
            if column.kind == b'I' && row == 0 {
                // The crate asks CFITSIO not to look for values that stand for none.
                assert!(ours[0].is_nan());
            } else {
                assert_eq!(bits(&ours), [value.to_bits()], "{} of row {row}", column.name);
            }
        }
    }
}

#[test]
fn a_file_of_two_layouts_is_taken_by_one() {
    // Found by fuzzing: an image with the table of the later releases behind it.
    let (image, table) = (Lrs::star(7).to_fits(Layout::Image), Lrs::star(8).to_fits(Layout::Table));
    let extension = table.windows(8).position(|bytes| bytes == b"XTENSION").unwrap();
    let both = [&image[..], &table[extension..]].concat();
    let fits = Fits::parse(&both).unwrap();
    let takers = survey::LAYOUTS.iter().filter(|layout| layout.recognise(&fits).is_ok());
    assert_eq!(takers.map(|layout| layout.name()).collect::<Vec<_>>(), ["lamost-lrs-image"]);
}
