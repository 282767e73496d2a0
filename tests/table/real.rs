//! The real table: 40,226 spectra.

use std::collections::HashSet;
use std::fs;

use serde_json::Value;
use starmill::fits::Fits;
use starmill::input::{Limits, Reader};
use starmill::survey;

use crate::support::{self, assert_ended};
use crate::{Desk, layout, log, real_table};

#[test]
fn every_row_of_the_real_table_is_read_and_has_a_name_of_its_own() {
    let Some(path) = real_table("reading the real table") else { return };
    let mut reader = Reader::new(Limits { file_bytes: 1 << 30, inflated_bytes: 1 << 30 });
    reader.read(&path, &mut std::thread::sleep).unwrap();
    let fits = Fits::parse(reader.inflate(&mut std::thread::sleep).unwrap()).unwrap();
    let table = survey::detect(&fits).unwrap();
    assert_eq!((table.name(), table.count(&fits)), ("gaia-xp-table", 40_226));
    let (mut names, mut stars) = (HashSet::new(), HashSet::new());
    let mut first = Vec::new();
    for row in 0..table.count(&fits) {
        let spectrum = table.read(&fits, row).unwrap();
        assert_eq!(spectrum.repaired(), 0, "row {row}");
        let snr = spectrum.meta.limiting_snr().unwrap();
        assert!((0.5..500.0).contains(&snr), "row {row}: {snr}");
        stars.insert(spectrum.meta.obsid.unwrap());
        names.insert(spectrum.name().unwrap());
        if row < 1000 {
            first.push(spectrum);
        }
    }
    assert_eq!((names.len(), stars.len()), (40_226, 39_851));
    layout::compare_with_cfitsio(&path, &first);
    layout::compare_with_numpy("inputs of the real table", &path, &first);
}

#[test]
fn the_real_table_streams_in_the_memory_of_one_file() {
    let test = "the real table through the program";
    let Some(path) = real_table(test).filter(|_| support::has_library(test)) else { return };
    let desk = Desk::new();
    let config = fs::read_to_string(desk.path("config.toml")).unwrap();
    fs::write(desk.path("config.toml"), config.replace("segment_spectra = 256", "")).unwrap();
    let peak = |rows: &str, out: &str, line: &str| {
        let stats = desk.path("stats.json");
        let output = desk
            .command(&["run", "--model", "xp", "--out"])
            .arg(desk.path(out))
            .args(["--stats".into(), stats.clone(), format!("{}{rows}", path.display()).into()])
            .output()
            .unwrap();
        assert_ended(&output, 0, line);
        let stats: Value = serde_json::from_slice(&fs::read(stats).unwrap()).unwrap();
        println!("{rows} {}", log(&output).lines().last().unwrap_or_default());
        stats["peak_rss_bytes"].as_u64().unwrap()
    };
    // What all rows take beyond what a few do is not the memory of rows.
    let few = peak("[0:2560]", "few", "rows=2560 rejects=0 files=1");
    let all = peak("", "all", "rows=40226 rejects=0 files=1");
    println!("peak {few} bytes of 2,560 rows, {all} of 40,226");
    assert!(all < few + (64 << 20), "{few} bytes of a few rows, {all} of all");
}
