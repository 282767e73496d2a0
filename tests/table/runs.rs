//! A table through the program: every row is accounted for once, whatever happens.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use serde_json::Value;

use crate::support::lrs::gzip;
use crate::support::xp::{NO_SOURCE, Row, stars, to_fits};
use crate::support::{self, assert_ended};
use crate::{Desk, assert_same, assert_verified, log};

/// Rows of the table: two whole parts and a piece.
pub const ROWS: u32 = 600;

/// A table in which one row has no source, one cannot be used, and two are of one star.
pub fn table() -> Vec<Row> {
    let mut rows = stars(ROWS);
    rows[7].source = NO_SOURCE;
    rows[300].flux_error[40] = f32::NAN;
    rows[9] = Row { labels: [4321.0, 2.0, 0.0, 0.0], ..rows[8].clone() };
    rows
}

#[test]
fn every_row_of_a_table_is_a_row_or_a_reject() {
    if !support::has_library("a table through the program") {
        return;
    }
    let desk = Desk::new();
    let rows = table();
    desk.write("t.fits", &to_fits(&rows));
    assert_ended(&desk.run("out", &["t.fits"], ""), 1, "rows=599 rejects=1 files=1");
    assert_verified(&desk, "out");

    let catalogue = "out/catalogue.fits";
    let names = desk.texts(catalogue, "spectrum_id");
    let mut seen = desk.rows(catalogue);
    let sources = desk.numbers(catalogue, "gaia_source_id");
    let designations = desk.texts(catalogue, "apogee_id");
    let magnitudes = desk.numbers(catalogue, "phot_bp_mean_mag");
    let snr = desk.numbers(catalogue, "snr_xp");
    for (row, &at) in seen.iter().enumerate() {
        let star = &rows[at];
        let known = star.source != NO_SOURCE;
        assert_eq!(sources[row], known.then_some(star.source as f64));
        assert_eq!(designations[row], star.apogee_id);
        assert_eq!(magnitudes[row], Some(f64::from(star.magnitudes[1])));
        assert!((snr[row].unwrap() * f64::from(star.flux_error[0]) - 1.0).abs() < 1e-5);
        let expected = format!("gaia-xp:{}-{at}", star.source);
        assert!(if known { names[row] == expected } else { names[row].starts_with("blake3-") });
    }
    seen.sort_unstable();
    assert!(seen.into_iter().eq((0..ROWS as usize).filter(|row| *row != 300)));
    assert_eq!(desk.rows("out/rejects.fits"), [300]);
    assert_eq!(desk.texts("out/rejects.fits", "reason"), ["too_many_bad_pixels"]);
    assert!(desk.numbers(catalogue, "ra").iter().all(Option::is_none));

    // Nothing is left to do, and a report needs no positions.
    let again = desk.run("out", &["t.fits"], "");
    assert_ended(&again, 1, "rows=599 rejects=1 files=1");
    assert!(log(&again).contains("skipped=1"), "{}", log(&again));
    let report = desk.command(&["night", "report"]).arg(desk.path("out")).output().unwrap();
    assert!(report.status.success(), "{}", log(&report));
    assert!(fs::read_to_string(desk.path("out/report.html")).unwrap().contains("599"));
}

#[test]
fn a_crash_amid_a_table_neither_repeats_nor_loses_rows() {
    if !support::has_library("a crash amid a table") || !cfg!(feature = "failpoints") {
        return;
    }
    let desk = Desk::new();
    desk.write("t.fits.gz", &gzip(&to_fits(&table())));
    let line = "rows=599 rejects=1 files=1";
    assert_ended(&desk.run("whole", &["t.fits.gz"], ""), 1, line);
    for (point, left) in [("commit-done=return", 344), ("commit-renamed=1*off->return", 344)] {
        let out = &point[..point.find('=').unwrap()];
        let died = desk.run(out, &["t.fits.gz"], point);
        assert_eq!(died.status.signal(), Some(6), "{}", log(&died));
        let stats = desk.path("stats.json");
        let output = desk
            .command(&["run", "--model", "xp", "--stats"])
            .args([&stats, &desk.path("t.fits.gz")])
            .arg("--out")
            .arg(desk.path(out))
            .output()
            .unwrap();
        assert_ended(&output, 1, line);
        let stats: Value = serde_json::from_slice(&fs::read(stats).unwrap()).unwrap();
        let this_run = |what: &str| stats["this_run"][what].as_u64().unwrap();
        let done = this_run("rows") + this_run("rejects");
        assert_eq!(done, left, "{point}: {stats}");
        assert_same(&desk, out, "whole");
        assert_verified(&desk, out);
    }
}

