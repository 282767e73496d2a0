//! How fast the graphs of one model are, through the engine, one beside the other.
//!
//! `STARMILL_RRNET` names a model folder as `onnx/export/train-rrnet.sh` writes it (`export`, or
//! `speed` for untrained nets); its graphs lie beside it, in a folder whose name ends in `-graphs`.
//! `ops/bench.sh rrnet FOLDER` runs this.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array2, s};
use sha2::{Digest, Sha256};
use starmill_onnx::{Device, Engine, EngineOptions, Model, Runtime, find_library};

/// In the order of the table's columns; the first is what the others are compared with.
const GRAPHS: [&str; 5] = ["plain", "fast", "kernels", "eight-bits", "kernels-eight-bits"];

const BATCHES: [usize; 3] = [1, 8, 32];

/// Spectra of each graph and batch in all rounds.
const SPECTRA: usize = 640;

#[test]
#[ignore = "measures minutes"]
#[expect(clippy::print_stdout, reason = "its tables are its result")]
fn graphs_side_by_side() {
    let Some(folder) = std::env::var_os("STARMILL_RRNET").map(PathBuf::from) else {
        println!("skipped: STARMILL_RRNET names no model folder");
        return;
    };
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.starmill/onnxruntime");
    let library = find_library(None).or_else(|_| find_library(Some(&installed))).unwrap();
    let runtime = Runtime::load(&library).unwrap();
    let folders: BTreeMap<_, _> = GRAPHS.map(|name| (name, with_graph(&folder, name))).into();
    println!("| batch | {} |", GRAPHS.map(|name| name.replace('-', " ")).join(" | "));
    println!("|{}", "---|".repeat(GRAPHS.len() + 1));
    for batch in BATCHES {
        let options = EngineOptions { device: Device::Cpu, batch, threads: 1 };
        let mut engines = GRAPHS.map(|name| {
            let model = Model::open(folders[name].path()).unwrap();
            Engine::open(runtime, &model, &options).unwrap()
        });
        let pixels = Model::open(&folder).unwrap().manifest.input.pixels;
        let spectra = Array2::from_shape_fn((batch, pixels), |(row, pixel)| {
            ((row * pixels + pixel) as f32 * 0.73).sin() + (pixel as f32 * 0.011).cos()
        });
        let mut spent = GRAPHS.map(|_| Vec::new());
        for _ in 0..SPECTRA / batch / 2 {
            for (engine, spent) in engines.iter_mut().zip(&mut spent) {
                let before = processor_nanoseconds();
                for _ in 0..2 {
                    engine.run(spectra.view()).unwrap();
                }
                spent.push((processor_nanoseconds() - before) / 2);
            }
        }
        let medians = spent.map(|mut spent| {
            spent.sort_unstable();
            spent[spent.len() / 2] as f64
        });
        let cells = medians.map(|median| {
            format!("{:.0} ({:.2} x)", batch as f64 * 1e9 / median, medians[0] / median)
        });
        println!("| {batch} | {} |", cells.join(" | "));
        if batch == BATCHES[BATCHES.len() - 1] {
            print_differences(&mut engines, &spectra);
        }
    }
}

/// The largest difference of each graph's labels to those of the first, in units of sigma.
#[expect(clippy::print_stdout, reason = "its tables are its result")]
fn print_differences(engines: &mut [Engine; GRAPHS.len()], spectra: &Array2<f32>) {
    let outputs = engines.each_mut().map(|engine| engine.run(spectra.view()).unwrap());
    let sigma = outputs[0].sigma.as_ref().unwrap().slice(s![.., ..]);
    let cells = outputs.each_ref().map(|found| {
        let shift = ((&found.labels - &outputs[0].labels) / sigma).mapv(f32::abs);
        format!("{:.1e}", shift.into_iter().fold(0.0, f32::max))
    });
    println!("| largest difference of a label, in sigma | {} |", cells.join(" | "));
}

/// The model folder with another graph.
fn with_graph(folder: &Path, name: &str) -> tempfile::TempDir {
    let graphs = folder.with_file_name(format!(
        "{}-graphs",
        folder.file_name().and_then(|name| name.to_str()).unwrap()
    ));
    let graph = fs::read(graphs.join(format!("{name}.onnx"))).unwrap();
    let hash = Sha256::digest(&graph).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    let target = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), target.path().join(entry.file_name())).unwrap();
    }
    let manifest = Model::open(folder).unwrap().manifest;
    let text = fs::read_to_string(folder.join("manifest.toml")).unwrap();
    fs::write(
        target.path().join("manifest.toml"),
        text.replace(&manifest.files.onnx.sha256, &hash),
    )
    .unwrap();
    fs::write(target.path().join(&manifest.files.onnx.path), graph).unwrap();
    target
}

/// What this thread has had of a processor: other work on the machine does not count.
fn processor_nanoseconds() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}
