//! How fast the nets of Table 1 are through the engine, on one core.
//!
//! `STARMILL_TABLE1` names the folder in which `ops/bench-table1.sh` keeps what was fitted: in it a
//! folder for each set of spectra, with one for each method; those of nets are model folders.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use starmill_onnx::{Device, Engine, EngineOptions, Model, Runtime, find_library};

const BATCH: usize = 256;
const ROUNDS: usize = 9;
/// Batches of a round: what a thread has had of a processor is counted in steps of milliseconds.
const BATCHES: usize = 40;

#[test]
#[ignore = "measures what ops/bench-table1.sh has fitted"]
#[expect(clippy::print_stdout, reason = "its lines are its result")]
fn nets_of_table_1() {
    let Some(work) = std::env::var_os("STARMILL_TABLE1").map(PathBuf::from) else {
        println!("skipped: STARMILL_TABLE1 names no folder of fitted nets");
        return;
    };
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.starmill/onnxruntime");
    let library = find_library(None).or_else(|_| find_library(Some(&installed))).unwrap();
    let runtime = Runtime::load(&library).unwrap();
    let folders = model_folders(&work);
    assert!(!folders.is_empty(), "no model folder below {}", work.display());
    // What the test harness prints may leave its line open.
    println!();
    for folder in folders {
        let model = Model::open(&folder).unwrap();
        model.check_files().unwrap();
        let options = EngineOptions { device: Device::Cpu, batch: BATCH, threads: 1 };
        let mut engine = Engine::open(runtime, &model, &options).unwrap();
        let golden = model.golden().unwrap();
        engine.verify(&golden, &model.manifest.tolerances()).unwrap();
        let cases = &golden.cases;
        let shape = (BATCH, model.manifest.input.pixels);
        let spectra =
            Array2::from_shape_fn(shape, |(row, pixel)| cases[row % cases.len()].input[pixel]);
        let mut spent: Vec<_> = (0..ROUNDS)
            .map(|_| {
                let before = processor_nanoseconds();
                for _ in 0..BATCHES {
                    engine.run(spectra.view()).unwrap();
                }
                processor_nanoseconds() - before
            })
            .collect();
        spent.sort_unstable();
        let rate = (BATCHES * BATCH) as f64 * 1e9 / spent[ROUNDS / 2] as f64;
        println!("speed {} {rate:.1}", folder.strip_prefix(&work).unwrap().display());
    }
}

/// Folders with a manifest, two levels below `work`, in the order of their names.
fn model_folders(work: &Path) -> Vec<PathBuf> {
    let inside = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    };
    let mut folders: Vec<_> = inside(work).iter().flat_map(|folder| inside(folder)).collect();
    folders.retain(|folder| folder.join("manifest.toml").is_file());
    folders.sort();
    folders
}

/// What this thread has had of a processor: other work on the machine does not count.
fn processor_nanoseconds() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}
