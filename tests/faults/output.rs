//! The disk of the catalogue fails.

use std::time::{Duration, Instant};

use crate::disk::Layer;
use crate::disk::night::Night;
use crate::{STARS, Trial, assert_next_run_finishes, support};

/// A layer that fails calls from the first commit on: opening a catalogue is another matter.
fn once_running(night: &Night, rules: &str) -> Layer {
    let broken = night.at("broken");
    Layer::new()
        .failing(rules)
        .only_while(&broken)
        .running(&format!("rename:/segments/:touch {}:0:1", broken.display()))
}

#[test]
fn an_io_error_of_the_catalogue_is_tried_again() {
    if !support::has_library("I/O errors of the catalogue") {
        return;
    }
    // The file itself, its sync, its name, the sync of the name, and the ledger's log.
    let rules = [
        "write:/segments/:EIO:1:3",
        "sync:/segments/:EIO:1:2",
        "rename:/segments/:EIO:1:1",
        "open:/segments/:EIO:1:2",
        "sync:/segments:EIO:1:1",
        "open:/segments/:ESTALE:1:1",
        "write:ledger.sqlite-wal:EIO:1:1",
        "sync:ledger.sqlite-wal:EIO:1:1",
        "write:catalogue.parquet:EIO:1:2",
        "sync:rejects.parquet:EIO:0:1",
        "rename:run.json:EIO:0:1",
    ];
    for rule in rules {
        println!("{rule}");
        let night = Night::of(STARS);
        let trial = Trial::run(&night, once_running(&night, rule), "");
        trial.assert_fired().assert_mended(&night);
        assert!(trial.count("retries_write") > 0, "{rule}: {}", trial.stats);
        assert!(trial.log().contains("tried again"), "{rule}: {}", trial.log());
    }
}

#[test]
fn an_io_error_that_stays_ends_the_run_and_loses_nothing() {
    if !support::has_library("a broken disk") {
        return;
    }
    let rules = [
        "write:/segments/:EIO:1:-1",
        "sync:/segments/:EIO:0:-1",
        "sync:ledger.sqlite-wal:EIO:0:-1",
        "write:catalogue.fits:EIO:0:-1",
    ];
    for rule in rules {
        println!("{rule}");
        let night = Night::of(STARS);
        night.configure("retries = 1\n");
        let trial = Trial::run(&night, once_running(&night, rule), "");
        trial.assert_fired().assert_gave_up(&["run again"]);
        assert_next_run_finishes(&night);
    }
}

#[test]
fn a_catalogue_that_may_not_be_written_ends_the_run_at_once() {
    if !support::has_library("a read-only catalogue") {
        return;
    }
    for error in ["EROFS", "EACCES"] {
        let night = Night::of(STARS);
        // Nothing in the folder can be changed any more.
        let rule = format!("change:{}:{error}:0:-1", night.at("out").display());
        let layer = once_running(&night, &rule);
        let begin = Instant::now();
        let trial = Trial::run(&night, layer, "");
        trial.assert_fired().assert_gave_up(&["permissions", "run again"]);
        assert!(begin.elapsed() < Duration::from_secs(10), "it waited for what cannot pass");
        assert!(!trial.log().contains("tried again"), "{}", trial.log());
        assert_next_run_finishes(&night);
    }
}

#[test]
fn a_catalogue_that_cannot_be_opened_says_what_to_do() {
    if !support::has_library("opening a catalogue") {
        return;
    }
    for error in ["EROFS", "EACCES", "EIO"] {
        for passing in [0, 4] {
            let night = Night::of(1);
            let rule = format!("change:{}:{error}:{passing}:-1", night.at("out").display());
            println!("{rule}");
            let trial = Trial::run(&night, Layer::new().failing(&rule), "");
            trial.assert_fired().assert_gave_up(&["out", "space and permissions", "run again"]);
            assert_next_run_finishes(&night);
        }
    }
}

#[test]
fn a_clock_that_jumps_back_changes_nothing() {
    if !support::has_library("the clock") {
        return;
    }
    for after in [0, 3, 5] {
        let night = Night::of(STARS);
        let trial = Trial::run(&night, Layer::new().clock_back(86_400, after), "");
        trial.assert_fired().assert_mended(&night);
    }
}
