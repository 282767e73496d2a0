//! Workers and the inference library fail, at places that the feature `failpoints` opens.

use std::fs;

use crate::disk::Layer;
use crate::disk::night::Night;
use crate::{STARS, Trial, assert_next_run_finishes, support};

/// A trial without a fault of the disk.
fn with(night: &Night, failpoints: &str) -> Trial {
    Trial::run(night, Layer::new(), failpoints)
}

#[test]
fn a_spectrum_that_panics_costs_itself_alone() {
    if !support::has_library("poison") {
        return;
    }
    for place in ["read-poison", "prepare-poison", "write-poison"] {
        let night = Night::of(STARS);
        let trial = with(&night, &format!("{place}=return(00007)"));
        trial.assert_rejected(1, "poison");
        let panics = trial.count("panics") + trial.count("panics_caught");
        assert!(panics > 0, "{place}: {}", trial.stats);
        assert!(trial.log().contains("00007.fits.gz"), "{place}: {}", trial.log());
    }
}

#[test]
fn an_error_of_the_library_is_tried_again() {
    if !support::has_library("an error of the library") {
        return;
    }
    let night = Night::of(STARS);
    let trial = with(&night, "infer-run=1*return");
    trial.assert_mended(&night);
    assert_eq!(trial.count("retries_infer"), 1, "{}", trial.stats);
}

#[test]
fn a_spectrum_on_which_the_library_fails_is_a_reject() {
    if !support::has_library("a spectrum that the library refuses") {
        return;
    }
    let night = Night::of(STARS);
    let trial = with(&night, "infer-run=return(00007)");
    trial.assert_rejected(1, "inference_failed");
    assert!(trial.count("retries_infer") > 0, "{}", trial.stats);
}

#[test]
fn a_library_that_fails_on_everything_ends_the_run() {
    if !support::has_library("a broken library") {
        return;
    }
    let night = Night::of(STARS);
    let trial = with(&night, "infer-run=return");
    trial.assert_gave_up(&["stage infer", "again"]);
    assert!(!trial.log().contains("inference_failed"), "{}", trial.log());
    assert_next_run_finishes(&night);
}

#[test]
fn outputs_that_are_no_numbers_are_a_reject() {
    if !support::has_library("outputs that are no numbers") {
        return;
    }
    let night = Night::of(STARS);
    with(&night, "infer-nan=return(00007)").assert_rejected(1, "model_output");
}

#[test]
fn a_stuck_worker_is_named_with_its_file() {
    if !support::has_library("a stuck worker") {
        return;
    }
    let night = Night::of(STARS);
    night.configure("[supervision]\nstall_limit = 1.0\n");
    let trial = with(&night, "read-stuck=1*sleep(100000)");
    trial.assert_gave_up(&["worker", "stage read", ".fits", "run again"]);
    assert_next_run_finishes(&night);
}

#[test]
fn a_model_that_changes_during_a_run_ends_it_when_a_worker_is_rebuilt() {
    if !support::has_library("a model that changes") {
        return;
    }
    let night = Night::of(STARS);
    let models = night.at("models");
    let model = models.join("fcresnet");
    fs::create_dir_all(&model).unwrap();
    for entry in fs::read_dir(support::root().join("onnx/models/fcresnet")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    night.configure(&format!(
        "[models]\ndir = {:?}\nconsistency = false\n",
        models.to_str().unwrap()
    ));
    let network = fs::read_dir(&model)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "onnx"))
        .unwrap();
    let whole = fs::read(&network).unwrap();

    // How often a run opens the network; the next time is that of a worker that is rebuilt.
    let name = network.file_name().unwrap().to_str().unwrap();
    let usual = Trial::run(&night, Layer::new().running(&format!("open:{name}:true:0:-1")), "");
    usual.assert_fired();
    fs::remove_dir_all(night.at("out")).unwrap();
    let opens = usual.fired.len();
    let change = format!("open:{name}:printf x >> {}:{opens}:1", network.display());
    let trial = Trial::run(&night, Layer::new().running(&change), "infer-run=1*panic");
    trial.assert_fired().assert_gave_up(&["infer", "models"]);
    fs::write(network, whole).unwrap();
    assert_next_run_finishes(&night);
}
