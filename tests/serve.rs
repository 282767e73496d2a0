//! The night daemon through the program: what systemd hears, which catalogue a file comes into, and
//! what is left after any end.

#![cfg(feature = "failpoints")]

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use support::lrs::{Layout, Lrs};
use support::night::verify;
use support::service::{Place, sealed, wait_until};

/// The night of every spectrum of the fixture.
const NIGHT: &str = "2017-11-11";
/// The one before it.
const BEFORE: &str = "2017-11-10";

fn star(seed: u32) -> Vec<u8> {
    Lrs::star(seed).to_gzip(Layout::Table)
}

fn star_of_the_night_before(seed: u32) -> Vec<u8> {
    Lrs::star(seed).with("DATE-OBS", "'2017-11-10T21:00:00'").to_gzip(Layout::Image)
}

/// Asserts what a closed night holds and that all its digests are right.
#[track_caller]
fn assert_closed(place: &Place, night: &str, rows: u64, rejects: u64) {
    assert_eq!(place.closed(night), (rows, rejects, rows + rejects), "{night}: {}", place.log());
    let (code, said) = verify(&place.night(night), &[]);
    assert_eq!(code, Some(0), "{night}: {said}");
    let page = fs::read_to_string(place.night(night).join("report.html")).unwrap_or_default();
    assert!(page.contains(night), "{night} has no report: {}", place.log());
}

#[test]
fn it_is_ready_when_it_is_warm_and_says_how_things_stand() {
    if !support::has_library("serve") {
        return;
    }
    let place = Place::new("night.quiet = 1000.0");
    place.put("early.fits.gz", &star(1));
    let mut service = place.start(&[("FAILPOINTS", "serve-starts=sleep(1500)")]);
    service.wait_for("READY=1");
    let before: Vec<_> = service.said.iter().map(|(_, line)| line.as_str()).collect();
    assert!(before.len() > 2, "{before:?}");
    let extends = |line: &&str| line.starts_with("EXTEND_TIMEOUT_USEC=10000000");
    assert!(before[..before.len() - 1].iter().all(extends), "{before:?}");

    place.put("broken.fits", b"no");
    service.wait_for_line("a status with both files", |line| {
        line.starts_with("STATUS=2 files, 1 rows, 1 rejects") && line.contains(NIGHT)
    });
    service.signal("-TERM");
    service.wait_for("STOPPING=1");
    assert_eq!(service.wait().code(), Some(0));
    // The broken file tells no night, so it belongs to this one, which has not ended.
    let folder = place.night(NIGHT);
    assert!(!folder.join("run.json").exists(), "a stop seals nothing");

    place.configure("");
    let service = place.start_ready();
    assert_closed(&place, NIGHT, 1, 0);
    service.stop();
    assert_eq!(fs::read_dir(place.path("state/nights")).unwrap().count(), 2);
}

#[test]
fn the_watchdog_is_fed_in_an_idle_night_and_not_while_a_stage_stands_still() {
    if !support::has_library("the watchdog") {
        return;
    }
    let place = Place::new("night.quiet = 1000.0");
    let points = ("FAILPOINTS", "prepare-slow=2*off->sleep(600000)");
    let mut service = place.start(&[("WATCHDOG_USEC", "1000000"), points]);
    service.wait_for("READY=1");
    let idle = Instant::now();
    service.listen(Duration::from_secs(3));
    let fed = service.count_since("WATCHDOG=1", idle);
    assert!(fed >= 8, "fed {fed} times in an idle night");

    for seed in 0..3 {
        place.put(&format!("{seed}.fits.gz"), &star(seed));
        service.listen(Duration::from_millis(700));
    }
    // The third stands still; after a second of that the feeding ends.
    service.listen(Duration::from_secs(2));
    let frozen = Instant::now();
    service.listen(Duration::from_secs(2));
    assert_eq!(service.count_since("WATCHDOG=1", frozen), 0, "{}", place.log());
    assert!(place.log().contains("stage stands still"), "{}", place.log());
    // What systemd does then.
    service.kill();
    place.configure("");
    let service = place.start_ready();
    assert_closed(&place, NIGHT, 3, 0);
    service.stop();
}

