//! The recipe for medium-resolution spectra, held step by step to a Python that was written apart
//! (`onnx/export/starmill_export/mrs_prepare.py`).

#![allow(clippy::print_stdout, reason = "the comparison says how much it compared")]

#[path = "../support/mod.rs"]
mod support;

mod cases;
mod model_folder;
mod speed;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use cases::{Case, Cases, STEPS};
use starmill::prep::{Prepared, Workspace};
use starmill::quality::Quality;

const TOLERANCE: f64 = 1e-5;

fn golden() -> Cases {
    read(&support::root().join("tests/mrs_recipe/golden.json"))
}

fn read(path: &Path) -> Cases {
    serde_json::from_slice(&fs::read(path).expect("cases")).expect("sound cases")
}

/// The largest difference of two lists, relative above 1.
#[track_caller]
fn difference(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(found, expected)| {
        assert!(found.is_finite() && expected.is_finite(), "{found} and {expected}");
        (f64::from(*found) - expected).abs() / expected.abs().max(1.0)
    });
    differences.fold(0.0, f64::max)
}

/// Compares every step of a case; says the largest difference of each.
fn compare(cases: &Cases, case: &Case) -> [f64; STEPS.len()] {
    STEPS.map(|step| {
        let name = format!("{}, {step}", case.name);
        match (cases.prepare_to(case, step), case.steps.get(step)) {
            (Ok(prepared), Some(expected)) => {
                let difference = difference(&prepared.input, expected);
                assert!(difference <= TOLERANCE, "{name}: {difference:e}");
                difference
            }
            (Err(reject), None) => {
                assert_eq!(Some(reject.code.entry().name), case.reject.as_deref(), "{name}");
                0.0
            }
            (found, _) => panic!("{name}: {:?}, Python: {:?}", found.err(), case.reject),
        }
    })
}

#[test]
fn each_step_gives_the_golden_values() {
    let golden = golden();
    for case in &golden.cases {
        compare(&golden, case);
        assert_eq!(case.reject, None);
    }
    // A step that does nothing would agree with anything before it.
    let changes = |name: &str, before: &str, after: &str| {
        let case = golden.cases.iter().find(|case| case.name == name).expect("the case");
        case.steps[before] != case.steps[after]
    };
    for pair in STEPS.windows(2) {
        assert!(changes("moving", pair[0], pair[1]), "{pair:?}");
    }
}

#[test]
fn what_is_found_is_said() {
    let golden = golden();
    let prepared = |name: &str| -> Prepared {
        let case = golden.cases.iter().find(|case| case.name == name).expect("the case");
        golden.prepare_to(case, "scale").expect("a row")
    };
    let clean = prepared("clean");
    assert_eq!((clean.quality, clean.bad_pixels), (Quality::NO_RV, 0));
    // Two times 15.9 A in native pixels of 0.119 and 0.151 A, and one more at each end.
    assert_eq!(clean.pixels, 242);
    assert_eq!(prepared("moving").quality, Quality::NONE);
    let masked = prepared("masked");
    assert_eq!(masked.quality, Quality::BAD_PIXELS | Quality::REPAIRED_VALUES);
    assert!(masked.bad_pixels > 20);
}

#[test]
fn neither_order_nor_threads_nor_what_came_before_change_a_bit() {
    let golden = golden();
    let cases: Vec<_> =
        golden.cases.iter().map(|case| (golden.recipe(case), case.spectrum())).collect();
    let alone: Vec<_> = cases.iter().map(|(recipe, s)| recipe.prepare(s).expect("a row")).collect();
    thread::scope(|scope| {
        for first in 0..4 {
            let (cases, alone) = (&cases, &alone);
            scope.spawn(move || {
                let mut workspace = Workspace::default();
                for turn in 0..12 {
                    let index = (first + turn * 5) % cases.len();
                    let (recipe, spectrum) = &cases[index];
                    let prepared = recipe.prepare_in(&mut workspace, spectrum).expect("a row");
                    assert_eq!(prepared, alone[index]);
                }
            });
        }
    });
}

#[test]
fn real_spectra_are_prepared_as_python_does() {
    let test = "the comparison on real medium-resolution spectra";
    let files: Vec<PathBuf> = support::real_files(test, "med-");
    let Some(mut python) = support::python(test) else { return };
    if files.is_empty() {
        println!("skipped: {test} needs files of LAMOST's medium resolution");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cases.json");
    let output = python
        .env("PYTHONPATH", support::root().join("onnx/export"))
        .args(["-m", "starmill_export.mrs_golden", "--out"])
        .arg(&out)
        .args(&files)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let real = read(&out);
    assert_eq!(real.cases.len(), files.len());
    let mut worst = [0f64; STEPS.len()];
    for case in &real.cases {
        for (worst, found) in worst.iter_mut().zip(compare(&real, case)) {
            *worst = worst.max(found);
        }
    }
    let rejects = real.cases.iter().filter(|case| case.reject.is_some()).count();
    println!("{} real spectra agree, {rejects} of them as rejects", files.len());
    for (step, worst) in STEPS.iter().zip(worst) {
        println!("{step}: largest difference {worst:.1e}");
    }
    assert!(rejects < files.len(), "no file gave a row to compare");
}
