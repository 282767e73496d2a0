//! Which inputs are done, and in which segments their outcomes lie.
//!
//! An embedded SQLite database in write-ahead mode with full syncing: once [`Ledger::commit`]
//! returns, the commit survives a crash of the process and of the machine. The ledger holds nothing
//! that the segments do not hold as well, so a damaged one is rebuilt from them.

mod check;
mod error;
mod query;
mod replace;

pub use error::LedgerError;
pub use query::{Done, Extent};

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::catalogue::{Segment, path_text};
use crate::failpoint::crash_point;
use crate::input::Digest;

/// One input, or part of a large one, that is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Input {
    /// Its name as [`crate::catalogue::path_text`] writes it.
    pub path: String,
    /// Digest of its bytes; zero if it could not be read.
    pub digest: Digest,
    /// Index of the first spectrum of this part.
    pub first: usize,
    /// How many outcomes this part gave.
    pub spectra: usize,
    /// How many outcomes the whole file gives.
    pub total: usize,
}

impl Input {
    /// The digest of some inputs, whatever their order.
    pub fn digest_of<'a>(inputs: impl IntoIterator<Item = &'a Self>) -> Digest {
        let mut inputs: Vec<&Self> = inputs.into_iter().collect();
        inputs.sort_unstable();
        let mut hasher = blake3::Hasher::new();
        for Self { path, digest, first, spectra, total } in inputs {
            // The length in front keeps the end of one field apart from the begin of the next.
            hasher.update(&(path.len() as u64).to_le_bytes());
            hasher.update(path.as_bytes());
            hasher.update(&digest.0);
            for number in [first, spectra, total] {
                hasher.update(&(*number as u64).to_le_bytes());
            }
        }
        Digest(*hasher.finalize().as_bytes())
    }
}

/// The open ledger of one catalogue.
pub struct Ledger {
    path: PathBuf,
    connection: Connection,
    /// Whether the write-ahead log is folded into the database when this closes.
    writes: bool,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL,
        digest BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS segments (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        digest BLOB NOT NULL,
        inputs_digest BLOB NOT NULL
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

/// Pages of the write-ahead log that make SQLite fold it into the database, and the size in bytes
/// to which the log's file is cut then.
const LOG_PAGES: i64 = 1000;
const LOG_BYTES: i64 = 8 << 20;

/// What one connection keeps of the database in memory.
pub const CACHE_BYTES: usize = 2 << 20;
/// The same as SQLite takes it: a negative number is one of kibibytes.
const CACHE_KIBIBYTES: i64 = -2048;
/// What a connection takes beside its cache, about: its tables' definitions, prepared statements and
/// small buffers.
pub const CONNECTION_BYTES: usize = 256 << 10;

impl Ledger {
    /// Opens or creates the ledger and checks every page, note and digest in it.
    ///
    /// # Errors
    /// [`LedgerError`]; one for which [`LedgerError::is_damage`] holds asks for a rebuild.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let open = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "cache_size", CACHE_KIBIBYTES)?;
            connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
            connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        };
        let ledger = Self {
            path: path.to_owned(),
            connection: open().map_err(LedgerError::sqlite(path))?,
            writes: true,
        };
        ledger.check()?;
        Ok(ledger)
    }

