//! The files of a release while a plan is made: on disk, so that memory does not grow with them, and
//! in the order of their names, however they came.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::{BackfillError, Entry};

/// An open roll: one process at a time.
pub struct Roll {
    path: PathBuf,
    connection: Connection,
}

/// Names that are excluded are in a table of their own, since they come before or after the files.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS request (text TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS files (
        path BLOB NOT NULL,
        first INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (path, first)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS done (path BLOB PRIMARY KEY) WITHOUT ROWID;
";

/// What the database keeps in memory, KiB, as SQLite takes it.
const CACHE: i64 = -16_384;

impl Roll {
    /// Opens or creates the roll for a request; one that was interrupted goes on.
    ///
    /// # Errors
    /// [`BackfillError::OtherRequest`] if it was begun for another, and [`BackfillError::Roll`].
    pub fn open(path: &Path, request: &str) -> Result<Self, BackfillError> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(path)?;
            // It may lie on a network's file system, where the log of a database cannot be shared.
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            connection.pragma_update(None, "journal_mode", "TRUNCATE")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.pragma_update(None, "cache_size", CACHE)?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        };
        let roll = Self { path: path.to_owned(), connection: open().map_err(Self::error(path))? };
        let found = roll.run(|connection| {
            connection.query_row("SELECT text FROM request", [], |row| row.get(0)).optional()
        })?;
        match found {
            None => {
                roll.run(|it| it.execute("INSERT INTO request VALUES (?1)", [request]))?;
            }
            Some(found) if found == request => {}
            Some(found) => {
                let folder = path.parent().unwrap_or(path).to_owned();
                return Err(BackfillError::OtherRequest { folder, found });
            }
        }
        Ok(roll)
    }

    fn error(path: &Path) -> impl FnOnce(rusqlite::Error) -> BackfillError + '_ {
        move |source| BackfillError::Roll { path: path.to_owned(), source }
    }

    fn run<T>(
        &self,
        action: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, BackfillError> {
        action(&self.connection).map_err(Self::error(&self.path))
    }

    /// Whether some rows of this file are on the roll.
    ///
    /// # Errors
    /// [`BackfillError::Roll`].
    pub fn knows(&self, path: &Path) -> Result<bool, BackfillError> {
        self.run(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT 1 FROM files WHERE path = ?1 LIMIT 1")?;
            statement.exists([path.as_os_str().as_bytes()])
        })
    }

    /// Adds entries; one that is there already stays as it is.
    ///
    /// # Errors
    /// [`BackfillError::Roll`].
    pub fn add(&mut self, entries: &[Entry]) -> Result<(), BackfillError> {
        let Self { path, connection } = self;
        let mut add = || -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            {
                let mut statement = transaction
                    .prepare_cached("INSERT OR IGNORE INTO files VALUES (?1, ?2, ?3, ?4)")?;
                for Entry { path, bytes, first, rows } in entries {
                    let (name, rows) = (path.as_os_str().as_bytes(), rows.unwrap_or(0));
                    statement.execute(params![name, first, rows, bytes])?;
                }
            }
            transaction.commit()
        };
        add().map_err(Self::error(path))
    }

    /// Notes names that are not wanted.
    ///
    /// # Errors
    /// [`BackfillError::Roll`].
    pub fn exclude(&mut self, names: &[PathBuf]) -> Result<(), BackfillError> {
        let Self { path, connection } = self;
        let mut add = || -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            {
                let mut statement =
                    transaction.prepare_cached("INSERT OR IGNORE INTO done VALUES (?1)")?;
                for name in names {
                    statement.execute([name.as_os_str().as_bytes()])?;
                }
            }
            transaction.commit()
        };
        add().map_err(Self::error(path))
    }

    /// How many files are on the roll that are not wanted.
    ///
    /// # Errors
    /// [`BackfillError::Roll`].
    pub fn excluded(&self) -> Result<u64, BackfillError> {
        self.run(|connection| {
            let count = "SELECT count(*) FROM files WHERE path IN (SELECT path FROM done)";
            connection.query_row(count, [], |row| row.get(0))
        })
    }

    /// Calls `visit` for every entry that is wanted, in the order of their names as bytes.
    ///
    /// # Errors
    /// [`BackfillError::Roll`], and those of `visit`.
    pub fn each(
        &self,
        visit: &mut dyn FnMut(Entry) -> Result<(), BackfillError>,
    ) -> Result<(), BackfillError> {
        let error = |source| BackfillError::Roll { path: self.path.clone(), source };
        let mut statement = self
            .connection
            .prepare(
                "SELECT path, first, rows, bytes FROM files
                 WHERE path NOT IN (SELECT path FROM done) ORDER BY path, first",
            )
            .map_err(error)?;
        let mut rows = statement.query([]).map_err(error)?;
        while let Some(row) = rows.next().map_err(error)? {
            let read = || -> rusqlite::Result<Entry> {
                let rows: u64 = row.get(2)?;
                Ok(Entry {
                    path: OsString::from_vec(row.get(0)?).into(),
                    first: row.get(1)?,
                    rows: (rows > 0).then_some(rows),
                    bytes: row.get(3)?,
                })
            };
            visit(read().map_err(error)?)?;
        }
        Ok(())
    }

    /// Closes the roll and removes its file.
    ///
    /// # Errors
    /// [`BackfillError::Io`].
    pub fn remove(self) -> Result<(), BackfillError> {
        let Self { path, connection } = self;
        drop(connection);
        std::fs::remove_file(&path).map_err(BackfillError::io(&path))?;
        // What the journal leaves behind is empty.
        let _ = std::fs::remove_file(crate::catalogue::beside(&path, "-journal"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, first: u64, rows: Option<u64>) -> Entry {
        Entry { path: path.into(), bytes: 7, first, rows }
    }

    #[test]
    fn entries_come_back_in_order_once_and_without_those_that_are_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roll.sqlite");
        let mut roll = Roll::open(&path, "request").unwrap();
        let odd: PathBuf = OsString::from_vec(b"a\n\xff".to_vec()).into();
        let weird = Entry { path: odd.clone(), bytes: 1, first: 0, rows: None };
        roll.add(&[entry("b", 10, Some(5)), weird.clone(), entry("c", 0, None)]).unwrap();
        drop(roll);
        let mut roll = Roll::open(&path, "request").unwrap();
        assert!(roll.knows(&odd).unwrap());
        assert!(!roll.knows(Path::new("a")).unwrap());
        let first = entry("b", 0, Some(10));
        roll.add(&[first.clone(), entry("b", 10, Some(5))]).unwrap();
        roll.exclude(&["c".into(), "z".into()]).unwrap();
        assert_eq!(roll.excluded().unwrap(), 1);
        let mut found = Vec::new();
        roll.each(&mut |entry| {
            found.push(entry);
            Ok(())
        })
        .unwrap();
        assert_eq!(found, [weird, first, entry("b", 10, Some(5))]);
        roll.remove().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_roll_that_was_begun_for_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roll.sqlite");
        drop(Roll::open(&path, "one").unwrap());
        let error = Roll::open(&path, "other").err().unwrap();
        assert!(matches!(error, BackfillError::OtherRequest { .. }), "{error}");
    }
}
