//! Which night a file belongs to, when a night closes, and what its volumes say together, through the
//! program.

#![cfg(feature = "failpoints")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use chrono::Utc;
use starmill::ledger::Ledger;
use starmill::night::Night;
use support::lrs::{Layout, Lrs};
use support::night::verify;
use support::reductions::{Row, rejects, rows};
use support::service::{Place, wait_until};

/// The night of every spectrum of the fixture.
const NIGHT: &str = "2017-11-11";
/// The one before it.
const BEFORE: &str = "2017-11-10";

fn star(seed: u32) -> Vec<u8> {
    Lrs::star(seed).to_gzip(Layout::Table)
}

fn reduced(seed: u32, year: u32) -> Vec<u8> {
    Lrs::star(seed).with("DATE", &format!("'{year}-01-01T00:00:00'")).to_gzip(Layout::Table)
}

/// Asserts what a closed volume holds and that it can be sealed again to the same bytes.
#[track_caller]
fn assert_closed(place: &Place, volume: &str, rows: u64, rejects: u64) {
    assert_eq!(place.closed(volume), (rows, rejects, rows + rejects), "{volume}: {}", place.log());
    let (code, said) = verify(&place.night(volume), &["--rebuild"]);
    assert_eq!(code, Some(0), "{volume}: {said}");
}

/// File, number, and whether it is said to be older, or to take the place of an earlier volume's.
fn told(place: &Place, volume: &str) -> Vec<(String, i32, bool, bool)> {
    let name = |row: &Row| row.file.rsplit('/').next().unwrap().replace(".fits.gz", "");
    let rows = rows(&place.night(volume));
    rows.iter().map(|row| (name(row), row.reduction, row.is_older(), row.is_newer())).collect()
}

/// What a scientist does with the volumes of a night: of the rows with the number 1, the last one of
/// each observation.
fn together(place: &Place, volumes: &[&str]) -> Vec<String> {
    let mut stars = BTreeMap::new();
    for row in volumes.iter().flat_map(|volume| rows(&place.night(volume))) {
        if row.reduction == 1 {
            stars.insert(row.id, row.file.rsplit('/').next().unwrap().replace(".fits.gz", ""));
        }
    }
    stars.into_values().collect()
}

#[test]
fn the_volumes_of_a_night_are_numbered_as_if_they_were_one() {
    if !support::has_library("reductions over volumes") {
        return;
    }
    let row = |file: &str, number, older, newer| (file.to_owned(), number, older, newer);
    for rule in ["all", "newest"] {
        let place = Place::new(&format!("catalogue.reductions = {rule:?}"));
        let service = place.start_ready();
        place.put("1-2018.fits.gz", &reduced(1, 2018));
        place.put("2-2018.fits.gz", &reduced(2, 2018));
        assert_closed(&place, NIGHT, 2, 0);

        place.put("1-2015.fits.gz", &reduced(1, 2015));
        place.put("1-2022.fits.gz", &reduced(1, 2022));
        place.put("2-copy.fits.gz", &reduced(2, 2018));
        place.put("3-2018.fits.gz", &reduced(3, 2018));
        let (first, second) = ("2017-11-11+1", "2017-11-11+2");
        let late = [row("1-2022", 1, false, true), row("3-2018", 1, false, false)];
        if rule == "all" {
            assert_closed(&place, first, 3, 1);
            let older = row("1-2015", 3, true, false);
            assert_eq!(told(&place, first), [late[0].clone(), older, late[1].clone()]);
            assert_eq!(rejects(&place.night(first)), ["duplicate_content"]);
        } else {
            assert_closed(&place, first, 2, 2);
            assert_eq!(told(&place, first), late);
            let reasons = ["duplicate_spectrum", "duplicate_content"];
            assert_eq!(rejects(&place.night(first)), reasons);
        }
        let volumes = [NIGHT, first, second];
        assert_eq!(together(&place, &volumes[..2]), ["1-2022", "2-2018", "3-2018"]);

        // Rewritten with an older reduction, on purpose; and one that is between two others.
        place.put("3-2018.fits.gz", &reduced(3, 2017));
        place.put("1-2020.fits.gz", &reduced(1, 2020));
        let rewritten = row("3-2018", 1, false, true);
        if rule == "all" {
            assert_closed(&place, second, 2, 0);
            assert_eq!(told(&place, second), [row("1-2020", 2, true, false), rewritten]);
        } else {
            assert_closed(&place, second, 1, 1);
            assert_eq!(told(&place, second), [rewritten]);
        }
        assert_eq!(together(&place, &volumes), ["1-2022", "2-2018", "3-2018"]);
        service.stop();

        // The numbers need the volumes before.
        let apart = place.path("apart/2017-11-11+1");
        fs::create_dir(place.path("apart")).unwrap();
        support::night::copy(&place.night(first), &apart);
        let (code, said) = verify(&apart, &["--rebuild"]);
        assert!(code == Some(1) && said.contains("it supplements"), "{said}");
    }
}

