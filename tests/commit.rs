//! The store in this process: a commit that fails, and the time that opening takes. Apart from
//! `store.rs`, whose children would hold the lock of a store that is closed while they start.

#![cfg(feature = "failpoints")]
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

mod support;

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use starmill::catalogue::{LabelColumn, Schema, Store, Trouble, path_text};
use starmill::input::Digest;
use starmill::ledger::Input;
use starmill::outcome::{Estimate, Identity, Origin, Outcome, SourceFile};
use starmill::quality::Quality;
use support::night::segments;

/// Crash points are global to the process: tests in it that arm them take turns with those that
/// commit.
static COMMITS: Mutex<()> = Mutex::new(());

fn schema() -> Schema {
    let label = LabelColumn { name: "teff".into(), unit: "K".into(), ..LabelColumn::default() };
    Schema::new("m 1", &[label])
}

fn outcomes(numbers: std::ops::Range<usize>) -> (Vec<Outcome>, Vec<Input>) {
    let outcome = |number: usize| {
        let path = format!("night/{number:06}.fits.gz").into();
        let digest = Digest::of(&number.to_le_bytes());
        let file = SourceFile::whole(0, path, digest, 1);
        let estimate = Estimate {
            values: vec![5000.0],
            novelty: 0.5,
            quality: Quality::NONE,
            pixels: 3909,
            ..Estimate::default()
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
