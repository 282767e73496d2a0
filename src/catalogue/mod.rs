//! Rows and rejects on disk.
//!
//! Outcomes are committed in *segments*, each a sorted Parquet file that the ledger names together
//! with its inputs. Sealing merges all segments into the catalogue in one canonical order, so that
//! its bytes depend on the inputs and the model alone, not on worker counts, arrival or crashes.

mod batch;
mod column_list;
mod columns;
mod commit_times;
mod compact;
mod comparison;
mod durable;
#[expect(unsafe_code, reason = "CFITSIO is C; each call says why it is sound")]
mod fits_table;
mod gaia_columns;
mod glossary;
pub mod history;
mod identifiers;
mod inputs_list;
mod judge;
mod judged;
mod lookup;
mod manifest;
mod medium_columns;
mod merge;
mod model_columns;
mod order;
mod printable;
pub mod protocol;
mod publish;
mod published;
mod recover;
mod reductions;
mod release_rows;
mod seal;
mod segment;
mod shard_file;
mod sink;
mod store;
#[cfg(test)]
mod testing;
mod text;
mod trouble;
mod verify;

pub(crate) use batch::{SORT_KEY, field, published_properties};
pub use columns::{Cell, Column, Kind, LabelColumn, ModelColumns, Schema, VectorColumn};
pub use commit_times::CommitTimes;
pub use comparison::{Comparison, Difference, compare};
pub(crate) use durable::{
    Space, Unfinished, beside, create_folders, link_once, publish_file, rename_folder, replace,
    space, sync_tree,
};
pub(crate) use fits_table::{Axis1, ColumnHead, FitsTable, TextWidths};
pub use glossary::glossary;
pub use inputs_list::{INPUTS, files_of};
pub use lookup::{Located, LookupError, look_up};
pub(crate) use manifest::hex;
pub use manifest::{MANIFEST, Manifest};
pub(crate) use manifest::{digests_below, sha256_of_file};
pub use merge::Merge;
pub(crate) use merge::keys;
pub(crate) use printable::note_text;
pub use printable::{note_of_text, path_of_text, path_text};
pub use publish::NAMES;
pub use recover::{Rebuilt, Recovered};
pub use reductions::Reductions;
pub use release_rows::{Judged, JudgedBatch, merge_runs, published_schema, write_run};
pub use seal::{CATALOGUE, Counts, Made, Provenance, REJECTS};
pub use segment::{Encoded, Segment};
pub use shard_file::{Origin, ShardNote, Written};
pub use store::{Store, StoreError};
pub use text::{Shown, show};
pub use trouble::Trouble;
pub use verify::{Check, Rebuild, Request, verify};

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::ledger::LedgerError;

/// Names within the catalogue's folder.
const LEDGER: &str = "ledger.sqlite";
const SEGMENTS: &str = "segments";
const LOCK: &str = ".lock";

/// The ledger of the catalogue in a folder.
pub(crate) fn ledger_in(folder: &Path) -> PathBuf {
    folder.join(LEDGER)
}

/// The folder of the segments of the catalogue in a folder.
pub(crate) fn segments_folder(folder: &Path) -> PathBuf {
    folder.join(SEGMENTS)
}

/// The file of a segment of the catalogue in a folder.
pub(crate) fn segment_in(folder: &Path, segment: &Segment) -> PathBuf {
    folder.join(SEGMENTS).join(&segment.name)
}

/// What a row, a reject or an outcome takes in memory, at the most: its texts are bounded, and a path
/// is as long as the system allows.
pub const ROW_BYTES: usize = 8 << 10;

/// What sealing takes, at the most: rows of every open segment, one batch, and a row group of both
/// tables before it is written, in both of its forms.
pub const SEAL_BYTES: u64 = (merge::HELD_ROWS * ROW_BYTES + 2 * batch::ROW_GROUP * 2048) as u64;

/// Rows that are held while sealing, at the most.
pub const SEAL_ROWS: usize = merge::HELD_ROWS + 2 * batch::ROW_GROUP;

/// What a merge of small segments takes, at the most: its rows as they are read, as they are sorted and
/// as they are encoded.
pub const fn compaction_bytes(below: usize) -> u64 {
    (3 * 2 * below * ROW_BYTES) as u64
}

/// A catalogue that could not be written or read.
#[derive(Debug, Error)]
pub enum CatalogueError {
    /// The operating system refused.
    #[error(
        "{path}: {source}; check space and permissions, then run again: nothing committed is lost"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A Parquet file could not be written or read.
    #[error(
        "{path}: {source}; if it is a segment, remove it and run again: its inputs are done anew"
    )]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: parquet::errors::ParquetError,
    },
    /// CFITSIO refused.
    #[error("{path}: CFITSIO: {message}; check space and permissions, then run again")]
    Fits {
        /// The file.
        path: PathBuf,
        /// What CFITSIO says.
        message: String,
        /// What the system said last, if a write failed.
        system: Option<std::io::Error>,
    },
    /// A segment has other bytes than were committed.
    #[error("{path}: damaged; run again with the same --out: its inputs are done anew")]
    Damaged {
        /// The segment.
        path: PathBuf,
    },
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Sealing was given up when asked to.
    #[error("sealing was given up; all segments are committed, run again to seal them")]
    GivenUp,
    /// Rows and rejects do not add up to the spectra that the ledger counts.
    #[error(
        "{rows} rows and {rejects} rejects do not add up to {spectra} spectra; the catalogue was \
         not closed, report this with the ledger"
    )]
    Conservation {
        /// Rows found.
        rows: u64,
        /// Rejects found.
        rejects: u64,
        /// Spectra in the ledger.
        spectra: u64,
    },
}

impl CatalogueError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// An error of what has no file.
    pub(crate) fn in_memory(source: arrow_schema::ArrowError) -> Self {
        Self::Parquet { path: SEGMENTS.into(), source: source.into() }
    }

    pub(crate) fn parquet<E: Into<parquet::errors::ParquetError>>(
        path: &Path,
    ) -> impl FnOnce(E) -> Self + '_ {
        move |source| Self::Parquet { path: path.to_owned(), source: source.into() }
    }
}
