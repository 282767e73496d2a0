//! The main job through the program: what is promised of a catalogue.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::lrs::{Layout, Lrs};
use support::night::{assert_same, night};

#[test]
fn the_same_inputs_give_the_same_bytes() {
    if !support::has_library("reproducible bytes") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = night(folder.path(), 120);
    let out = |name: &str| folder.path().join(name);
    let expected = "rows=120 rejects=1 files=121";
    support::assert_ended(&support::run(&out("plain"), &[&input]), 1, expected);

    let config = folder.path().join("other.toml");
    fs::write(&config, "[read]\nworkers = 4\n[prepare]\nworkers = 3\n[infer]\nworkers = 2\nmax_delay = 0.001\n[write]\nsegment_spectra = 7\n").unwrap();
    let more = ["--config", config.to_str().unwrap()];
    support::assert_ended(&support::run_with(&out("other"), &[&input], &more), 1, expected);
    assert_same(&out("plain"), &out("other"), "other workers and batches");

    let mut paths: Vec<PathBuf> =
        fs::read_dir(&input).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths.reverse();
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    support::assert_ended(&support::run(&out("reversed"), &paths), 1, expected);
    assert_same(&out("plain"), &out("reversed"), "another order");
}

#[test]
fn running_again_skips_what_is_done_and_takes_what_is_new() {
    if !support::has_library("running again") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = night(folder.path(), 30);
    let (out, whole) = (folder.path().join("out"), folder.path().join("whole"));
    let first = fs::read_dir(&input).unwrap().map(|entry| entry.unwrap().path()).take(10);
    let first: Vec<PathBuf> = first.collect();
    let paths: Vec<&Path> = first.iter().map(PathBuf::as_path).collect();
    support::run(&out, &paths);
    let stats = folder.path().join("stats.json");
    let more = ["--stats", stats.to_str().unwrap()];
    let output = support::run_with(&out, &[&input], &more);
    support::assert_ended(&output, 1, "rows=30 rejects=1 files=31");
    let stats: serde_json::Value = serde_json::from_slice(&fs::read(stats).unwrap()).unwrap();
    assert_eq!(stats["skipped"], 10);
    assert_eq!(stats["this_run"]["files_found"], 31);
    support::run(&whole, &[&input]);
    assert_same(&out, &whole, "another run");
    support::assert_ended(&support::run(&out, &[&input]), 1, "rows=30 rejects=1 files=31");
    assert_same(&out, &whole, "another run");
}

#[test]
fn a_killed_run_continues_to_the_same_bytes() {
    if !support::has_library("a killed run") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = night(folder.path(), 400);
    let (out, whole) = (folder.path().join("out"), folder.path().join("whole"));
    let config = folder.path().join("small.toml");
    fs::write(&config, "[write]\nsegment_spectra = 20\n").unwrap();
    let more = ["--config", config.to_str().unwrap()];
    for attempt in 0..4u64 {
        let mut child = support::starmill(&["run", "--model", "fcresnet", "--out"])
            .arg(&out)
            .args(more)
            .arg(&input)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Once a few more segments are there, the process dies without warning.
        let segments = || fs::read_dir(out.join("segments")).map_or(0, Iterator::count) as u64;
        let begin = Instant::now();
        while segments() < 2 + 3 * attempt && begin.elapsed() < Duration::from_secs(20) {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = support::run_with(&out, &[&input], &more);
    support::assert_ended(&output, 1, "rows=400 rejects=1 files=401");
    support::run(&whole, &[&input]);
    assert_same(&out, &whole, "another run");
}

#[test]
fn a_stop_request_drains_and_the_next_run_finishes() {
    if !support::has_library("a stop request") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = night(folder.path(), 600);
    let out = folder.path().join("out");
    let config = folder.path().join("small.toml");
    fs::write(&config, "[write]\nsegment_spectra = 20\n").unwrap();
    let mut child = support::starmill(&["run", "--model", "fcresnet", "--out"])
        .arg(&out)
        .args(["--config", config.to_str().unwrap()])
        .arg(&input)
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let segments = || fs::read_dir(out.join("segments")).map_or(0, Iterator::count);
    while segments() < 2 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{:?}", output.status);
    support::assert_ended(&support::run(&out, &[&input]), 1, "rows=600 rejects=1 files=601");
}

#[test]
fn damage_to_a_segment_is_found_and_mended() {
    if !support::has_library("a damaged segment") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = night(folder.path(), 20);
    let (out, whole) = (folder.path().join("out"), folder.path().join("whole"));
    support::run(&out, &[&input]);
    support::run(&whole, &[&input]);
    let segment = fs::read_dir(out.join("segments")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    fs::write(out.join("segments/left-over.parquet.tmp"), b"half").unwrap();
    support::assert_ended(&support::run(&out, &[&input]), 1, "rows=20 rejects=1 files=21");
    assert_same(&out, &whole, "another run");
    assert!(!out.join("segments/left-over.parquet.tmp").exists());
}

#[test]
fn a_replaced_file_counts_with_its_new_content() {
    if !support::has_library("a replaced file") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("a.fits"), folder.path().join("out"));
    fs::write(&file, b"half a fi").unwrap();
    support::assert_ended(&support::run(&out, &[&file]), 1, "rows=0 rejects=1 files=1");
    fs::write(&file, Lrs::star(1).to_fits(Layout::Image)).unwrap();
    support::assert_ended(&support::run(&out, &[&file]), 0, "rows=1 rejects=0 files=1");
}

#[test]
fn both_formats_read_back_alike_and_pass_fitsverify() {
    if !support::has_library("reading back") {
        return;
    }
    let Some(mut python) = support::python("reading back") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (night(folder.path(), 25), folder.path().join("out"));
    support::run(&out, &[&input]);
    let output = python.arg("tests/python/check_catalogue.py").arg(&out).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn exit_codes_and_errors_name_the_remedy() {
    let check = |arguments: &[&str], code: i32, says: &str| {
        let output = support::starmill(arguments).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {log}");
        assert!(log.contains(says), "{arguments:?} should say {says:?}: {log}");
    };
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.toml");
    fs::write(&bad, "[infer]\nbatsh = 1\n").unwrap();
    check(&["--config", bad.to_str().unwrap(), "check"], 78, "batsh");
    check(&["--config", "/no/such.toml", "check"], 78, "--config");
    check(&["check", "--device", "tpu"], 78, "cpu");
    check(&["run", "--model", "nothing", "--out", "/tmp/x", "y.fits"], 2, "models list");
    check(&["run", "--model", "../secrets", "--out", "/tmp/x", "y.fits"], 2, "models list");
    check(&["run", "--model", "fcresnet", "y.fits"], 2, "--out");
    fs::write(&bad, "[onnx]\nlibrary = \"/no/such/library.so\"\n").unwrap();
    let out = folder.path().join("out");
    check(
        &[
            "--config",
            bad.to_str().unwrap(),
            "run",
            "--model",
            "fcresnet",
            "--out",
            out.to_str().unwrap(),
            "y.fits",
        ],
        2,
        "fetch-onnxruntime",
    );
}

#[test]
fn only_one_process_writes_a_catalogue_and_for_one_model() {
    if !support::has_library("the lock") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (night(folder.path(), 1), folder.path().join("out"));
    fs::create_dir(&out).unwrap();
    let lock = fs::File::create(out.join(".lock")).unwrap();
    lock.lock().unwrap();
    let output = support::run(&out, &[&input]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another process"));
    drop(lock);
    support::assert_ended(&support::run(&out, &[&input]), 1, "rows=1 rejects=1 files=2");
}
