//! An engine opens only when graph, manifest and device agree, and says what does not.

use std::fs;
use std::thread;

use ndarray::{Array2, s};
use starmill_onnx::{Device, Engine, EngineError, EngineOptions, ModelError, Runtime};

use crate::fixture::{Folder, PIXELS, cpu, data, open, runtime, spectra};

const DOUBLE: [(&str, &str); 2] = [
    ("path = \"open_rows.onnx\"", "path = \"double.onnx\""),
    ("<open_rows.onnx>", "<double.onnx>"),
];
const FIXED: [(&str, &str); 2] = [
    ("path = \"open_rows.onnx\"", "path = \"fixed_rows.onnx\""),
    ("<open_rows.onnx>", "<fixed_rows.onnx>"),
];

/// The manifest without its last label.
const TWO_LABELS: [(&str, &str); 3] = [
    (
        "[[label]]\nname = \"fe_h\"\nunit = \"dex\"\nucd = \"phys.abund.Fe\"\n\
         description = \"[Fe/H]\"\nvalid = [-2.5, 0.5]\n",
        "",
    ),
    ("sum = [\"logg\", \"fe_h\"]", "sum = [\"logg\"]"),
    ("[635.0, 0.75, 0.45]", "[635.0, 0.75]"),
];

#[test]
fn the_runtime_says_what_it_is() {
    let Some(runtime) = runtime() else { return };
    assert!(runtime.version().starts_with("1."), "{}", runtime.version());
    assert_eq!(runtime.sha256().len(), 64);
    assert!(runtime.path().is_absolute());
    assert!(std::ptr::eq(runtime, Runtime::load(runtime.path()).unwrap()));
}

#[test]
fn a_second_library_is_refused() {
    let Some(runtime) = runtime() else { return };
    let error = Runtime::load(&data("double.onnx")).unwrap_err();
    let EngineError::OtherLibrary { loaded, .. } = error else { panic!("{error}") };
    assert_eq!(loaded, runtime.path());
}

#[test]
fn outputs_have_the_shapes_of_the_manifest() {
    let Some(runtime) = runtime() else { return };
    let mut engine = open(runtime, &[], &cpu(8)).unwrap();
    assert_eq!(engine.provider(), "CPUExecutionProvider");
    let outputs = engine.run(spectra(5, 1).view()).unwrap();
    assert_eq!(outputs.labels.dim(), (5, 3));
    assert_eq!(outputs.novelty.map(|novelty| novelty.len()), Some(5));

    let without = [("novelty = \"novelty\"\nnovelty_false_alarm = 0.01", "")];
    let outputs = open(runtime, &without, &cpu(8)).unwrap().run(spectra(5, 1).view()).unwrap();
    assert_eq!(outputs.novelty, None);
}

#[test]
fn a_view_of_any_layout_gives_the_same() {
    let Some(runtime) = runtime() else { return };
    let mut engine = open(runtime, &[], &cpu(8)).unwrap();
    let input = spectra(4, 2);
    let expected = engine.run(input.view()).unwrap();
    let turned = input.t().as_standard_layout().into_owned();
    assert_eq!(engine.run(turned.t()).unwrap(), expected);
    let reversed = engine.run(input.slice(s![..;-1, ..])).unwrap();
    assert_eq!(reversed.labels.slice(s![..;-1, ..]), expected.labels);
}

