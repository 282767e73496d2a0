//! The commit protocol: a run may die at every step of it, and any file of it may be damaged; what
//! the next run publishes has the same bytes as if nothing had happened.

#![cfg(feature = "failpoints")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use starmill::catalogue::protocol::{Phase, STEPS, Step};
use support::night::{Night, assert_same, copy, damage, segments, verify};

static NIGHT: LazyLock<Night> = LazyLock::new(|| Night::new(60));

/// A name that is new in this process.
fn fresh(step: &Step, action: &str) -> std::path::PathBuf {
    NIGHT.out(&format!("{}-{}", step.point, action.len()))
}

fn steps(phase: Phase) -> impl Iterator<Item = &'static Step> {
    STEPS.iter().filter(move |step| step.phase == phase)
}

#[test]
fn a_run_may_die_while_it_opens() {
    if !support::has_library("dying while opening") {
        return;
    }
    for step in steps(Phase::Open) {
        let out = fresh(step, "");
        NIGHT.assert_dies(&out, &format!("{}=return", step.point));
        NIGHT.assert_dies(&out, &format!("{}=return", step.point));
        NIGHT.assert_completes(&out, step.point);
    }
}

#[test]
fn a_run_may_die_at_every_step_of_a_commit() {
    if !support::has_library("dying in a commit") {
        return;
    }
    for step in steps(Phase::Commit) {
        for action in ["return", "2*off->return"] {
            let out = fresh(step, action);
            NIGHT.assert_dies(&out, &format!("{}={action}", step.point));
            NIGHT.assert_completes(&out, step.point);
        }
    }
}

#[test]
fn a_run_may_die_at_every_step_of_a_merge_of_segments_and_lose_its_ledger_as_well() {
    if !support::has_library("dying in a merge of segments") {
        return;
    }
    for step in steps(Phase::Compact) {
        let repeats = step.point.ends_with("removed");
        for action in ["return", "2*off->return"].into_iter().take(1 + usize::from(repeats)) {
            for loses in [false, true] {
                let out = fresh(step, &format!("{action}{loses}"));
                NIGHT.assert_dies(&out, &format!("{}={action}", step.point));
                let left = segments(&out).len();
                if loses {
                    for ending in ["", "-wal", "-shm"] {
                        let _ = fs::remove_file(out.join(format!("ledger.sqlite{ending}")));
                    }
                }
                let log = NIGHT.assert_completes(&out, step.point);
                // Nothing that was committed before is done again: five segments of seven.
                assert!(log.contains("skipped=35"), "{}, {left} segments: {log}", step.point);
                assert!(!log.contains("refused=1"), "{}: {log}", step.point);
            }
        }
    }
}

#[test]
fn a_merge_that_fails_costs_nothing() {
    if !support::has_library("a merge that fails") {
        return;
    }
    for point in ["compact-write", "compact-ledger"] {
        let out = NIGHT.out(point);
        let output = NIGHT.run(&out, &format!("{point}=1*return"));
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        support::assert_ended(&output, 1, "rows=60 rejects=1 files=61");
        assert!(log.contains("small segments stay as they are"), "{point}: {log}");
        assert_eq!(segments(&out).len(), 9, "{point}: nothing is merged and nothing left");
        assert_same(&out, NIGHT.whole(), point);
        let (code, said) = verify(&out, &["--rebuild"]);
        assert_eq!(code, Some(0), "{point}: {said}");
        // The next run merges them.
        NIGHT.assert_completes(&out, point);
    }
}

#[test]
fn a_run_may_die_at_every_step_of_sealing_and_nothing_vouches_for_a_mix() {
    if !support::has_library("dying while sealing") {
        return;
    }
    // An older catalogue is published, which the interrupted run was to replace.
    let old = NIGHT.out("older");
    let broken = NIGHT.input().join("broken.fits");
    support::assert_ended(&NIGHT.run_over(&old, &broken, ""), 1, "rows=0 rejects=1 files=1");
    for step in steps(Phase::Seal) {
        let out = fresh(step, "");
        copy(&old, &out);
        NIGHT.assert_dies(&out, &format!("{}=return", step.point));
        let (code, said) = verify(&out, &[]);
        if out.join("run.json").exists() {
            assert!(said.contains("ok     outputs"), "{}: {said}", step.point);
        } else {
            assert_eq!(code, Some(1), "{}: {said}", step.point);
            assert!(said.contains("sealing was interrupted"), "{}: {said}", step.point);
        }
        NIGHT.assert_completes(&out, step.point);
    }
}

