//! What becomes of one input spectrum: a row or a reject, never both, never neither.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::input::Digest;
use crate::night::Night;
use crate::quality::Quality;
use crate::reject::Reject;
use crate::spectrum::Meta;

/// The file, or the part of a large one, from which spectra come: the unit that is done or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Number in this run, in listing order.
    pub sequence: u64,
    /// Name as it was given.
    pub path: PathBuf,
    /// Digest of its bytes; zero if it could not be read.
    pub digest: Digest,
    /// Index of the first spectrum of this part; 0 but for parts of large tables.
    pub first: usize,
    /// How many outcomes this part gives: its spectra, or one if none could be found in it.
    pub spectra: usize,
    /// How many outcomes the whole file gives.
    pub total: usize,
    /// How many of its parts this run does.
    pub parts: usize,
    /// The night whose catalogue it belongs to; `None` in a run with one catalogue.
    pub night: Option<Night>,
    /// When it appeared in an inbox.
    pub arrived: Option<SystemTime>,
}

impl SourceFile {
    /// A file that gives so many outcomes in one part, of no night and no inbox.
    pub fn whole(sequence: u64, path: PathBuf, digest: Digest, spectra: usize) -> Self {
        Self {
            sequence,
            path,
            digest,
            first: 0,
            spectra,
            total: spectra,
            parts: 1,
            night: None,
            arrived: None,
        }
    }
}

/// Where a spectrum comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Which spectrum of the file, from 0.
    pub index: usize,
}

/// What was known of a spectrum before it was judged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Identity {
    /// Name of the observation, if the header gives one.
    pub name: Option<String>,
    /// Survey, if a reader recognised the file.
    pub survey: Option<&'static str>,
    /// What the header says.
    pub meta: Meta,
}

/// The values of a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Estimate {
    /// Labels, then derived labels, in the order of the manifest.
    pub values: Vec<f32>,
    /// Their errors, one standard deviation each; empty if the model has none.
    pub errors: Vec<f32>,
    /// The values of the columns of several values, one column after the other.
    pub vectors: Vec<f32>,
    /// How unlike the training spectra the input is; above 1 is outside. NaN if the model has none.
    pub novelty: f32,
    /// Quality bits.
    pub quality: Quality,
    /// Native pixels in the model's window.
    pub pixels: usize,
    /// Those of them that are unusable.
    pub bad_pixels: usize,
    /// Input bins that had to be interpolated.
    pub empty_bins: usize,
}

/// One spectrum on its way through the stages, and what became of it so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Item<T> {
    /// Where the spectrum comes from.
    pub origin: Origin,
    /// What it is; shared, because it travels unchanged.
    pub identity: Arc<Identity>,
    /// What the last stage made of it, or why it has no row.
    pub content: Result<T, Reject>,
}

/// The end of the way: one row or one reject.
pub type Outcome = Item<Estimate>;

impl<T> Item<T> {
    /// The item after a stage that handles contents one by one. Rejects pass unchanged.
    pub fn and_then<U>(&self, stage: impl FnOnce(&T) -> Result<U, Reject>) -> Item<U> {
        match self.content.as_ref().map_err(Reject::clone).and_then(stage) {
            Ok(content) => Item {
                origin: self.origin.clone(),
                identity: Arc::clone(&self.identity),
                content: Ok(content),
            },
            Err(reject) => self.rejected(reject),
        }
    }

    /// The item as a reject.
    pub fn rejected<U>(&self, reject: Reject) -> Item<U> {
        Item {
            origin: self.origin.clone(),
            identity: Arc::clone(&self.identity),
            content: Err(reject),
        }
    }

    /// The identifier of a row: the observation's name, or the file's digest where there is none.
    pub fn spectrum_id(&self) -> String {
        let Origin { file, index } = &self.origin;
        self.identity.name.clone().unwrap_or_else(|| {
            let digest = file.digest.to_string();
            format!("blake3-{}:{index}", &digest[..16])
        })
    }
}

impl Identity {
    /// The identity of a spectrum.
    pub fn of(spectrum: &crate::spectrum::Spectrum) -> Self {
        Self { name: spectrum.name(), survey: Some(spectrum.survey()), meta: spectrum.meta.clone() }
    }
}
