//! What is on disk was damaged between two runs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::disk::night::Night;
use crate::{STARS, assert_next_run_finishes, support};

/// Of SQLite, as it is set by default.
const PAGE: usize = 4096;

fn last_segment(out: &Path) -> PathBuf {
    fs::read_dir(out.join("segments")).unwrap().map(|entry| entry.unwrap().path()).max().unwrap()
}

#[test]
fn a_torn_last_segment_is_done_again() {
    if !support::has_library("a torn segment") {
        return;
    }
    for keep in [0, 512, 4096] {
        let night = Night::of(STARS);
        let out = night.at("out");
        night.assert_whole(&night.run(&out));
        let segment = fs::File::options().write(true).open(last_segment(&out)).unwrap();
        assert!(segment.metadata().unwrap().len() > keep);
        segment.set_len(keep).unwrap();
        let output = night.run(&out);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains("segment"), "the damage should be named: {log}");
        assert_next_run_finishes(&night);
    }
}

#[test]
fn a_damaged_page_of_the_ledger_is_mended_from_the_segments() {
    if !support::has_library("a damaged ledger") {
        return;
    }
    let pages = {
        let night = Night::of(STARS);
        night.assert_whole(&night.run(&night.at("out")));
        fs::read(night.at("out").join("ledger.sqlite")).unwrap().len() / PAGE
    };
    assert!(pages > 3, "{pages} pages are too few to damage");
    for page in [0, 1, pages / 2, pages - 1] {
        let night = Night::of(STARS);
        let out = night.at("out");
        night.assert_whole(&night.run(&out));
        let path = out.join("ledger.sqlite");
        let mut bytes = fs::read(&path).unwrap();
        bytes[page * PAGE..(page + 1) * PAGE].fill(0);
        fs::write(&path, bytes).unwrap();
        assert_next_run_finishes(&night);
    }
}
