//! A catalogue of a table against the labels that stand in it.

use std::fmt::Write as _;

use serde_json::Value;

use crate::support::xp::{stars, to_fits};
use crate::support::{self, assert_ended};
use crate::{Desk, log};

#[test]
fn labels_are_held_against_those_of_the_table_by_magnitude_and_for_some_stars_alone() {
    if !support::has_library("evaluating a table") {
        return;
    }
    let desk = Desk::new();
    let rows = stars(300);
    let table = desk.write("t.fits", &to_fits(&rows));
    assert_ended(&desk.run("out", &["t.fits"], ""), 0, "rows=300 rejects=0 files=1");
    let mut list = "gaia_source_id\n".to_owned();
    let test = || rows.iter().step_by(3);
    for row in test() {
        writeln!(list, "{}", row.source).unwrap();
    }
    desk.write("test.csv", list.as_bytes());
    let run = |more: &[&str]| {
        let output = desk
            .command(&["evaluate", "--where-good", "false"])
            .args([&desk.path("out"), &table])
            .args(["--key", "gaia_source_id=gaiaedr3_source_id"])
            .args(more)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), log(&output))
    };
    let only = desk.path("test.csv");
    let (code, said, said_log) = run(&[
        "--only",
        only.to_str().unwrap(),
        "--bin",
        "phot_g_mean_mag=12,14",
        "--bin",
        "teff_err=50",
        "--json",
    ]);
    assert_eq!(code, Some(0), "{said_log}");
    let found: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(found["catalogue"]["evaluated"], 100);
    assert_eq!(found["catalogue"]["left_out"]["unlisted"], 200);
    assert_eq!(found["catalogue"]["snr"], "snr_g, else snr_xp");
    assert_eq!(found["agreement"]["matched"], 100);
    let teff = &found["agreement"]["labels"][0];
    assert_eq!(teff["reference"]["error"], "TEFF_ERR");
    let by = |name: &str| {
        let bins = teff["bins"].as_array().unwrap();
        bins.iter().find(|bins| bins["by"] == name).unwrap_or_else(|| panic!("{teff}"))
    };
    let magnitude = by("phot_g_mean_mag");
    assert_eq!(magnitude["of"], "catalogue");
    let within =
        |low: f32, high: f32| test().filter(|row| (low..high).contains(&row.magnitudes[0])).count();
    let counts: Vec<_> =
        magnitude["bins"].as_array().unwrap().iter().map(|bin| &bin["summary"]["count"]).collect();
    assert_eq!(counts, [within(0.0, 12.0), within(12.0, 14.0), within(14.0, 99.0)]);
    // Both have such a column, and that of the catalogue comes first.
    let errors = by("teff_err");
    assert_eq!(
        (&errors["of"], &errors["bins"][1]["summary"]["count"]),
        (&"catalogue".into(), &100.into())
    );
    assert_eq!(by("snr")["bins"].as_array().unwrap().len(), 9);

    let html = desk.path("report.html");
    let (code, said, _) =
        run(&["--bin", "phot_g_mean_mag=12,14", "--html", html.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    assert!(said.contains("median, robust sigma (N) by phot_g_mean_mag\n"), "{said}");
    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains("by phot_g_mean_mag") && page.contains("12-14"));

    let (code, _, said) = run(&["--bin", "G=12"]);
    assert!(code == Some(2) && said.contains("no column G among APOGEE_ID"), "{said}");
    let other = desk.write("other.csv", b"star\n5\n");
    let (code, _, said) = run(&["--only", other.to_str().unwrap()]);
    assert!(code == Some(2) && said.contains("no column of the catalogue among star"), "{said}");
    let none = desk.write("none.csv", b"gaia_source_id\n5\n");
    let (code, _, said) = run(&["--only", none.to_str().unwrap()]);
    assert!(code == Some(2) && said.contains("300 are not in the list"), "{said}");
}
