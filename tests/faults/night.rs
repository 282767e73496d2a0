//! The disk of a service is full: it pauses and shows that it does, and goes on when there is room.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support;
use crate::support::lrs::{Layout, Lrs};
use crate::support::night::verify;
use crate::support::service::{Place, wait_until};

/// The night of the fixture.
const NIGHT: &str = "2017-11-11";
/// More than the small disk has room for, in a segment each.
const STARS: u64 = 60;

fn unshare(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script, "sh"]);
    command
}

/// The service above a small file system of memory, which grows once `room` exists. What it holds
/// goes with the service, so the nights are copied out when they are closed.
fn on_a_small_disk(place: &Place) -> Option<Command> {
    let state = place.path("state");
    fs::create_dir(&state).unwrap();
    let mount = format!("mount -t tmpfs -o size=1m tmpfs '{}'", state.display());
    let may = unshare(&mount).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        return None;
    }
    let script = format!(
        "{mount} || exit 99
         cd '{}'
         {{ until [ -e room ]; do kill -0 $$ || exit; sleep 0.05; done
            mount -o remount,size=64m state
            until [ -e state/nights/{NIGHT}/closed.json ]; do kill -0 $$ || exit; sleep 0.05; done
            cp -r state/nights copy && mv copy out; }} 2>/dev/null &
         cd \"$OLDPWD\"
         exec \"$@\"",
        place.path("").display()
    );
    let service = place.command();
    let mut command = unshare(&script);
    command.current_dir(support::root()).arg(service.get_program()).args(service.get_args());
    Some(command)
}

#[test]
fn a_service_on_a_full_disk_pauses_says_so_and_goes_on() {
    if !support::has_library("a service on a full disk") {
        return;
    }
    let place = Place::new("");
    let told = place.path("told");
    place.configure(&format!(
        "http.address = \"127.0.0.1:0\"\nwrite.pause = 0.1\nwrite.segment_spectra = 1\n\
         serve.commit_age = 0.05\nhooks.command = {:?}",
        ["/bin/sh", "-c", &format!("cat >> '{}'", told.display())]
    ));
    let Some(mut command) = on_a_small_disk(&place) else {
        println!("skipped: a service on a full disk needs unshare and mount");
        return;
    };
    command.env("WATCHDOG_USEC", "1000000");
    let mut service = place.start_as(command);
    service.wait_for("READY=1");
    for seed in 0..STARS {
        let star = Lrs::star(u32::try_from(seed).unwrap());
        place.put(&format!("{seed}.fits.gz"), &star.to_gzip(Layout::Table));
    }
    let full = service.wait_for_status("a pause on a full disk", |status| {
        let [free, total] = ["free_bytes", "total_bytes"].map(|key| status["disk"][key].as_u64());
        free < total.map(|total| total / 10)
            && status["faults"]["pauses"].as_u64() > Some(0)
            && status["waits"].as_str().is_some_and(|waits| waits.starts_with("write rests"))
    });
    assert!(place.log().contains("no room for the catalogue, waiting"), "{}", place.log());
    let committed = full["counts"]["files"].as_u64().unwrap();
    assert!(0 < committed && committed < STARS, "{full:#}");
    // It lives and takes files, and systemd has no reason to restart it.
    for path in ["/health", "/ready"] {
        assert_eq!(service.ask(path).0, 200, "{path}");
    }
    let paused = Instant::now();
    service.listen(Duration::from_secs(4));
    assert!(service.count_since("WATCHDOG=1", paused) >= 8, "{}", place.log());
    service.wait_for_line("a status with the night", |line| {
        line.starts_with("STATUS=") && line.contains(NIGHT)
    });
    wait_until("the hook hears of it", || {
        fs::read_to_string(&told).unwrap_or_default().contains("\"event\":\"disk_low\"")
    });
    assert_eq!(service.api("status")["counts"]["files"], committed, "it went on without room");

    fs::write(place.path("room"), "").unwrap();
    wait_until("the night closes", || place.path("out").is_dir());
    assert!(place.log().contains("room again, going on"), "{}", place.log());
    let status = service.api("status");
    assert_eq!(status["counts"]["rows"], STARS, "{status:#}");
    service.stop();
    let (code, said) = verify(&place.path("out").join(NIGHT), &[]);
    assert_eq!(code, Some(0), "{said}");
    let closed = support::service::sealed(&place.path("out").join(NIGHT));
    assert_eq!(closed, (STARS, 0), "{}", place.log());
}
