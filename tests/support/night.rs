//! A small night of spectra that is run again and again, and what it must come to.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use starmill::catalogue::{MANIFEST, NAMES};

use super::lrs::{Layout, Lrs};

/// Files of every layout and a broken one, with the catalogue of a run that nothing disturbed.
pub struct Night {
    folder: tempfile::TempDir,
    input: PathBuf,
    config: PathBuf,
    whole: PathBuf,
    files: u32,
}

impl Night {
    /// Writes `files` spectra and runs over them once, in segments of seven.
    pub fn new(files: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let input = night(folder.path(), files);
        let config = folder.path().join("small.toml");
        let small = "[infer]\nbatch = 8\nmax_delay = 0.001\n[write]\nsegment_spectra = 7\n";
        fs::write(&config, small).unwrap();
        let whole = folder.path().join("whole");
        let night = Self { folder, input, config, whole, files };
        let output = night.run(&night.whole, "");
        super::assert_ended(&output, 1, &night.line());
        night
    }

    /// A folder for one catalogue.
    pub fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The catalogue of the undisturbed run.
    pub fn whole(&self) -> &Path {
        &self.whole
    }

    /// The folder of files.
    pub fn input(&self) -> &Path {
        &self.input
    }

    /// Runs over the night with these crash points.
    pub fn run(&self, out: &Path, points: &str) -> Output {
        self.run_over(out, &self.input, points)
    }

    /// Runs over a part of it.
    pub fn run_over(&self, out: &Path, input: &Path, points: &str) -> Output {
        super::starmill(&["run", "--model", "fcresnet", "--out"])
            .arg(out)
            .arg("--config")
            .arg(&self.config)
            .arg(input)
            .env("FAILPOINTS", points)
            .output()
            .expect("the program starts")
    }

    /// Runs until a crash point ends the program as a crash would.
    #[track_caller]
    pub fn assert_dies(&self, out: &Path, points: &str) {
        const SIGABRT: i32 = 6;
        let output = self.run(out, points);
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(SIGABRT), "{points}: {:?} {log}", output.status);
    }

    /// Runs undisturbed and asserts that the catalogue is the one of the undisturbed run and that
    /// all its digests, counts and identifiers are right. Returns the log.
    #[track_caller]
    pub fn assert_completes(&self, out: &Path, after: &str) -> String {
        let output = self.run(out, "");
        super::assert_ended(&output, 1, &self.line());
        assert_same(out, &self.whole, after);
        let (code, said) = verify(out, &[]);
        assert_eq!(code, Some(0), "after {after}: {said}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn line(&self) -> String {
        format!("rows={0} rejects=1 files={1}", self.files, self.files + 1)
    }
}

/// Writes `count` gzipped spectra, layouts in turn, and one file that is none.
pub fn night(folder: &Path, count: u32) -> PathBuf {
    let input = folder.join("input");
    fs::create_dir_all(&input).unwrap();
    for seed in 0..count {
        let layout = [Layout::Pilot, Layout::Image, Layout::Table][seed as usize % 3];
        let path = input.join(format!("{seed:05}.fits.gz"));
        fs::write(path, Lrs::star(seed).to_gzip(layout)).unwrap();
    }
    fs::write(input.join("broken.fits"), b"no").unwrap();
    input
}

/// Writes a configuration and returns its path as an argument.
pub fn config(folder: &Path, text: &str) -> String {
    let path = folder.join("config.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Asserts that two catalogues publish the same bytes after something happened to one.
#[track_caller]
pub fn assert_same(one: &Path, other: &Path, after: &str) {
    for name in NAMES.into_iter().chain([MANIFEST]) {
        let read = |folder: &Path| {
            fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        assert!(read(one) == read(other), "{name} differs after {after}");
    }
}

/// Runs `catalogue verify`; gives the exit code and what it said.
pub fn verify(out: &Path, more: &[&str]) -> (Option<i32>, String) {
    let output =
        super::starmill(&["catalogue", "verify"]).arg(out).args(more).output().expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// The files of the segments of a catalogue, in order.
pub fn segments(out: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(out.join("segments")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Flips one bit in the middle of a file.
pub fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Copies a catalogue.
pub fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir(target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
