//! The golden cases tell a sound engine from one that computes something else.

use std::fs;

use starmill_onnx::{EngineError, ModelError};

use crate::fixture::{Folder, cpu, open, runtime, sha256};

#[test]
fn a_sound_engine_passes_at_every_batch_size() {
    let Some(runtime) = runtime() else { return };
    let (golden, tolerances) = Folder::with(&[]).golden();
    for batch in [1, 2, 5, 64] {
        let mut engine = open(runtime, &[], &cpu(batch)).unwrap();
        let worst = engine.verify(&golden, &tolerances).unwrap();
        assert!(worst.share < 0.1, "{worst:?}");
    }
}

#[test]
fn a_wrong_value_is_reported_with_its_case_and_label() {
    let Some(runtime) = runtime() else { return };
    let (golden, tolerances) = Folder::with(&[]).golden();
    let mut engine = open(runtime, &[], &cpu(2)).unwrap();
    let mut check = |change: &dyn Fn(&mut starmill_onnx::Case), label: &str| {
        let mut changed = golden.clone();
        change(&mut changed.cases[3]);
        let error = engine.verify(&changed, &tolerances).unwrap_err();
        let EngineError::GoldenMismatch { worst, .. } = error else { panic!("{error}") };
        assert_eq!((worst.case, worst.label.as_str()), (3, label));
        worst
    };
    let worst = check(&|case| case.labels[1] += 0.01, "logg");
    assert!((worst.difference - 0.01).abs() < 1e-5, "{worst:?}");
    check(&|case| case.labels[0] -= 1.0, "teff");
    check(&|case| case.novelty = Some(9.0), "novelty");
    // A value that is not a number is worse than any difference.
    assert!(check(&|case| case.input[0] = f32::NAN, "novelty").share.is_nan());
}

#[test]
fn golden_cases_of_another_model_are_refused() {
    let Some(runtime) = runtime() else { return };
    let (golden, tolerances) = Folder::with(&[]).golden();
    let mut engine = open(runtime, &[], &cpu(2)).unwrap();
    let mut narrow = golden.clone();
    narrow.cases[1].input.pop();
    let mut fewer = tolerances.clone();
    fewer.labels.pop();
    for result in [engine.verify(&narrow, &tolerances), engine.verify(&golden, &fewer)] {
        assert!(matches!(result, Err(EngineError::ForeignGolden { .. })), "{result:?}");
    }
}

#[test]
fn a_golden_file_that_does_not_fit_is_refused() {
    let check = |content: &str, expected: &str| {
        let hash = sha256(content.as_bytes());
        let folder = Folder::with(&[("<golden.json>", &hash)]);
        fs::write(folder.path().join("golden.json"), content).unwrap();
        let error = folder.model().golden().unwrap_err();
        assert!(matches!(error, ModelError::Golden { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{expected} is not in: {error}");
    };
    check("{", "EOF");
    check("{\"cases\":[]}", "there are none");
    check("{\"cases\":[{\"input\":[1.0],\"labels\":[1,2,3],\"novelty\":1}]}", "(1, 3, true)");
    check("{\"cases\":[],\"more\":1}", "unknown field");
}
