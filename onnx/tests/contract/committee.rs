//! A model with errors, a covariance and further columns.

use ndarray::Axis;
use starmill_onnx::{EngineError, Model};

use crate::fixture::{COMMITTEE, Folder, cpu, open, runtime, spectra};

#[test]
fn its_outputs_fit_each_other() {
    let Some(runtime) = runtime() else { return };
    let outputs = open(runtime, &COMMITTEE, &cpu(8)).unwrap().run(spectra(5, 1).view()).unwrap();
    let (sigma, factor) = (outputs.sigma.unwrap(), outputs.factor.unwrap());
    assert_eq!((sigma.dim(), factor.dim()), ((5, 3), (5, 2, 3)));
    let [above, votes] = outputs.columns.as_slice() else { panic!("two columns") };
    assert_eq!((above.dim(), votes.dim()), ((5, 3), (5, 6)));
    // The members' mean is the label, and what they differ by is in the factor and in the error.
    let votes = votes.to_shape((5, 2, 3)).unwrap();
    let mean = votes.mean_axis(Axis(1)).unwrap();
    for ((at, label), mean) in outputs.labels.indexed_iter().zip(&mean) {
        assert!((label - mean).abs() <= 1e-5 * label.abs(), "{at:?}");
    }
    let scatter = factor.mapv(|value| value * value).sum_axis(Axis(1));
    let noise = [100.0, 0.01, 0.04];
    for ((row, label), sigma) in sigma.indexed_iter() {
        let expected = scatter[[row, label]] + noise[label];
        assert!((sigma * sigma - expected).abs() < 1e-4 * expected, "{row} {label}");
        let above = above[[row, label]];
        assert!(above * (votes[[row, 0, label]] - mean[[row, label]]) >= 0.0, "{row} {label}");
    }
}

#[test]
fn its_golden_cases_hold_the_errors_too() {
    let Some(runtime) = runtime() else { return };
    let (golden, tolerances) = Folder::with(&COMMITTEE).golden();
    let mut engine = open(runtime, &COMMITTEE, &cpu(2)).unwrap();
    assert!(engine.verify(&golden, &tolerances).unwrap().share < 1.0);
    let mut changed = golden.clone();
    changed.cases[2].sigma.as_mut().unwrap()[1] += 0.01;
    let error = engine.verify(&changed, &tolerances).unwrap_err();
    let EngineError::GoldenMismatch { worst, .. } = error else { panic!("{error}") };
    assert_eq!((worst.case, worst.label.as_str()), (2, "sigma of logg"));
    changed.cases[2].sigma = None;
    let error = engine.verify(&changed, &tolerances).unwrap_err();
    assert!(matches!(error, EngineError::ForeignGolden { .. }), "{error}");
}

#[test]
fn a_graph_of_other_shapes_is_refused() {
    let Some(runtime) = runtime() else { return };
    let check = |from: &'static str, to: &'static str, expected: &str| {
        let edits: Vec<_> = COMMITTEE.into_iter().chain([(from, to)]).collect();
        let error = open(runtime, &edits, &cpu(2)).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected} is not in: {error}");
    };
    check("rank = 2", "rank = 3", "output \"factor\" has shape");
    check("shape = [2, 3]", "shape = [3, 2]", "output \"votes\" has shape");
    check("sigma = \"sigma\"", "sigma = \"error\"", "output \"error\" is not among");
}

#[test]
fn a_manifest_that_does_not_hold_together_is_refused() {
    let check = |from: &'static str, to: &'static str, expected: &str| {
        let edits: Vec<_> = COMMITTEE.into_iter().chain([(from, to)]).collect();
        let error = Model::open(Folder::with(&edits).path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected} is not in: {error}");
    };
    check("sigma = \"sigma\"\n", "", "output.covariance needs output.sigma");
    check("rank = 2", "rank = 0", "output.covariance.rank is 0");
    check("shape = [2, 3]", "shape = [4097]", "give 1 to 4096 values");
    check("shape = [2, 3]", "shape = [4294967296, 4294967296, 4]", "give 1 to 4096 values");
    check("name = \"votes\"", "name = \"teff\"", "named twice");
    check("name = \"votes\"", "name = \"Votes\"", "is not a name");
}
