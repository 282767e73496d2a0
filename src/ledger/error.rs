//! What can go wrong with a ledger, and whether a rebuild mends it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

/// A ledger that could not be opened or written.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// SQLite refuses.
    #[error("{path}: {source}; check space and permissions, then run again")]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// The cause.
        source: rusqlite::Error,
    },
    /// What it holds is not what was committed.
    #[error("{path}: damaged: {what}; run again with the same --out: it is rebuilt from segments")]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
    },
}

impl LedgerError {
    pub(super) fn sqlite(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self + '_ {
        |source| Self::Sqlite { path: path.to_owned(), source }
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }

    /// Whether the file's content is to blame, and not the disk, a lock or permissions.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Sqlite { source, .. } => match source.sqlite_error() {
                // Our statements are right and the tables are made by us: a statement that SQLite
                // cannot prepare means that a table's definition is not ours any more.
                Some(error) => matches!(
                    error.code,
                    ErrorCode::DatabaseCorrupt
                        | ErrorCode::NotADatabase
                        | ErrorCode::TypeMismatch
                        | ErrorCode::Unknown
                ),
                // A value of another type than was written.
                None => matches!(
                    source,
                    rusqlite::Error::FromSqlConversionFailure(..)
                        | rusqlite::Error::IntegralValueOutOfRange(..)
                        | rusqlite::Error::InvalidColumnType(..)
                        | rusqlite::Error::Utf8Error(..)
                        | rusqlite::Error::SqlInputError { .. }
                ),
            },
        }
    }

    /// SQLite's code, if it is SQLite that refuses.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite { source, .. } => source.sqlite_error_code(),
            Self::Damaged { .. } => None,
        }
    }
}
