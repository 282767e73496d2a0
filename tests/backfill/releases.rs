//! Releases: the same bytes however the work was cut, and the same rows as one run gives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::{Desk, assert_same, log, rows, tree};

const SPECTRA: u32 = 24;

/// A release of the tree by so many shards.
fn release(desk: &Desk, shards: u64) -> BTreeMap<String, Vec<u8>> {
    for folder in ["plan", "shards", "disk", "release"] {
        let _ = fs::remove_dir_all(desk.path(folder));
    }
    desk.plan(shards);
    desk.done(&Desk::run(&[]));
    desk.merged("release")
}

#[test]
fn a_release_has_the_same_bytes_for_any_number_of_shards_and_the_rows_of_one_run() {
    if !crate::support::has_library("releases") {
        return;
    }
    let desk = Desk::new(SPECTRA);
    let one = release(&desk, 1);
    for shards in [2, 5, 26] {
        assert_same(&release(&desk, shards), &one);
    }

    let partitions: Vec<&String> = one.keys().filter(|name| name.ends_with(".parquet")).collect();
    let in_dataset = |name: &&&String| name.starts_with("dataset/");
    assert!(partitions.iter().filter(in_dataset).count() > 1, "{partitions:?}");
    let mut merged = Vec::new();
    for name in partitions.iter().filter(in_dataset) {
        let part = rows(&desk.path("release").join(name));
        assert!(part.len() <= 7, "{name} has {}", part.len());
        let places: Vec<&String> = part.iter().map(|row| &row["_healpix_29"]).collect();
        assert!(places.windows(2).all(|two| two[0] <= two[1]), "{places:?}");
        merged.extend(part);
    }
    let out = desk.path("single");
    crate::support::run(&out, &[&desk.path("tree")]);
    let single = rows(&out.join("catalogue.parquet"));
    assert_eq!(single.len(), SPECTRA as usize);
    let shared = |row: &BTreeMap<String, String>| {
        let row = row.iter().filter(|(name, _)| *name != "_healpix_29");
        row.map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
    };
    let set = |rows: &[BTreeMap<String, String>]| rows.iter().map(shared).collect::<BTreeSet<_>>();
    assert_eq!(set(&merged), set(&single));
    let rejects = rows(&desk.path("release/rejects/rejects-00000.parquet"));
    assert_eq!(set(&rejects), set(&rows(&out.join("rejects.parquet"))));

    let said: Value = serde_json::from_slice(&one["release.json"]).unwrap();
    assert_eq!(
        (&said["rows"], &said["rejects"], &said["inputs"]),
        (&24.into(), &2.into(), &26.into())
    );
    for (name, digest) in said["sha256"].as_object().unwrap() {
        let path = desk.path("release").join(name);
        let output = std::process::Command::new("sha256sum").arg(&path).output().unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        assert_eq!(found.split(' ').next(), digest.as_str(), "{name}");
    }
    let listed = said["sha256"].as_object().unwrap().len() + 1;
    assert_eq!(listed, one.len(), "every file but the manifest has its digest");
}

#[test]
fn nothing_is_merged_before_all_is_done() {
    if !crate::support::has_library("a merge too early") {
        return;
    }
    let desk = Desk::new(6);
    desk.plan(3);
    desk.done(&Desk::run(&["--shard", "1/3"]));
    let merge = ["merge", "@plan", "--shards", "@shards", "--out", "@release"];
    let output = desk.output(&merge);
    assert_eq!(output.status.code(), Some(75));
    assert!(
        log(&output).contains("2 of 3 shards are not done, the first is 0"),
        "{}",
        log(&output)
    );
    assert!(!desk.path("release").exists());

    // A shard that was damaged on the shared disk is named, and nothing is published.
    desk.done(&Desk::run(&[]));
    let shard = desk.path("shards/shards/shard-00001.parquet");
    let whole = fs::read(&shard).unwrap();
    fs::write(&shard, &whole[..whole.len() / 2]).unwrap();
    let output = desk.output(&merge);
    assert_eq!(output.status.code(), Some(2));
    assert!(log(&output).contains("shard-00001.parquet"), "{}", log(&output));
    assert!(!desk.path("release").exists());
    fs::copy(desk.path("shards/shards/shard-00000.parquet"), &shard).unwrap();
    let output = desk.output(&merge);
    assert_eq!(output.status.code(), Some(2));
    assert!(log(&output).contains("it is shard 0 of another backfill"), "{}", log(&output));
    fs::write(&shard, whole).unwrap();
    desk.done(&merge);
    let output = desk.output(&merge);
    assert_eq!(output.status.code(), Some(2));
    assert!(log(&output).contains("it is there already"), "{}", log(&output));
    assert!(!tree(&desk.path("release")).is_empty());
}

#[test]
fn shards_of_another_model_or_setting_are_refused() {
    if !crate::support::has_library("other shards") {
        return;
    }
    let desk = Desk::new(6);
    desk.plan(2);
    desk.done(&Desk::run(&["--shard", "0"]));
    let other = ["run", "@plan", "--model", "rrnet", "--out", "@shards", "--scratch", "@other"];
    let output = desk.output(&other);
    assert_eq!(output.status.code(), Some(2), "{}", log(&output));
    assert!(log(&output).contains("model fcresnet"), "{}", log(&output));
    let config = fs::read_to_string(desk.path("config.toml")).unwrap();
    fs::write(desk.path("config.toml"), config + "[catalogue]\nreductions = \"all\"\n").unwrap();
    let output = desk.output(&Desk::run(&[]));
    assert_eq!(output.status.code(), Some(2), "{}", log(&output));
    assert!(log(&output).contains("catalogue.reductions = newest and all"), "{}", log(&output));
    let output = desk.output(&Desk::run(&["--shard", "0/9"]));
    assert!(log(&output).contains("the plan has 2 shards, not 9"), "{}", log(&output));
    let output = desk.output(&Desk::run(&["--shard", "2"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(log(&output).contains("there is no shard 2"), "{}", log(&output));
}
