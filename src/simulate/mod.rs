//! A night of survey files that nobody observed, for rehearsals, load tests and demonstrations.
//!
//! Spectra come from the project's own forward models ([`crate::setup::ReadyForward`]). Each target
//! and each of its visits has random numbers of its own, so that a seed gives the same bytes whatever
//! was asked for before it, and memory holds one batch of the network whatever the number of stars.
//!
//! What is simpler than the sky: targets of one survey are not observed by the other; the sum of
//! medium-resolution exposures is drawn beside them, not computed from them; the survey's continuum
//! is a black body behind a smooth throughput; and a night has one S/N distribution, even in the
//! logarithm.

mod damage;
mod detector;
mod dice;
mod file;
mod fits;
mod labels;
mod light;
mod target;
mod truth;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::NaiveDate;
use ndarray::Array2;
use starmill_onnx::{EngineError, ForwardEngine};
use thiserror::Error;

pub use labels::Labels;
pub use truth::TRUTH;

use crate::catalogue::{CatalogueError, beside};
use file::Visit;
use light::Model;
use target::Target;
use truth::Truth;

/// The most stars of a survey: fifty plates, for which observations have names.
pub const MOST_STARS: u32 = 200_000;

/// A survey whose files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Survey {
    /// LAMOST at low resolution.
    Lrs = 0,
    /// LAMOST at medium resolution.
    Mrs = 1,
}

impl Survey {
    /// As manifests name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lrs => "lamost-lrs",
            Self::Mrs => "lamost-mrs",
        }
    }

    /// The forward model that gives its spectra.
    pub fn model(self) -> &'static str {
        match self {
            Self::Lrs => "payne",
            Self::Mrs => "payne-mrs",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Lrs => "spec",
            Self::Mrs => "med",
        }
    }
}

/// A data release whose layouts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// An image of five rows at low resolution, a row for each pixel at medium resolution.
    Dr7,
    /// Tables of one row with vector cells.
    Dr9,
}

/// The night that is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Folder in which the night's folder and the truth table are made.
    pub out: PathBuf,
    /// The date of its evening.
    pub date: NaiveDate,
    /// Stars of each survey, at most [`MOST_STARS`].
    pub stars: u32,
    /// Where the random numbers begin.
    pub seed: u64,
    /// The layouts.
    pub release: Release,
    /// The distribution of labels.
    pub labels: Labels,
    /// Whether there is nothing but noise: no residuals of sky lines, cosmic rays or bad pixels.
    pub clean: bool,
    /// Lowest and highest signal to noise a pixel.
    pub snr: (f64, f64),
    /// The part of the stars that is observed twice.
    pub repeats: f64,
    /// The part of the targets whose file is broken.
    pub broken: f64,
    /// The part of the targets that are galaxies and quasars.
    pub galaxies: f64,
    /// How long to wait before each file.
    pub delay: Duration,
}

/// A forward model that gives the spectra of a survey.
pub struct Source {
    /// The survey.
    pub survey: Survey,
    /// The model's network.
    pub engine: ForwardEngine,
    /// Vacuum wavelength of its pixels, Angstrom.
    pub wavelength: Vec<f64>,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Simulated {
    /// Files in all.
    pub files: u64,
    /// Those that are broken.
    pub broken: u64,
}

/// Why a night could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// There is a night already.
    #[error("{0} is there already; remove it with its night, or choose another folder")]
    Exists(PathBuf),
    /// A file could not be written.
    #[error("{path}: {source}; check space and permissions, then run again")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The network failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The truth table could not be published.
    #[error(transparent)]
    Publish(#[from] CatalogueError),
}

impl SimulateError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}

/// Writes the night, survey after survey; the truth table appears last.
///
/// # Errors
/// [`SimulateError`] says what stands in the way.
pub fn simulate(request: &Request, sources: &mut [Source]) -> Result<Simulated, SimulateError> {
    let table = request.out.join(TRUTH);
    if table.exists() {
        return Err(SimulateError::Exists(table));
    }
    fs::create_dir_all(&request.out).map_err(SimulateError::io(&request.out))?;
    let mut labels: Vec<String> = Vec::new();
    for name in sources.iter().flat_map(names) {
        if !labels.contains(&name) {
            labels.push(name);
        }
    }
    let mut night =
        Night { request, truth: Truth::create(&request.out, labels)?, done: Simulated::default() };
    for source in sources {
        night.observe(source)?;
    }
    night.truth.finish()?;
    Ok(night.done)
}

fn names(source: &Source) -> Vec<String> {
    source.engine.manifest().labels.iter().map(|label| label.name.clone()).collect()
}

/// A night that is being written.
struct Night<'a> {
    request: &'a Request,
    truth: Truth,
    done: Simulated,
}

impl Night<'_> {
    fn observe(&mut self, source: &mut Source) -> Result<(), SimulateError> {
        let labels = source.engine.manifest().labels.clone();
        let windows = light::windows(&source.wavelength);
        let names = names(source);
        let numbers: Vec<u32> = (0..self.request.stars.min(MOST_STARS)).collect();
        for numbers in numbers.chunks(source.engine.batch()) {
            let draw = |&number| Target::draw(self.request, source.survey, number, &labels);
            let targets: Vec<Target> = numbers.iter().map(draw).collect();
            #[expect(clippy::cast_possible_truncation, reason = "the network takes 32 bits")]
            let input = Array2::from_shape_fn((targets.len(), labels.len()), |(row, label)| {
                targets[row].labels[label] as f32
            });
            let flux = source.engine.run(input.view())?;
            for (target, flux) in targets.iter().zip(flux.outer_iter()) {
                let flux = flux.to_vec();
                let model =
                    Model { wavelength: &source.wavelength, flux: &flux, windows: &windows };
                for number in 1..=target.visits {
                    self.write(Visit::draw(self.request, target, number), &model, &names)?;
                }
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        mut visit: Visit,
        model: &Model,
        names: &[String],
    ) -> Result<(), SimulateError> {
        let mut bytes = gzip(&visit.make_fits(model));
        if let Some(damage) = visit.damage {
            damage.break_file(&mut bytes);
            self.done.broken += 1;
        }
        std::thread::sleep(self.request.delay);
        publish(&self.request.out.join(visit.path()), &bytes)?;
        self.truth.add(&visit, names)?;
        self.done.files += 1;
        Ok(())
    }
}

/// Compresses as quickly as libdeflate does; its header holds no time.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let level = libdeflater::CompressionLvl::new(1).unwrap_or_default();
    let mut compressor = libdeflater::Compressor::new(level);
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    // Into a buffer of this size it cannot fail.
    let length = compressor.gzip_compress(bytes, &mut out).unwrap_or_default();
    out.truncate(length);
    out
}

/// A file appears whole, so that a watching service never sees a part of it.
fn publish(path: &Path, bytes: &[u8]) -> Result<(), SimulateError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(SimulateError::io(folder))?;
    }
    let temporary = beside(path, ".tmp");
    fs::write(&temporary, bytes).map_err(SimulateError::io(&temporary))?;
    fs::rename(&temporary, path).map_err(SimulateError::io(path))
}
