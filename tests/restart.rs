//! What a service shows after it was killed: the evening that its former processes committed, once
//! and in order, and stars compared with the nights before.

#![cfg(feature = "failpoints")]
#![expect(clippy::float_cmp, reason = "a gauge has the number of the status, bit by bit")]

mod support;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use serde_json::Value;
use starmill::ledger::Ledger;
use starmill::night::Night;
use support::lrs::{Layout, Lrs};
use support::service::{Place, Service};

/// A longitude at which it is about midnight now, so that no noon comes in between.
static LONGITUDE: LazyLock<f64> = LazyLock::new(|| {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let hours = (since.as_secs() % 86_400) as f64 / 3600.0;
    if hours < 12.0 { -15.0 * hours } else { 360.0 - 15.0 * hours }
});

const DAY: Duration = Duration::from_hours(24);
/// Stars of the night before, all of which come again.
const BEFORE: u32 = 8;

/// A service that shows itself, commits soon, and closes nights that have ended.
fn place() -> Place {
    Place::new(&format!(
        "http.address = \"127.0.0.1:0\"\nnight.longitude = {}\nnight.quiet = 1.0\n\
         serve.commit_age = 0.05\nwrite.segment_spectra = 4\nwrite.compact_below = 12",
        *LONGITUDE
    ))
}

fn night(ago: Duration) -> String {
    Night::of_system_time(SystemTime::now() - ago, *LONGITUDE).to_string()
}

/// A star at a place of its own, of the night in which it arrives.
fn star(number: u32) -> Lrs {
    let ra = format!("{:.6}", 10.0 + 0.1 * f64::from(number % 1000));
    Lrs::star(number).without("DATE-OBS").without("LMJD").with("RA", &ra)
}

fn put_stars(place: &Place, numbers: std::ops::Range<u32>) {
    for number in numbers {
        place.put(&format!("{number}.fits.gz"), &star(number).to_gzip(Layout::Table));
    }
}

fn put_broken(place: &Place, count: u32) {
    for number in 0..count {
        place.put(&format!("caf\u{e9} {number}%.fits"), format!("no {number}").as_bytes());
    }
}

/// Serves the night before until it is closed.
#[track_caller]
fn close_the_night_before(place: &Place) {
    let service = place.start_ready();
    let moment: DateTime<Utc> = (SystemTime::now() - DAY).into();
    let observed = format!("'{}'", moment.format("%Y-%m-%dT%H:%M:%S"));
    for number in 0..BEFORE {
        let star = star(1000 + number).with("DATE-OBS", &observed);
        place.put(&format!("before-{number}.fits.gz"), &star.to_gzip(Layout::Image));
    }
    let (rows, rejects, files) = place.closed(&night(DAY));
    assert_eq!((rows, rejects, files), (BEFORE.into(), 0, BEFORE.into()), "{}", place.log());
    service.stop();
}

/// Waits until the board has so many files of this night and has read back what was before.
#[track_caller]
fn settled(service: &Service, files: u32) -> Value {
    service.wait_for_status(&format!("{files} files"), |status| {
        status["recalled"] == true && status["tonight"]["files"] == files
    })
}

/// A list of the API without what belongs to one process, in the order of names.
fn list(service: &Service, name: &str) -> Vec<Value> {
    let Value::Array(mut things) = service.api(name) else { panic!("{name} is no list") };
    let numbers: Vec<u64> = things.iter().map(|thing| thing["number"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a + 1 == *b), "{name} has gaps: {numbers:?}");
    for thing in &mut things {
        let thing = thing.as_object_mut().unwrap();
        for key in ["number", "time", "latency_s"] {
            thing.remove(key);
        }
    }
    things.sort_by_key(|thing| (thing["name"].to_string(), thing["file"].to_string()));
    things
}

/// How many stars of the night before have come again, and may be compared both times.
#[track_caller]
fn repeats(stars: &[Value]) -> usize {
    let is_good = |file: String| {
        let found = stars.iter().find(|star| star["file"].as_str().unwrap().ends_with(&file));
        found.unwrap_or_else(|| panic!("no {file}"))["bad"] == false
    };
    let both = |number: &u32| {
        is_good(format!("/before-{number}.fits.gz")) && is_good(format!("/{number}.fits.gz"))
    };
    let repeats = (0..BEFORE).filter(both).count();
    assert!(repeats > 3, "{stars:?}");
    repeats
}

/// Rows and rejects of the whole timeline.
fn on_the_timeline(service: &Service) -> (u64, u64) {
    let sum = |bins: &Value, key: &str| -> u64 {
        bins.as_array().unwrap().iter().map(|bin| bin[key].as_u64().unwrap()).sum()
    };
    let bins = service.api("timeline?seconds=10");
    assert!(sum(&bins, "starts") >= 1, "{bins}");
    (sum(&bins, "rows"), sum(&bins, "rejects"))
}

