//! Radial velocities, which some surveys publish apart from their spectra: from a list of files, from
//! a catalogue, or measured ([`measure`]), in the order of `rv.sources`.
//!
//! A catalogue (FITS or CSV, as LAMOST publishes them, or a list of one's own) is read once, from
//! beginning to end, into a sorted array of 24 bytes for each key of a row; ten million rows take 240
//! MB. A spectrum's velocity is then looked up by binary search.
//!
//! An exposure is found by LMJM, spectrograph and fibre, which identify it in every release. A sum of
//! exposures is found by the same, of its first exposure, among the rows of sums, else by OBSID and
//! the night. A list of files has its velocities by their names, for all that is taken of a file. Of
//! the velocities of a row the first in the order of the configuration is taken that is there, has no
//! flag and has an error that is small enough. Where rows of one key contradict each other, none is.

mod builder;
mod key;
pub mod measure;
mod rows;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use builder::Builder;
use key::{Key, name_number};

use crate::config::ConfigError;
use crate::fits::ScanError;
use crate::input::Digest;
use crate::spectrum::Meta;

/// Where velocities come from and which are believed; see `config/default.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml documents every key")]
pub struct RvSettings {
    pub sources: Vec<RvSource>,
    pub list: PathBuf,
    pub catalogue: PathBuf,
    pub columns: Vec<String>,
    pub keys: RvKeys,
    pub max_err: f64,
    pub max_keys: usize,
}

/// Where a velocity may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RvSource {
    /// A list of files that has a column of velocities.
    List,
    /// A catalogue.
    Catalogue,
    /// The spectrum itself.
    Measured,
}

/// Names of the columns by which rows are found.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml documents every key")]
pub struct RvKeys {
    pub obsid: String,
    pub lmjm: String,
    pub spid: String,
    pub fiberid: String,
    pub lmjd: String,
    pub coadd: String,
    pub path: String,
}

/// The most columns of velocities: a rank is one byte, and each is looked at for every row.
const MOST_COLUMNS: usize = 32;
/// A velocity beyond this, km/s, is a mistake or a mark for none: no star of the Galaxy has it.
const FASTEST: f64 = 3000.0;

/// A catalogue of velocities that cannot be used.
#[derive(Debug, Error)]
pub enum RvError {
    /// It cannot be read.
    #[error("{path}: {source}; check rv.catalogue")]
    Io {
        /// The catalogue.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Its bytes make no table.
    #[error("{path}: {what}; fetch it again, or name another with rv.catalogue")]
    Malformed {
        /// The catalogue.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It has none of the columns that are needed.
    #[error("{path}: there is no column {missing}; it has {columns}: name them in {key}")]
    NoColumn {
        /// The catalogue.
        path: PathBuf,
        /// What was looked for.
        missing: String,
        /// The first of its columns.
        columns: String,
        /// The setting that names them.
        key: &'static str,
    },
    /// It has too many rows.
    #[error("{path}: it gives more than {most} keys; cut it down, or raise rv.max_keys")]
    TooMany {
        /// The catalogue.
        path: PathBuf,
        /// The limit.
        most: usize,
    },
}

/// What goes wrong while rows are read, before it is said of which file.
#[derive(Debug)]
enum Fault {
    Io(io::Error),
    Malformed(String),
    NoColumn { missing: String, columns: String, key: &'static str },
    TooMany,
}

impl From<ScanError> for Fault {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Io(error) => Self::Io(error),
            ScanError::Fits(error) => Self::Malformed(error.to_string()),
        }
    }
}

impl RvSettings {
    /// Checks what types cannot express.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |key, value: String, needs| Err(ConfigError::Value { key, value, needs });
        if self.columns.is_empty() || self.columns.len() > MOST_COLUMNS {
            let value = format!("{} of them", self.columns.len());
            return refuse("rv.columns", value, "from 1 to 32 names are needed");
        }
        let mut sources = self.sources.iter().enumerate();
        if sources.any(|(at, source)| self.sources[..at].contains(source)) {
            let value = format!("{:?}", self.sources).to_lowercase();
            return refuse("rv.sources", value, "each source may be named once");
        }
        if !(self.max_err > 0.0 && self.max_err <= FASTEST) {
            let value = self.max_err.to_string();
            return refuse(
                "rv.max_err",
                value,
                "a number of km/s above 0 and up to 3000 is needed",
            );
        }
        if !(1..=1 << 30).contains(&self.max_keys) {
            return refuse("rv.max_keys", self.max_keys.to_string(), "from 1 to 2^30 are possible");
        }
        Ok(())
    }
}

/// What the index takes for each key, bytes.
pub const KEY_BYTES: usize = size_of::<Entry>();

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u64,
    velocity: f32,
    /// NaN where the catalogue gives none.
    error: f32,
    /// Position of the velocity's column in the order of preference.
    rank: u8,
}

/// The velocities of a catalogue, by key.
#[derive(Debug)]
pub struct Velocities {
    entries: Vec<Entry>,
    /// What a row says of its source: file and column, by rank.
    sources: Vec<String>,
    digest: Digest,
    /// Whether rows say in which exposure, or sum of exposures, they were measured.
    by_minute: bool,
    /// Whether rows say the night.
    by_night: bool,
    /// Whether rows say the file.
    by_path: bool,
}

