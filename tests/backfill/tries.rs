//! Tries of shards that are stopped, killed, begun twice, or go on elsewhere.

#![cfg_attr(
    not(feature = "failpoints"),
    allow(dead_code, unused_imports, reason = "most tries are made to fail at such points")
)]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::service::wait_until;
use crate::{Desk, assert_same, log};

const SPECTRA: u32 = 24;

fn start(mut command: Command, failpoints: &str) -> Child {
    command
        .env("FAILPOINTS", failpoints)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn status(desk: &Desk) -> Value {
    let output = desk.output(&["status", "@plan", "--out", "@shards", "--json"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[cfg(feature = "failpoints")]
fn a_stopped_shard_goes_on_from_its_checkpoint_on_another_disk() {
    if !crate::support::has_library("a stopped shard") {
        return;
    }
    let desk = Desk::new(60);
    desk.plan(1);
    desk.done(&Desk::run(&[]));
    let whole = desk.merged("whole");
    fs::remove_dir_all(desk.path("shards")).unwrap();

    let child = start(desk.command(&Desk::run(&[])), "read-slow=sleep(100)");
    wait_until("something is committed", || {
        let scratch = files(&desk.path("disk"));
        scratch
            .iter()
            .any(|name| files(&desk.path("disk").join(name).join("shard-00000/segments")).len() > 2)
    });
    assert_eq!(status(&desk)["running"][0]["shard"], 0);
    signal(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", log(&output));
    assert!(files(&desk.path("shards/shards")).is_empty());
    assert!(files(&desk.path("shards/checkpoints/shard-00000")).len() > 2);
    assert_eq!(status(&desk)["stopped"][0], 0);

    fs::remove_dir_all(desk.path("disk")).unwrap();
    let output = desk.output(&Desk::run(&[]));
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    assert!(log(&output).contains("went on from a checkpoint"), "{}", log(&output));
    assert!(files(&desk.path("shards/checkpoints")).is_empty());
    let of_plan = &files(&desk.path("disk"))[0];
    assert!(files(&desk.path("disk").join(of_plan)).is_empty(), "the disk of the machine is clean");
    assert_same(&desk.merged("release"), &whole);
}

#[test]
#[cfg(feature = "failpoints")]
fn a_killed_shard_is_done_once_by_the_next_try() {
    if !crate::support::has_library("killed shards") {
        return;
    }
    let desk = Desk::new(SPECTRA);
    desk.plan(2);
    desk.done(&Desk::run(&[]));
    let whole = desk.merged("whole");
    for (number, point) in
        ["shard-written=panic", "shard-linked=return", "commit-renamed=2*off->return"]
            .iter()
            .enumerate()
    {
        fs::remove_dir_all(desk.path("shards")).unwrap();
        let child = start(desk.command(&Desk::run(&[])), point);
        let output = child.wait_with_output().unwrap();
        let code = output.status.code();
        assert!(output.status.signal().is_some() || code != Some(0), "{point}: {}", log(&output));
        desk.done(&Desk::run(&[]));
        assert_same(&desk.merged(&format!("release-{number}")), &whole);
        assert_eq!(
            files(&desk.path("shards/shards")),
            ["shard-00000.parquet", "shard-00001.parquet"],
            "{point}: what a dead try left is removed"
        );
    }
}

#[test]
#[cfg(feature = "failpoints")]
fn of_two_copies_of_a_shard_one_commits() {
    if !crate::support::has_library("two copies of a shard") {
        return;
    }
    let desk = Desk::new(SPECTRA);
    desk.plan(1);
    // The first is frozen before it gives its file the name, as on a machine that is cut off.
    let mut job = desk.command(&Desk::run(&[]));
    job.env("SLURM_JOB_ID", "17").env("SLURM_RESTART_COUNT", "0");
    let first = start(job, "shard-written=sleep(5000)");
    let temporary =
        || files(&desk.path("shards/shards")).iter().any(|name| name.contains("job17-0"));
    wait_until("the first try writes its file", temporary);
    signal(&first, "-STOP");
    // The second has a disk of its own, as another machine has.
    let run = ["run", "@plan", "--model", "fcresnet", "--out", "@shards", "--scratch", "@disk2"];
    let mut job = desk.command(&run);
    job.env("SLURM_JOB_ID", "17").env("SLURM_RESTART_COUNT", "1");
    let second = job.output().unwrap();
    assert_eq!(second.status.code(), Some(0), "{}", log(&second));
    let committed = fs::read(desk.path("shards/shards/shard-00000.parquet")).unwrap();
    signal(&first, "-CONT");
    let release = desk.merged("release");
    // The first wakes up, finds the name taken, and throws its file away.
    let output = first.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("shard=0 was done by another try"), "{said}");
    assert_eq!(files(&desk.path("shards/shards")), ["shard-00000.parquet"]);
    assert_eq!(fs::read(desk.path("shards/shards/shard-00000.parquet")).unwrap(), committed);
    assert_same(&desk.merged("again"), &release);
}

#[test]
fn status_tells_what_is_done_and_what_is_not() {
    if !crate::support::has_library("status") {
        return;
    }
    let desk = Desk::new(12);
    desk.plan(4);
    let output = desk.output(&["status", "@plan", "--out", "@shards"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("0 of 4 shards done, 0.0 % of the bytes\nnot begun 4: 0-3"), "{said}");
    desk.done(&Desk::run(&["--shard", "2"]));
    let said = status(&desk);
    assert_eq!((&said["done"], &said["waiting"]), (&1.into(), &Value::from(vec![0, 1, 3])));
    desk.done(&Desk::run(&[]));
    let said = desk.done(&["status", "@plan", "--out", "@shards"]);
    assert!(said.contains("4 of 4 shards done, 100.0 % of the bytes"), "{said}");
}

#[test]
fn a_try_that_fails_says_why() {
    if !crate::support::has_library("a failed try") {
        return;
    }
    let desk = Desk::new(6);
    desk.plan(2);
    let list = desk.path("plan/shards/shard-00001.csv.zst");
    let whole = fs::read(&list).unwrap();
    fs::write(&list, b"(not a list").unwrap();
    let output = desk.output(&Desk::run(&[]));
    assert_eq!(output.status.code(), Some(2), "{}", log(&output));
    assert!(log(&output).contains("shard-00001.csv.zst"), "{}", log(&output));
    assert_eq!(status(&desk)["done"], 1, "the other shard was done");
    fs::write(&list, whole).unwrap();
    desk.done(&Desk::run(&[]));
    std::thread::sleep(Duration::from_millis(1));
    assert_eq!(status(&desk)["done"], 2);
}
