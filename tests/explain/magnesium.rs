//! [Mg/Fe] of giants and the Mg b triplet.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{command, explain};
use crate::support::{self, starmill};

/// The strongest of the three lines, vacuum Angstrom; one of the others is in the same region.
const LINE: f64 = 5185.04;

/// Metal-rich giants of a simulated night without faults of so many stars, file by file; empty where
/// it cannot be.
fn giants(desk: &Path, stars: u32) -> Vec<PathBuf> {
    let title = "the sensitivity of [Mg/Fe]";
    if !support::has_library(title) {
        return Vec::new();
    }
    if !support::root().join("onnx/models/payne").is_dir() {
        println!("skipped: {title} needs onnx/models/payne");
        return Vec::new();
    }
    let output = starmill(&["simulate-night", "--date", "2026-11-21", "--survey", "lrs"])
        .args(["--seed", "1", "--clean", "--snr", "100:200", "--stars", &stars.to_string()])
        .arg("--out")
        .arg(desk)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let truth = fs::read_to_string(desk.join("truth.csv")).unwrap();
    let mut lines = truth.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let at = |name: &str| head.iter().position(|column| *column == name).unwrap();
    let within = |line: &[&str], name: &str, least: f64, most: f64| {
        line[at(name)].parse().is_ok_and(|value: f64| (least..most).contains(&value))
    };
    let is_giant = |line: &Vec<&str>| {
        within(line, "teff", 4200.0, 5200.0)
            && within(line, "logg", 0.0, 3.5)
            && within(line, "fe_h", -0.1, 0.5)
            && line[at("outcome")] == "row"
    };
    lines.filter(is_giant).map(|line| desk.join(line[at("file")])).collect()
}

#[test]
fn magnesium_of_metal_rich_giants_leans_on_its_triplet_near_5184_a() {
    let desk = tempfile::tempdir().unwrap();
    let giants = giants(desk.path(), 40);
    if giants.is_empty() {
        return;
    }
    assert!(giants.len() >= 5, "{} giants", giants.len());
    for giant in &giants[..5] {
        let (code, told) = explain(giant, &["--model", "fcresnet"]);
        assert_eq!(code, Some(0), "{told}");
        let found = &told["sensitivity"];
        assert_eq!((&found["step"], &found["lower"]), (&0.01.into(), &0.01.into()));
        let regions = found["regions"].as_array().unwrap();
        assert_eq!(regions.len(), 143);
        let labels = found["labels"].as_array().unwrap();
        let names: Vec<_> = labels.iter().map(|label| label["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["teff", "logg", "fe_h", "c_fe", "n_fe", "mg_fe"]);
        let change = labels[5]["change"].as_array().unwrap();
        assert_eq!(change.len(), regions.len());
        let strongest = usize::try_from(labels[5]["strongest"][0].as_u64().unwrap()).unwrap();
        let size = |region: usize| change[region].as_f64().unwrap().abs();
        assert!((0..change.len()).all(|region| size(region) <= size(strongest)));
        // Two of the three lines, of which the strongest is at 5185.0 A in vacuum: deeper lines are
        // more magnesium (Li et al. 2025, figure 10).
        let range = regions[strongest]["from"].as_f64()..regions[strongest]["to"].as_f64();
        assert!(range.contains(&Some(5185.04)), "{range:?} of {}", giant.display());
        assert_eq!(regions[strongest]["features"], serde_json::json!(["Mg b"]));
        assert!(change[strongest].as_f64() > Some(0.0));
    }

    let out = desk.path().join("why");
    let output = command(&giants[0], &["--model", "fcresnet", "--out", out.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("  mg_fe      5172-5198 A (Mg b) +0."), "{text}");
    let page = fs::read_to_string(out.join("explain.html")).unwrap();
    assert!(page.contains("What each label leans on") && page.contains("143 regions"));
    let png = image::load_from_memory(&fs::read(out.join("sensitivity.png")).unwrap()).unwrap();
    let (positive, negative) = ([200, 60, 40], [30, 80, 150]);
    let count = |ink: [u8; 3]| png.to_rgb8().pixels().filter(|pixel| pixel.0 == ink).count();
    assert!(png.width() == 1500 && count(positive) > 1000 && count(negative) > 1000);
}

/// Which place the region of the triplet has among those that [Mg/Fe] answers to, from 1, and how
/// much larger its answer is than the largest of the others.
fn place(told: &Value) -> (usize, f64) {
    let found = &told["sensitivity"];
    let regions = found["regions"].as_array().expect("regions");
    let labels = found["labels"].as_array().expect("labels");
    let label = labels.iter().find(|label| label["name"] == "mg_fe").expect("[Mg/Fe]");
    let sizes: Vec<f64> = label["change"]
        .as_array()
        .expect("a change for each region")
        .iter()
        .map(|change| change.as_f64().map_or(0.0, f64::abs))
        .collect();
    let holds = |region: &Value| {
        region["from"].as_f64() <= Some(LINE) && region["to"].as_f64() > Some(LINE)
    };
    let triplet = regions.iter().position(holds).expect("a region with the line");
    let others = || sizes.iter().enumerate().filter(|(region, _)| *region != triplet);
    let before = others().filter(|(_, size)| **size > sizes[triplet]).count();
    let largest = others().map(|(_, size)| *size).fold(0.0, f64::max);
    (before + 1, sizes[triplet] / largest)
}

/// Giants of the pilot survey's folder, by log g of LAMOST's own pipeline.
fn real_giants() -> Vec<PathBuf> {
    let files = support::real_files("the sensitivity of real giants", "lrs_dr1_image");
    let Some(folder) = files.first().and_then(|file| file.parent()) else { return Vec::new() };
    let table = fs::read_to_string(folder.join("lasp_labels.csv")).expect("labels by LASP");
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().expect("names of columns");
    let at = |name: &str| head.iter().position(|column| *column == name).expect("a column");
    let (file, gravity) = (at("filename"), at("logg"));
    lines
        .filter(|line| line[gravity].parse().is_ok_and(|logg: f64| logg < 3.5))
        .map(|line| folder.join(line[file]))
        .collect()
}

/// The counts in docs/explanations.md.
#[test]
#[ignore = "a measurement: look at what it prints"]
fn count_of_giants_whose_magnesium_leans_on_its_triplet() {
    let desk = tempfile::tempdir().unwrap();
    for (kind, giants) in [("synthetic", giants(desk.path(), 60)), ("real", real_giants())] {
        let mut first = 0;
        for giant in &giants {
            let (code, told) = explain(giant, &["--model", "fcresnet"]);
            assert_eq!(code, Some(0), "{told}");
            let (place, ratio) = place(&told);
            first += usize::from(place == 1);
            let name = giant.file_name().unwrap_or_default().to_string_lossy();
            println!("{kind} {name}: place {place}, {ratio:.1} times the next");
        }
        println!("{kind}: the triplet comes first in {first} of {} giants", giants.len());
    }
}
