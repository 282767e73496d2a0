//! Radial velocities that a survey publishes apart from its spectra.
//!
//! A catalogue (FITS or CSV, as LAMOST publishes them, or a list of one's own) is read once, from
//! beginning to end, into a sorted array of 24 bytes for each key of a row; ten million rows take 240
//! MB. A spectrum's velocity is then looked up by binary search.
//!
//! An exposure is found by LMJM, spectrograph and fibre, which identify it in every release. A sum of
//! exposures is found by the same, of its first exposure, among the rows of sums, else by OBSID and
//! the night. Of the velocities of a row the first in the order of the configuration is taken that is
//! there, has no flag and has an error that is small enough. Where rows of one key contradict each
//! other, none is.

mod rows;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::ConfigError;
use crate::fits::ScanError;
use crate::input::Digest;
use crate::spectrum::Meta;

/// Where velocities come from and which are believed; see `config/default.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml documents every key")]
pub struct RvSettings {
    pub catalogue: PathBuf,
    pub columns: Vec<String>,
    pub keys: RvKeys,
    pub max_err: f64,
    pub max_keys: usize,
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
}

/// The numbers that a key is made of.
#[derive(Clone, Copy)]
enum Key {
    Exposure { lmjm: i64, spid: i64, fiberid: i64 },
    Coadd { lmjm: i64, spid: i64, fiberid: i64 },
    Obsid { obsid: i64, lmjd: i64 },
}

impl Key {
    /// One number; `None` where the parts are not of the size that identifiers have.
    fn packed(self) -> Option<u64> {
        let part = |value: i64, bits: u32| {
            u64::try_from(value).ok().filter(|value| value.checked_shr(bits) == Some(0))
        };
        let of_minute = |kind: u64, lmjm, spid, fiberid| {
            Some(kind << 62 | part(lmjm, 32)? << 24 | part(spid, 8)? << 16 | part(fiberid, 16)?)
        };
        match self {
            Self::Exposure { lmjm, spid, fiberid } => of_minute(0, lmjm, spid, fiberid),
            Self::Coadd { lmjm, spid, fiberid } => of_minute(1, lmjm, spid, fiberid),
            Self::Obsid { obsid, lmjd } => Some(2 << 62 | part(obsid, 42)? << 20 | part(lmjd, 20)?),
        }
    }
}

impl Velocities {
    /// Reads a catalogue.
    ///
    /// # Errors
    /// [`RvError`] names the file.
    pub fn load(settings: &RvSettings) -> Result<Self, RvError> {
        let path = &settings.catalogue;
        let stem = path.file_name().unwrap_or_default().to_string_lossy();
        let sources = settings.columns.iter().map(|column| format!("{stem}:{column}")).collect();
        let mut builder = Builder::new(settings);
        let digest = rows::read(path, settings, &mut |row, has| builder.add(row, has));
        let digest = digest.map_err(|fault| {
            let path = path.clone();
            match fault {
                Fault::Io(source) => RvError::Io { path, source },
                Fault::Malformed(what) => RvError::Malformed { path, what },
                Fault::NoColumn { missing, columns, key } => {
                    RvError::NoColumn { path, missing, columns, key }
                }
                Fault::TooMany => RvError::TooMany { path, most: settings.max_keys },
            }
        })?;
        let Builder { entries, by_minute, by_night, rows, .. } = builder;
        let entries = believed(entries, settings.max_err);
        let keys = entries.len();
        tracing::info!(catalogue = %path.display(), rows, keys, "radial velocities read");
        Ok(Self { entries, sources, digest, by_minute, by_night })
    }

