//! A night that nobody observed: written alike whatever else was asked for, and every file has the
//! expected outcome.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use starmill::reject::CODES;
use support::{assert_ended, has_library, last_line, root, starmill};

/// Whether a test can run; if not, says why.
fn is_ready(test: &str) -> bool {
    let has = |model: &str| root().join("onnx/models").join(model).is_dir();
    if !has("payne") || !has("payne-mrs") {
        #[expect(clippy::print_stdout, reason = "a skipped test says so")]
        {
            println!("skipped: {test} needs the models payne and payne-mrs");
        }
        return false;
    }
    has_library(test)
}

fn simulate(out: &Path, more: &[&str]) {
    let output = starmill(&["simulate-night", "--date", "2026-11-21", "--broken", "0.3"])
        .args(["--galaxies", "0.1", "--repeats", "0.3", "--out"])
        .arg(out)
        .args(more)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(last_line(&output).starts_with("files="), "{log}");
}

/// Files below a folder, by their path in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let bytes = fs::read(entry.path()).unwrap();
            (entry.path().strip_prefix(folder).unwrap().to_owned(), bytes)
        })
        .collect()
}

/// What the truth table says of a file.
struct Truth {
    file: String,
    spectrum_id: String,
    group: String,
    outcome: String,
}

fn truth(folder: &Path) -> Vec<Truth> {
    let text = fs::read_to_string(folder.join("truth.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect());
    let head: Vec<String> = lines.next().unwrap();
    let truth = |line: Vec<String>| {
        let of = |name: &str| line[head.iter().position(|other| other == name).unwrap()].clone();
        Truth {
            file: of("file"),
            spectrum_id: of("spectrum_id"),
            group: of("group"),
            outcome: of("outcome"),
        }
    };
    lines.map(truth).collect()
}

#[test]
fn a_seed_gives_the_same_bytes_whatever_else_is_asked_for() {
    if !is_ready("a seed of a simulated night") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("threads.toml");
    fs::write(&config, "[infer]\nthreads = 3\n").unwrap();
    let night = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        simulate(&out, more);
        files(&out)
    };
    let config = config.to_str().unwrap();
    let whole = night("whole", &["--stars", "40", "--seed", "1"]);
    let again = night("again", &["--stars", "40", "--seed", "1", "--config", config]);
    assert!(whole == again);
    assert_eq!(whole.len(), truth(&folder.path().join("whole")).len() + 1);
    // The network's batches are others, the targets are the same.
    let fewer = night("fewer", &["--stars", "5", "--seed", "1", "--survey", "mrs"]);
    let mut seen = 0;
    for (path, bytes) in &fewer {
        if path.as_os_str() != "truth.csv" {
            assert!(whole[path] == *bytes, "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 5);
    let other = night("other", &["--stars", "5", "--seed", "2", "--survey", "mrs"]);
    assert!(other.iter().all(|(path, bytes)| whole.get(path) != Some(bytes)));
}

#[test]
fn every_file_has_the_expected_outcome() {
    if !is_ready("a simulated night") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (survey, model) in [("lrs", "fcresnet"), ("mrs", "rrnet")] {
        if !root().join("onnx/models").join(model).is_dir() {
            continue;
        }
        for layout in ["dr7", "dr9"] {
            let name = format!("{survey}-{layout}");
            let (night, out) = (folder.path().join(&name), folder.path().join(name + ".out"));
            simulate(
                &night,
                &["--survey", survey, "--layout", layout, "--stars", "70", "--seed", "3"],
            );
            let expected = truth(&night);
            let rows: Vec<&Truth> =
                expected.iter().filter(|truth| truth.outcome == "row").collect();
            let rejects = expected.len() - rows.len();
            assert!(rows.len() > 50 && rejects > 5, "{} {rejects}", rows.len());
            let output = starmill(&["run", "--model", model, "--out"])
                .arg(&out)
                .arg(&night)
                .output()
                .unwrap();
            let sum = format!("rows={} rejects={rejects} files={}", rows.len(), expected.len());
            assert_ended(&output, 1, &sum);
            let found = rejected(&out);
            for Truth { file, outcome, .. } in &expected {
                let code = found.get(&night.join(file).display().to_string());
                assert_eq!(code.map_or("row", |code| *code), outcome, "{file} {model} {layout}");
            }
            // Visits of a star are observations of their own, not reductions of one.
            let groups: BTreeSet<&str> = rows.iter().map(|row| row.group.as_str()).collect();
            assert!(groups.len() + 5 < rows.len(), "{} {}", groups.len(), rows.len());
            let expected: BTreeSet<(String, i32)> =
                rows.iter().map(|row| (row.spectrum_id.clone(), 1)).collect();
            assert_eq!(reductions(&out), expected);
        }
    }
}

fn read(table: &Path) -> Vec<RecordBatch> {
    let file = fs::File::open(table).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

/// Name and reduction of each row.
fn reductions(out: &Path) -> BTreeSet<(String, i32)> {
    let mut found = BTreeSet::new();
    for batch in read(&out.join("catalogue.parquet")) {
        let names = batch["spectrum_id"].as_string::<i32>();
        let numbers = batch["reduction"].as_primitive::<Int32Type>();
        let rows = names.iter().zip(numbers);
        found.extend(rows.map(|(name, number)| (name.unwrap().to_owned(), number.unwrap())));
    }
    found
}

/// The code of each reject, by its file.
fn rejected(out: &Path) -> BTreeMap<String, &'static str> {
    let mut found = BTreeMap::new();
    for batch in read(&out.join("rejects.parquet")) {
        let files = batch["file"].as_string::<i32>();
        for (file, reason) in files.iter().zip(batch["reason"].as_string::<i32>()) {
            let entry = CODES.iter().find(|entry| Some(entry.name) == reason).unwrap();
            found.insert(file.unwrap().to_owned(), entry.name);
        }
    }
    found
}
