//! Catalogues of medium-resolution spectra, with velocities from a catalogue.
//!
//! Here FCResNet is given another recipe and name: its labels mean nothing, but everything around them
//! does, and it is there whichever models of the survey are. Those are run in `epochs.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::support::lrs::{self, Lrs, gzip};
use crate::support::mrs::{Layout, Mrs};
use crate::support::{self, starmill};

/// A folder with a model, inputs and a catalogue of velocities.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let model = desk.path("models/medium");
        fs::create_dir_all(&model).unwrap();
        let shipped = support::root().join("onnx/models/fcresnet");
        for entry in fs::read_dir(&shipped).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
        }
        // 143 bins within the blue arm.
        let manifest = fs::read_to_string(shipped.join("manifest.toml")).unwrap();
        // The forward model of the shipped one has another resolution.
        let (head, tail) = manifest.split_once("[consistency]").unwrap();
        let (_, tail) = tail.split_once("[golden]").unwrap();
        let manifest = format!("{head}[golden]{tail}")
            .replace("name = \"fcresnet\"", "name = \"medium\"")
            .replace("surveys = [\"lamost-lrs\"]", "surveys = [\"lamost-mrs\"]")
            .replace("first = 4000.3685104612505", "first = 4970.0")
            .replace("last = 8120.822162499838", "last = 5335.6")
            .replace("resolving_power = 200.0", "resolving_power = 2000.0");
        fs::write(model.join("manifest.toml"), manifest).unwrap();
        let input = desk.path("input");
        fs::create_dir(&input).unwrap();
        for seed in 0..4 {
            let layout = [Layout::Rows, Layout::Cells][seed as usize % 2];
            let bytes = gzip(&Mrs::star(seed).to_fits(layout));
            fs::write(input.join(format!("med-{seed}.fits.gz")), bytes).unwrap();
        }
        fs::write(input.join("low.fits.gz"), Lrs::star(1).to_gzip(lrs::Layout::Table)).unwrap();
        // Two exposures, a coadd with a flag on its better velocity, and a coadd without any.
        let velocities = "obsid,lmjd,spid,fiberid,lmjm,coadd,rv_b0,rv_b0_err,rv_br0,rv_br0_err,rv_br_flag\n\
             589000000,58025,2,1,83555758,0,-30.5,0.75,-31.25,0.5,0\n\
             589000000,58025,2,1,83555772,0,-28.5,0.75,-9999.0,-9999.0,0\n\
             589000000,58025,2,1,83555758,1,-29.0,0.75,-29.5,0.25,1\n\
             589000001,58025,2,2,83555758,1,-9999.0,-9999.0,-9999.0,-9999.0,0\n";
        fs::write(desk.path("rv.csv"), velocities).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the model over the inputs with these settings beside those of the desk.
    fn run(&self, out: &str, input: &str, rv: bool) -> Output {
        let catalogue = if rv { self.path("rv.csv") } else { PathBuf::new() };
        let rv = format!("sources = ['catalogue']\ncatalogue = '{}'\n", catalogue.display());
        self.run_with(out, input, &rv, &[&self.path("input")])
    }

    fn run_with(&self, out: &str, input: &str, rv: &str, paths: &[&Path]) -> Output {
        let models = self.path("models");
        let text =
            format!("[models]\ndir = '{}'\n[input]\n{input}\n[rv]\n{rv}\n", models.display());
        let config = self.path("config.toml");
        fs::write(&config, text).unwrap();
        starmill(&["run", "--model", "medium", "--config"])
            .arg(config)
            .arg("--out")
            .arg(self.path(out))
            .args(paths)
            .output()
            .expect("the program starts")
    }

    fn table(&self, out: &str, name: &str) -> RecordBatch {
        table(&self.path(out), name)
    }

    fn settings(&self, out: &str) -> Value {
        let manifest = fs::read(self.path(out).join("run.json")).unwrap();
        serde_json::from_slice::<Value>(&manifest).unwrap()["settings"].clone()
    }
}

