//! A release in shards, from its plan to its catalogue, through the program.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]

#[path = "../support/mod.rs"]
mod support;

mod plans;
mod releases;
mod scale;
mod tries;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use support::lrs::{Layout, Lrs};
use support::starmill;

/// Spectra in a tree as a release has it, and a place for plans, shards and catalogues.
struct Desk(tempfile::TempDir);

impl Desk {
    /// A tree of so many spectra, a file that is none, and one that lies there twice.
    fn new(spectra: u32) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for seed in 0..spectra {
            let layout = [Layout::Pilot, Layout::Image, Layout::Table][seed as usize % 3];
            let name = format!("tree/2013{:02}/plan{}/spec-{seed:05}.fits.gz", seed % 4, seed % 3);
            let ra = format!("{:.4}", f64::from(seed) * 15.0);
            let star = Lrs::star(seed).with("RA", &ra).with("DEC", "20.5");
            desk.write(&name, &star.to_gzip(layout));
        }
        desk.write("tree/201300/broken.fits", b"no");
        let first = fs::read(desk.path("tree/201300/plan0/spec-00000.fits.gz")).unwrap();
        desk.write("tree/201303/twice.fits.gz", &first);
        let small = "[list]\nqueue_items = 2\n[read]\nqueue_items = 2\n[infer]\nbatch = 8\n\
                     max_delay = 0.001\n[write]\nsegment_spectra = 3\n";
        fs::write(desk.path("config.toml"), small).unwrap();
        desk
    }

    /// A place on it.
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, with its folder.
    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// `starmill backfill` with arguments, of which those that begin with `@` are places.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = starmill(&["--config"]);
        command.arg(self.path("config.toml")).arg("backfill");
        for argument in arguments {
            match argument.strip_prefix('@') {
                Some(place) => command.arg(self.path(place)),
                None => command.arg(argument),
            };
        }
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Runs a command that must end well; gives what it printed.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", log(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Plans the tree in so many shards.
    #[track_caller]
    fn plan(&self, shards: u64) {
        self.done(&["plan", "@tree", "--out", "@plan", "--shards", &shards.to_string()]);
    }

    /// The arguments that run the plan, or one shard of it, into `shards`.
    fn run<'a>(more: &[&'a str]) -> Vec<&'a str> {
        let run = ["run", "@plan", "--model", "fcresnet", "--out", "@shards", "--scratch", "@disk"];
        [&run, more].concat()
    }

    /// Merges the shards and gives the bytes of every file of the release.
    #[track_caller]
    fn merged(&self, release: &str) -> BTreeMap<String, Vec<u8>> {
        let out = format!("@{release}");
        let merge = ["merge", "@plan", "--shards", "@shards", "--out", &out, "--name", "r"];
        self.done(&[&merge[..], &["--partition-rows", "7"]].concat());
        tree(&self.path(release))
    }
}

/// What a program said on standard error.
fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every file below a folder.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    let files = files.filter(|entry| entry.file_type().is_file());
    let file = |entry: walkdir::DirEntry| {
        let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        (name, fs::read(entry.path()).unwrap())
    };
    files.map(file).collect()
}

/// Asserts that two releases are the same, file by file.
#[track_caller]
fn assert_same(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) {
    let names = |release: &BTreeMap<String, Vec<u8>>| release.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(one), names(other));
    let differing: Vec<&String> =
        one.iter().filter(|(name, bytes)| other[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(differing.is_empty(), "{differing:?}");
}

/// Rows of a Parquet file, each as text by column.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let file = fs::File::open(path).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in batches.map(Result::unwrap) {
        for row in 0..batch.num_rows() {
            let cell = |(field, column): (
                &std::sync::Arc<arrow_schema::Field>,
                &arrow_array::ArrayRef,
            )| {
                let text = match column.as_string_opt::<i32>() {
                    Some(texts) if texts.is_valid(row) => texts.value(row).to_owned(),
                    _ => format!("{:?}", column.slice(row, 1)),
                };
                (field.name().clone(), text)
            };
            rows.push(batch.schema().fields().iter().zip(batch.columns()).map(cell).collect());
        }
    }
    rows
}
