//! Rows and rejects on disk.
//!
//! Outcomes are committed in *segments*, each a sorted Parquet file that the ledger names together
//! with its inputs. Sealing merges all segments into the catalogue in one canonical order, so that
//! its bytes depend on the inputs and the model alone, not on worker counts, arrival or crashes.

mod batch;
mod column_list;
mod columns;
#[expect(unsafe_code, reason = "CFITSIO is C; each call says why it is sound")]
mod fits_table;
mod glossary;
mod manifest;
mod merge;
mod seal;
mod segment;
mod store;
mod text;

pub use column_list::path_text;
pub use columns::{Cell, Column, Kind, LabelColumn, Schema};
pub use glossary::glossary;
pub use manifest::{MANIFEST, write_manifest};
pub use seal::{CATALOGUE, Counts, Expected, Provenance, REJECTS, seal};
pub use segment::Segment;
pub use store::{Store, StoreError};
pub use text::{Shown, show};

use std::path::{Path, PathBuf};

use thiserror::Error;

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
    },
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

    fn parquet<E: Into<parquet::errors::ParquetError>>(path: &Path) -> impl FnOnce(E) -> Self + '_ {
        move |source| Self::Parquet { path: path.to_owned(), source: source.into() }
    }
}

/// Makes a written file durable under its final name: sync, rename, sync of the directory.
fn publish(temporary: &Path, path: &Path) -> Result<(), CatalogueError> {
    let file = std::fs::File::open(temporary).map_err(CatalogueError::io(temporary))?;
    file.sync_all().map_err(CatalogueError::io(temporary))?;
    std::fs::rename(temporary, path).map_err(CatalogueError::io(path))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(CatalogueError::io(directory))
}

/// The temporary name beside a final one.
fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}