#[test]
fn a_catch_up_without_end_does_not_keep_tonight_open() {
    if !support::has_library("a catch-up without end") {
        return;
    }
    let inboxes = [("old", "old", "catch-up"), ("live", "in", "live")];
    let place = Place::new("");
    // A live file overtakes what waits in the inbox, not what was taken.
    place.configure_inboxes("read.workers = 1\nlist.queue_items = 4", &inboxes);
    let old = Lrs::star(1).with("DATE-OBS", "'2017-11-10T21:00:00'").to_gzip(Layout::Image);
    // Each takes a tenth of a second to read, so that they last longer than anyone waits here.
    for number in 0..400 {
        place.put_into("old", &format!("{number}.fits.gz"), &old);
    }
    let mut service = place.start(&[("FAILPOINTS", "read-slow=sleep(100)")]);
    service.wait_for("READY=1");
    wait_until("the catch-up begins", || place.night(BEFORE).is_dir());
    place.put("tonight.fits.gz", &star(2));
    assert_closed(&place, NIGHT, 1, 0);
    // What was said before is of no interest.
    service.listen(Duration::from_millis(100));
    let status = service.wait_for("STATUS=");
    assert!(!status.contains(" 0 waiting") && status.ends_with(BEFORE), "{status}");
    assert!(!place.night(BEFORE).join("run.json").exists(), "its files come all the time");
    service.kill();
}

#[test]
fn an_inbox_that_dies_ends_the_service_for_systemd_to_start_it_again() {
    if !support::has_library("a dead inbox") {
        return;
    }
    let place = Place::new("night.quiet = 4.0");
    let mut service = place.start(&[("FAILPOINTS", "watch-look=return(deadly)")]);
    service.wait_for("READY=1");
    place.put("a.fits.gz", &star(1));
    wait_until("a night opens", || place.night(NIGHT).is_dir());
    place.put("deadly.fits.gz", &star(2));
    assert_eq!(service.wait().code(), Some(2), "{}", place.log());
    assert!(place.log().contains("the thread of an inbox died"), "{}", place.log());
    let service = place.start_ready();
    assert_closed(&place, NIGHT, 2, 0);
    service.stop();
}

#[test]
fn a_file_belongs_to_the_night_that_its_header_tells_in_one_way_or_another() {
    if !support::has_library("headers without a night") {
        return;
    }
    let place = Place::new("");
    let put = |name: &str, star: Lrs| {
        place.put(&format!("{name}.fits.gz"), &star.to_gzip(Layout::Table));
    };
    // The day before the one of DATE-OBS, to tell which of them counts.
    let star = |seed| Lrs::star(seed).with("LMJD", "58068");
    put("both", star(1));
    put("no-lmjd", star(2).without("LMJD"));
    put("no-date", star(3).without("DATE-OBS"));
    put("odd-date", star(4).with("DATE-OBS", "'last night'"));
    put("neither", star(5).without("DATE-OBS").without("LMJD"));
    put("not-yet", star(6).with("DATE-OBS", "'2117-11-11T21:00:00'"));
    let tonight = Night::of(Utc::now(), 117.575).to_string();
    let service = place.start_ready();
    assert_closed(&place, NIGHT, 2, 0);
    assert_closed(&place, BEFORE, 2, 0);
    let files = |night| told(&place, night).into_iter().map(|(file, ..)| file).collect::<Vec<_>>();
    assert_eq!(files(BEFORE), ["no-date", "odd-date"]);
    let mut dated = files(NIGHT);
    dated.sort_unstable();
    assert_eq!(dated, ["both", "no-lmjd"]);
    // These came just now.
    wait_until("they are committed", || place.night(&tonight).join("ledger.sqlite").exists());
    assert_eq!(fs::read_dir(place.path("state/nights")).unwrap().count(), 3);
    service.stop();
    let ledger = Ledger::open_reader(&place.night(&tonight).join("ledger.sqlite")).unwrap();
    assert_eq!(ledger.totals().unwrap(), (2, 2));
}

