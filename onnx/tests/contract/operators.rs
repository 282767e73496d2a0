//! The operators of this crate give what the functions give that graphs bring along.

use std::fs;
use std::path::Path;

use ndarray::{Array1, Array2, Axis};
use starmill_onnx::{Engine, Model, Outputs, Runtime};

use crate::fixture::{Folder, cpu, data, runtime, sha256};

const PIXELS: usize = 400;

/// The engine of the graph whose nodes have this domain.
fn open(runtime: &Runtime, domain: &str, batch: usize) -> Engine {
    let graph = fs::read(data("operators.onnx")).unwrap();
    let graph = with_domain(&graph, domain);
    let hash = sha256(&graph);
    let folder = Folder::with(&[
        ("path = \"open_rows.onnx\"", "path = \"operators.onnx\""),
        ("<open_rows.onnx>", &hash),
        ("pixels = 33", "pixels = 400"),
        ("novelty = \"novelty\"\nnovelty_false_alarm = 0.01\n", ""),
    ]);
    fs::write(folder.path().join("operators.onnx"), graph).unwrap();
    Engine::open(runtime, &folder.model(), &cpu(batch)).unwrap()
}

/// The graph with another name of the same length for the domain.
fn with_domain(graph: &[u8], domain: &str) -> Vec<u8> {
    let ours = b"starmill";
    assert_eq!(domain.len(), ours.len());
    let mut graph = graph.to_vec();
    while let Some(at) = graph.windows(ours.len()).position(|window| window == ours) {
        if domain.as_bytes() == ours {
            break;
        }
        graph[at..at + ours.len()].copy_from_slice(domain.as_bytes());
    }
    graph
}

fn spectra(rows: usize) -> Array2<f32> {
    let value = |(row, pixel)| ((row * PIXELS + pixel) as f32 * 0.37).sin() * 2.0;
    Array2::from_shape_fn((rows, PIXELS), value)
}

fn run(engine: &mut Engine, input: &Array2<f32>) -> Outputs {
    engine.run(input.view()).unwrap()
}

#[test]
fn kernels_give_what_the_functions_give() {
    let Some(runtime) = runtime() else { return };
    for batch in [1, 7, 32] {
        let input = spectra(batch);
        let kernels = run(&mut open(runtime, "starmill", batch), &input).labels;
        let functions = run(&mut open(runtime, "portable", batch), &input).labels;
        let largest = (&kernels - &functions).mapv(f32::abs).into_iter().fold(0.0, f32::max);
        assert!(largest < 1e-5, "{largest} in batches of {batch}");
        // Other orders of summation: equal digits would mean that the function ran in both.
        assert!(batch == 1 || kernels != functions);
        let spread = kernels.var_axis(Axis(0), 0.0);
        assert!(batch == 1 || spread.iter().all(|&variance| variance > 0.0));
    }
}

#[test]
fn kernels_take_a_row_alike_at_every_position() {
    let Some(runtime) = runtime() else { return };
    let input = spectra(9);
    let together = run(&mut open(runtime, "starmill", 9), &input);
    let mut engine = open(runtime, "starmill", 16);
    for (index, row) in input.outer_iter().enumerate() {
        let alone = engine.run(row.insert_axis(Axis(0))).unwrap();
        assert_eq!(alone.labels.row(0), together.labels.row(index), "row {index}");
    }
}

#[test]
fn kernels_and_functions_agree_on_the_shipped_rrnet() {
    let Some(runtime) = runtime() else { return };
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/rrnet");
    let model = Model::open(&shipped).unwrap();
    let graph = fs::read(shipped.join("model.onnx")).unwrap();
    let portable = with_domain(&graph, "portable");
    assert_ne!(graph, portable, "the graph has no operator of this crate");
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(&shipped).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let text = fs::read_to_string(shipped.join("manifest.toml")).unwrap();
    let text = text.replace(&model.manifest.files.onnx.sha256, &sha256(&portable));
    fs::write(folder.path().join("manifest.toml"), text).unwrap();
    fs::write(folder.path().join("model.onnx"), portable).unwrap();
    let golden = model.golden().unwrap();
    let rows = golden.cases.into_iter().map(|case| Array1::from(case.input));
    let rows: Vec<_> = rows.map(|row| row.insert_axis(Axis(0))).collect();
    let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
    let input = ndarray::concatenate(Axis(0), &views).unwrap();
    let options = cpu(input.nrows());
    let kernels = run(&mut Engine::open(runtime, &model, &options).unwrap(), &input);
    let model = Model::open(folder.path()).unwrap();
    let functions = run(&mut Engine::open(runtime, &model, &options).unwrap(), &input);
    let scale = &model.manifest.golden.scale;
    for (ours, theirs) in
        [(kernels.labels, functions.labels), (kernels.sigma.unwrap(), functions.sigma.unwrap())]
    {
        let difference = |((row, label), &value): ((usize, usize), &f32)| {
            f64::from(value - theirs[(row, label)]).abs() / scale[label]
        };
        let largest = ours.indexed_iter().map(difference).fold(0.0, f64::max);
        assert!(largest < 1e-5, "{largest} of the spread of a label");
    }
}