pub fn table(folder: &Path, name: &str) -> RecordBatch {
    let file = fs::File::open(folder.join(name)).unwrap();
    let mut batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    batches.next().unwrap().unwrap()
}

pub fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).unwrap().as_string::<i32>();
    column.iter().map(|text| text.unwrap_or("-").to_owned()).collect()
}

pub fn numbers(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    batch.column_by_name(name).unwrap().as_primitive::<Float64Type>().iter().collect()
}

#[test]
fn each_sum_and_each_exposure_is_a_row_with_its_own_velocity() {
    if !support::has_library("medium-resolution rows") {
        return;
    }
    let desk = Desk::new();
    let output = desk.run("out", "spectra = \"both\"", true);
    support::assert_ended(&output, 1, "rows=16 rejects=1 files=5");
    let rows = desk.table("out", "catalogue.parquet");
    let first = "lamost-mrs:58025-HIP9645901-02-001";
    assert_eq!(
        texts(&rows, "spectrum_id")[..4],
        ["", "-83555758", "-83555772", "-83555785"].map(|behind| format!("{first}{behind}"))
    );
    let sources = ["rv.csv:rv_b0", "rv.csv:rv_br0", "rv.csv:rv_b0", "-", "-"];
    assert_eq!(texts(&rows, "rv_source")[..5], sources);
    let expected = [Some(-29.0), Some(-31.25), Some(-28.5), None, None];
    assert_eq!(numbers(&rows, "rv")[..5], expected);
    assert_eq!(numbers(&rows, "rv_err")[..3], [Some(0.75), Some(0.5), Some(0.75)]);
    let coadd = rows.column_by_name("coadd").unwrap().as_boolean();
    assert!(coadd.iter().enumerate().all(|(row, coadd)| coadd == Some(row % 4 == 0)));
    let rejects = desk.table("out", "rejects.parquet");
    assert_eq!(texts(&rejects, "reason"), ["wrong_survey"]);
    let settings = desk.settings("out");
    assert_eq!(settings["input.spectra"], "both");
    let digest = blake3::hash(&fs::read(desk.path("rv.csv")).unwrap());
    assert_eq!(settings["rv.catalogue"], format!("blake3 {digest}"));

    // What is in it would change with other velocities or spectra: that is another catalogue.
    let output = desk.run("out", "spectra = \"coadd\"", true);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let output = desk.run("out", "spectra = \"both\"", false);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    support::assert_ended(
        &desk.run("out", "spectra = \"both\"", true),
        1,
        "rows=16 rejects=1 files=5",
    );
}

#[test]
fn a_catalogue_is_the_same_whether_files_are_inflated_to_their_ends_or_not() {
    if !support::has_library("streamed catalogues") {
        return;
    }
    let desk = Desk::new();
    for (out, input) in [("whole", ""), ("early", "whole_file = false")] {
        support::assert_ended(&desk.run(out, input, true), 1, "rows=4 rejects=1 files=5");
    }
    for name in ["catalogue.fits", "catalogue.parquet", "rejects.fits", "inputs.b3"] {
        let read = |out: &str| fs::read(desk.path(out).join(name)).unwrap();
        assert!(read("whole") == read("early"), "{name} differs");
    }
    assert_eq!(desk.settings("early")["input.whole_file"], "false");
}

#[test]
fn a_low_resolution_model_gives_a_reject_and_the_columns_it_always_had() {
    if !support::has_library("rejects of the wrong survey") {
        return;
    }
    let desk = Desk::new();
    let path = desk.path("out");
    let output = support::run(&path, &[&desk.path("input")]);
    support::assert_ended(&output, 1, "rows=1 rejects=4 files=5");
    let rejects = desk.table("out", "rejects.parquet");
    assert_eq!(texts(&rejects, "reason"), ["wrong_survey"; 4]);
    assert!(rejects.column_by_name("rv_source").is_none());
    assert!(desk.settings("out").get("input.spectra").is_none());
}

