//! Rust and Python, written apart, give the same numbers.

#![allow(clippy::print_stdout, reason = "the comparison says how much it compared")]
#![allow(clippy::float_cmp, reason = "whole numbers are compared")]

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use starmill::config::Config;
use starmill::fits::Fits;
use starmill::input::{Limits, Reader};
use starmill::reject::Reject;
use starmill::setup::Ready;
use starmill::spectrum::{Arrays, Meta, Spectrum};
use starmill::survey;

const TOLERANCE: f64 = 1e-6;

fn model() -> Ready {
    let mut config = Config::load(None).unwrap();
    config.models.dir = support::root().join("onnx/models");
    Ready::open(&config, "fcresnet").unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (bin, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(*found) - expected).abs();
        // Inputs are single precision, so the tolerance grows with the number.
        assert!(
            difference <= TOLERANCE * expected.abs().max(1.0),
            "{what}, bin {bin}: {difference:e}"
        );
    }
}

/// A spectrum of the golden file; its masks list the pixels that are not zero.
fn golden_spectrum(case: &Value) -> Spectrum {
    let wave = &case["wave"];
    let (first, step) = (wave["coeff0"].as_f64().unwrap(), wave["coeff1"].as_f64().unwrap());
    let pixels = usize::try_from(wave["n"].as_u64().unwrap()).unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "the golden values are single precision")]
    let single = |name: &str| numbers(&case[name]).into_iter().map(|x| x as f32).collect();
    let mask = |name: &str| {
        let mut bits = vec![0; pixels];
        for (pixel, value) in case[name].as_object().unwrap() {
            bits[pixel.parse::<usize>().unwrap()] = u16::try_from(value.as_u64().unwrap()).unwrap();
        }
        bits
    };
    let arrays = Arrays {
        wave: (0..pixels)
            .map(|i| 10f64.powf(first + step * f64::from(u32::try_from(i).unwrap())))
            .collect(),
        flux: single("flux"),
        ivar: single("ivar"),
        andmask: mask("andmask"),
        ormask: mask("ormask"),
    };
    Spectrum::new("lamost-lrs", arrays, Meta::default()).unwrap()
}

#[test]
fn the_recipe_gives_the_golden_values() {
    let ready = model();
    let entry = ready.model.manifest.files.recipe_golden.as_ref().expect("the model has them");
    let golden: Value = serde_json::from_slice(&ready.model.read(entry).unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() >= 4);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let prepared = ready.recipe.prepare(&golden_spectrum(case)).unwrap();
        let expected = &case["expected"];
        let window = numbers(&expected["window"]);
        assert_eq!(prepared.pixels as f64, window[1] - window[0], "{name}");
        assert_eq!(prepared.bad_pixels, expected["bad"].as_array().unwrap().len(), "{name}");
        assert_eq!(prepared.empty_bins as u64, expected["empty_bins"].as_u64().unwrap(), "{name}");
        assert_close(&prepared.input, &numbers(&expected["input"]), name);
    }
}

fn read(path: &Path) -> Result<Spectrum, Reject> {
    let limit = 1 << 30;
    let mut reader = Reader::new(Limits { file_bytes: limit, inflated_bytes: limit });
    reader.read(path, &mut std::thread::sleep)?;
    let fits = Fits::parse(reader.inflate(&mut std::thread::sleep)?)?;
    survey::detect(&fits)?.read(&fits, 0)
}

#[test]
fn real_spectra_are_read_and_prepared_as_python_does() {
    let test = "the comparison on real spectra";
    let is_low = |path: &PathBuf| read(path).is_ok_and(|read| read.survey() == "lamost-lrs");
    let files: Vec<PathBuf> = support::real_files(test, "").into_iter().filter(is_low).collect();
    let Some(mut python) = support::python(test) else { return };
    if files.is_empty() {
        return;
    }
    let ready = model();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("prepared.json");
    let output = python
        .env("PYTHONPATH", support::root().join("onnx/export"))
        .args(["-m", "starmill_export.cli", "prepare", "--manifest"])
        .arg(ready.model.dir.join("manifest.toml"))
        .arg("--out")
        .arg(&out)
        .args(&files)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let results = results.as_array().unwrap();
    assert_eq!(results.len(), files.len());
    let mut rejects = 0;
    for (path, result) in files.iter().zip(results) {
        let what = path.display().to_string();
        let spectrum = read(path).unwrap();
        assert_eq!(spectrum.wave().len() as u64, result["n"].as_u64().unwrap(), "{what}");
        assert_eq!(spectrum.meta.obsid, result["obsid"].as_i64(), "{what}");
        let first = result["wave_first"].as_f64().unwrap();
        assert!((spectrum.wave()[0] / first - 1.0).abs() < 1e-9, "{what}");
        match ready.recipe.prepare(&spectrum) {
            Ok(prepared) => {
                assert_eq!(prepared.bad_pixels as u64, result["bad"].as_u64().unwrap(), "{what}");
                assert_close(&prepared.input, &numbers(&result["input"]), &what);
            }
            Err(reject) => {
                assert_eq!(result["reject"], reject.code.entry().name, "{what}");
                rejects += 1;
            }
        }
    }
    println!("{} real spectra agree, {rejects} of them as rejects", files.len());
}
