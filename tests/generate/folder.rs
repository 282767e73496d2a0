//! A folder of models with one small forward model, and the program run on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use sha2::{Digest, Sha256};
use starmill_onnx::{Device, EngineOptions, ForwardEngine, ForwardModel, Runtime, find_library};
use tempfile::TempDir;

use crate::support::{root, starmill};

/// The model of `onnx/tests/data` with a configuration that names it.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let model = folder.path().join("models/tiny_forward");
        fs::create_dir_all(&model).expect("a folder");
        let data = root().join("onnx/tests/data");
        let mut manifest = fs::read_to_string(data.join("forward.toml")).expect("a manifest");
        for name in ["forward.onnx", "forward.json", "forward.f64", "CARD.md"] {
            let content = fs::read(data.join(name)).expect("a file of the model");
            manifest = manifest.replace(&format!("<{name}>"), &sha256(&content));
            fs::write(model.join(name), content).expect("a file");
        }
        fs::write(model.join("manifest.toml"), manifest).expect("a manifest");
        let config = format!("[models]\ndir = '{}'\n", folder.path().join("models").display());
        fs::write(folder.path().join("starmill.toml"), config).expect("a configuration");
        Self(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file");
        path
    }

    /// Names beside the configuration and the models.
    pub fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("the folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> =
            names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.retain(|name| name != "models" && name != "starmill.toml");
        names.sort();
        names
    }

    /// Runs `starmill COMMAND` with this folder's models.
    pub fn starmill(&self, command: &[&str]) -> Output {
        let config = self.path("starmill.toml");
        let mut program = starmill(&["--config"]);
        program.arg(config).args(command).output().expect("the program starts")
    }

    /// Runs `starmill generate` into a file of the folder.
    pub fn generate(&self, out: &str, more: &[&str]) -> Output {
        let out = self.path(out);
        let out = out.to_string_lossy();
        let command = ["generate", "--model", "tiny_forward", "--out", &out];
        self.starmill(&[&command, more].concat())
    }

    /// What the model gives for labels, asked without the program.
    pub fn flux(&self, labels: &[[f32; 3]]) -> Vec<Vec<f32>> {
        let installed = root().join(".starmill/onnxruntime");
        let library = find_library(None).or_else(|_| find_library(Some(&installed)));
        let runtime = Runtime::load(&library.expect("a library")).expect("a runtime");
        let model = ForwardModel::open(self.path("models/tiny_forward")).expect("a model");
        let options = EngineOptions { device: Device::Cpu, batch: labels.len(), threads: 1 };
        let mut engine = ForwardEngine::open(runtime, &model, &options).expect("an engine");
        let input = ndarray::Array2::from_shape_fn((labels.len(), 3), |(row, at)| labels[row][at]);
        let flux = engine.run(input.view()).expect("spectra");
        flux.outer_iter().map(|row| row.to_vec()).collect()
    }
}

pub fn sha256(content: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What a run said, standard output before standard error.
pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Asserts how a run ended and what it said.
#[track_caller]
pub fn ended(output: &Output, code: i32, says: &[&str]) {
    let text = said(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in says {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

/// A FITS file as CFITSIO reads it: the rows of `SPECTRA` and the wavelengths.
pub struct Spectra {
    pub rows: Vec<i64>,
    pub labels: Vec<Vec<f64>>,
    pub flux: Vec<Vec<f32>>,
    pub ivar: Option<Vec<Vec<f32>>>,
    pub wavelength: Vec<f64>,
}

pub fn read_fits(path: &Path) -> Spectra {
    // The name is one that this test made, so that nothing in it can be an instruction.
    #[expect(clippy::disallowed_methods, reason = "a name of the test's own")]
    let mut file = fitsio::FitsFile::open(path).expect("a FITS file");
    let table = file.hdu("SPECTRA").expect("a table");
    let rows: Vec<i64> = table.read_col(&mut file, "row").expect("the column row");
    let labels = ["teff", "logg", "fe_h"];
    let labels = labels.map(|label| table.read_col(&mut file, label).expect("labels"));
    let flux: Vec<f32> = table.read_col(&mut file, "flux").expect("the column flux");
    let ivar: Option<Vec<f32>> = table.read_col(&mut file, "ivar").ok();
    let image = file.hdu("WAVELENGTH").expect("an image");
    let wavelength: Vec<f64> = image.read_image(&mut file).expect("wavelengths");
    let cut = |values: Vec<f32>| values.chunks(wavelength.len()).map(<[f32]>::to_vec).collect();
    Spectra { rows, labels: labels.into(), flux: cut(flux), ivar: ivar.map(cut), wavelength }
}
