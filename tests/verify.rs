//! `starmill catalogue verify`: whatever is changed behind the back of a catalogue is named.

mod support;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use support::night::{Night, copy, damage, segments, verify};

static NIGHT: LazyLock<Night> = LazyLock::new(|| Night::new(6));

#[test]
fn an_untouched_catalogue_passes_every_check_and_is_not_written_to() {
    if !support::has_library("verify") {
        return;
    }
    let out = NIGHT.whole();
    let state = || -> Vec<_> {
        let entries = walkdir::WalkDir::new(out).sort_by_file_name().into_iter();
        let entries = entries.map(Result::unwrap);
        entries.map(|e| (e.path().to_owned(), e.metadata().unwrap().modified().unwrap())).collect()
    };
    let before = state();
    let (code, said) = verify(out, &["--inputs", "--rebuild"]);
    assert_eq!(code, Some(0), "{said}");
    let names = ["manifest", "outputs", "ledger", "segments", "conservation", "identifiers"];
    for name in names.iter().chain(&["inputs", "rebuild"]) {
        assert!(said.contains(&format!("ok     {name}: ")), "{name}: {said}");
    }
    assert_eq!(said.lines().count(), 8, "{said}");
    assert_eq!(before, state());
}

/// Changes a copy of the catalogue and asserts which check fails and what is said.
#[track_caller]
fn assert_fails(check: &str, says: &str, more: &[&str], change: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    copy(NIGHT.whole(), &out);
    change(&out);
    let (code, said) = verify(&out, more);
    assert_eq!(code, Some(1), "{check}: {said}");
    let line = said.lines().find(|line| line.starts_with(&format!("FAILED {check}: ")));
    let line = line.unwrap_or_else(|| panic!("{check} should fail: {said}"));
    assert!(line.contains(says) && line.contains("run again"), "{line}");
}

#[test]
fn every_kind_of_damage_is_named() {
    if !support::has_library("verify") {
        return;
    }
    for name in ["catalogue.fits", "catalogue.parquet", "rejects.fits", "rejects.parquet"] {
        assert_fails("outputs", name, &[], |out| damage(&out.join(name)));
        assert_fails("outputs", name, &[], |out| fs::remove_file(out.join(name)).unwrap());
    }
    assert_fails("outputs", "inputs.b3", &[], |out| damage(&out.join("inputs.b3")));
    assert_fails("inputs", "3 of the 8 files", &["--inputs"], |out| {
        let path = out.join("inputs.b3");
        let list = fs::read_to_string(&path).unwrap();
        let other = "0".repeat(64);
        let (first, rest) = list.split_once('\n').unwrap();
        let changed = format!("{other}{}\n{rest}nothing\n", &first[64..]);
        fs::write(path, changed.replacen("00005", "00009", 1)).unwrap();
    });
    assert_fails("manifest", "interrupted", &[], |out| {
        fs::remove_file(out.join("run.json")).unwrap();
    });
    let manifest = |from: &'static str, to: &'static str| {
        move |out: &Path| {
            let path = out.join("run.json");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(path, text.replacen(from, to, 1)).unwrap();
        }
    };
    assert_fails("conservation", "5 in run.json", &[], manifest("\"rows\": 6", "\"rows\": 5"));
    assert_fails("conservation", "of 9 inputs", &[], manifest("\"inputs\": 7", "\"inputs\": 9"));
    let provider = manifest("CPUExecutionProvider", "AnotherProvider");
    assert_fails("rebuild", "another catalogue.fits", &["--rebuild"], provider);
    assert_fails("segments", "BLAKE3", &[], |out| damage(&segments(out)[0]));
    assert_fails("segments", "left-over", &[], |out| {
        fs::write(out.join("segments/left-over"), b"x").unwrap();
    });
    assert_fails("ledger", "no ledger.sqlite", &[], |out| {
        fs::remove_file(out.join("ledger.sqlite")).unwrap();
    });
}

#[test]
fn a_catalogue_that_is_being_written_cannot_be_verified_and_the_other_way_round() {
    if !support::has_library("verify") {
        return;
    }
    let out = NIGHT.out("locked");
    copy(NIGHT.whole(), &out);
    let lock = fs::File::open(out.join(".lock")).unwrap();
    lock.lock_shared().unwrap();
    assert_eq!(verify(&out, &[]).0, Some(0), "two may verify at once");
    let output = NIGHT.run(&out, "");
    assert_eq!(output.status.code(), Some(2));
    lock.unlock().unwrap();
    lock.lock().unwrap();
    let (code, said) = verify(&out, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("another process is writing"), "{said}");
    assert_eq!(verify(Path::new("/no/such/catalogue"), &[]).0, Some(2));
}