/// Leaves a catalogue in which recovery comes to this step, three times if it can repeat.
fn in_need_of_recovery(step: &Step, out: &Path) {
    NIGHT.assert_dies(out, "commit-folder-synced=4*off->return");
    match step.point {
        "recover-segment-forgotten" => segments(out)[..3].iter().for_each(|path| damage(path)),
        "recover-orphan-removed" => {
            for name in ["x.parquet.tmp", "y"] {
                fs::write(out.join("segments").join(name), b"half").unwrap();
            }
        }
        _ => fs::remove_file(out.join("ledger.sqlite")).unwrap(),
    }
}

#[test]
fn a_run_may_die_twice_while_it_recovers() {
    if !support::has_library("dying in recovery") {
        return;
    }
    for step in steps(Phase::Recover) {
        let repeats = ["forgotten", "removed", "adopted"].iter().any(|s| step.point.ends_with(s));
        for action in ["return", "2*off->return"].into_iter().take(1 + usize::from(repeats)) {
            let out = fresh(step, action);
            in_need_of_recovery(step, &out);
            NIGHT.assert_dies(&out, &format!("{}={action}", step.point));
            // Behind the last step of a rebuild there is nothing left to rebuild.
            if action == "return" && step.point != "recover-rebuild-done" {
                NIGHT.assert_dies(&out, &format!("{}={action}", step.point));
            }
            NIGHT.assert_completes(&out, step.point);
        }
    }
}

/// Damages the ledger of a whole catalogue and asserts that it is rebuilt from the segments, with
/// no input done again.
#[track_caller]
fn assert_rebuilt(name: &str, change: impl FnOnce(&Path)) {
    let out = NIGHT.out(name);
    copy(NIGHT.whole(), &out);
    let before = segments(&out);
    change(&out.join("ledger.sqlite"));
    let (code, said) = verify(&out, &[]);
    assert_eq!(code, Some(1), "{name}: {said}");
    assert!(said.contains("FAILED ledger") && said.contains("rebuilt"), "{name}: {said}");
    let log = NIGHT.assert_completes(&out, name);
    assert!(log.contains("the ledger is rebuilt segments=5 inputs=61 refused=0"), "{name}: {log}");
    assert_eq!(before, segments(&out), "{name}: work was done again");
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Bytes in a page of the ledger.
const PAGE: usize = 4096;

#[test]
fn a_damaged_ledger_is_rebuilt_from_the_segments() {
    if !support::has_library("a damaged ledger") {
        return;
    }
    assert_rebuilt("deleted", |ledger| fs::remove_file(ledger).unwrap());
    assert_rebuilt("emptied", |ledger| fs::write(ledger, b"").unwrap());
    assert_rebuilt("halved", |ledger| edit(ledger, |bytes| bytes.truncate(bytes.len() / 2)));
    assert_rebuilt("text", |ledger| fs::write(ledger, b"not a database").unwrap());
    let pages = fs::read(NIGHT.whole().join("ledger.sqlite")).unwrap().len() / PAGE;
    for page in 0..pages {
        assert_rebuilt(&format!("page-{page}"), |ledger| {
            edit(ledger, |bytes| bytes[page * PAGE..(page + 1) * PAGE].fill(0));
        });
    }
}

#[test]
fn a_flipped_bit_that_sqlite_would_believe_is_found() {
    if !support::has_library("a flipped bit") {
        return;
    }
    let ledger = fs::read(NIGHT.whole().join("ledger.sqlite")).unwrap();
    let found = |text: &str| -> usize {
        let windows = ledger.windows(text.len()).enumerate();
        let places = windows.filter(|(_, window)| *window == text.as_bytes()).map(|(at, _)| at);
        let rebuilt = places.map(|at| {
            let out = NIGHT.out(&format!("bit-{at}"));
            copy(NIGHT.whole(), &out);
            edit(&out.join("ledger.sqlite"), |bytes| bytes[at + 4] ^= 1);
            let log = NIGHT.assert_completes(&out, text);
            usize::from(log.contains("the ledger is rebuilt segments=5 inputs=61 refused=0"))
        });
        rebuilt.sum()
    };
    // Pages also hold copies of rows between the rows, which are read by nobody.
    assert_eq!(found("00017.fits.gz"), 2, "the table of inputs and its index");
    assert_eq!(found("segment-00000007-"), 2, "the table of segments and its index");
    assert_eq!(found("fcresnet 2.0.0 ("), 1, "the note of the model");
}
