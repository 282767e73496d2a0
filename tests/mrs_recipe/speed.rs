//! How fast the recipe is on one core, beside the plain Python on the same spectra in turn.
//! Measured, so not run by default:
//!
//! `cargo test --release --test mrs_recipe -- --ignored --nocapture`

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use starmill::prep::Workspace;

use crate::cases::Cases;
use crate::support;

/// How often both are measured; the median counts.
const ROUNDS: usize = 7;
/// The least time of one measurement of ours; Python gets a second.
const LEAST: Duration = Duration::from_millis(300);

#[test]
#[ignore = "a measurement"]
fn the_recipe_beside_plain_python() {
    let Some(python) = support::python("the measurement") else { return };
    let program = python.get_program().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.json");
    let run = |command: &str| {
        let mut python = std::process::Command::new(&program);
        // One thread each: numpy's products would take all cores.
        python.env("OPENBLAS_NUM_THREADS", "1").arg("ops/bench/prepare_mrs.py").arg(command);
        let output = python.current_dir(support::root()).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run("make");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(rate(&path));
        theirs.push(run("time").trim().parse::<f64>().unwrap());
    }
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    println!("| prepare, medium resolution, one thread | median | range |\n|---|---|---|");
    line("this program, spectra a second (wanted: 4,000)", ours);
    line("plain Python, spectra a second", theirs);
    line("ratio", ratios);
}

/// Spectra that we prepare a second.
fn rate(path: &Path) -> f64 {
    let cases: Cases = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let spectra: Vec<_> =
        cases.cases.iter().map(|case| (cases.recipe(case), case.spectrum())).collect();
    let mut workspace = Workspace::default();
    let (mut done, begin) = (0, Instant::now());
    while begin.elapsed() < LEAST {
        for (recipe, spectrum) in &spectra {
            black_box(recipe.prepare_in(&mut workspace, spectrum).expect("a row"));
        }
        done += spectra.len();
    }
    done as f64 / begin.elapsed().as_secs_f64()
}

fn line(name: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let (least, most) = (values[0], values[values.len() - 1]);
    println!("| {name} | {:.0} | {least:.0} to {most:.0} |", values[values.len() / 2]);
}
