//! Queries that could not be answered.

use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use thiserror::Error;

use crate::catalogue::CatalogueError;

/// A query that could not be answered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// There is nothing to ask.
    #[error(
        "{0}: it is neither a release nor a sealed catalogue nor a Parquet file; name the folder \
         that `starmill backfill merge` or `starmill run` made, or one Parquet file"
    )]
    NotCatalogue(PathBuf),
    /// The seal of a catalogue was interrupted.
    #[error("{0}: it is not sealed; let its run end, or run again with the same --out")]
    Unsealed(PathBuf),
    /// The operating system refused.
    #[error("{path}: {source}; check that it is there and may be read or written")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file is not what it was.
    #[error("{path}: damaged: {what}; fetch or make it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A column is of a type that is not read.
    #[error("{path}: the column {column} holds {kind}, which queries do not read; leave it out")]
    Unread {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
    /// Rows have no place on the sky.
    #[error("{0}: it has no columns ra and dec; ask without a region")]
    NoPlaces(PathBuf),
    /// A table that there is not.
    #[error("there is no table {name}; {tables}")]
    NoTable {
        /// Its name.
        name: String,
        /// Those that there are, as a remedy.
        tables: String,
    },
    /// A column that there is not.
    #[error("there is no column {name}; {near}")]
    NoColumn {
        /// Its name.
        name: String,
        /// Those with a similar name, as a remedy.
        near: String,
    },
    /// The query wants more than to read.
    #[error("a query reads and does nothing else; begin it with SELECT or WITH")]
    ReadOnly,
    /// More than one query.
    #[error("this is more than one query; ask one after the other")]
    Several,
    /// SQLite does not understand the query, or cannot answer it.
    #[error("{0}; see docs/querying.md for tables, functions and examples")]
    Sql(String),
    /// An end was asked for.
    #[error("stopped when asked to; ask again")]
    Stopped,
    /// It took too long.
    #[error(
        "not answered within {0} s; raise --timeout, or narrow the query by a cone or by WHERE"
    )]
    TimedOut(u64),
    /// It takes too much memory.
    #[error(
        "the answer takes more than {0} MiB of memory; narrow the query by a cone or by WHERE, or \
         ask for groups one after the other"
    )]
    Memory(u64),
    /// A column of a table holds what is not of its type.
    #[error(
        "the column {0} of the answer has values of several types; write an expression, such as \
         CAST({0} AS TEXT)"
    )]
    Mixed(String),
    /// A column of bytes.
    #[error("the column {0} of the answer holds bytes; write hex() around them")]
    Bytes(String),
    /// The ending of the file tells no format.
    #[error("{0}: its ending tells no format; end it with .csv, .fits or .parquet")]
    Format(PathBuf),
    /// The answer cannot be written.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

impl QueryError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(super) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Self + '_ {
        move |error| Self::damaged(path, error.to_string())
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}
