//! Every model of this repository is whole and computes what was exported.

use std::path::Path;

use ndarray::{Array1, Axis};
use starmill_onnx::{AnyModel, Engine, ForwardEngine, ForwardModel, Model, Outputs, Runtime, list};

use crate::fixture::{cpu, runtime};

#[test]
fn every_shipped_model_passes_its_golden_cases() {
    for model in shipped() {
        model.check_files().unwrap();
        let golden = model.golden().unwrap();
        let Some(runtime) = runtime() else { return };
        for batch in [1, 64] {
            let mut engine = Engine::open(runtime, &model, &cpu(batch)).unwrap();
            engine.verify(&golden, &model.manifest.tolerances()).unwrap();
        }
    }
}

#[test]
fn every_shipped_model_takes_a_row_alike_at_every_position() {
    for model in shipped() {
        let Some(runtime) = runtime() else { return };
        let row = Array1::from(model.golden().unwrap().cases.remove(0).input);
        let batch = 64;
        let mut engine = Engine::open(runtime, &model, &cpu(batch)).unwrap();
        let expected = engine.run(row.view().insert_axis(Axis(0))).unwrap();
        let full = engine.run(row.broadcast((batch, row.len())).unwrap()).unwrap();
        for position in 0..batch {
            let name = &model.manifest.name;
            let labels = full.labels.row(position);
            assert_eq!(labels, expected.labels.row(0), "{name} at {position}");
            let novelty =
                |outputs: &Outputs, row| outputs.novelty.as_ref().map(|n: &Array1<f32>| n[row]);
            assert_eq!(novelty(&full, position), novelty(&expected, 0), "{name} at {position}");
        }
    }
}

#[test]
fn every_shipped_forward_model_passes_its_golden_cases() {
    for model in shipped_forward() {
        model.check_files().unwrap();
        assert_eq!(model.wavelength().unwrap().len(), model.model_error().unwrap().len());
        let golden = model.golden().unwrap();
        let Some(runtime) = runtime() else { return };
        for batch in [1, 16] {
            open_forward(runtime, &model, batch).verify(&golden).unwrap();
        }
    }
}

#[test]
fn every_shipped_forward_model_takes_a_row_alike_at_every_position() {
    for model in shipped_forward() {
        let Some(runtime) = runtime() else { return };
        let row = Array1::from(model.golden().unwrap().cases.remove(0).labels);
        let batch = 16;
        let mut engine = open_forward(runtime, &model, batch);
        let name = &model.manifest.name;
        let alone = row.view().insert_axis(Axis(0));
        let repeated = row.broadcast((batch, row.len())).unwrap();
        let (expected, full) = (engine.run(alone).unwrap(), engine.run(repeated).unwrap());
        for position in 0..batch {
            assert_eq!(full.row(position), expected.row(0), "{name} at {position}");
        }
        if engine.gives_jacobian() {
            let expected = engine.run_with_jacobian(alone).unwrap();
            let full = engine.run_with_jacobian(repeated).unwrap();
            for (position, jacobian) in full.jacobian.outer_iter().enumerate() {
                assert_eq!(jacobian, expected.jacobian.index_axis(Axis(0), 0), "{name}");
                assert_eq!(full.flux.row(position), expected.flux.row(0), "{name} at {position}");
            }
        }
    }
}

/// With its Jacobian, if it has one.
fn open_forward(runtime: &Runtime, model: &ForwardModel, batch: usize) -> ForwardEngine {
    if model.manifest.output.jacobian.is_some() {
        ForwardEngine::open_with_jacobian(runtime, model, &cpu(batch)).unwrap()
    } else {
        ForwardEngine::open(runtime, model, &cpu(batch)).unwrap()
    }
}

fn shipped() -> Vec<Model> {
    let models: Vec<_> = shipped_of_any_kind().filter_map(AnyModel::regressor).collect();
    say_if_none(models.len(), "regressor");
    models
}

fn shipped_forward() -> Vec<ForwardModel> {
    let models: Vec<_> = shipped_of_any_kind().filter_map(AnyModel::forward).collect();
    say_if_none(models.len(), "forward model");
    models
}

fn shipped_of_any_kind() -> impl Iterator<Item = AnyModel> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    list(&folder).into_iter().flatten().map(Result::unwrap)
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn say_if_none(count: usize, what: &str) {
    if count == 0 {
        eprintln!("skipped: no {what} in onnx/models");
    }
}
