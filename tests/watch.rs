//! Inboxes: every complete file is given once, none before it is complete, live ones first.

mod support;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use starmill::watch::{Arrival, Inbox, Priority, Watch, WatchSettings};
use support::lrs::{Layout, Lrs};

const LONG: Duration = Duration::from_secs(20);
/// Longer than any file of these tests takes to settle.
const QUIET: Duration = Duration::from_millis(900);

/// Two inboxes, a place to make files in, and the state.
struct Place {
    folder: tempfile::TempDir,
    settings: WatchSettings,
    whole: Vec<u8>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inbox = |name: &str, priority| {
            let folder = folder.path().join(name);
            fs::create_dir(&folder).unwrap();
            Inbox { name: name.to_owned(), folder, priority }
        };
        let inboxes = vec![inbox("old", Priority::CatchUp), inbox("live", Priority::Live)];
        fs::create_dir(folder.path().join("making")).unwrap();
        let settings = WatchSettings {
            inboxes,
            settle: Duration::from_millis(200),
            give_up: Duration::from_secs(60),
            rescan: Duration::from_secs(60),
            inotify: true,
            waiting: 65_536,
        };
        Self { folder, settings, whole: Lrs::star(1).to_fits(Layout::Image) }
    }

    fn start(&self) -> Watch {
        Watch::start(&self.settings, &self.folder.path().join("state")).expect("it starts")
    }

    /// Starts and waits until the folders are watched.
    fn start_quiet(&self) -> Watch {
        let watch = self.start();
        self.put(b"no file", "live/.probe/probe.fits");
        assert_eq!(watch.next(QUIET / 2), None, "the inboxes are empty");
        watch
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a file elsewhere and renames it into place.
    fn put(&self, bytes: &[u8], name: &str) -> PathBuf {
        let (made, path) = (self.path("making/file"), self.path(name));
        fs::write(&made, bytes).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::rename(made, &path).unwrap();
        path
    }

    /// Many tiny files that are whole for all that can be seen of them.
    fn put_many(&self, folder: &str, count: usize) {
        fs::create_dir_all(self.path(folder)).unwrap();
        for number in 0..count {
            fs::write(self.path(&format!("{folder}/{number:06}.fits")), b"tiny").unwrap();
        }
    }
}

#[track_caller]
fn expect(watch: &Watch, path: &Path) -> Arrival {
    let arrival = watch.next(LONG).expect("a file is given");
    assert_eq!(arrival.path, path);
    arrival
}

