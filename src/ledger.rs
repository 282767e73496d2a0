//! Which inputs are done, and in which segments their outcomes lie.
//!
//! An embedded SQLite database in write-ahead mode with full syncing: once [`Ledger::commit`]
//! returns, the commit survives a crash of the process and of the machine.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use thiserror::Error;

use crate::catalogue::Segment;
use crate::input::Digest;

/// A ledger that could not be opened or written.
#[derive(Debug, Error)]
#[error(
    "{path}: {source}; check space and permissions; if it is damaged, move the catalogue's folder away and run again"
)]
pub struct LedgerError {
    /// The database.
    pub path: PathBuf,
    /// The cause.
    pub source: rusqlite::Error,
}

/// One input, or part of a large one, that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Digest of its bytes; zero if it could not be read.
    pub digest: Digest,
    /// Its name as [`crate::catalogue::path_text`] writes it.
    pub path: String,
    /// Index of the first spectrum of this part.
    pub first: usize,
    /// How many outcomes this part gave.
    pub spectra: usize,
    /// How many outcomes the whole file gives.
    pub total: usize,
}

/// The open ledger of one catalogue.
pub struct Ledger {
    path: PathBuf,
    connection: Connection,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS segments (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        digest BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS inputs (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL,
        path TEXT NOT NULL,
        first INTEGER NOT NULL,
        spectra INTEGER NOT NULL,
        total INTEGER NOT NULL,
        segment INTEGER NOT NULL REFERENCES segments (id),
        UNIQUE (path, digest, first)
    );
    CREATE INDEX IF NOT EXISTS inputs_by_segment ON inputs (segment);
";

/// Selects inputs whose path has no newer content.
const CURRENT: &str = "NOT EXISTS (SELECT 1 FROM inputs AS newer WHERE newer.path = inputs.path AND newer.id > inputs.id AND newer.digest <> inputs.digest)";

impl Ledger {
    /// Opens or creates the ledger.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let open = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        };
        match open() {
            Ok(connection) => Ok(Self { path: path.to_owned(), connection }),
            Err(source) => Err(LedgerError { path: path.to_owned(), source }),
        }
    }

    /// A value noted at creation, such as the model that the catalogue belongs to.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn note(&self, key: &str) -> Result<Option<String>, LedgerError> {
        self.connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(self.error())
    }

