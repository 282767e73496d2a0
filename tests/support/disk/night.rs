//! A small night of spectra, and what a catalogue of it must hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::Layer;
use crate::support;
use crate::support::lrs::{Layout, Lrs};

/// Generated spectra, one file that is none, and a configuration with small segments.
pub struct Night {
    folder: tempfile::TempDir,
    files: u32,
}

/// What a run publishes.
pub const PUBLISHED: [&str; 5] =
    ["catalogue.fits", "catalogue.parquet", "rejects.fits", "rejects.parquet", "run.json"];

impl Night {
    /// Writes `stars` spectra, gzipped, layouts in turn, and one broken file.
    pub fn of(stars: u32) -> Self {
        let night = Self { folder: tempfile::tempdir().unwrap(), files: stars + 1 };
        fs::create_dir(night.input()).unwrap();
        for seed in 0..stars {
            let layout = [Layout::Pilot, Layout::Image, Layout::Table][seed as usize % 3];
            fs::write(night.file(seed), Lrs::star(seed).to_gzip(layout)).unwrap();
        }
        fs::write(night.input().join("broken.fits"), b"no").unwrap();
        night.configure("");
        night
    }

    /// Rewrites the configuration: segments of seven spectra, and `more`.
    pub fn configure(&self, more: &str) {
        let text = format!("[write]\nsegment_spectra = 7\n{more}");
        fs::write(self.at("config.toml"), text).unwrap();
    }

    /// A path beside the input.
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// The folder of spectra.
    pub fn input(&self) -> PathBuf {
        self.at("input")
    }

    /// The file of one star.
    pub fn file(&self, seed: u32) -> PathBuf {
        self.input().join(format!("{seed:05}.fits.gz"))
    }

    /// The command that runs over the night into `out`.
    pub fn command(&self, out: &Path) -> Command {
        let mut command = support::starmill(&["run", "--model", "fcresnet", "--out"]);
        command.arg(out).arg("--config").arg(self.at("config.toml")).arg(self.input());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, out: &Path) -> Output {
        self.command(out).output().expect("the program starts")
    }

    /// Runs it above a layer.
    pub fn run_above(&self, layer: &Layer, out: &Path) -> Output {
        layer.under(&mut self.command(out)).output().expect("the program starts")
    }

    /// What a whole run without trouble publishes.
    pub fn expected(&self) -> BTreeMap<&'static str, Vec<u8>> {
        let out = self.at("expected");
        self.assert_whole(&self.run(&out));
        published(&out)
    }

    /// Asserts that a run ended well: a row for every star and a reject for the broken file.
    #[track_caller]
    pub fn assert_whole(&self, output: &Output) {
        let files = self.files;
        support::assert_ended(output, 1, &format!("rows={} rejects=1 files={files}", files - 1));
    }
}

/// The bytes of everything that a catalogue publishes.
pub fn published(out: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    PUBLISHED
        .into_iter()
        .map(|name| {
            (name, fs::read(out.join(name)).unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect()
}

/// Asserts that `out` publishes these bytes.
#[track_caller]
pub fn assert_publishes(out: &Path, expected: &BTreeMap<&'static str, Vec<u8>>) {
    for (name, bytes) in published(out) {
        assert!(bytes == expected[name], "{name} in {} differs", out.display());
    }
}