impl Velocities {
    /// Reads a catalogue or a list of files, which `path` names.
    ///
    /// # Errors
    /// [`RvError`] names the file.
    pub fn load(path: &Path, settings: &RvSettings) -> Result<Self, RvError> {
        let stem = path.file_name().unwrap_or_default().to_string_lossy();
        let sources = settings.columns.iter().map(|column| format!("{stem}:{column}")).collect();
        let mut builder = Builder::new(settings);
        let digest = rows::read(path, settings, &mut |row, has| builder.add(row, has));
        let digest = digest.map_err(|fault| {
            let path = path.to_owned();
            match fault {
                Fault::Io(source) => RvError::Io { path, source },
                Fault::Malformed(what) => RvError::Malformed { path, what },
                Fault::NoColumn { missing, columns, key } => {
                    RvError::NoColumn { path, missing, columns, key }
                }
                Fault::TooMany => RvError::TooMany { path, most: settings.max_keys },
            }
        })?;
        let Builder { entries, by_minute, by_night, by_path, rows, .. } = builder;
        let entries = believed(entries, settings.max_err);
        let keys = entries.len();
        tracing::info!(catalogue = %path.display(), rows, keys, "radial velocities read");
        Ok(Self { entries, sources, digest, by_minute, by_night, by_path })
    }

    /// The same, shared with whoever has read the same catalogue and still holds it: a service holds
    /// what it began with beside what it reloads.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn shared(path: &Path, settings: &RvSettings) -> Result<Arc<Self>, RvError> {
        type Last = (PathBuf, RvSettings, u64, Option<SystemTime>, Weak<Velocities>);
        static LAST: Mutex<Option<Last>> = Mutex::new(None);
        let about = std::fs::metadata(path)
            .map_err(|source| RvError::Io { path: path.to_owned(), source })?;
        let (size, time) = (about.len(), about.modified().ok());
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((its_path, of, its_size, its_time, velocities)) = &*last
            && (its_path.as_path(), of, *its_size, *its_time) == (path, settings, size, time)
            && let Some(velocities) = velocities.upgrade()
        {
            return Ok(velocities);
        }
        let velocities = Arc::new(Self::load(path, settings)?);
        *last = Some((path.to_owned(), settings.clone(), size, time, Arc::downgrade(&velocities)));
        Ok(velocities)
    }

    /// Puts the velocity of an observation, read from the file at `path`, into its description, if
    /// there is one to be trusted.
    pub fn fill(&self, path: &Path, meta: &mut Meta) {
        let Some(entry) = self.find(path, meta) else { return };
        meta.rv_kms = Some(shortest(entry.velocity));
        meta.rv_err_kms = Some(entry.error).filter(|error| !error.is_nan()).map(shortest);
        meta.rv_source = self.sources.get(usize::from(entry.rank)).cloned();
    }

    /// Digest of the catalogue as it lies on disk.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many keys have a velocity.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no velocity at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn find(&self, path: &Path, meta: &Meta) -> Option<&Entry> {
        let of_file = || {
            let name = path.as_os_str().as_encoded_bytes();
            self.by_path.then(|| self.entry(Key::File { number: name_number(name) }))?
        };
        let of_minute = || {
            let (lmjm, spid, fiberid) = (meta.lmjm?, meta.spid?.into(), meta.fiberid?.into());
            self.entry(if meta.is_exposure {
                Key::Exposure { lmjm, spid, fiberid }
            } else {
                Key::Coadd { lmjm, spid, fiberid }
            })
        };
        let of_obsid = || {
            let lmjd = if self.by_night { meta.lmjd?.into() } else { 0 };
            self.entry(Key::Obsid { obsid: meta.obsid?, lmjd })
        };
        // The velocity of a night would be that of no exposure of a binary star.
        let only_by_minute = meta.is_exposure && self.by_minute;
        of_file().or_else(of_minute).or_else(|| if only_by_minute { None } else { of_obsid() })
    }

    fn entry(&self, key: Key) -> Option<&Entry> {
        let key = key.packed()?;
        let position = self.entries.binary_search_by_key(&key, |entry| entry.key).ok()?;
        self.entries.get(position)
    }
}

/// The decimal number that the catalogue wrote, not its single-precision neighbour.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

/// One entry for each key: the best rank, then the smallest error. Keys whose best velocities differ by
/// more than `most` km/s are dropped.
fn believed(mut entries: Vec<Entry>, most: f64) -> Vec<Entry> {
    entries.sort_unstable_by(|a, b| {
        let of = |entry: &Entry| (entry.key, entry.rank);
        let by_error = a.error.total_cmp(&b.error).then(a.velocity.total_cmp(&b.velocity));
        of(a).cmp(&of(b)).then(by_error)
    });
    let mut kept = 0;
    let mut start = 0;
    while start < entries.len() {
        let best = entries[start];
        let rest = entries[start..].iter();
        let end = start + rest.take_while(|entry| entry.key == best.key).count();
        let rivals = entries[start..end].iter().filter(|entry| entry.rank == best.rank);
        let agree = |entry: &Entry| f64::from((entry.velocity - best.velocity).abs()) <= most;
        if rivals.clone().all(agree) {
            entries[kept] = best;
            kept += 1;
        }
        start = end;
    }
    entries.truncate(kept);
    entries.shrink_to_fit();
    entries
}

#[cfg(test)]
mod tests;
