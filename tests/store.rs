//! The commit protocol: a run may die at every step of it, and any file of it may be damaged; what
//! the next run publishes has the same bytes as if nothing had happened.

#![cfg(feature = "failpoints")]
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use starmill::catalogue::protocol::{Phase, STEPS, Step};
use starmill::catalogue::{LabelColumn, Schema, Store, Trouble, path_text};
use starmill::input::Digest;
use starmill::ledger::Input;
use starmill::outcome::{Estimate, Identity, Origin, Outcome, SourceFile};
use starmill::quality::Quality;
use support::night::{Night, copy, damage, segments, verify};

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
    assert!(log.contains("the ledger is rebuilt segments=9 inputs=61 refused=0"), "{name}: {log}");
    assert_eq!(before, segments(&out), "{name}: work was done again");
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_ledger_is_rebuilt_from_the_segments() {
    if !support::has_library("a damaged ledger") {
        return;
    }
    const PAGE: usize = 4096;
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
            usize::from(log.contains("the ledger is rebuilt segments=9 inputs=61 refused=0"))
        });
        rebuilt.sum()
    };
    // Pages also hold copies of rows between the rows, which are read by nobody.
    assert_eq!(found("00017.fits.gz"), 2, "the table of inputs and its index");
    assert_eq!(found("segment-00000003-"), 2, "the table of segments and its index");
    assert_eq!(found("fcresnet 1.0.0 ("), 1, "the note of the model");
}

/// Crash points are global to the process: tests in it that arm them take turns with those that
/// commit.
static COMMITS: Mutex<()> = Mutex::new(());

fn schema() -> Schema {
    let label = LabelColumn {
        name: "teff".into(),
        unit: "K".into(),
        ucd: String::new(),
        description: String::new(),
    };
    Schema::new("m 1", &[label])
}

fn outcomes(numbers: std::ops::Range<usize>) -> (Vec<Outcome>, Vec<Input>) {
    let outcome = |number: usize| {
        let path = format!("night/{number:06}.fits.gz").into();
        let digest = Digest::of(&number.to_le_bytes());
        let file = SourceFile { sequence: 0, path, digest, first: 0, spectra: 1, total: 1 };
        let estimate = Estimate {
            values: vec![5000.0],
            novelty: 0.5,
            quality: Quality::NONE,
            pixels: 3909,
            bad_pixels: 0,
            empty_bins: 0,
        };
        Outcome {
            origin: Origin { file: Arc::new(file), index: 0 },
            identity: Arc::new(Identity::default()),
            content: Ok(estimate),
        }
    };
    let outcomes: Vec<Outcome> = numbers.map(outcome).collect();
    let input = |outcome: &Outcome| {
        let file = &outcome.origin.file;
        let path = path_text(&file.path);
        Input { path, digest: file.digest, first: 0, spectra: 1, total: 1 }
    };
    let inputs = outcomes.iter().map(input).collect();
    (outcomes, inputs)
}

#[test]
fn a_commit_that_failed_can_be_tried_again() {
    let _turn = COMMITS.lock().unwrap_or_else(PoisonError::into_inner);
    for point in ["commit-write", "commit-ledger"] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), "m 1", schema()).unwrap();
        let (first, first_inputs) = outcomes(0..10);
        store.commit(&first, &first_inputs).unwrap();
        let (second, second_inputs) = outcomes(10..20);
        fail::cfg(point, "2*return->off").unwrap();
        for _ in 0..2 {
            let error = store.commit(&second, &second_inputs).unwrap_err();
            assert_eq!(error.trouble(), Trouble::NoSpace, "{point}: {error}");
            assert_eq!(store.ledger().totals().unwrap(), (10, 10), "{point}");
        }
        store.commit(&second, &second_inputs).unwrap();
        fail::remove(point);
        assert_eq!(store.ledger().totals().unwrap(), (20, 20), "{point}");
        assert_eq!(segments(folder.path()).len(), 2, "{point}");
        drop(store);
        let store = Store::open(folder.path(), "m 1", schema()).unwrap();
        assert_eq!(store.recovered().orphans, 0, "{point}");
        assert_eq!(store.ledger().totals().unwrap(), (20, 20), "{point}");
    }
}

#[test]
fn opening_five_thousand_spectra_takes_less_than_two_seconds() {
    let _turn = COMMITS.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), "m 1", schema()).unwrap();
    for begin in (0..5000).step_by(500) {
        let (outcomes, inputs) = outcomes(begin..begin + 500);
        store.commit(&outcomes, &inputs).unwrap();
    }
    drop(store);
    let open = |what: &str| {
        let store = Store::open(folder.path(), "m 1", schema()).unwrap();
        assert_eq!(store.ledger().totals().unwrap(), (5000, 5000), "{what}");
        let recovered = store.recovered().clone();
        println!("5000 spectra, {what}: {:?}", recovered.took);
        assert!(recovered.took < Duration::from_secs(2), "{what}: {:?}", recovered.took);
        recovered
    };
    assert_eq!(open("checked").ledger, None);
    fs::remove_file(folder.path().join("ledger.sqlite")).unwrap();
    let rebuilt = open("ledger rebuilt").ledger.expect("it was gone");
    assert_eq!((rebuilt.segments, rebuilt.inputs, rebuilt.refused), (10, 5000, 0));
}
