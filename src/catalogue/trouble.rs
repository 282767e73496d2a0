//! What a failed write means for a run that wants to go on.

use std::error::Error;
use std::io::ErrorKind;

use rusqlite::ErrorCode;
use rustix::io::Errno;

use super::{CatalogueError, StoreError};
use crate::ledger::LedgerError;

/// What may help after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Space, on the disk or in a quota.
    NoSpace,
    /// Time: a network file system, a lock, a disk that hiccups.
    Transient,
    /// Nothing but a person.
    Permanent,
}

impl Trouble {
    /// What may help after an error of the system.
    pub fn of_io(error: &std::io::Error) -> Self {
        of_io(error)
    }
}

impl StoreError {
    /// What may help.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Locked(_) | Self::OtherModel { .. } | Self::OtherInputs { .. } => {
                Trouble::Permanent
            }
            Self::Catalogue(error) => error.trouble(),
            Self::Ledger(error) => error.trouble(),
        }
    }
}

impl CatalogueError {
    /// What may help.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Io { source, .. } => of_io(source),
            Self::Parquet { source, .. } => of_parquet(source),
            // A status of CFITSIO says that a write failed; why, the system's last error says.
            Self::Fits { system, .. } => system.as_ref().map_or(Trouble::Permanent, of_io),
            Self::Ledger(error) => error.trouble(),
            Self::Damaged { .. } | Self::Conservation { .. } | Self::GivenUp => Trouble::Permanent,
        }
    }
}

impl LedgerError {
    /// What may help.
    pub fn trouble(&self) -> Trouble {
        match self.code() {
            Some(ErrorCode::DiskFull) => Trouble::NoSpace,
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::SystemIoFailure,
            ) => Trouble::Transient,
            _ => Trouble::Permanent,
        }
    }
}

fn of_io(error: &std::io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Trouble::NoSpace,
        ErrorKind::Interrupted
        | ErrorKind::TimedOut
        | ErrorKind::ResourceBusy
        | ErrorKind::StaleNetworkFileHandle
        | ErrorKind::WouldBlock => Trouble::Transient,
        // EIO has no kind of its own.
        _ if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Trouble::Transient,
        _ => Trouble::Permanent,
    }
}

fn of_parquet(error: &parquet::errors::ParquetError) -> Trouble {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return of_io(error);
        }
        next = error.source();
    }
    // On its way through Arrow's errors the system's one becomes text, which keeps its number.
    let text = error.to_string();
    let number = text.rsplit_once("(os error ").and_then(|(_, number)| number.split(')').next());
    number
        .and_then(|number| number.parse().ok())
        .map_or(Trouble::Permanent, |number| of_io(&std::io::Error::from_raw_os_error(number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::errors::ParquetError;
    use rusqlite::ffi;
    use std::io;
    use std::path::Path;

    #[test]
    fn every_kind_of_trouble_is_told_from_the_others() {
        let cases = [
            (Errno::NOSPC, Trouble::NoSpace),
            (Errno::DQUOT, Trouble::NoSpace),
            (Errno::IO, Trouble::Transient),
            (Errno::STALE, Trouble::Transient),
            (Errno::TIMEDOUT, Trouble::Transient),
            (Errno::BUSY, Trouble::Transient),
            (Errno::INTR, Trouble::Transient),
            (Errno::ACCESS, Trouble::Permanent),
            (Errno::ROFS, Trouble::Permanent),
        ];
        let path = Path::new("x");
        for (errno, trouble) in cases {
            let system = || io::Error::from_raw_os_error(errno.raw_os_error());
            let as_text =
                arrow_schema::ArrowError::from(ParquetError::External(Box::new(system())));
            let fits = CatalogueError::Fits {
                path: path.into(),
                message: String::new(),
                system: Some(system()),
            };
            let errors = [
                CatalogueError::io(path)(system()),
                CatalogueError::parquet(path)(ParquetError::External(Box::new(system()))),
                CatalogueError::parquet(path)(as_text),
                fits,
            ];
            for error in errors {
                assert_eq!(StoreError::from(error).trouble(), trouble, "{errno:?}");
            }
        }
    }

    #[test]
    fn codes_of_sqlite_are_told_apart() {
        let trouble = |code| {
            let source = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            LedgerError::Sqlite { path: "x".into(), source }.trouble()
        };
        assert_eq!(trouble(ffi::SQLITE_FULL), Trouble::NoSpace);
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED, ffi::SQLITE_IOERR_FSYNC] {
            assert_eq!(trouble(code), Trouble::Transient);
        }
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_READONLY, ffi::SQLITE_CANTOPEN] {
            assert_eq!(trouble(code), Trouble::Permanent);
        }
    }
}
