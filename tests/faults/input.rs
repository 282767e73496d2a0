//! The inputs fail: they cannot be read, go away, or change while they are read.

use std::fs;

use crate::disk::Layer;
use crate::disk::night::Night;
use crate::support::lrs::{Layout, Lrs};
use crate::{STARS, Trial, assert_as_a_new_run, assert_next_run_finishes, support};

#[test]
fn an_io_error_of_an_input_is_tried_again() {
    if !support::has_library("I/O errors of inputs") {
        return;
    }
    for rule in ["read:00003.fits:EIO:0:2", "open:00003.fits:EIO:0:1"] {
        let night = Night::of(STARS);
        let trial = Trial::run(&night, Layer::new().failing(rule), "");
        trial.assert_fired().assert_mended(&night);
        assert_eq!(trial.count("retries_read"), trial.fired.len() as u64, "{rule}");
    }
}

#[test]
fn an_input_that_stays_unreadable_is_a_reject_until_it_can_be_read() {
    if !support::has_library("unreadable inputs") {
        return;
    }
    for rule in ["read:00003.fits:EIO:0:-1", "open:00003.fits:EACCES:0:-1"] {
        let night = Night::of(STARS);
        let trial = Trial::run(&night, Layer::new().failing(rule), "");
        trial.assert_fired().assert_rejected(1, "unreadable");
        assert_next_run_finishes(&night);
    }
}

#[test]
fn too_many_open_files_are_no_fault_of_the_inputs() {
    if !support::has_library("the limit of open files") {
        return;
    }
    let night = Night::of(STARS);
    let trial = Trial::run(&night, Layer::new().failing("open:/input/:EMFILE:4:2"), "");
    trial.assert_fired().assert_mended(&night);
    assert_eq!(trial.count("retries_read"), 2);

    let night = Night::of(STARS);
    let trial = Trial::run(&night, Layer::new().failing("open:/input/:EMFILE:9:-1"), "");
    trial.assert_fired().assert_gave_up(&["open files", "ulimit -n"]);
    assert!(!trial.log().contains("unreadable"), "an input was blamed: {}", trial.log());
    assert_next_run_finishes(&night);
}

#[test]
fn an_input_that_goes_away_after_it_was_listed_is_a_reject() {
    if !support::has_library("a deleted input") {
        return;
    }
    let night = Night::of(STARS);
    let file = night.file(5);
    let remove = format!("open:00005.fits:rm {}:0:1", file.display());
    let trial = Trial::run(&night, Layer::new().running(&remove), "");
    trial.assert_fired().assert_rejected(1, "unreadable");
    fs::write(file, Lrs::star(5).to_gzip(Layout::Table)).unwrap();
    assert_next_run_finishes(&night);
}

#[test]
fn an_input_that_is_replaced_counts_once_with_what_was_read() {
    if !support::has_library("a replaced input") {
        return;
    }
    for call in ["open", "read"] {
        let night = Night::of(STARS);
        let (file, other) = (night.file(5), night.at("other"));
        let newer = Lrs::star(5).with("DATE", "'2022-01-01T00:00:00'");
        fs::write(&other, newer.to_gzip(Layout::Image)).unwrap();
        let replace = format!("{call}:00005.fits:mv {} {}:0:1", other.display(), file.display());
        let trial = Trial::run(&night, Layer::new().running(&replace), "");
        trial.assert_fired();
        night.assert_whole(&trial.output);
        // A file that was replaced once it was open was read as it was before: the next run sees
        // the new one.
        if call == "read" {
            night.assert_whole(&night.run(&night.at("out")));
        }
        assert_as_a_new_run(&night);
    }
}

#[test]
fn an_input_that_is_being_written_is_tried_again_and_then_a_reject() {
    if !support::has_library("an input that changes") {
        return;
    }
    let night = Night::of(STARS);
    let touch = format!("read:00005.fits:touch -d @1000000000 {}:0:1", night.file(5).display());
    let trial = Trial::run(&night, Layer::new().running(&touch), "");
    trial.assert_fired().assert_mended(&night);
    assert_eq!(trial.count("retries_read"), 1);

    let night = Night::of(STARS);
    let grow = format!("read:00005.fits:printf x >> {}:0:-1", night.file(5).display());
    let trial = Trial::run(&night, Layer::new().running(&grow), "");
    trial.assert_fired().assert_rejected(1, "still_changing");
    // Once it is complete the next run takes it.
    fs::write(night.file(5), Lrs::star(5).to_gzip(Layout::Table)).unwrap();
    assert_next_run_finishes(&night);
}
