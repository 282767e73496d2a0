//! Fits of a forward model through the program, and beside `SciPy`'s.
//!
//! `golden.json` is written by `python -m starmill_export.scipy_fit`, from the model that it names;
//! with another model the comparison says that it is skipped.

#![allow(clippy::print_stdout, reason = "a test says what it skips and how fast a fit is")]

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;
use starmill::config::Config;
use starmill::fit::{Fitted, Observation};
use starmill::quality::Quality;
use starmill::setup::{Estimator, FitEngine, Ready, load_runtime};
use support::lrs::{Layout, Lrs};

#[derive(Deserialize)]
struct Golden {
    model_sha256: String,
    scipy_seconds_per_spectrum: f64,
    cases: Vec<Case>,
}

/// A spectrum on steps of 1e-4 in the logarithm, and what `SciPy` makes of it.
#[derive(Deserialize)]
struct Case {
    log_first: f64,
    flux: Vec<f32>,
    snr: f64,
    masked: Vec<usize>,
    rv_start: f64,
    labels: Vec<f64>,
    rv: f64,
    errors: Vec<f64>,
    chi2: f64,
}

struct Star {
    wave: Vec<f64>,
    flux: Vec<f32>,
    ivar: Vec<f32>,
    rv_kms: f64,
}

impl Case {
    #[allow(clippy::cast_possible_truncation, reason = "spectra hold single precision")]
    fn star(&self) -> Star {
        let wave: Vec<f64> = (0..self.flux.len())
            .map(|pixel| 10f64.powf(self.log_first + 1e-4 * pixel as f64))
            .collect();
        let sigma = |wave: &f64| 1000.0 * (wave / 5500.0).powf(1.5) / self.snr;
        let mut ivar: Vec<f32> = wave.iter().map(|wave| sigma(wave).powi(-2) as f32).collect();
        self.masked.iter().for_each(|&pixel| ivar[pixel] = 0.0);
        Star { wave, flux: self.flux.clone(), ivar, rv_kms: self.rv_start }
    }
}

impl Star {
    fn observation(&self) -> Observation<'_> {
        let Self { wave, flux, ivar, rv_kms } = self;
        Observation { wave, flux, ivar, rv_kms: Some(*rv_kms) }
    }
}

/// The model and the spectra, where both are there and belong together.
fn payne(test: &str) -> Option<(Box<FitEngine>, Golden)> {
    if !has_payne(test) {
        return None;
    }
    let path = support::root().join("tests/fit/golden.json");
    let golden: Golden = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut config = Config::load(None).unwrap();
    config.models.dir = support::root().join("onnx/models");
    let ready = Ready::open(&config, "payne").unwrap();
    if ready.model.onnx_sha256() != golden.model_sha256 {
        println!(
            "skipped: {test} needs a golden file of this model; see starmill_export.scipy_fit"
        );
        return None;
    }
    match ready.proven_estimator(load_runtime(&config).unwrap(), &config).unwrap() {
        Estimator::Fit(fit) => Some((fit, golden)),
        Estimator::Network(..) => panic!("payne is a forward model"),
    }
}

fn has_payne(test: &str) -> bool {
    let is_there = support::root().join("onnx/models/payne").is_dir();
    if !is_there {
        println!("skipped: {test} needs the model payne");
    }
    is_there && support::has_library(test)
}

fn fit(engine: &mut FitEngine, stars: &[&Star]) -> Vec<Fitted> {
    let observations: Vec<_> = stars.iter().map(|star| star.observation()).collect();
    let results = engine.fitter().fit(&observations).unwrap();
    results.into_iter().map(|result| result.expect("a fit")).collect()
}

#[test]
fn fits_leave_out_the_air_and_what_repeat_visits_disagree_on() {
    if !has_payne("what fits leave out") {
        return;
    }
    let mut config = Config::load(None).unwrap();
    config.models.dir = support::root().join("onnx/models");
    let ready = Ready::open(&config, "payne").unwrap();
    let native = &ready.model.manifest.recipe[1];
    let skip: Vec<[f64; 2]> = native["skip"].clone().try_into().unwrap();
    // The A band of oxygen, and sky lines and water beside it.
    assert!(skip.contains(&[7590.0, 7720.0]), "{skip:?}");
    assert!(skip.contains(&[7720.0, 7900.0]), "{skip:?}");
}

#[test]
fn fits_agree_with_those_of_scipy() {
    let Some((mut engine, golden)) = payne("the comparison with SciPy") else { return };
    let stars: Vec<Star> = golden.cases.iter().map(Case::star).collect();
    let fits = fit(&mut engine, &stars.iter().collect::<Vec<_>>());
    for (case, fitted) in golden.cases.iter().zip(&fits) {
        assert!(fitted.converged);
        let found = fitted.labels.iter().chain([&fitted.rv_kms]);
        let expected = case.labels.iter().chain([&case.rv]);
        for ((found, expected), error) in found.zip(expected).zip(&case.errors) {
            let off = (found - expected).abs() / error;
            assert!(off < 0.02, "S/N {}: {found} for {expected}, {off} sigma", case.snr);
        }
        for (found, expected) in fitted.errors().iter().zip(&case.errors) {
            assert!((found / expected - 1.0).abs() < 0.01, "error {found} for {expected}");
        }
        assert!((fitted.chi2 / case.chi2 - 1.0).abs() < 0.002, "{}", fitted.chi2);
    }
}