#[test]
fn a_run_does_not_begin_with_a_catalogue_of_velocities_that_is_none() {
    if !support::has_library("broken velocities") {
        return;
    }
    let desk = Desk::new();
    fs::write(desk.path("rv.csv"), "star,velocity\n1,2\n").unwrap();
    let output = desk.run("out", "", true);
    assert_eq!(output.status.code(), Some(2));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("rv.keys") && log.contains("rv.csv"), "{log}");
    assert!(!Path::exists(&desk.path("out/run.json")));
}

#[expect(clippy::cast_possible_truncation, reason = "the survey stores single precision")]
fn single(value: f64) -> f32 {
    value as f32
}

/// A file whose sum is a synthesis at this velocity, with a S/N of 60.
fn moving(path: &Path, velocity: f64) {
    let star = crate::stars::stars().swap_remove(0);
    let spectrum = star.spectrum(velocity, [60.0; 2], &mut crate::stars::Noise(9));
    let mut file = Mrs::star(7);
    for (name, wave) in [("COADD_B", 4000.0..5800.0), ("COADD_R", 5800.0..7000.0)] {
        let pixels: Vec<usize> =
            (0..spectrum.wave().len()).filter(|&at| wave.contains(&spectrum.wave()[at])).collect();
        let arm = file.arm(name);
        arm.loglam = pixels.iter().map(|&at| single(spectrum.wave()[at].log10())).collect();
        arm.flux = pixels.iter().map(|&at| spectrum.flux()[at]).collect();
        arm.ivar = pixels.iter().map(|&at| spectrum.ivar()[at]).collect();
        arm.mask = vec![0; pixels.len()];
        arm.ormask = vec![0; pixels.len()];
    }
    fs::write(path, gzip(&file.to_fits(Layout::Rows))).unwrap();
}

#[test]
fn without_a_catalogue_velocities_are_measured() {
    if !support::has_library("measured velocities") {
        return;
    }
    let desk = Desk::new();
    let path = desk.path("moving.fits.gz");
    moving(&path, 57.5);
    support::assert_ended(&desk.run_with("out", "", "", &[&path]), 0, "rows=1 rejects=0 files=1");
    let rows = desk.table("out", "catalogue.parquet");
    assert_eq!(texts(&rows, "rv_source"), ["measured"]);
    let (rv, error) = (numbers(&rows, "rv")[0].unwrap(), numbers(&rows, "rv_err")[0].unwrap());
    assert!((rv - 57.5).abs() < 1.5 && (0.05..1.0).contains(&error), "{rv} {error}");
    assert!(desk.settings("out")["rv.measured"].as_str().unwrap().starts_with("blake3 "));
    // A catalogue without them is another catalogue.
    let output = desk.run_with("out", "", "sources = []", &[&path]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_list_gives_files_and_their_velocities() {
    if !support::has_library("lists with velocities") {
        return;
    }
    let desk = Desk::new();
    let (path, list) = (desk.path("moving.fits.gz"), desk.path("list.csv"));
    moving(&path, 57.5);
    fs::write(&list, format!("path,rv,rv_err\n{},-12.5,0.25\n", path.display())).unwrap();
    let output = desk.run_with("out", "", "", &[Path::new("--list"), &list]);
    support::assert_ended(&output, 0, "rows=1 rejects=0 files=1");
    let rows = desk.table("out", "catalogue.parquet");
    assert_eq!(texts(&rows, "rv_source"), ["list.csv:rv"]);
    assert_eq!(numbers(&rows, "rv"), [Some(-12.5)]);
    // Names alone are a list too.
    fs::write(&list, format!("{}\n", path.display())).unwrap();
    let output = desk.run_with("plain", "", "", &[Path::new("--list"), &list]);
    support::assert_ended(&output, 0, "rows=1 rejects=0 files=1");
    assert_eq!(texts(&desk.table("plain", "catalogue.parquet"), "rv_source"), ["measured"]);
}
