//! What the hooks of a service are promised when it ends, in order or not.

#![cfg(feature = "failpoints")]

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use support::lrs::{Layout, Lrs};
use support::service::{Place, wait_until};

/// The night of the fixture.
const NIGHT: &str = "2017-11-11";

/// The setting of a hook that is this script, which runs in the folder of the place and gets the
/// event on its standard input.
fn hook(place: &Place, script: &str) -> String {
    let script = format!("cd '{}'; {script}", place.path("").display());
    format!("hooks.command = {:?}", ["/bin/sh", "-c", &script])
}

/// How often a kind of event was told.
fn told(place: &Place, event: &str) -> usize {
    let told = fs::read_to_string(place.path("told")).unwrap_or_default();
    told.lines().filter(|line| line.contains(&format!("\"event\":\"{event}\""))).count()
}

#[test]
fn a_night_is_told_again_when_the_service_died_while_it_was_told() {
    if !support::has_library("a death while hooks are told") {
        return;
    }
    let place = Place::new("");
    // Stands at a closed night until it may go on, and ends with the service.
    let script = "read event
         case $event in *night_closed*)
           touch begun
           while [ ! -e go ]; do
             kill -0 $PPID 2>/dev/null || { touch left; exit 1; }
             sleep 0.05
           done;;
         esac
         echo \"$event\" >> told";
    place.configure(&(hook(&place, script) + "\nhooks.time_limit = 60.0"));
    place.put("a.fits.gz", &Lrs::star(1).to_gzip(Layout::Table));
    let service = place.start_ready();
    wait_until("the hook begins", || place.path("begun").exists());
    service.kill();
    wait_until("the hook notices", || place.path("left").exists());
    assert_eq!(told(&place, "night_closed"), 0);
    assert!(place.night(NIGHT).join("run.json").exists(), "it is sealed");
    assert!(!place.night(NIGHT).join("closed.json").exists(), "it is closed, and nobody knows");
    fs::write(place.path("go"), "").unwrap();
    let service = place.start_ready();
    assert_eq!(place.closed(NIGHT), (1, 0, 1), "{}", place.log());
    assert_eq!(told(&place, "night_closed"), 1);
    service.stop();
    // What was told and noted is not told again.
    place.start_ready().stop();
    assert_eq!(told(&place, "night_closed"), 1);
    assert_eq!(told(&place, "service_started"), 3);
}

#[test]
fn a_night_that_was_told_and_not_noted_is_told_twice() {
    const SIGABRT: i32 = 6;
    if !support::has_library("a crash after hooks are told") {
        return;
    }
    let place = Place::new("");
    place.configure(&hook(&place, "cat >> told"));
    place.put("a.fits.gz", &Lrs::star(1).to_gzip(Layout::Table));
    let mut service = place.start(&[("FAILPOINTS", "close-told=return")]);
    assert_eq!(service.wait().signal(), Some(SIGABRT), "{}", place.log());
    assert_eq!(told(&place, "night_closed"), 1);
    let service = place.start_ready();
    assert_eq!(place.closed(NIGHT), (1, 0, 1), "{}", place.log());
    assert_eq!(told(&place, "night_closed"), 2);
    service.stop();
}

#[test]
fn what_is_queued_is_told_before_an_orderly_end() {
    if !support::has_library("hooks at the end") {
        return;
    }
    let place = Place::new("");
    place.configure(&hook(&place, "sleep 1; cat >> told"));
    place.start_ready().stop();
    assert_eq!(told(&place, "service_started"), 1, "{}", place.log());

    // It has its time and no more.
    let begun = Instant::now();
    place.configure(&(hook(&place, "sleep 600") + "\nhooks.time_limit = 2.0"));
    place.start_ready().stop();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}