#[test]
fn what_the_network_gives_one_fit_does_not_depend_on_the_others() {
    let Some((mut engine, golden)) = payne("fits and their neighbours") else { return };
    let stars: Vec<Star> = golden.cases.iter().map(Case::star).collect();
    let many: Vec<&Star> = stars.iter().cycle().skip(1).take(19).collect();
    let together = fit(&mut engine, &many);
    for (star, together) in many.iter().zip(together).take(stars.len()) {
        assert_eq!(fit(&mut engine, &[star])[0], together);
    }
}

#[test]
fn the_region_that_was_spoilt_fits_worst() {
    let Some((mut engine, golden)) = payne("the worst region of a fit") else { return };
    for case in &golden.cases {
        let (good, mut spoilt) = (case.star(), case.star());
        // What is left of a sky line.
        let first = spoilt.wave.partition_point(|&wave| wave < 6300.0);
        for pixel in first..first + 8 {
            spoilt.flux[pixel] *= 1.3;
        }
        let fits = fit(&mut engine, &[&good, &spoilt]);
        assert!(!fits[0].poor, "{:?}", fits[0].worst);
        let worst = fits[1].worst.unwrap();
        assert!(worst.wave[0] < 6312.0 && worst.wave[1] > 6300.0, "{worst:?}");
        assert!(fits[1].poor && worst.reduced_chi2 > 4.0, "{worst:?}");
    }
}

#[test]
#[ignore = "a measurement: run it in release and look at what it prints"]
fn spectra_a_second_on_one_core() {
    let Some((mut engine, golden)) = payne("the speed of fits") else { return };
    let stars: Vec<Star> = golden.cases.iter().map(Case::star).collect();
    let many: Vec<&Star> = stars.iter().cycle().take(256).collect();
    let (begin, begin_of_core) = (Instant::now(), seconds_of_core());
    let fits = fit(&mut engine, &many);
    let rate = fits.len() as f64 / begin.elapsed().as_secs_f64();
    // On a machine that has other work the two differ.
    let of_core = fits.len() as f64 / (seconds_of_core() - begin_of_core);
    let steps = fits.iter().map(|fitted| fitted.iterations).sum::<usize>() as f64;
    println!(
        "{rate:.0} spectra a second, {of_core:.0} a second of the core, {:.1} steps each; SciPy {:.2}",
        steps / fits.len() as f64,
        1.0 / golden.scipy_seconds_per_spectrum
    );
}

/// How long this thread has run.
fn seconds_of_core() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() * 1e-9
}

#[test]
fn a_run_of_fits_gives_the_same_bytes_whatever_the_batches() {
    if !has_payne("a run of fits") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::create_dir(&input).unwrap();
    for seed in 0..12 {
        let bytes = Lrs::star(seed).to_fits(Layout::Table);
        fs::write(input.join(format!("{seed}.fits")), bytes).unwrap();
    }
    let config = folder.path().join("other.toml");
    fs::write(&config, "[infer]\nbatch = 5\nworkers = 2\n").unwrap();
    let run = |out: &Path, more: &[&str]| {
        let output = support::starmill(more)
            .args(["run", "--model", "payne", "--out"])
            .args([out, &input])
            .output()
            .unwrap();
        support::assert_ended(&output, 0, "rows=12 rejects=0 files=12");
    };
    let (plain, other) = (folder.path().join("plain"), folder.path().join("other"));
    run(&plain, &[]);
    run(&other, &["--config", config.to_str().unwrap()]);
    support::night::assert_same(&plain, &other, "other batches");
    let manifest = fs::read_to_string(plain.join("run.json")).unwrap();
    assert!(manifest.contains("wavelength.f64"), "{manifest}");
    says_how_well_it_fits(&plain);
}

/// Each row has its worst region, and the flag where that is beyond both of the manifest's limits.
fn says_how_well_it_fits(catalogue: &Path) {
    let file = fs::File::open(catalogue.join("catalogue.parquet")).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    for batch in batches.map(Result::unwrap) {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let single = |name: &str, row| column(name).as_primitive::<Float32Type>().value(row);
        let whole = |name: &str, row| column(name).as_primitive::<Int32Type>().value(row);
        for row in 0..batch.num_rows() {
            assert_eq!(whole("chi2_state", row), 1);
            assert!((4000.0..7900.0).contains(&single("worst_wave", row)));
            let (worst, all) = (single("worst_chi2", row), single("chi2_red", row));
            let is_poor = Quality::from_value(whole("flags", row)).contains(Quality::POOR_FIT);
            assert!(is_poor || (worst < 8.5 && all < 4.0), "{worst} {all}");
            assert!(!is_poor || worst > 2.0 || all > 1.15, "{worst} {all}");
        }
    }
}
