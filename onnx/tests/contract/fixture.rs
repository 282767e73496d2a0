//! A small model folder in a temporary place, and the runtime where there is one.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use sha2::{Digest, Sha256};
use starmill_onnx::{
    Device, Engine, EngineError, EngineOptions, Golden, Model, Runtime, Tolerances, find_library,
};
use tempfile::TempDir;

/// Pixels of the graphs that `tests/data/make_graphs.py` makes.
pub const PIXELS: usize = 33;

const MANIFEST: &str = r#"
schema = 1
name = "tiny"
version = "1.0.0"
title = "A small network for tests"
paper = "none"
license = "Apache-2.0"
surveys = ["lamost-lrs"]
trained_on = "synthetic"

[files]
onnx = { path = "open_rows.onnx", sha256 = "<open_rows.onnx>" }
golden = { path = "golden.json", sha256 = "<golden.json>" }
card = { path = "CARD.md", sha256 = "<CARD.md>" }

[input]
name = "spectrum"
pixels = 33

[output]
labels = "labels"
novelty = "novelty"
novelty_false_alarm = 0.01

[[recipe]]
step = "zscore"

[[label]]
name = "teff"
unit = "K"
ucd = "phys.temperature.effective"
description = "Effective temperature"
valid = [3700.0, 5900.0]

[[label]]
name = "logg"
unit = "dex"
ucd = "phys.gravity"
description = "Surface gravity"
valid = [0.0, 5.0]

[[label]]
name = "fe_h"
unit = "dex"
ucd = "phys.abund.Fe"
description = "[Fe/H]"
valid = [-2.5, 0.5]

[[derived]]
name = "sum_h"
sum = ["logg", "fe_h"]
unit = "dex"
ucd = "phys.abund"
description = "A sum"

[quality]
min_snr = 20.0

[golden]
tolerance = 1e-4
scale = [635.0, 0.75, 0.45]

[provenance]
command = "make_graphs.py"
"#;

const FILES: [&str; 8] = [
    "open_rows.onnx",
    "fixed_rows.onnx",
    "double.onnx",
    "golden.json",
    "CARD.md",
    "committee.onnx",
    "committee.json",
    "operators.onnx",
];

/// The manifest of the graph with errors, a covariance and further columns.
pub const COMMITTEE: [(&str, &str); 5] = [
    ("path = \"open_rows.onnx\"", "path = \"committee.onnx\""),
    ("<open_rows.onnx>", "<committee.onnx>"),
    ("path = \"golden.json\"", "path = \"committee.json\""),
    ("<golden.json>", "<committee.json>"),
    (
        "novelty = \"novelty\"\nnovelty_false_alarm = 0.01\n",
        r#"sigma = "sigma"
covariance = { factor = "factor", rank = 2 }

[[output.column]]
output = "above"
name = "above"
shape = [3]
integer = true
description = "Whether the first member is above the mean"

[[output.column]]
output = "votes"
name = "votes"
shape = [2, 3]
on_request = true
description = "What each member says"
"#,
    ),
];

/// A whole model folder, removed when dropped.
pub struct Folder(TempDir);

impl Folder {
    /// The folder with the first text of each pair replaced by the second in its manifest.
    ///
    /// `<file>` in the manifest stands for the hash of that file.
    pub fn with(edits: &[(&str, &str)]) -> Self {
        Self::of(MANIFEST, &FILES, edits)
    }

    /// The same for the forward model.
    pub fn forward(edits: &[(&str, &str)]) -> Self {
        let manifest = fs::read_to_string(data("forward.toml")).unwrap();
        Self::of(&manifest, &["forward.onnx", "forward.json", "forward.f64", "CARD.md"], edits)
    }

    fn of(manifest: &str, files: &[&str], edits: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut text = manifest.to_owned();
        for (from, to) in edits {
            assert!(text.contains(from), "{from} is not in the manifest");
            text = text.replacen(from, to, 1);
        }
        for name in files {
            let content = fs::read(data(name)).unwrap();
            fs::write(folder.path().join(name), &content).unwrap();
            text = text.replace(&format!("<{name}>"), &sha256(&content));
        }
        fs::write(folder.path().join("manifest.toml"), text).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn model(&self) -> Model {
        Model::open(self.path()).unwrap()
    }

    /// The golden cases and how closely they must be met.
    pub fn golden(&self) -> (Golden, Tolerances) {
        let model = self.model();
        (model.golden().unwrap(), model.manifest.tolerances())
    }
}

/// A file beside the script that makes the graphs.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

pub fn sha256(content: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The runtime, or `None` after saying that the test is skipped.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub fn runtime() -> Option<&'static Runtime> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.starmill/onnxruntime");
    match find_library(None).or_else(|_| find_library(Some(&installed))) {
        Ok(path) => Some(Runtime::load(&path).unwrap()),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// One thread on the CPU.
pub fn cpu(batch: usize) -> EngineOptions {
    EngineOptions { device: Device::Cpu, batch, threads: 1 }
}

/// Opens the engine of the edited folder.
pub fn open(
    runtime: &Runtime,
    edits: &[(&str, &str)],
    options: &EngineOptions,
) -> Result<Engine, EngineError> {
    Engine::open(runtime, &Folder::with(edits).model(), options)
}

/// Spectra that differ from row to row, of the order of 1.
pub fn spectra(rows: usize, seed: u64) -> Array2<f32> {
    let mut state = seed;
    Array2::from_shape_simple_fn((rows, PIXELS), || {
        // Knuth's MMIX generator; its upper bits are random enough for test data.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let unit = f32::from(u16::try_from(state >> 48).unwrap()) / f32::from(u16::MAX);
        4.0 * unit - 2.0
    })
}