    /// Creates a ledger that nobody else opens and that is worth nothing until it is complete: no
    /// journal, no syncing. The caller syncs the file and gives it its name.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn create_scratch(path: &Path) -> Result<Self, LedgerError> {
        let create = || {
            let connection = Connection::open(path)?;
            connection.pragma_update(None, "journal_mode", "MEMORY")?;
            connection.pragma_update(None, "synchronous", "OFF")?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        };
        let connection = create().map_err(LedgerError::sqlite(path))?;
        Ok(Self { path: path.to_owned(), connection, writes: false })
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
                Ok(Self { path: path.to_owned(), connection, writes: false })
            })
            .map_err(LedgerError::sqlite(path))
    }

    /// Lets one of several connections keep a share of [`CACHE_BYTES`] in memory, so that all of them
    /// together keep that much.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn sharing_cache(self, connections: usize) -> Result<Self, LedgerError> {
        let kibibytes = CACHE_KIBIBYTES / i64::try_from(connections.max(1)).unwrap_or(i64::MAX);
        self.connection
            .pragma_update(None, "cache_size", kibibytes.min(-1))
            .map_err(LedgerError::sqlite(&self.path))?;
        Ok(self)
    }

    /// A connection that neither writes nor leaves a file beside the ledger, for when no process
    /// writes.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn open_at_rest(path: &Path) -> Result<Self, LedgerError> {
        let log = crate::catalogue::beside(path, "-wal");
        if log.metadata().is_ok_and(|log| log.len() > 0) {
            // A run died: what its log holds counts, and only SQLite can read it.
            return Self::open_reader(path);
        }
        // A URI takes some characters as its own, and of a name with two slashes a host.
        let name = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let name = path_text(&name).replace('?', "%3F").replace('#', "%23");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(format!("file://{name}?immutable=1"), flags)
            .map_err(LedgerError::sqlite(path))?;
        Ok(Self { path: path.to_owned(), connection, writes: false })
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
            .execute(
                "INSERT OR IGNORE INTO meta VALUES (?1, ?2, ?3)",
                params![key, value, note_digest(key, value).0],
            )
            .map(|_| ())
            .map_err(self.error())
    }

    /// Marks inputs as done and their segment as part of the catalogue, in one transaction. To
    /// commit again what is committed already changes nothing.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing is marked then.
    pub fn commit(&mut self, segment: &Segment, inputs: &[Input]) -> Result<(), LedgerError> {
        let path = self.path.clone();
        let inputs_digest = Input::digest_of(inputs);
        let mut commit = || {
            // A dropped transaction is rolled back.
            let transaction = self.connection.transaction()?;
            let known: Option<[u8; 32]> = transaction
                .query_row(
                    "SELECT inputs_digest FROM segments WHERE name = ?1",
                    [&segment.name],
                    |row| row.get(0),
                )
                .optional()?;
            if known == Some(inputs_digest.0) {
                return Ok(());
            }
            transaction.execute(
                "INSERT INTO segments (name, digest, inputs_digest) VALUES (?1, ?2, ?3)",
                params![segment.name, segment.digest.0, inputs_digest.0],
            )?;
            let id = transaction.last_insert_rowid();
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO inputs (digest, path, first, spectra, total, segment)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?;
                for Input { digest, path, first, spectra, total } in inputs {
                    let numbers = [*first as u64, *spectra as u64, *total as u64];
                    let [first, spectra, total] = numbers;
                    insert.execute(params![digest.0, path, first, spectra, total, id])?;
                }
            }
            crash_point!("commit-recorded");
            fail::fail_point!("commit-ledger", |_| Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
                None
            )));
            transaction.commit()
        };
        commit().map_err(LedgerError::sqlite(&path))
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
        forget().map_err(LedgerError::sqlite(&path))
    }

    /// Makes a content that a path had before its newest one again, without processing it anew.
    /// Returns how many parts it has.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing is changed then.
    pub fn promote(&mut self, digest: Digest, path: &str) -> Result<usize, LedgerError> {
        let database = self.path.clone();
        let mut promote = || {
            let transaction = self.connection.transaction()?;
            let parts: Vec<i64> = transaction
                .prepare("SELECT id FROM inputs WHERE path = ?1 AND digest = ?2 ORDER BY id")?
                .query_map(params![path, digest.0], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            // The newest content of a path is that of its largest id.
            for id in &parts {
                transaction.execute(
                    "UPDATE inputs SET id = (SELECT max(id) + 1 FROM inputs) WHERE id = ?1",
                    [id],
                )?;
            }
            transaction.commit().map(|()| parts.len())
        };
        promote().map_err(LedgerError::sqlite(&database))
    }

    fn error(&self) -> impl FnOnce(rusqlite::Error) -> LedgerError + '_ {
        LedgerError::sqlite(&self.path)
    }
}

impl Drop for Ledger {
    /// Folds the log into the database, so that a ledger at rest is one file.
    fn drop(&mut self) {
        if self.writes
            && let Err(error) = self.settle()
        {
            tracing::debug!(%error, "the ledger's log stays for the next run");
        }
    }
}

/// What vouches for a note: SQLite alone would not notice a changed letter.
fn note_digest(key: &str, value: &str) -> Digest {
    Digest::of(format!("{key}\0{value}").as_bytes())
}

#[cfg(test)]
mod tests;