#[test]
fn a_table_that_is_cut_is_one_reject() {
    if !support::has_library("a table that is cut") {
        return;
    }
    let desk = Desk::new();
    let bytes = to_fits(&table());
    let packed = gzip(&bytes);
    desk.write("cut.fits", &bytes[..bytes.len() / 2]);
    desk.write("cut.fits.gz", &packed[..packed.len() / 2]);
    desk.write("empty.fits", &to_fits(&[]));
    let names = ["cut.fits", "cut.fits[0:256]", "cut.fits.gz", "empty.fits"];
    // The range is of a file that is a reject already.
    assert_ended(&desk.run("out", &names, ""), 1, "rows=0 rejects=3 files=3");
    let mut reasons = desk.texts("out/rejects.fits", "reason");
    reasons.sort_unstable();
    assert_eq!(reasons, ["corrupt_compression", "corrupt_fits", "empty_file"]);
    assert_verified(&desk, "out");
}

#[test]
fn a_model_of_another_survey_refuses_each_row() {
    if !support::has_library("a model of another survey") {
        return;
    }
    let desk = Desk::new();
    let table = desk.write("t.fits", &to_fits(&stars(300)));
    let out = desk.path("out");
    assert_ended(&support::run(&out, &[&table]), 1, "rows=0 rejects=300 files=1");
    assert!(desk.texts("out/rejects.fits", "reason").iter().all(|reason| reason == "wrong_survey"));
}

#[test]
fn one_row_is_inspected_and_explained() {
    if !support::has_library("explaining a row of a table") {
        return;
    }
    let desk = Desk::new();
    let table = desk.write("t.fits", &to_fits(&table()));
    assert_ended(&desk.run("out", &["t.fits"], ""), 1, "rows=599 rejects=1 files=1");
    let at = |arguments: &[&str], index: &str| {
        let mut command = desk.command(arguments);
        let output = command.arg(&table).args(["--index", index]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said, log(&output))
    };
    let (code, said, log) = at(&["inspect", "--model", "xp"], "17");
    assert_eq!(code, Some(0), "{log}");
    for part in ["gaia-xp-table takes it", "spectra   600", "row       17, star 2M00000017", "teff"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, _, log) = at(&["inspect"], "600");
    assert!(code == Some(2) && log.contains("beyond the 600 spectra"), "{log}");

    let catalogue = desk.path("out");
    let folder = desk.path("why");
    let explain =
        ["explain", "--out", folder.to_str().unwrap(), "--catalogue", catalogue.to_str().unwrap()];
    let (code, said, log) = at(&explain, "17");
    assert_eq!(code, Some(0), "{said} {log}");
    for part in ["row 17 of a table", "native_grid", "143 native pixels", "equal to the last bit"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(fs::read_to_string(folder.join("explain.html")).unwrap().contains("row 17 of a table"));
    // A star with one row is known by its source, and each row by its name.
    let source = self::table()[17].source;
    for name in [source.to_string(), format!("gaia-xp:{source}-17")] {
        let output = desk.command(&explain).arg(name).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(
            said.contains("row 17 of a table") && said.contains("143 regions of 20 A"),
            "{said}"
        );
    }
    let twice = self::table()[8].source.to_string();
    let output = desk.command(&explain).arg(&twice).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("gaia-xp:{twice}-9 (")), "{said}");
    let (code, said, log) = at(&explain, "300");
    assert_eq!(code, Some(1), "{log}");
    assert!(said.contains("step native_grid of the recipe"), "{said}");
    assert!(said.contains("rejects   equal to the last bit"), "{said}");
}
