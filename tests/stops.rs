//! SIGTERM at every moment of a run: an orderly end, and nothing that the next run cannot finish.

mod support;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use support::night::{assert_same, config, night};

/// Small commits, a short deadline, and a drain that may not take long.
const CONFIG: &str = "[write]\nsegment_spectra = 10\n[supervision]\ndrain_limit = 20.0\n";

fn start(out: &Path, input: &Path, config: &str, failpoints: &str) -> Child {
    support::starmill(&["run", "--model", "fcresnet", "--config", config, "--out"])
        .arg(out)
        .arg(input)
        .env("FAILPOINTS", failpoints)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    let kill = std::process::Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
}

/// Waits until the program hears signals: before that moment SIGTERM ends it as any other program.
fn wait_until_it_hears(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(20) {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        if mask & (1 << 14) != 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the program never came to hear SIGTERM");
}

#[test]
fn a_stop_at_any_moment_ends_well_and_the_next_run_finishes() {
    if !support::has_library("stops") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = night(folder.path(), 90);
    let config = config(folder.path(), CONFIG);
    let whole = folder.path().join("whole");
    support::run(&whole, &[&input]);
    // Each place is made slow in turn, so that the signal falls into it.
    let slow_places: &[&str] = if cfg!(feature = "failpoints") {
        &[
            "",
            "run-begins=sleep(600)",
            "read-slow=sleep(20)",
            "prepare-slow=sleep(100)",
            "infer-slow=sleep(100)",
            "commit-slow=sleep(200)",
            "seal-slow=sleep(600)",
        ]
    } else {
        &[""]
    };
    for (number, place) in slow_places.iter().enumerate() {
        for delay in [0, 150, 400] {
            let out = folder.path().join(format!("out-{number}-{delay}"));
            let child = start(&out, &input, &config, place);
            wait_until_it_hears(&child);
            std::thread::sleep(Duration::from_millis(delay));
            let begin = Instant::now();
            signal(&child, "-TERM");
            let output = child.wait_with_output().unwrap();
            let log = String::from_utf8_lossy(&output.stderr);
            // It may have come to its end, with a reject, before it heard the signal.
            let came_to_its_end = log.contains("stopped=false");
            let expected = i32::from(came_to_its_end);
            assert_eq!(output.status.code(), Some(expected), "{place} {delay}: {log}");
            assert!(begin.elapsed() < Duration::from_secs(10), "{place}: {:?}", begin.elapsed());
            support::assert_ended(&support::run(&out, &[&input]), 1, "rows=90 rejects=1 files=91");
            assert_same(&out, &whole, place);
        }
    }
}

#[test]
#[cfg(feature = "failpoints")]
fn what_does_not_end_in_time_is_left_to_the_next_run() {
    if !support::has_library("the drain limit") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = night(folder.path(), 30);
    let config = config(folder.path(), "[supervision]\ndrain_limit = 0.5\n");
    let (out, whole) = (folder.path().join("out"), folder.path().join("whole"));
    let child = start(&out, &input, &config, "read-stuck=10*off->sleep(600000)");
    wait_until_it_hears(&child);
    std::thread::sleep(Duration::from_millis(500));
    let begin = Instant::now();
    signal(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(log.contains("the next run does the rest") && log.contains(".fits.gz"), "{log}");
    support::assert_ended(&support::run(&out, &[&input]), 1, "rows=30 rejects=1 files=31");
    support::run(&whole, &[&input]);
    assert_same(&out, &whole, "a drain that was given up");
}

#[test]
#[cfg(feature = "failpoints")]
fn a_second_signal_leaves_at_once() {
    if !support::has_library("a second signal") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = night(folder.path(), 20);
    let (out, config) = (folder.path().join("out"), config(folder.path(), CONFIG));
    let child = start(&out, &input, &config, "read-stuck=sleep(600000)");
    wait_until_it_hears(&child);
    // Time for the readers to get stuck: a stop before they begin needs no second signal.
    std::thread::sleep(Duration::from_secs(1));
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    support::assert_ended(&support::run(&out, &[&input]), 1, "rows=20 rejects=1 files=21");
}