    /// The same, shared with whoever has read the same catalogue and still holds it: a service holds
    /// what it began with beside what it reloads.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn shared(settings: &RvSettings) -> Result<Arc<Self>, RvError> {
        type Last = (RvSettings, u64, Option<SystemTime>, Weak<Velocities>);
        static LAST: Mutex<Option<Last>> = Mutex::new(None);
        let path = &settings.catalogue;
        let about =
            std::fs::metadata(path).map_err(|source| RvError::Io { path: path.clone(), source })?;
        let (size, time) = (about.len(), about.modified().ok());
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, its_size, its_time, velocities)) = &*last
            && (of, *its_size, *its_time) == (settings, size, time)
            && let Some(velocities) = velocities.upgrade()
        {
            return Ok(velocities);
        }
        let velocities = Arc::new(Self::load(settings)?);
        *last = Some((settings.clone(), size, time, Arc::downgrade(&velocities)));
        Ok(velocities)
    }

    /// Puts the velocity of an observation into its description, if there is one to be trusted.
    pub fn fill(&self, meta: &mut Meta) {
        let Some(entry) = self.find(meta) else { return };
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

    fn find(&self, meta: &Meta) -> Option<&Entry> {
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
        of_minute().or_else(|| if only_by_minute { None } else { of_obsid() })
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

/// Gathers the entries of rows.
struct Builder {
    entries: Vec<Entry>,
    most: usize,
    max_err: f64,
    rows: u64,
    by_minute: bool,
    by_night: bool,
}

/// Positions in what [`rows::read`] gives: keys, then three for each velocity.
const OBSID: usize = 0;
const LMJM: usize = 1;
const SPID: usize = 2;
const FIBERID: usize = 3;
const LMJD: usize = 4;
const COADD: usize = 5;
const KEYS: usize = 6;

impl Builder {
    fn new(settings: &RvSettings) -> Self {
        let (most, max_err) = (settings.max_keys, settings.max_err);
        Self { entries: Vec::new(), most, max_err, rows: 0, by_minute: false, by_night: false }
    }

    /// Takes one row; `has` says which of the columns there are.
    fn add(&mut self, row: &[Option<f64>], has: &[bool]) -> Result<(), Fault> {
        if self.rows == 0 {
            self.by_minute = has[LMJM] && has[SPID] && has[FIBERID];
            self.by_night = has[LMJD];
            // Memory is taken when it is written to, so this costs what is used of it, and the array
            // never moves.
            self.entries.try_reserve_exact(self.most).map_err(|_| Fault::TooMany)?;
        }
        self.rows += 1;
        let Some((velocity, error, rank)) = self.velocity(&row[KEYS..], &has[KEYS..]) else {
            return Ok(());
        };
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
        let whole = |position: usize| {
            row[position].filter(|x| x.fract() == 0.0 && x.abs() < 9e15).map(|x| x as i64)
        };
        let is_coadd = row[COADD].is_some_and(|coadd| coadd != 0.0);
        let minute = || {
            let (lmjm, spid, fiberid) = (whole(LMJM)?, whole(SPID)?, whole(FIBERID)?);
            if is_coadd {
                Key::Coadd { lmjm, spid, fiberid }.packed()
            } else {
                Key::Exposure { lmjm, spid, fiberid }.packed()
            }
        };
        let night = || {
            // Where rows say so, those of single exposures are not of the night.
            let is_of_night = is_coadd || !has[COADD];
            let lmjd = if self.by_night { whole(LMJD)? } else { 0 };
            let key = Key::Obsid { obsid: whole(OBSID)?, lmjd };
            key.packed().filter(|_| is_of_night)
        };
        for key in [minute(), night()].into_iter().flatten() {
            if self.entries.len() == self.most {
                return Err(Fault::TooMany);
            }
            self.entries.push(Entry { key, velocity, error, rank });
        }
        Ok(())
    }

    /// The first velocity of a row that can be believed.
    fn velocity(&self, values: &[Option<f64>], has: &[bool]) -> Option<(f32, f32, u8)> {
        let triples = values.as_chunks::<3>().0.iter().zip(has.as_chunks::<3>().0);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "six digits are more than catalogues give"
        )]
        let mut believed = triples.enumerate().filter_map(|(rank, ([rv, error, flag], has))| {
            let rv = rv.filter(|rv| !is_missing(*rv) && rv.abs() < FASTEST)?;
            let error = error.filter(|error| (0.0..=self.max_err).contains(error));
            let is_doubtful = (has[1] && error.is_none()) || flag.is_some_and(|flag| flag != 0.0);
            let rank = u8::try_from(rank).ok()?;
            (!is_doubtful).then(|| (rv as f32, error.map_or(f32::NAN, |error| error as f32), rank))
        });
        believed.next()
    }
}

/// -999 and -9999, with any number of nines behind the point, stand for none.
fn is_missing(value: f64) -> bool {
    (-1000.0..-998.99).contains(&value) || value <= -9998.99
}

#[cfg(test)]
mod tests;