#[test]
fn a_graph_unlike_its_manifest_is_refused_with_the_difference() {
    let Some(runtime) = runtime() else { return };
    let check = |edits: &[(&str, &str)], batch: usize, expected: &str| {
        let error = open(runtime, edits, &cpu(batch)).unwrap_err();
        assert!(matches!(error, EngineError::Graph { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(expected), "{expected} is not in: {message}");
        assert!(message.ends_with("export the model again"), "no remedy in: {message}");
    };
    let labels = "labels = \"labels\"";
    check(&[("pixels = 33", "pixels = 34")], 8, "[-1, 33] where [8, 34] is needed");
    check(
        &[("name = \"spectrum\"", "name = \"flux\"")],
        8,
        "input \"flux\" is not among [\"spectrum\"]",
    );
    check(&[(labels, "labels = \"params\"")], 8, "output \"params\" is not among");
    check(&[(labels, "labels = \"novelty\"")], 8, "[-1] where [8, 3] is needed");
    check(&[("novelty = \"novelty\"", "novelty = \"labels\"")], 8, "[-1, 3] where [8] is needed");
    check(&DOUBLE, 8, "not float32");
    check(&FIXED, 8, "[4, 33] where [8, 33] is needed");
    assert!(open(runtime, &FIXED, &cpu(4)).is_ok());

    check(&TWO_LABELS, 8, "[-1, 3] where [8, 2] is needed");
}

#[test]
fn a_batch_of_another_shape_is_refused_and_the_engine_goes_on() {
    let Some(runtime) = runtime() else { return };
    let mut engine = open(runtime, &[], &cpu(4)).unwrap();
    for (rows, width) in [(0, PIXELS), (5, PIXELS), (2, PIXELS - 1), (2, PIXELS + 1), (2, 0)] {
        let error = engine.run(Array2::zeros((rows, width)).view()).unwrap_err();
        assert!(matches!(error, EngineError::Batch { .. }), "{error}");
        assert!(error.to_string().ends_with("send 1 to 4 rows of 33 pixels"), "{error}");
    }
    assert!(engine.run(spectra(4, 3).view()).is_ok());
}

#[test]
fn options_of_zero_are_refused() {
    let Some(runtime) = runtime() else { return };
    for options in [cpu(0), EngineOptions { threads: 0, ..cpu(8) }] {
        let error = open(runtime, &[], &options).unwrap_err();
        assert!(matches!(error, EngineError::Options { .. }), "{error}");
    }
}

#[test]
fn a_changed_or_broken_graph_is_refused() {
    let Some(runtime) = runtime() else { return };
    let folder = Folder::with(&[]);
    let model = folder.model();
    fs::write(folder.path().join("open_rows.onnx"), "changed").unwrap();
    let error = Engine::open(runtime, &model, &cpu(8)).unwrap_err();
    assert!(matches!(error, EngineError::Model(ModelError::Hash { .. })), "{error}");

    let text_as_graph =
        [("path = \"open_rows.onnx\"", "path = \"CARD.md\""), ("<open_rows.onnx>", "<CARD.md>")];
    let error = open(runtime, &text_as_graph, &cpu(8)).unwrap_err();
    assert!(matches!(error, EngineError::Session { .. }), "{error}");
    assert!(error.to_string().contains("CARD.md"), "{error}");
}

#[test]
fn cuda_is_used_or_refused_but_never_replaced_by_the_cpu() {
    let Some(runtime) = runtime() else { return };
    let cuda = |index| EngineOptions { device: Device::Cuda { index }, ..cpu(8) };
    match open(runtime, &[], &cuda(0)) {
        Ok(engine) => assert_eq!(engine.provider(), "CUDAExecutionProvider"),
        Err(error) => refused(&error, "cuda:0"),
    }
    // No machine has this many GPUs.
    refused(&open(runtime, &[], &cuda(1000)).unwrap_err(), "cuda:1000");
}

fn refused(error: &EngineError, device: &str) {
    assert!(matches!(error, EngineError::DeviceRefused { .. }), "{error}");
    let message = error.to_string();
    for part in [device, "fetch-onnxruntime.sh --gpu", "or choose device \"cpu\""] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

#[test]
fn engines_in_threads_agree() {
    let Some(runtime) = runtime() else { return };
    let input = spectra(7, 4);
    let work = || {
        let mut engine = open(runtime, &[], &cpu(8)).unwrap();
        (0..50).map(|_| engine.run(input.view()).unwrap()).collect::<Vec<_>>()
    };
    let results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert!(results.iter().flatten().all(|outputs| *outputs == results[0][0]));
}

#[test]
fn an_engine_moves_between_threads() {
    let Some(runtime) = runtime() else { return };
    let mut engine = open(runtime, &[], &cpu(8)).unwrap();
    let input = spectra(3, 5);
    let here = engine.run(input.view()).unwrap();
    let there = thread::scope(|scope| {
        scope.spawn(move || engine.run(input.view()).unwrap()).join().unwrap()
    });
    assert_eq!(here, there);
}
