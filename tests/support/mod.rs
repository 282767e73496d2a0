//! What the integration tests share: files of every layout, the program, and the real spectra.

#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

pub mod lrs;
pub mod mrs;
pub mod night;
pub mod reductions;
pub mod sealed;
pub mod service;
pub mod xp;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program, run in the repository's root where models and library are found.
pub fn starmill(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starmill"));
    command
        .args(arguments)
        .current_dir(root())
        .env_remove("STARMILL_LOG")
        .env_remove("STARMILL_CONFIG");
    command
}

/// Runs FCResNet over `paths` into `out`.
pub fn run(out: &Path, paths: &[&Path]) -> Output {
    run_with(out, paths, &[])
}

/// The same with more arguments.
pub fn run_with(out: &Path, paths: &[&Path], more: &[&str]) -> Output {
    starmill(&["run", "--model", "fcresnet", "--out"])
        .arg(out)
        .args(more)
        .args(paths)
        .output()
        .expect("the program starts")
}

/// The last line of standard output.
pub fn last_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned()
}

/// What a program printed, to both outputs.
pub fn text_of(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Asserts how a run ended, showing its log if it ended otherwise.
#[track_caller]
pub fn assert_ended(output: &Output, code: i32, line: &str) {
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{log}");
    assert_eq!(last_line(output), line, "{log}");
}

/// Whether ONNX Runtime is there; if not, says that the test is skipped.
pub fn has_library(test: &str) -> bool {
    let found =
        starmill_onnx::find_library(None).is_ok() || root().join(".starmill/onnxruntime").is_dir();
    if !found {
        println!("skipped: {test} needs ONNX Runtime; ops/fetch-onnxruntime.sh gets it");
    }
    found
}

/// Folders with real spectra: the ones that `ops/fetch-spectra.sh` gets, and the larger set named
/// by `STARMILL_REAL_DATA`. Says so if there are none.
pub fn real_folders(test: &str) -> Vec<PathBuf> {
    let larger = std::env::var_os("STARMILL_REAL_DATA")
        .map_or_else(|| root().join("../shared/data/real"), PathBuf::from);
    let folders: Vec<PathBuf> =
        [root().join(".starmill/spectra"), larger].into_iter().filter(|f| f.is_dir()).collect();
    if folders.is_empty() {
        println!("skipped: {test} needs real spectra; ops/fetch-spectra.sh gets ten");
    }
    folders
}

/// All FITS files below the folders of real spectra whose path contains `part`.
pub fn real_files(test: &str, part: &str) -> Vec<PathBuf> {
    let names = real_folders(test);
    if names.is_empty() {
        return Vec::new();
    }
    let listing = starmill::input::Listing::start(names, std::io::empty()).expect("a thread");
    listing
        .filter_map(|found| match found {
            starmill::input::Found::File(path) => Some(path),
            starmill::input::Found::Rows(..) | starmill::input::Found::Missing(..) => None,
        })
        .filter(|path| path.to_string_lossy().contains(part))
        .collect()
}

/// The Python of the test environment, if `ops/test.sh` has made it.
pub fn python(test: &str) -> Option<Command> {
    let python = root().join(".starmill/venv-test/bin/python");
    if !python.is_file() {
        println!("skipped: {test} needs the environment that ops/test.sh makes");
        return None;
    }
    let mut command = Command::new(python);
    command.current_dir(root());
    Some(command)
}