#[test]
fn sighup_changes_the_inboxes() {
    if !support::has_library("a change of the inboxes") {
        return;
    }
    let more = "night.quiet = 1000.0";
    let place = Place::new(more);
    let mut service = place.start_ready();
    let has = |files: u32, rows: u32| {
        let begin = format!("STATUS={files} files, {rows} rows,");
        move |line: &str| line.starts_with(&begin)
    };
    place.put("a.fits.gz", &star(1));
    service.wait_for_line("the first file", has(1, 1));

    // One inbox within another would give its files two names.
    place.configure_inboxes(more, &[("live", "in", "live"), ("inner", "in/inner", "live")]);
    service.signal("-HUP");
    service.wait_for("STATUS=reload refused");
    place.configure_inboxes(more, &[]);
    service.signal("-HUP");
    service.wait_for("STATUS=reload refused");
    place.put("b.fits.gz", &star(2));
    service.wait_for_line("the second file", has(2, 2));

    // A second one, whose files are there already, and whose folder is yet to come.
    place.put_into("second", "c.fits.gz", &star(3));
    let (second, third) = (("second", "second", "catch-up"), ("third", "third", "live"));
    place.configure_inboxes(more, &[("live", "in", "live"), second, third]);
    service.signal("-HUP");
    service.wait_for("READY=1");
    service.wait_for_line("the file of the new inbox", has(3, 3));
    place.put_into("third", "d.fits.gz", &star(4));
    service.wait_for_line("the file of the new folder", has(4, 4));

    // The first one goes: what comes there then waits until it is back, and what is done stays so.
    place.configure_inboxes(more, &[second, third]);
    service.signal("-HUP");
    service.wait_for("READY=1");
    place.put("e.fits.gz", &star(5));
    place.put_into("second", "f.fits.gz", &star(6));
    service.wait_for_line("the file of the one that stayed", has(5, 5));
    service.listen(Duration::from_secs(2));
    let line = service.wait_for("STATUS=");
    assert!(has(5, 5)(&line), "{line}");
    place.configure(more);
    service.signal("-HUP");
    service.wait_for("READY=1");
    service.wait_for_line("the file that waited", has(6, 6));
    place.configure("");
    service.signal("-HUP");
    assert_closed(&place, NIGHT, 6, 0);
    service.stop();
}

#[test]
fn a_closing_that_fails_is_tried_again_soon() {
    if !support::has_library("closings that fail") {
        return;
    }
    let place = Place::new("");
    let service = place.start_ready();
    place.put("a.fits.gz", &star(1));
    wait_until("a night opens", || place.night(NIGHT).join("ledger.sqlite").exists());
    // No file of this name can be written.
    let obstacle = place.night(NIGHT).join("catalogue.parquet.tmp");
    fs::create_dir(&obstacle).unwrap();
    wait_until("two closings fail", || place.log().matches("could not be closed").count() == 2);
    let log = place.log();
    assert!(log.contains("again_in=2") && log.contains("again_in=4"), "{log}");
    fs::remove_dir(obstacle).unwrap();
    assert_closed(&place, NIGHT, 1, 0);
    service.stop();
}
