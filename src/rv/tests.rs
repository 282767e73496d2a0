use super::*;
use crate::config::Config;

use std::io::Write;

fn settings(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> RvSettings {
    let catalogue = folder.path().join(name);
    std::fs::write(&catalogue, bytes).unwrap();
    RvSettings { catalogue, ..Config::load(None).unwrap().rv }
}

fn of_catalogue(settings: &RvSettings) -> Result<Velocities, RvError> {
    Velocities::load(&settings.catalogue, settings)
}

fn load(text: &str) -> Result<Velocities, RvError> {
    let folder = tempfile::tempdir().unwrap();
    of_catalogue(&settings(&folder, "rv.csv", text.as_bytes()))
}

fn meta(lmjm: i64, is_exposure: bool) -> Meta {
    Meta {
        obsid: Some(589_002_051),
        lmjd: Some(58025),
        spid: Some(2),
        fiberid: Some(51),
        lmjm: Some(lmjm),
        is_exposure,
        ..Meta::default()
    }
}

fn found(velocities: &Velocities, mut meta: Meta) -> Option<(f64, Option<f64>, String)> {
    velocities.fill(Path::new("night/a,b.fits"), &mut meta);
    Some((meta.rv_kms?, meta.rv_err_kms, meta.rv_source?))
}

const HEAD: &str =
    "obsid,lmjd,spid,fiberid,lmjm,coadd,rv_b0,rv_b0_err,rv_b_flag,rv_br0,rv_br0_err,rv_br_flag\n";

#[test]
fn exposures_and_sums_have_velocities_of_their_own() {
    let text = format!(
        "{HEAD}\
         589002051,58025,2,51,83555758,0,-30.5,0.9,0,-31.25,0.5,0\n\
         589002051,58025,2,51,83555772,0,-28.5,0.9,0,-9999.0,-9999.0,0\n\
         589002051,58025,2,51,83555758,1,-29.0,0.9,0,-29.5,0.4,0\n"
    );
    let velocities = load(&text).unwrap();
    let check = |meta, expected: Option<(f64, f64, &str)>| {
        let found = found(&velocities, meta);
        assert_eq!(found, expected.map(|(rv, err, source)| (rv, Some(err), source.to_owned())));
    };
    check(meta(83_555_758, true), Some((-31.25, 0.5, "rv.csv:rv_br0")));
    check(meta(83_555_772, true), Some((-28.5, 0.9, "rv.csv:rv_b0")));
    check(meta(83_555_758, false), Some((-29.5, 0.4, "rv.csv:rv_br0")));
    // A sum whose first exposure another release left out is found by its night.
    check(meta(83_555_799, false), Some((-29.5, 0.4, "rv.csv:rv_br0")));
    // An exposure does not get the velocity of the night.
    check(meta(83_555_799, true), None);
    check(Meta { fiberid: Some(52), ..meta(83_555_758, true) }, None);
    check(Meta { lmjd: Some(58026), ..meta(83_555_799, false) }, None);
}

#[test]
fn a_velocity_must_be_there_without_a_flag_and_with_a_small_error() {
    let check = |values: &str, expected: Option<f64>| {
        let text = format!("{HEAD}589002051,58025,2,51,83555758,1,{values}\n");
        let found = found(&load(&text).unwrap(), meta(83_555_758, false));
        assert_eq!(found.map(|found| found.0), expected, "{values}");
    };
    check("1.5,0.5,0,2.5,0.5,0", Some(2.5));
    check("1.5,0.5,0,2.5,0.5,1", Some(1.5));
    check("1.5,0.5,0,2.5,10.5,0", Some(1.5));
    check("1.5,0.5,0,2.5,-9999,0", Some(1.5));
    check("1.5,0.5,0,2.5,,0", Some(1.5));
    check("1.5,0.5,0,-9999.99,0.5,0", Some(1.5));
    check("-999,0.5,0,nan,0.5,0", None);
    check(",,,,,", None);
    check("9000,0.5,0,-3500,0.5,0", None);
    check("-550.25,0.5,,1e3,99,0", Some(-550.25));
}

#[test]
fn a_list_of_ones_own_needs_a_name_and_a_velocity() {
    let velocities = load("obsid|rv\n589002051|12.125\n").unwrap();
    let source = "rv.csv:rv".to_owned();
    assert_eq!(found(&velocities, meta(1, false)), Some((12.125, None, source.clone())));
    // It knows of no exposures, so theirs is that of the night.
    assert_eq!(found(&velocities, meta(1, true)), Some((12.125, None, source)));
    assert_eq!(found(&velocities, Meta { obsid: Some(1), ..meta(1, false) }), None);
}

#[test]
fn a_list_of_files_has_velocities_by_their_names() {
    let list = "path,rv,rv_err\n\"night/a,b.fits\",-12.5,0.5\nnight/c.fits,7,0.5\n";
    let velocities = load(list).unwrap();
    let mine = Some((-12.5, Some(0.5), "rv.csv:rv".to_owned()));
    assert_eq!(found(&velocities, meta(1, false)), mine);
    // Who lists a file means all that is taken of it.
    assert_eq!(found(&velocities, meta(1, true)), mine);
    let others = load("path,rv\nb.fits,-12.5\nnight/a,3\n");
    assert!(others.is_ok_and(|others| found(&others, meta(1, false)).is_none()));
}

#[test]
fn rows_that_contradict_each_other_are_not_believed() {
    let text = "obsid,rv,rv_err\n589002051,10.0,1.0\n589002051,11.0,0.5\n7,10.0,1.0\n7,40.0,1.0\n";
    let velocities = load(text).unwrap();
    assert_eq!(found(&velocities, meta(1, false)).unwrap().0, 11.0);
    assert_eq!(found(&velocities, Meta { obsid: Some(7), ..meta(1, false) }), None);
    assert_eq!(velocities.len(), 1);
}

#[test]
fn what_is_no_catalogue_says_what_it_lacks() {
    let check = |text: &str, says: &[&str]| {
        let error = load(text).unwrap_err().to_string();
        assert!(says.iter().all(|says| error.contains(says)), "{error:?} should say {says:?}");
    };
    check("", &["rv.catalogue"]);
    check("star,rv\n1,2\n", &["obsid, nor lmjm, spid, fiberid", "star, rv", "rv.keys"]);
    check("obsid,velocity\n1,2\n", &["rv_br0", "velocity", "rv.columns"]);
    check("obsid,rv\n1,2,3\n", &["record 2 has 3 fields", "fetch it again"]);
    check(&format!("obsid,rv\n1,{}\n", "9".repeat(70_000)), &["longer than 65536 bytes"]);
    check(&format!("obsid,rv\n\"{}", "1,2\n".repeat(30_000)), &["longer than 65536 bytes"]);
    check(&"x".repeat(70_000), &["without a line's end"]);
    let folder = tempfile::tempdir().unwrap();
    let few = RvSettings { max_keys: 1, ..settings(&folder, "a", b"obsid,rv\n1,2\n2,2\n") };
    assert!(of_catalogue(&few).unwrap_err().to_string().contains("rv.max_keys"));
    let missing = RvSettings { catalogue: "/nowhere/rv.csv".into(), ..few };
    assert!(of_catalogue(&missing).unwrap_err().to_string().contains("check rv.catalogue"));
}

/// A FITS table with an image before it: an identifier as a 64-bit integer, as text and as a float,
/// and a velocity that is scaled and has a TNULL.
fn fits() -> Vec<u8> {
    let header = |cards: &[&str]| {
        let cards = cards.iter().chain(&["END"]).map(|card| format!("{card:<80}"));
        let mut bytes = cards.collect::<String>().into_bytes();
        bytes.resize(bytes.len().next_multiple_of(2880), b' ');
        bytes
    };
    let mut bytes = header(&[
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    1",
        "NAXIS1  =                   10",
    ]);
    bytes.resize(bytes.len() + 2880, 0);
    let columns =
        [("obsid", "K"), ("LMJM", "9A"), ("spid", "E"), ("fiberid", "I"), ("rv_br0", "J")];
    let mut cards: Vec<String> = [
        "XTENSION= 'BINTABLE'",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                   27",
        "NAXIS2  =               100000",
        "PCOUNT  =                    0",
        "GCOUNT  =                    1",
        "TFIELDS =                    5",
        "TSCAL5  =                 0.25",
        "TNULL5  =                -9999",
    ]
    .map(String::from)
    .to_vec();
    for (number, (name, form)) in (1..).zip(columns) {
        cards.push(format!("TTYPE{number}  = '{name}'"));
        cards.push(format!("TFORM{number}  = '{form}'"));
    }
    bytes.extend(header(&cards.iter().map(String::as_str).collect::<Vec<_>>()));
    for row in 0..100_000_i32 {
        bytes.extend((589_000_000 + i64::from(row)).to_be_bytes());
        bytes.extend(format!("{:<9}", 83_000_000 + row).into_bytes());
        bytes.extend(2_f32.to_be_bytes());
        bytes.extend(51_i16.to_be_bytes());
        bytes.extend((if row % 2 == 0 { -9999 } else { row % 1000 }).to_be_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    bytes
}

#[test]
fn a_fits_table_larger_than_a_portion_is_read_plain_and_gzipped() {
    let folder = tempfile::tempdir().unwrap();
    let plain = fits();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    for (name, bytes) in [("rv.fits", &plain), ("rv.fits.gz", &gzip)] {
        let velocities = of_catalogue(&settings(&folder, name, bytes)).unwrap();
        assert_eq!(velocities.digest(), Digest::of(bytes));
        assert_eq!(velocities.len(), 100_000, "odd rows, each by exposure and by obsid");
        let source = format!("{name}:rv_br0");
        let odd = found(&velocities, meta(83_099_999, true));
        assert_eq!(odd, Some((249.75, None, source)));
        assert_eq!(found(&velocities, meta(83_099_998, true)), None);
    }
    let cut = of_catalogue(&settings(&folder, "cut.fits", &plain[..plain.len() / 2]));
    assert!(cut.unwrap_err().to_string().contains("bytes of data are declared"));
    let cut = of_catalogue(&settings(&folder, "cut.gz", &gzip[..gzip.len() / 2]));
    assert!(cut.unwrap_err().to_string().contains("check rv.catalogue"));
}
