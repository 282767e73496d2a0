//! Many files: order, bounds, and what a restart remembers.

#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{LONG, Place, QUIET, drain, expect};

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
    for _ in 0..19 {
        watch.done(&watch.next(LONG).expect("one of those that wait").path);
    }
    assert_eq!(watch.next(QUIET), None);
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

    for wait in [0, 500] {
        let begun = Instant::now();
        let watch = place.start();
        println!("start on done files returns after {:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(wait));
        let begun = Instant::now();
        let path = place.put(&place.whole, &format!("live/99/after-{wait}.fits"));
        watch.done(&expect(&watch, &path).path);
        println!("a file that comes {wait} ms later is given after {:?}", begun.elapsed());
        assert_eq!(watch.next(Duration::from_secs(5)), None);
    }
}
