//! A catalogue against a reference, through the program.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::{NOISE, clean, evaluate, object, refusal, sealed, visits};
use crate::support::sealed::{Dice, Star};

/// What the reference is off by: teff, logg, `fe_h`.
const OFF: [f64; 3] = [-40.0, 0.05, 0.1];

/// Its columns.
const HEADER: &str = "star,RAJ2000,DEJ2000,Teff[K],LOGG,[Fe/H],mg_fe";

/// A reference of these stars, a little beside their places.
fn reference(path: &Path, stars: &[Star]) {
    let mut dice = Dice(11);
    let mut text = format!("{HEADER}\n");
    for star in stars {
        let [teff, logg, fe_h] = star.values.map(f64::from);
        let (ra, dec) = (star.ra, star.dec + 0.2 / 3600.0 * dice.uniform());
        let [a, b, c] = OFF;
        writeln!(text, "{},{ra},{dec},{},{},{},-9999", star.name, teff - a, logg - b, fe_h - c)
            .unwrap();
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn bias_and_scatter_are_found_again_overall_and_in_each_bin() {
    let folder = tempfile::tempdir().unwrap();
    let (catalogue, table) = (folder.path().join("catalogue"), folder.path().join("reference.csv"));
    let stars = clean(1200);
    sealed(&catalogue, &visits(&stars, 2));
    reference(&table, &stars);
    let found = object(&catalogue, &[table.to_str().unwrap()]);
    let agreement = &found["agreement"];
    assert_eq!((&agreement["matched"], &agreement["rows"]), (&2400.into(), &1200.into()));
    assert!(found.get("repeats").is_none());
    for (number, (name, column)) in
        [("teff", "Teff[K]"), ("logg", "LOGG"), ("fe_h", "[Fe/H]")].into_iter().enumerate()
    {
        let label = &agreement["labels"][number];
        assert_eq!((&label["name"], &label["reference"]["column"]), (&name.into(), &column.into()));
        let of = |summary: &Value, what: &str| summary[what].as_f64().unwrap();
        let by_snr = label["bins"].as_array().unwrap().iter().find(|b| b["by"] == "snr").unwrap();
        for (low, snr) in [(20.0, 25.0), (50.0, 60.0)] {
            let bins = by_snr["bins"].as_array().unwrap();
            let bin = &bins.iter().find(|bin| bin["low"] == low).unwrap()["summary"];
            let sigma = NOISE[number] / snr;
            assert_eq!(bin["count"], 1200);
            // 1200 residuals give their mean to 0.03 sigma and sigma to 2 %.
            assert!((of(bin, "mean") - OFF[number]).abs() < 0.15 * sigma, "{name}: {bin}");
            assert!((of(bin, "std") / sigma - 1.0).abs() < 0.1, "{name}: {bin}");
            assert!((of(bin, "robust_sigma") / sigma - 1.0).abs() < 0.15, "{name}: {bin}");
        }
        // Every residual is in one bin of each quantity.
        for binned in label["bins"].as_array().unwrap() {
            let counts = binned["bins"].as_array().unwrap().iter();
            let counts = counts.filter_map(|bin| bin["summary"]["count"].as_u64());
            assert_eq!(counts.sum::<u64>(), 2400, "{}", binned["by"]);
        }
        assert_eq!(label["bins"].as_array().unwrap().len(), 4);
    }
    let text = evaluate(&catalogue, &[table.to_str().unwrap()]).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("1200 rows, 2400 matched by position within 1 arcsec"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("teff")).count(), 6, "{text}");
}

#[test]
fn every_number_is_that_of_numpy_and_scipy() {
    let Some(mut python) = crate::support::python("every_number_is_that_of_numpy_and_scipy") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (catalogue, table) = (folder.path().join("catalogue"), folder.path().join("reference.csv"));
    let stars = clean(700);
    sealed(&catalogue, &visits(&stars, 2));
    reference(&table, &stars);
    let found = object(&catalogue, &[table.to_str().unwrap(), "--repeats"]);
    let report = folder.path().join("found.json");
    std::fs::write(&report, found.to_string()).unwrap();
    let output = python
        .arg("tests/python/check_evaluation.py")
        .args([catalogue.join("catalogue.parquet"), table, report])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("3 labels agree"), "{said}");
}

