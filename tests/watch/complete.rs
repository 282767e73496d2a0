//! One file: when it is complete, and that it is given once.

#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use super::{Place, QUIET, expect};
use crate::support::lrs::{Layout, Lrs};

#[test]
fn a_renamed_file_is_given_at_once_and_once() {
    let place = Place::new();
    let watch = place.start_quiet();
    let mut latencies = Vec::new();
    for number in 0..200 {
        std::thread::sleep(Duration::from_millis(2));
        let made = place.path("making/file");
        fs::write(&made, &place.whole).unwrap();
        let path = place.path(&format!("live/{number}.fits"));
        let renamed = Instant::now();
        fs::rename(made, &path).unwrap();
        let arrival = expect(&watch, &path);
        latencies.push(renamed.elapsed());
        assert_eq!(arrival.inbox, 1);
        assert!(arrival.arrived.elapsed().unwrap() < Duration::from_secs(5));
        watch.done(&arrival.path);
    }
    latencies.sort();
    println!("rename to next: p50 {:?}, p99 {:?}", latencies[100], latencies[198]);
    assert!(latencies[100] < Duration::from_millis(50), "{:?}", latencies[100]);
    assert_eq!(watch.next(QUIET), None, "none is given twice");
}

#[test]
fn a_file_that_is_written_in_place_is_given_when_all_of_it_is_there() {
    let place = Place::new();
    let watch = place.start_quiet();
    let path = place.path("live/slow.fits");
    let mut file = fs::File::create(&path).unwrap();
    for part in place.whole.chunks(place.whole.len() / 5 + 1) {
        assert_eq!(watch.next(Duration::from_millis(300)), None, "half of it is there");
        file.write_all(part).unwrap();
    }
    let written = Instant::now();
    drop(file);
    let arrival = expect(&watch, &path);
    assert!(written.elapsed() >= place.settings.settle / 2);
    assert_eq!(fs::read(&path).unwrap(), place.whole);
    watch.done(&arrival.path);
    assert_eq!(watch.next(QUIET), None);
}

#[test]
fn a_compressed_file_that_is_cut_waits_for_its_rest_or_is_given_up() {
    let mut place = Place::new();
    place.settings.give_up = Duration::from_millis(2500);
    let gzip = place.path("making/file.fits.gz");
    fs::write(place.path("making/file.fits"), &place.whole).unwrap();
    let status = std::process::Command::new("gzip").arg(place.path("making/file.fits")).status();
    assert!(status.expect("gzip is there").success());
    let gzip = fs::read(gzip).unwrap();
    let zstd = zstd::bulk::compress(&place.whole, 1).unwrap();
    let watch = place.start_quiet();
    for (name, bytes) in [("a.fits.gz", gzip), ("b.fits.zst", zstd)] {
        // Even renaming does not make it whole.
        let path = place.put(&bytes[..bytes.len() / 2], &format!("live/{name}"));
        assert_eq!(watch.next(QUIET), None, "{name} is cut");
        assert_eq!(watch.waiting()[1].settling, 1);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&bytes[bytes.len() / 2..]).unwrap();
        drop(file);
        watch.done(&expect(&watch, &path).path);

        let begun = Instant::now();
        let cut = place.put(&bytes[..bytes.len() / 2], &format!("live/cut-{name}"));
        watch.done(&expect(&watch, &cut).path);
        assert!(begun.elapsed() >= place.settings.give_up, "{:?}", begun.elapsed());
    }
}

#[test]
fn only_names_of_spectra_are_taken_and_names_are_data() {
    let place = Place::new();
    let watch = place.start_quiet();
    for name in
        [".a.fits", "a.fits.tmp", "a.fits.part", "notes.txt", ".making/a.fits", "b.tmp/a.fits"]
    {
        place.put(&place.whole, &format!("live/{name}"));
    }
    fs::create_dir(place.path("live/folder.fits")).unwrap();
    assert_eq!(watch.next(QUIET), None);
    let names = ["-rf *.fits", "a[1].FITS", "b\nc.fits", "ü'; DROP TABLE done.fits"];
    for name in names {
        let path = place.put(&place.whole, &format!("live/{name}"));
        watch.done(&expect(&watch, &path).path);
    }
    // A temporary name becomes a final one.
    fs::rename(place.path("live/.a.fits"), place.path("live/d.fits")).unwrap();
    expect(&watch, &place.path("live/d.fits"));
}

#[test]
fn another_content_is_another_arrival() {
    let place = Place::new();
    let watch = place.start_quiet();
    let path = place.put(&place.whole, "live/a.fits");
    watch.done(&expect(&watch, &path).path);
    let newer = Lrs::star(2).to_fits(Layout::Image);
    place.put(&newer, "live/a.fits");
    expect(&watch, &path);
    // It changes again while it is being worked on: that is not given before the other is done.
    place.put(&place.whole, "live/a.fits");
    assert_eq!(watch.next(QUIET), None);
    watch.done(&path);
    watch.done(&expect(&watch, &path).path);
    assert_eq!(watch.next(QUIET), None);
}

#[test]
fn a_file_that_is_deleted_before_it_is_taken_is_not_given() {
    let place = Place::new();
    let watch = place.start_quiet();
    let (gone, kept) = ("live/1-gone.fits", "live/2-kept.fits");
    place.put(&place.whole, gone);
    place.put(&place.whole, kept);
    while watch.waiting()[1].waiting < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::remove_file(place.path(gone)).unwrap();
    expect(&watch, &place.path(kept));
    assert_eq!(watch.next(QUIET), None);
}

#[test]
fn without_events_files_are_found_by_listing() {
    let mut place = Place::new();
    place.settings.inotify = false;
    place.settings.rescan = Duration::from_millis(100);
    let watch = place.start();
    let path = place.path("live/2026/a.fits");
    fs::create_dir(place.path("live/2026")).unwrap();
    let mut file = fs::File::create(&path).unwrap();
    for part in place.whole.chunks(place.whole.len() / 3 + 1) {
        assert_eq!(watch.next(Duration::from_millis(500)), None, "half of it is there");
        file.write_all(part).unwrap();
    }
    watch.done(&expect(&watch, &path).path);
    place.put(&place.whole[..2880], "live/2026/b.fits");
    assert_eq!(watch.next(QUIET), None, "it is cut");
    fs::remove_file(place.path("live/2026/b.fits")).unwrap();
    assert_eq!(watch.next(QUIET), None, "and none is given twice");
    assert_eq!(watch.waiting()[1].settling, 0);
}
