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
    /// The error of SQLite at this ledger: a refusal, or damage that it found.
    pub(super) fn sqlite(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self + '_ {
        |source| {
            if is_damage(&source) {
                return Self::damaged(path, source.to_string());
            }
            Self::Sqlite { path: path.to_owned(), source }
        }
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }

    /// Whether the file's content is to blame, and not the disk, a lock or permissions.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    /// SQLite's code, if it is SQLite that refuses.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite { source, .. } => source.sqlite_error_code(),
            Self::Damaged { .. } => None,
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    match error.sqlite_error() {
        // Our statements are right and the tables are made by us: a statement that SQLite cannot
        // prepare means that a table's definition is not ours any more.
        Some(error) => matches!(
            error.code,
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::TypeMismatch
                | ErrorCode::Unknown
        ),
        // A value of another type than was written.
        None => matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..)
        ),
    }
}
