//! Every model of this repository is whole and computes what was exported.

use std::path::Path;

use ndarray::{Array1, Axis};
use starmill_onnx::{Engine, Model, Outputs, list};

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

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn shipped() -> Vec<Model> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let models: Vec<_> = list(&folder).into_iter().flatten().map(Result::unwrap).collect();
    if models.is_empty() {
        eprintln!("skipped: no model in onnx/models");
    }
    models
}
