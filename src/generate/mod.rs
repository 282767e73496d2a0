//! Spectra from labels, through a forward model.
//!
//! Labels come from a table, from a grid or from a Sobol sequence ([`Source`]); all of them are held
//! to the trained box before anything is written ([`survey`]). Then they pass through the network
//! batch by batch into a FITS or Parquet file that appears under its name when it is whole
//! ([`generate`]), so that memory is bounded whatever their number. Equal labels, model, library
//! and options give equal bytes.

mod axis;
mod fits_file;
mod noise;
mod output;
mod parquet_file;
mod refusal;
mod sobol;
mod source;
mod table;

use std::path::PathBuf;

use ndarray::Array2;
use starmill_onnx::{EngineError, ForwardEngine};
use thiserror::Error;

pub use axis::{Axis, Fixed, ParseAxisError};
pub use output::Format;
pub use refusal::{Refusal, Refused, SHOWN};
pub use sobol::Sobol;
pub use source::{Column, Pattern, Source};

use crate::catalogue::{CatalogueError, Provenance};
use noise::Noise;
use output::{Layout, Output, Rows};
use refusal::LeftOut;

/// Labels that cannot be used, or spectra that cannot be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// A label is asked for that the model does not have.
    #[error("the model has no label {label}; it has {known}")]
    UnknownLabel {
        /// The label.
        label: String,
        /// The labels of the model.
        known: String,
    },
    /// A label is given twice.
    #[error("the label {0} is given twice; give it once, by --range or by --set")]
    Twice(String),
    /// The ranges do not make a pattern; the phrase ends with the remedy.
    #[error("{0}")]
    Pattern(String),
    /// A table of labels cannot be read.
    #[error("{path}: {problem}")]
    Table {
        /// The table.
        path: PathBuf,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// Labels lie outside the trained box.
    #[error("{0}; correct them, or leave them out with --skip-outside")]
    Outside(Refused),
    /// The name of the file tells no format.
    #[error("{0} ends neither with .fits nor with .parquet; choose one of the two")]
    Format(PathBuf),
    /// The disk is too small.
    #[error(
        "{path} needs {needed} bytes and {free} are free; make room, write elsewhere or ask for \
         fewer spectra"
    )]
    Room {
        /// The file.
        path: PathBuf,
        /// What it takes.
        needed: u64,
        /// What there is.
        free: u64,
    },
    /// The network failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] CatalogueError),
    /// Parquet could not be written.
    #[error("{path}: {source}; check space and permissions, then run again")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: parquet::errors::ParquetError,
    },
}

/// What is to be written, beside the labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The file; its name says the format.
    pub out: PathBuf,
    /// Signal to noise of a pixel at normalised flux 1; noise is added and `ivar` written.
    pub snr: Option<f64>,
    /// Radial velocity of all spectra, km/s; it moves the wavelengths and leaves the flux as it is.
    pub velocity: f64,
    /// Where noise and the shift of a Sobol sequence begin.
    pub seed: u64,
    /// Whether rows outside the trained box are left out; they are an error otherwise.
    pub skip_outside: bool,
}

/// What became of the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Spectra in the file.
    pub spectra: u64,
    /// Rows that were left out.
    pub left_out: u64,
}

/// Reads all labels and says how many rows there are and which of them lie outside the trained box.
///
/// # Errors
/// [`GenerateError::Table`] for a table that cannot be read, [`GenerateError::Pattern`].
pub fn survey(source: &Source) -> Result<Refused, GenerateError> {
    let mut refused = Refused::default();
    source.for_each(&mut |row, labels| {
        refused.judge(row, labels, source.columns());
        Ok(())
    })?;
    Ok(refused)
}

/// Writes a spectrum for every row of labels that lies in the trained box.
///
/// `wavelength` is the model's, `provenance` says what made the spectra, and `refused` is what
/// [`survey`] found.
///
/// # Errors
/// [`GenerateError::Outside`] unless rows may be left out, and whatever the disk, the table or the
/// network has against it. The file is there under its name or not at all.
pub fn generate(
    source: &Source,
    engine: &mut ForwardEngine,
    wavelength: &[f64],
    provenance: &Provenance,
    request: &Request,
    refused: Refused,
) -> Result<Written, GenerateError> {
    let format = Format::of(&request.out)?;
    if refused.rows > 0 && !request.skip_outside {
        return Err(GenerateError::Outside(refused));
    }
    let shift = doppler(request.velocity);
    let layout = Layout {
        labels: source.columns().to_vec(),
        wavelength: wavelength.iter().map(|value| value * shift).collect(),
        has_noise: request.snr.is_some(),
        provenance: provenance.clone(),
    };
    layout.check_room(&request.out, refused.all - refused.rows)?;
    let mut left_out = LeftOut::create(&request.out, refused.rows > 0)?;
    let mut output = Output::create(format, &request.out, layout)?;
    let mut batch = Batch::new(engine, source.columns().len(), request);
    source.for_each(&mut |row, labels| {
        if left_out.take(row, labels, source.columns())? {
            return Ok(());
        }
        batch.push(row, labels, &mut output)
    })?;
    batch.flush(&mut output)?;
    let spectra = output.finish()?;
    Ok(Written { spectra, left_out: left_out.finish()? })
}

/// Rows on their way through the network.
struct Batch<'a> {
    engine: &'a mut ForwardEngine,
    width: usize,
    rows: Vec<u64>,
    labels: Vec<f64>,
    noise: Option<Noise>,
}

impl<'a> Batch<'a> {
    fn new(engine: &'a mut ForwardEngine, width: usize, request: &Request) -> Self {
        let noise = request.snr.map(|snr| Noise::new(snr, request.seed));
        Self { engine, width, rows: Vec::new(), labels: Vec::new(), noise }
    }

    fn push(&mut self, row: u64, labels: &[f64], out: &mut Output) -> Result<(), GenerateError> {
        self.rows.push(row);
        self.labels.extend_from_slice(labels);
        if self.rows.len() == self.engine.batch() { self.flush(out) } else { Ok(()) }
    }

    fn flush(&mut self, out: &mut Output) -> Result<(), GenerateError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let shape = (self.rows.len(), self.width);
        let input = Array2::from_shape_fn(shape, |(row, label)| {
            single(self.labels[row * self.width + label])
        });
        let mut flux = self.engine.run(input.view())?;
        if let Some(noise) = &self.noise {
            for (row, mut flux) in self.rows.iter().zip(flux.outer_iter_mut()) {
                noise.add(*row, flux.iter_mut());
            }
        }
        let ivar = self.noise.as_ref().map(Noise::ivar);
        out.append(&Rows { numbers: &self.rows, labels: &self.labels, flux, ivar })?;
        self.rows.clear();
        self.labels.clear();
        Ok(())
    }
}

/// The factor by which a radial velocity in km/s moves wavelengths, with special relativity.
pub(crate) fn doppler(velocity: f64) -> f64 {
    let beta = velocity / crate::prep::SPEED_OF_LIGHT;
    ((1.0 + beta) / (1.0 - beta)).sqrt()
}

#[expect(clippy::cast_possible_truncation, reason = "the network computes in single precision")]
fn single(value: f64) -> f32 {
    value as f32
}