/// A gauge or counter of the metrics.
#[track_caller]
fn metric(service: &Service, name: &str) -> f64 {
    let (_, text) = service.ask("/metrics");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// Asserts that the night is on the board as the ledger of its catalogue has it.
#[track_caller]
fn assert_as_in_the_ledger(place: &Place, service: &Service, status: &Value) {
    let name = night(Duration::ZERO);
    let ledger = Ledger::open_reader(&place.night(&name).join("ledger.sqlite")).unwrap();
    let tonight = &status["tonight"];
    let count = |key: &str| tonight[key].as_u64().unwrap();
    let of_the_ledger = ledger.totals().unwrap();
    assert_eq!((count("files"), count("rows") + count("rejects")), of_the_ledger, "{status:#}");
    // The list of nights is brought up to date every few seconds.
    service.wait_for_status("the night with its counts", |status| {
        let nights = status["nights"].as_array().unwrap();
        let shown = nights.iter().find(|night| night["name"] == name.as_str());
        shown.is_some_and(|shown| {
            ["files", "rows", "rejects"].iter().all(|key| shown[key] == tonight[key])
        })
    });
}

#[test]
fn the_board_shows_after_a_kill_what_it_showed_before() {
    const STARS: u32 = 30;
    const BROKEN: u32 = 3;
    if !support::has_library("the board after a kill") {
        return;
    }
    let place = place();
    close_the_night_before(&place);
    let service = place.start_ready();
    put_stars(&place, 0..STARS);
    put_broken(&place, BROKEN);
    let before = settled(&service, STARS + BROKEN);
    let [stars, rejects] = ["stars", "rejects"].map(|name| list(&service, name));
    let timeline = on_the_timeline(&service);
    let repeats = repeats(&stars);
    assert_eq!(before["drift"][0]["repeats"], repeats, "{}", before["drift"]);
    assert_eq!(metric(&service, "starmill_files_total{result=\"done\"}"), 33.0);
    service.kill();

    let service = place.start_ready();
    let after = settled(&service, STARS + BROKEN);
    for key in ["night", "tonight", "rejects_by_code", "flags", "drift"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert_eq!(list(&service, "rejects"), rejects);
    assert_eq!(list(&service, "stars"), stars);
    assert_eq!(stars.len() as u64, u64::from(STARS + BEFORE));
    assert_eq!(on_the_timeline(&service), timeline);
    assert_eq!(timeline, ((STARS + BEFORE).into(), BROKEN.into()));
    assert_as_in_the_ledger(&place, &service, &after);
    assert_eq!(after["counts"]["rows"], 0, "counters are of this process");
    assert_eq!(metric(&service, "starmill_rows_total"), 0.0);
    assert_eq!(metric(&service, "starmill_open_nights"), 1.0);
    let median = before["drift"][0]["median"].as_f64().unwrap();
    assert_eq!(metric(&service, "starmill_label_drift{label=\"teff\"}"), median);
    assert_eq!(metric(&service, "starmill_label_drift_pairs{label=\"teff\"}"), repeats as f64);
    assert!(median.abs() > 0.0, "the noise of two exposures differs");
    let closed = after["nights"].as_array().unwrap().iter().find(|one| one["phase"] == "closed");
    assert_eq!(closed.unwrap()["rows"], BEFORE, "{}", after["nights"]);

    // What comes now is added.
    put_stars(&place, 100..104);
    let status = settled(&service, STARS + BROKEN + 4);
    assert_eq!(status["counts"]["files"], 4);
    assert_as_in_the_ledger(&place, &service, &status);
    service.stop();
}

#[test]
fn what_is_committed_while_the_past_is_read_is_neither_lost_nor_counted_twice() {
    const FILES: u32 = 60;
    if !support::has_library("commits while the past is read") {
        return;
    }
    let place = place();
    close_the_night_before(&place);
    let service = place.start_ready();
    put_stars(&place, 0..FILES / 2);
    service.wait_for_status("some rows", |status| status["tonight"]["rows"].as_u64() > Some(9));
    service.kill();
    // The others are taken while the thread that reads the past has not begun.
    put_stars(&place, FILES / 2..FILES);
    put_broken(&place, 2);
    let mut service = place.start(&[("FAILPOINTS", "recall-slow=sleep(5000)")]);
    service.wait_for("READY=1");
    let early =
        service.wait_for_status("live rows", |status| status["counts"]["rows"].as_u64() > Some(20));
    assert_eq!(early["recalled"], false, "the past was read too soon for this test");
    assert_eq!(service.api("stars"), Value::Array(Vec::new()), "numbers are given in order");
    let status = settled(&service, FILES + 2);
    assert!(status["counts"]["rows"].as_u64() < Some(FILES.into()), "nothing was left to recall");
    assert_eq!(status["tonight"]["rows"], FILES);
    assert_eq!(status["drift"][0]["repeats"], repeats(&list(&service, "stars")));
    assert_as_in_the_ledger(&place, &service, &status);
    let mut names: Vec<_> = list(&service, "stars").iter().map(|s| s["file"].clone()).collect();
    names.dedup();
    assert_eq!(names.len() as u64, u64::from(FILES + BEFORE));
    assert_eq!(on_the_timeline(&service), ((FILES + BEFORE).into(), 2));
    let times: Vec<_> =
        service.api("stars").as_array().unwrap().iter().map(|s| s["time"].as_f64()).collect();
    assert!(times.is_sorted(), "{times:?}");
    service.stop();
}