#[test]
fn kills_lose_nothing_and_double_nothing() {
    const FILES: u32 = 120;
    if !support::has_library("kills of the service") {
        return;
    }
    let place = Place::new("night.quiet = 3.0\nserve.commit_age = 0.05\nwrite.segment_spectra = 5");
    let mut random = 0x9e37_79b9_u64;
    for part in 0..6 {
        let mut service = place.start(&[]);
        if part > 0 {
            service.wait_for("READY=1");
        }
        for seed in part * FILES / 6..(part + 1) * FILES / 6 {
            let name = format!("{seed}.fits.gz");
            let bytes = if seed % 3 == 0 { star_of_the_night_before(seed) } else { star(seed) };
            place.put(&name, &bytes);
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_millis(random >> 54));
        service.kill();
    }
    let service = place.start_ready();
    assert_closed(&place, BEFORE, u64::from(FILES / 3), 0);
    assert_closed(&place, NIGHT, u64::from(FILES - FILES / 3), 0);
    service.stop();
    assert_eq!(fs::read_dir(place.path("state/nights")).unwrap().count(), 2);
}

#[test]
fn a_late_file_opens_a_supplement_and_a_known_one_does_not() {
    if !support::has_library("supplements") {
        return;
    }
    let place = Place::new("");
    let told = place.path("told");
    place.configure(&format!(
        "hooks.command = [\"/bin/sh\", \"-c\", \"cat >> {}\"]",
        told.display()
    ));
    let service = place.start_ready();
    place.put("a.fits.gz", &star(1));
    place.put("b.fits.gz", b"not gzip");
    assert_closed(&place, NIGHT, 1, 0);
    place.put("late.fits.gz", &star(2));
    // Reduced anew: other bytes under the name of a file that is done.
    place.put("a.fits.gz", &Lrs::star(1).with("DATE", "'2022-01-01'").to_gzip(Layout::Table));
    assert_closed(&place, "2017-11-11+1", 2, 0);
    service.stop();
    let told = fs::read_to_string(told).unwrap_or_default();
    for event in ["service_started", "night_closed"] {
        assert!(told.contains(event), "{event}: {told}\n{}", place.log());
    }
    // All of it is seen again by a service that has forgotten what it took.
    let service = place.start_ready();
    place.put("later.fits.gz", &star(3));
    assert_closed(&place, "2017-11-11+2", 1, 0);
    service.stop();
}

#[test]
fn a_night_closes_by_its_marker_and_by_its_deadline() {
    if !support::has_library("deadlines") {
        return;
    }
    let rules = |marker: &str| format!("night.quiet = 1000.0\nnight.complete_marker = {marker:?}");
    let place = Place::new("");
    let marker = place.path("done-{yyyymmdd}");
    place.configure(&rules(marker.to_str().unwrap()));
    let service = place.start_ready();
    place.put("a.fits.gz", &star(1));
    wait_until("a night opens", || place.night(NIGHT).is_dir());
    std::thread::sleep(Duration::from_secs(2));
    assert!(!place.night(NIGHT).join("run.json").exists());
    fs::write(place.path("done-20171111"), "").unwrap();
    assert_closed(&place, NIGHT, 1, 0);
    service.stop();

    let place = Place::new("night.quiet = 1000.0\nnight.deadline = 3.0");
    let service = place.start_ready();
    place.put("a.fits.gz", &star(1));
    assert_closed(&place, NIGHT, 1, 0);
    assert!(place.log().contains("reason=Deadline"), "{}", place.log());
    service.stop();
}

#[test]
fn more_nights_than_may_be_open_take_turns() {
    if !support::has_library("many nights") {
        return;
    }
    let place = Place::new("serve.open_nights = 2");
    for seed in 0..30 {
        let date = format!("'2017-11-{:02}T20:00:00'", 1 + seed % 5);
        let bytes = Lrs::star(seed).with("DATE-OBS", &date).to_gzip(Layout::Pilot);
        place.put(&format!("{seed}.fits.gz"), &bytes);
    }
    let service = place.start_ready();
    for day in 1..=5 {
        assert_closed(&place, &format!("2017-11-0{day}"), 6, 0);
    }
    service.stop();
}

