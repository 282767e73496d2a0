//! SIGKILL at random moments, over and over: no row is lost, doubled or bent.
//!
//! `ops/kill-loop.sh` is the long run of this test over more files, in a release build.

#![allow(clippy::print_stdout, reason = "the long run reports its figures")]

mod support;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::night::{assert_same, config, night};

/// The number in the environment, or the default of a short run.
fn number(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a whole number"))
}

/// What a killed process was doing, as far as its folder tells.
fn state(out: &Path) -> &'static str {
    let names: Vec<String> = std::fs::read_dir(out)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    let has = |part: &str| names.iter().any(|name| name.contains(part));
    match () {
        () if !has("ledger.sqlite") => "starting",
        () if has(".tmp") => "sealing",
        () => "recovering or running",
    }
}

#[test]
fn any_number_of_kills_changes_nothing() {
    if !support::has_library("kills") {
        return;
    }
    let (kills, files) = (number("STARMILL_KILLS", 10), number("STARMILL_KILL_FILES", 400));
    let folder = tempfile::tempdir().unwrap();
    let input = night(folder.path(), files);
    let (out, whole) = (folder.path().join("out"), folder.path().join("whole"));
    let config = config(folder.path(), "[write]\nsegment_spectra = 20\n");
    let more = ["--config", config.as_str()];

    let begin = Instant::now();
    let ended = format!("rows={files} rejects=1 files={}", files + 1);
    support::assert_ended(&support::run_with(&whole, &[&input], &more), 1, &ended);
    let uninterrupted = begin.elapsed();

    let mut random = u64::from(number("STARMILL_KILL_SEED", 1)).wrapping_mul(0x9e37_79b9) | 1;
    let mut below = move |limit: Duration| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        limit.mul_f64((random >> 11) as f64 / (1u64 << 53) as f64)
    };
    let mut seen = std::collections::BTreeMap::new();
    for kill in 0..kills {
        let mut child = support::starmill(&["run", "--model", "fcresnet", "--out"])
            .arg(&out)
            .args(more)
            .arg(&input)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Early kills fall into starting and recovering, late ones into sealing. The more there
        // are, the less each may get done, or all the work would be done by the first few.
        let limit = if kill % 4 == 0 { uninterrupted } else { uninterrupted / 2 };
        std::thread::sleep(below(limit));
        child.kill().unwrap();
        child.wait().unwrap();
        *seen.entry(state(&out)).or_insert(0) += 1;
    }
    let stats = folder.path().join("stats.json");
    let last = ["--config", config.as_str(), "--stats", stats.to_str().unwrap()];
    support::assert_ended(&support::run_with(&out, &[&input], &last), 1, &ended);
    assert_same(&out, &whole, "all the kills");
    let verify = support::starmill(&["catalogue", "verify"]).arg(&out).output().unwrap();
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stdout));

    let recoveries = recovery_times(&out);
    let slowest = recoveries.iter().copied().fold(0.0, f64::max);
    println!(
        "{kills} kills over {files} files ({seen:?}), {} runs opened the catalogue, the slowest \
         recovery took {slowest:.3} s, an uninterrupted run {:.1} s",
        recoveries.len(),
        uninterrupted.as_secs_f64(),
    );
    assert!(slowest < 2.0, "recovery took {slowest} s");
}

/// How long each run that lived to its end took to open the catalogue, and the last one for sure.
fn recovery_times(out: &Path) -> Vec<f64> {
    let history = std::fs::read_to_string(out.join("history.jsonl")).expect("a history");
    let seconds = |line: &str| -> Option<f64> {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line["recovered"]["seconds"].as_f64()
    };
    let times: Vec<f64> = history.lines().filter_map(seconds).collect();
    assert!(!times.is_empty(), "{history}");
    times
}