#[test]
fn a_reference_may_be_fits_parquet_or_compressed_and_have_errors() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let stars = clean(60);
    sealed(&one, &visits(&stars, 2));
    sealed(&other, &stars);
    let against = |name: &str, more: &[&str]| {
        let table = other.join(name);
        object(&one, &[&[table.to_str().unwrap()], more].concat())["agreement"].clone()
    };
    let (fits, parquet) = (against("catalogue.fits", &[]), against("catalogue.parquet", &[]));
    assert_eq!(fits["matched"], 120);
    for (a, b) in
        fits["labels"].as_array().unwrap().iter().zip(parquet["labels"].as_array().unwrap())
    {
        assert_eq!((&a["all"], &a["pulls"]), (&b["all"], &b["pulls"]));
        assert_eq!(a["bins"], b["bins"]);
    }
    let packed = File::create(other.join("packed.fits.gz")).unwrap();
    let mut packed = GzEncoder::new(packed, Compression::fast());
    packed.write_all(&std::fs::read(other.join("catalogue.fits")).unwrap()).unwrap();
    packed.finish().unwrap();
    let packed = against("packed.fits.gz", &[]);
    assert_eq!((&packed["labels"], &packed["rows"]), (&fits["labels"], &fits["rows"]));
    // Both quote 50 K, so that of the residual is 71 K.
    let teff = &parquet["labels"][0];
    assert_eq!(teff["reference"]["error"], "teff_err");
    assert_eq!(teff["reference"]["unit"], "K");
    let of = |object: &Value, name: &str| object[name].as_f64().unwrap();
    let expected = of(&teff["all"], "std") / (50.0 * 2f64.sqrt());
    assert!((of(&teff["pulls"], "std") - expected).abs() < 1e-6, "{teff}");
    // By name, which the visits have with a number behind it.
    let said =
        refusal(&one, &[other.join("catalogue.fits").to_str().unwrap(), "--key", "spectrum_id"]);
    assert!(said.contains("none of its 60 rows belongs to one of the catalogue's 120"), "{said}");
}

#[test]
fn rows_are_matched_by_keys_and_files_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = folder.path().join("catalogue");
    let stars = clean(4);
    sealed(&catalogue, &stars);
    let table = folder.path().join("table.txt");
    let file = |star: usize| format!("data/{}.fits.gz", stars[star].name);
    let text = format!(
        "filename|t|t_error\n{}|4000|10\n{}|4100|20\nnobody.fits|1|1\n{}|9000|1\n",
        file(2),
        file(0),
        file(2)
    );
    std::fs::write(&table, text).unwrap();
    let more = ["--key", "file=filename", "--map", "teff=t", "--map", "teff_err=t_error"];
    let found = object(&catalogue, &[&[table.to_str().unwrap()], more.as_slice()].concat());
    let agreement = &found["agreement"];
    assert_eq!((&agreement["matched"], &agreement["ambiguous"]), (&2.into(), &1.into()));
    assert_eq!(agreement["missing"], serde_json::json!(["logg", "fe_h"]));
    let expected =
        [(2, 4000.0), (0, 4100.0)].map(|(star, teff)| f64::from(stars[star].values[0]) - teff);
    let mean = agreement["labels"][0]["all"]["mean"].as_f64().unwrap();
    assert!((mean - f64::midpoint(expected[0], expected[1])).abs() < 1e-2, "{agreement}");
    assert_eq!(agreement["labels"][0]["reference"]["error"], "t_error");
}

#[test]
fn the_nearest_of_several_stars_is_the_partner() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = folder.path().join("catalogue");
    let star = clean(1).remove(0);
    sealed(&catalogue, std::slice::from_ref(&star));
    let table = folder.path().join("table.csv");
    let at = |seconds: f64| star.dec + seconds / 3600.0;
    let ra = star.ra;
    let text = format!(
        "ra,dec,teff\n{ra},{},1000\n{ra},{},2000\n{ra},{},3000\n{ra},{},4000\n",
        at(0.9),
        at(-0.2),
        at(0.5),
        at(3.0)
    );
    std::fs::write(&table, text).unwrap();
    let found = object(&catalogue, &[table.to_str().unwrap()]);
    let mean = found["agreement"]["labels"][0]["all"]["mean"].as_f64().unwrap();
    assert!((mean - (f64::from(star.values[0]) - 2000.0)).abs() < 1e-2, "{found}");
    assert_eq!(found["agreement"]["ambiguous"], 1);
}

#[test]
fn what_cannot_be_compared_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = folder.path().join("catalogue");
    sealed(&catalogue, &clean(5));
    let table = folder.path().join("table.csv");
    let path = table.to_str().unwrap();
    let with = |text: &str, more: &[&str]| {
        std::fs::write(&table, text).unwrap();
        refusal(&catalogue, &[&[path], more].concat())
    };
    let said = with("ra,dec,teff\n1,2,3\n", &[]);
    assert!(
        said.contains("none of its 1 rows belongs") && said.contains("larger --radius"),
        "{said}"
    );
    let said = with("ra,dec,T\n1,2,3\n", &[]);
    assert!(said.contains("no column of teff, logg, fe_h among ra, dec, T; map one"), "{said}");
    let said = with("x,dec,teff\n1,2,3\n", &[]);
    assert!(said.contains("no column ra and dec among x, dec, teff; map them"), "{said}");
    let said = with("ra,dec,teff\n1,2,3\n", &["--map", "tef=T"]);
    assert!(said.contains("--map tef: the catalogue has no such label; it has teff"), "{said}");
    let said = with("ra,dec,teff\n1,2,3\n", &["--map", "teff=T"]);
    assert!(said.contains("no column T among ra, dec, teff; name one of these"), "{said}");
    let said = with("ra,dec,teff\n1,2\n", &[]);
    assert!(said.contains("record 2 has 2 fields, the first has 3"), "{said}");
    std::fs::remove_file(&table).unwrap();
    let said = refusal(&catalogue, &[path]);
    assert!(said.contains("check that it is a file that may be read"), "{said}");
}