#[test]
fn sighup_takes_a_good_configuration_and_refuses_a_bad_one() {
    if !support::has_library("SIGHUP") {
        return;
    }
    let place = Place::new("night.quiet = 1000.0");
    let mut service = place.start_ready();
    place.configure("infer.batch = 0");
    service.signal("-HUP");
    service.wait_for("RELOADING=1");
    service.wait_for("STATUS=reload refused");
    assert!(place.log().contains("infer.batch"), "{}", place.log());
    place.configure("serve.model = \"none\"");
    service.signal("-HUP");
    service.wait_for("STATUS=reload refused");

    place.put("a.fits.gz", &star(1));
    wait_until("a night opens", || place.night(NIGHT).is_dir());
    place.configure("infer.batch = 16");
    service.signal("-HUP");
    service.wait_for("MONOTONIC_USEC=");
    service.wait_for("READY=1");
    place.put("b.fits.gz", &star(2));
    // With the shorter wait that is configured now.
    assert_closed(&place, NIGHT, 2, 0);
    service.stop();
}

#[test]
fn another_model_takes_a_supplement_and_the_old_one_is_sealed_as_what_it_is() {
    if !support::has_library("a change of the model") {
        return;
    }
    let place = Place::new("");
    let models = place.path("models");
    support::night::copy(&support::root().join("onnx/models"), &models);
    let copy = models.join("other");
    support::night::copy(&models.join("fcresnet"), &copy);
    let manifest = fs::read_to_string(copy.join("manifest.toml")).unwrap();
    assert!(manifest.contains("name = \"fcresnet\""));
    let manifest = manifest.replacen("name = \"fcresnet\"", "name = \"other\"", 1);
    fs::write(copy.join("manifest.toml"), manifest).unwrap();
    let config = |model: &str| {
        format!("models.dir = {models:?}\nserve.model = {model:?}\nnight.quiet = 4.0")
    };
    place.configure(&config("fcresnet"));
    let mut service = place.start_ready();
    place.put("a.fits.gz", &star(1));
    wait_until("a night opens", || place.night(NIGHT).is_dir());
    std::thread::sleep(Duration::from_secs(1));
    place.configure(&config("other"));
    service.signal("-HUP");
    service.wait_for("READY=1");
    place.put("b.fits.gz", &star(2));
    assert_closed(&place, NIGHT, 1, 0);
    assert_closed(&place, "2017-11-11+1", 1, 0);
    let model = |night| {
        let manifest = starmill::catalogue::Manifest::read(&place.night(night)).unwrap().unwrap();
        manifest.made_with["model"].clone()
    };
    assert_eq!((model(NIGHT).as_str(), model("2017-11-11+1").as_str()), ("fcresnet", "other"));
    service.stop();
}

#[test]
fn a_closing_that_a_crash_interrupted_is_finished_by_the_next_start() {
    const SIGABRT: i32 = 6;
    if !support::has_library("crashes while closing") {
        return;
    }
    for point in [
        "seal-written",
        "seal-catalogue.fits",
        "seal-done",
        "close-sealed",
        "close-reported",
        "close-told",
        "close-noted",
    ] {
        let place = Place::new("");
        place.put("a.fits.gz", &star(1));
        let mut service = place.start(&[("FAILPOINTS", &format!("{point}=return"))]);
        assert_eq!(service.wait().signal(), Some(SIGABRT), "{point}: {}", place.log());
        let service = place.start_ready();
        assert_closed(&place, NIGHT, 1, 0);
        assert_eq!(sealed(&place.night(NIGHT)), (1, 0), "{point}");
        service.stop();
    }
}

#[test]
fn a_flow_that_fails_ends_the_service_for_systemd_to_start_it_again() {
    if !support::has_library("a failing flow") {
        return;
    }
    let place = Place::new("supervision.stall_limit = 2.0");
    let mut service = place.start(&[("FAILPOINTS", "infer-slow=sleep(600000)")]);
    service.wait_for("READY=1");
    place.put("a.fits.gz", &star(1));
    assert_eq!(service.wait().code(), Some(2), "{}", place.log());
    let service = place.start_ready();
    assert_closed(&place, NIGHT, 1, 0);
    // One service to a folder.
    let mut second = place.start(&[]);
    assert_eq!(second.wait().code(), Some(2));
    assert!(place.log().contains("another service works there"), "{}", place.log());
    service.stop();
}