/// Takes and finishes files until none comes for a while.
fn drain(watch: &Watch, patience: Duration) -> Vec<PathBuf> {
    std::iter::from_fn(|| watch.next(patience))
        .map(|arrival| {
            watch.done(&arrival.path);
            arrival.path
        })
        .collect()
}

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
fn thousands_at_once_are_given_within_seconds() {
    let place = Place::new();
    place.put_many("making/many", 5_000);
    fs::create_dir_all(place.path("live/2026/11/21")).unwrap();
    let watch = place.start_quiet();
    let begun = Instant::now();
    for entry in fs::read_dir(place.path("making/many")).unwrap() {
        let entry = entry.unwrap();
        let path = place.path("live/2026/11/21").join(entry.file_name());
        fs::rename(entry.path(), path).unwrap();
    }
    let mut given = HashSet::new();
    while given.len() < 5_000 {
        let arrival = watch.next(LONG).expect("all of them come");
        watch.done(&arrival.path);
        assert!(given.insert(arrival.path), "none comes twice");
    }
    println!("5,000 renamed and given in {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(watch.next(QUIET), None);
}

#[test]
fn files_in_folders_that_have_just_been_made_are_not_missed() {
    let place = Place::new();
    let watch = place.start_quiet();
    let mut expected = HashSet::new();
    for plan in 0..30 {
        // The file may be there before anybody watches its folder.
        let name = format!("live/night{}/plan{plan}/sp01/a.fits", plan % 3);
        expected.insert(place.put(&place.whole, &name));
    }
    // A whole tree that is renamed into place, and moved once more.
    place.put_many("making/tree/deep/deeper", 20);
    fs::rename(place.path("making/tree"), place.path("live/tree")).unwrap();
    fs::rename(place.path("live/tree"), place.path("live/moved")).unwrap();
    let given = drain(&watch, QUIET);
    let moved = given.iter().filter(|path| path.starts_with(place.path("live/moved"))).count();
    assert_eq!(moved, 20);
    let given: HashSet<_> = given.into_iter().collect();
    assert!(expected.is_subset(&given), "{:?} are missing", expected.difference(&given));
    assert_eq!(given.len(), expected.len() + 20);
    // The moved folder is watched by its new name.
    let late = place.put(&place.whole, "live/moved/deep/late.fits");
    expect(&watch, &late);
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

#[test]
fn an_inbox_may_appear_vanish_and_come_back() {
    let place = Place::new();
    let live = place.path("live");
    fs::remove_dir(&live).unwrap();
    let watch = place.start();
    let first = place.put(&place.whole, "live/night/a.fits");
    watch.done(&expect(&watch, &first).path);
    fs::rename(&live, place.path("away")).unwrap();
    fs::write(place.path("away/night/unseen.fits"), &place.whole).unwrap();
    assert_eq!(watch.next(QUIET * 2), None);
    // Another folder of the same name.
    let second = place.put(&place.whole, "live/b.fits");
    watch.done(&expect(&watch, &second).path);
    fs::remove_dir_all(&live).unwrap();
    assert_eq!(watch.next(QUIET * 2), None);
    fs::rename(place.path("away"), &live).unwrap();
    let given = drain(&watch, QUIET * 2);
    assert_eq!(given, [place.path("live/night/unseen.fits")], "and not what was done");
}

#[test]
fn a_restart_loses_nothing_and_gives_nothing_that_is_done() {
    let place = Place::new();
    place.put_many("live/many", 300);
    let mut done = HashSet::new();
    let mut given: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for _ in 0..4 {
        let watch = place.start();
        for number in 0..100 {
            let Some(arrival) = watch.next(QUIET * 2) else { break };
            assert!(!done.contains(&arrival.path), "it was done before the restart");
            *given.entry(arrival.path.clone()).or_default() += 1;
            // Of every four one is lost with whoever worked on it.
            if number % 4 != 0 {
                watch.done(&arrival.path);
                done.insert(arrival.path);
            }
        }
    }
    let watch = place.start();
    for path in drain(&watch, QUIET * 2) {
        assert!(done.insert(path), "it was done before the restart");
    }
    assert_eq!(done.len(), 300);
    assert!(given.values().any(|times| *times > 1), "what was not done was given again");

    // A store that is lost costs time and nothing else.
    drop(watch);
    fs::remove_dir_all(place.path("state")).unwrap();
    let again: HashSet<_> = drain(&place.start(), QUIET * 2).into_iter().collect();
    assert_eq!(again, done);
}

#[test]
fn what_was_given_to_one_who_is_no_more_is_given_again() {
    let place = Place::new();
    let watch = place.start_quiet();
    let path = place.put(&place.whole, "live/a.fits");
    expect(&watch, &path);
    assert_eq!(watch.next(QUIET), None);
    watch.give_again();
    watch.done(&expect(&watch, &path).path);
    watch.give_again();
    assert_eq!(watch.next(QUIET), None);
}

#[test]
fn more_files_than_memory_holds_are_all_given_the_oldest_first() {
    let mut place = Place::new();
    place.settings.waiting = 50;
    place.put_many("live/many", 1_000);
    let watch = place.start();
    let mut given = HashSet::new();
    while let Some(arrival) = watch.next(QUIET * 2) {
        let states = watch.waiting();
        assert!(states[1].waiting <= 50 && states[1].settling <= 50, "{states:?}");
        watch.done(&arrival.path);
        assert!(given.insert(arrival.path), "none comes twice");
    }
    assert_eq!(given.len(), 1_000);
}

#[test]
fn more_is_not_given_than_memory_holds_before_some_is_done() {
    let mut place = Place::new();
    place.settings.waiting = 10;
    place.put_many("live/many", 30);
    let watch = place.start();
    let given: Vec<_> = std::iter::from_fn(|| watch.next(QUIET)).collect();
    assert_eq!(given.len(), 10);
    watch.done(&given[3].path);
    assert!(watch.next(LONG).is_some());
    for arrival in &given {
        watch.done(&arrival.path);
    }
    assert_eq!(drain(&watch, QUIET).len(), 19);
}

#[test]
fn a_live_file_waits_for_no_more_than_one_file_of_a_catch_up() {
    let place = Place::new();
    place.put_many("old/many", 50_000);
    let begun = Instant::now();
    let watch = place.start();
    let mut waits = Vec::new();
    let mut caught_up = 0;
    let mut live = None;
    let mut number = 0;
    while let Some(arrival) = watch.next(QUIET) {
        watch.done(&arrival.path);
        caught_up += usize::from(arrival.inbox == 0);
        match &live {
            Some((path, renamed)) if *path == arrival.path => {
                let renamed: &Instant = renamed;
                waits.push(renamed.elapsed());
                live = None;
            }
            _ => assert_eq!(arrival.inbox, 0),
        }
        if live.is_none() && caught_up > number * 200 {
            number += 1;
            let path = place.put(&place.whole, &format!("live/{number}.fits"));
            live = Some((path, Instant::now()));
            // Once it has been noticed nothing goes before it.
            if number % 2 == 0 {
                while watch.waiting()[1].waiting == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                let next = watch.next(LONG).unwrap();
                assert_eq!(next.inbox, 1, "the live file is next");
                watch.done(&next.path);
                live = None;
            }
        }
    }
    assert_eq!(caught_up, 50_000);
    waits.sort();
    println!(
        "50,000 of a catch-up in {:?}; rename of a live file to next: p50 {:?}, most {:?} of {}",
        begun.elapsed(),
        waits[waits.len() / 2],
        waits.last().unwrap(),
        waits.len()
    );
    assert!(waits[waits.len() * 99 / 100] < Duration::from_millis(500));
}

#[test]
fn links_lead_to_a_file_once() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    place.put_many("live/night", 3);
    symlink(place.path("live"), place.path("live/loop")).unwrap();
    symlink(place.path("live/night"), place.path("live/again")).unwrap();
    let watch = place.start();
    assert_eq!(drain(&watch, QUIET).len(), 3);
    fs::create_dir(place.path("making/new")).unwrap();
    symlink(place.path("live"), place.path("making/new/loop")).unwrap();
    fs::rename(place.path("making/new"), place.path("live/new")).unwrap();
    let path = place.put(&place.whole, "live/new/a.fits");
    expect(&watch, &path);
    assert_eq!(watch.next(QUIET), None);
}

#[test]
fn settings_that_would_give_a_file_two_names_are_refused() {
    let mut place = Place::new();
    place.settings.inboxes[0].folder = place.path("live/within");
    let error = Watch::start(&place.settings, &place.path("state")).err().unwrap().to_string();
    assert!(error.contains("inbox old lies within inbox live"), "{error}");
    place.settings.inboxes.clear();
    assert!(Watch::start(&place.settings, &place.path("state")).is_err());
}

#[test]
#[ignore = "a measurement of a minute: 100,000 old files"]
fn a_start_on_a_large_archive_is_quick() {
    let mut place = Place::new();
    place.settings.waiting = 200_000;
    for folder in 0..100 {
        place.put_many(&format!("live/{folder}"), 1_000);
    }
    let begun = Instant::now();
    let watch = place.start();
    println!("start returns after {:?}", begun.elapsed());
    assert_eq!(drain(&watch, Duration::from_secs(3)).len(), 100_000);
    println!("100,000 given and done in {:?}", begun.elapsed());
    let begun = Instant::now();
    drop(watch);
    println!("stopped in {:?}", begun.elapsed());

    let begun = Instant::now();
    let watch = place.start();
    println!("start on done files returns after {:?}", begun.elapsed());
    let path = place.put(&place.whole, "live/99/new.fits");
    watch.done(&expect(&watch, &path).path);
    println!("a file that arrives with the start is given after {:?}", begun.elapsed());
    assert_eq!(watch.next(Duration::from_secs(5)), None);
}