    /// Notes a value once; a later note of the same key is ignored.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn set_note(&self, key: &str, value: &str) -> Result<(), LedgerError> {
        self.connection
            .execute("INSERT OR IGNORE INTO meta VALUES (?1, ?2)", [key, value])
            .map(|_| ())
            .map_err(self.error())
    }

    /// Marks inputs as done and their segment as part of the catalogue, in one transaction.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing is marked then.
    pub fn commit(&mut self, segment: &Segment, inputs: &[Input]) -> Result<(), LedgerError> {
        let path = self.path.clone();
        let mut commit = || {
            let transaction = self.connection.transaction()?;
            transaction.execute(
                "INSERT INTO segments (name, digest) VALUES (?1, ?2)",
                params![segment.name, segment.digest.0],
            )?;
            let id = transaction.last_insert_rowid();
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO inputs (digest, path, first, spectra, total, segment)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?;
                for Input { digest, path, first, spectra, total } in inputs {
                    insert.execute(params![
                        digest.0,
                        path,
                        *first as u64,
                        *spectra as u64,
                        *total as u64,
                        id
                    ])?;
                }
            }
            transaction.commit()
        };
        commit().map_err(|source| LedgerError { path, source })
    }

    /// Forgets a segment, so that its inputs are processed again.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing is forgotten then.
    pub fn forget(&mut self, segment: &Segment) -> Result<usize, LedgerError> {
        let path = self.path.clone();
        let mut forget = || {
            let transaction = self.connection.transaction()?;
            let inputs = transaction.execute(
                "DELETE FROM inputs WHERE segment = (SELECT id FROM segments WHERE name = ?1)",
                [&segment.name],
            )?;
            transaction.execute("DELETE FROM segments WHERE name = ?1", [&segment.name])?;
            transaction.commit().map(|()| inputs)
        };
        forget().map_err(|source| LedgerError { path, source })
    }

    /// All segments in the order of their commits.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn segments(&self) -> Result<Vec<Segment>, LedgerError> {
        let read = || -> rusqlite::Result<Vec<Segment>> {
            let mut select =
                self.connection.prepare("SELECT name, digest FROM segments ORDER BY id")?;
            let rows = select.query_map([], |row| {
                Ok(Segment { name: row.get(0)?, digest: Digest(row.get(1)?) })
            })?;
            rows.collect()
        };
        read().map_err(self.error())
    }

    /// Whether the part of this content of this path that begins at `first` is done.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn is_done(&self, digest: Digest, path: &str, first: usize) -> Result<bool, LedgerError> {
        self.connection
            .prepare_cached("SELECT 1 FROM inputs WHERE path = ?1 AND digest = ?2 AND first = ?3")
            .and_then(|mut select| select.exists(params![path, digest.0, first as u64]))
            .map_err(self.error())
    }

    /// Whether nothing is done yet.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn is_empty(&self) -> Result<bool, LedgerError> {
        self.connection
            .query_row("SELECT NOT EXISTS (SELECT 1 FROM inputs)", [], |row| row.get(0))
            .map_err(self.error())
    }

    /// Inputs and spectra of the catalogue. Where the content of a path changed, the newest counts.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn totals(&self) -> Result<(u64, u64), LedgerError> {
        let query = format!(
            "SELECT count(DISTINCT path), coalesce(sum(spectra), 0) FROM inputs WHERE {CURRENT}"
        );
        self.connection
            .query_row(&query, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(self.error())
    }

    /// Digest and path of inputs that a newer content of the same path replaces.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn superseded(&self) -> Result<HashSet<(String, String)>, LedgerError> {
        let read = || -> rusqlite::Result<HashSet<(String, String)>> {
            let query = format!("SELECT DISTINCT digest, path FROM inputs WHERE NOT ({CURRENT})");
            let mut select = self.connection.prepare(&query)?;
            let rows =
                select.query_map([], |row| Ok((Digest(row.get(0)?).to_string(), row.get(1)?)))?;
            rows.collect()
        };
        read().map_err(self.error())
    }

    /// A second, read-only connection for another thread.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn open_reader(path: &Path) -> Result<Self, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(path, flags)
            .and_then(|connection| {
                connection.busy_timeout(Duration::from_secs(10))?;
                Ok(Self { path: path.to_owned(), connection })
            })
            .map_err(|source| LedgerError { path: path.to_owned(), source })
    }

    fn error(&self) -> impl FnOnce(rusqlite::Error) -> LedgerError + '_ {
        |source| LedgerError { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(content: &[u8], path: &str, spectra: usize) -> Input {
        Input { digest: Digest::of(content), path: path.into(), first: 0, spectra, total: spectra }
    }

    fn segment(name: &str) -> Segment {
        Segment { name: name.into(), digest: Digest::of(name.as_bytes()) }
    }

    #[test]
    fn what_is_committed_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let mut ledger = Ledger::open(&path).unwrap();
        assert!(ledger.is_empty().unwrap());
        let inputs = [input(b"a", "a.fits", 1), input(b"b", "b.fits", 40)];
        ledger.commit(&segment("one"), &inputs).unwrap();
        drop(ledger);
        let mut ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.totals().unwrap(), (2, 41));
        assert!(ledger.is_done(Digest::of(b"a"), "a.fits", 0).unwrap());
        assert!(!ledger.is_done(Digest::of(b"a"), "other.fits", 0).unwrap());
        assert_eq!(ledger.segments().unwrap(), [segment("one")]);
        assert_eq!(ledger.forget(&segment("one")).unwrap(), 2);
        assert!(ledger.is_empty().unwrap());
    }

    #[test]
    fn the_newest_content_of_a_path_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(&folder.path().join("ledger.sqlite")).unwrap();
        ledger.commit(&segment("one"), &[input(b"old", "a.fits", 3)]).unwrap();
        ledger.commit(&segment("two"), &[input(b"new", "a.fits", 5)]).unwrap();
        assert_eq!(ledger.totals().unwrap(), (1, 5));
        let superseded = ledger.superseded().unwrap();
        assert_eq!(superseded.len(), 1);
        assert!(superseded.contains(&(Digest::of(b"old").to_string(), "a.fits".into())));
    }

    #[test]
    fn an_input_cannot_be_committed_twice() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(&folder.path().join("ledger.sqlite")).unwrap();
        ledger.commit(&segment("one"), &[input(b"a", "a.fits", 1)]).unwrap();
        assert!(ledger.commit(&segment("two"), &[input(b"a", "a.fits", 1)]).is_err());
        assert_eq!(ledger.segments().unwrap(), [segment("one")]);
    }
}
