//! Which files are done, kept on disk, so that a restart does not read an archive again.
//!
//! Nothing depends on it but time: the ledgers of the catalogues know what is committed, and a file
//! that is given again is found done there. So it is written in batches, after the fact, by a thread
//! of its own, and a store that is damaged is begun anew.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use super::WatchError;
use super::look::is_absent;
use super::settle::Identity;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS done (
        path BLOB PRIMARY KEY,
        size INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        noted INTEGER NOT NULL
    ) WITHOUT ROWID, STRICT;
";

/// How long a note may wait for others to be written with.
const BATCH_AGE: Duration = Duration::from_millis(200);
/// A batch of this size waits no longer.
const BATCH: usize = 1024;
/// Notes in memory. More come only while the disk refuses them; their files are given again.
pub(super) const MOST_UNWRITTEN: usize = 65_536;
/// How long the writer waits after a fault.
const PAUSE: Duration = Duration::from_secs(2);
/// A file that is absent is forgotten so long after it was done: it may be on a disk that comes
/// back.
const FORGET_AFTER: Duration = Duration::from_hours(30 * 24);
/// Notes that are looked through after the writing, and how often.
const REVIEW: usize = 500;
const REVIEW_EVERY: Duration = Duration::from_mins(1);

/// What is done: the newest in memory, the rest on disk.
pub struct Seen {
    path: PathBuf,
    unwritten: Arc<Unwritten>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Unwritten {
    notes: Mutex<Notes>,
    changed: Condvar,
}

#[derive(Default)]
struct Notes {
    done: HashMap<Arc<Path>, Identity>,
    is_closing: bool,
}

impl Unwritten {
    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Opens the store in a folder, which is made if it is not there.
    pub fn open(folder: &Path) -> Result<Self, WatchError> {
        let unusable = |source| WatchError::Folder { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let path = folder.join("seen.sqlite");
        let connection = match connect(&path) {
            Err(error) if is_damage(&error) => {
                tracing::warn!(path = %path.display(), %error, "the list of what is done is damaged, a new one is begun; files are looked at again, nothing is lost");
                remove(&path).map_err(unusable)?;
                connect(&path)
            }
            connection => connection,
        };
        let store = |source| WatchError::Store { path: path.clone(), source };
        let connection = connection.map_err(store)?;
        let unwritten = Arc::new(Unwritten::default());
        let writer = Writer {
            path: path.clone(),
            connection,
            unwritten: Arc::clone(&unwritten),
            reviewed: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("watch-seen".into());
        let thread = thread.spawn(move || writer.run()).map_err(WatchError::Thread)?;
        Ok(Self { path, unwritten, writer: Some(thread) })
    }

    /// A view for another thread.
    pub fn view(&self) -> Result<View, WatchError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let store = |source| WatchError::Store { path: self.path.clone(), source };
        let connection = Connection::open_with_flags(&self.path, flags).map_err(store)?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(store)?;
        Ok(View { connection, unwritten: Arc::clone(&self.unwritten) })
    }

    /// Notes that this content of a file is done.
    pub fn note(&self, path: Arc<Path>, identity: Identity) {
        let mut notes = self.unwritten.lock();
        if notes.done.len() >= MOST_UNWRITTEN && !notes.done.contains_key(&path) {
            return;
        }
        notes.done.insert(path, identity);
        self.unwritten.changed.notify_one();
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.unwritten.lock().is_closing = true;
        self.unwritten.changed.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// What one thread asks.
pub struct View {
    connection: Connection,
    unwritten: Arc<Unwritten>,
}

impl View {
    /// The content of a file that was done last.
    pub fn done(&self, path: &Path) -> Option<Identity> {
        // What is written leaves memory after it is on disk, so it is in one of them at least.
        if let Some(identity) = self.unwritten.lock().done.get(path) {
            return Some(*identity);
        }
        let query = || {
            let sql = "SELECT size, modified, inode FROM done WHERE path = ?1";
            let mut statement = self.connection.prepare_cached(sql)?;
            let read = |row: &rusqlite::Row<'_>| {
                let [size, modified, inode] = [row.get(0)?, row.get(1)?, row.get(2)?];
                Ok(Identity {
                    size: i64::cast_unsigned(size),
                    modified,
                    inode: i64::cast_unsigned(inode),
                })
            };
            statement.query_row([path.as_os_str().as_bytes()], read).optional()
        };
        query().unwrap_or_else(|error: rusqlite::Error| {
            tracing::debug!(path = %path.display(), %error, "the list of what is done cannot be read, the file is given again");
            None
        })
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A power cut may take back the last batches, at the price of reading their files again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Removes the store. Who has it open keeps it until the end.
fn remove(path: &Path) -> std::io::Result<()> {
    for ending in ["", "-wal", "-shm"] {
        match std::fs::remove_file(crate::catalogue::beside(path, ending)) {
            Err(error) if !is_absent(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

struct Writer {
    path: PathBuf,
    connection: Connection,
    unwritten: Arc<Unwritten>,
    /// The path up to which the notes were looked through.
    reviewed: Vec<u8>,
}

impl Writer {
    fn run(mut self) {
        let mut has_failed = false;
        loop {
            let (batch, is_closing) = self.wait();
            let result = if batch.is_empty() { self.review() } else { self.write(&batch) };
            match result {
                Ok(()) => {
                    has_failed = false;
                    let mut notes = self.unwritten.lock();
                    for (path, identity) in batch {
                        // It may have been done again since, with other content.
                        if notes.done.get(&path) == Some(&identity) {
                            notes.done.remove(&path);
                        }
                    }
                    if is_closing && notes.done.is_empty() {
                        return;
                    }
                }
                Err(error) => {
                    if !has_failed {
                        tracing::warn!(%error, "the list of what is done cannot be written, files may be looked at again; check space and permissions of the state folder");
                    }
                    if !has_failed && is_damage(&error) {
                        // The next start begins a new one.
                        let _ = remove(&self.path);
                    }
                    has_failed = true;
                    if is_closing {
                        return;
                    }
                    let notes = self.unwritten.lock();
                    drop(
                        self.unwritten
                            .changed
                            .wait_timeout_while(notes, PAUSE, |notes| !notes.is_closing),
                    );
                }
            }
        }
    }

    /// Waits for notes, or for the time of a review; then for some more notes.
    fn wait(&self) -> (Vec<(Arc<Path>, Identity)>, bool) {
        let is_idle = |notes: &mut Notes| notes.done.is_empty() && !notes.is_closing;
        let may_grow = |notes: &mut Notes| {
            !notes.done.is_empty() && notes.done.len() < BATCH && !notes.is_closing
        };
        let mut notes = self.unwritten.lock();
        for (patience, condition) in
            [(REVIEW_EVERY, &is_idle as &dyn Fn(&mut Notes) -> bool), (BATCH_AGE, &may_grow)]
        {
            let waited = self.unwritten.changed.wait_timeout_while(notes, patience, condition);
            notes = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let batch = notes.done.iter().map(|(path, identity)| (Arc::clone(path), *identity));
        (batch.collect(), notes.is_closing)
    }

    fn write(&mut self, batch: &[(Arc<Path>, Identity)]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let sql = "INSERT OR REPLACE INTO done VALUES (?1, ?2, ?3, ?4, ?5)";
            let mut statement = transaction.prepare_cached(sql)?;
            for (path, Identity { size, modified, inode }) in batch {
                statement.execute(params![
                    path.as_os_str().as_bytes(),
                    size.cast_signed(),
                    modified,
                    inode.cast_signed(),
                    unix_seconds(SystemTime::now()),
                ])?;
            }
        }
        transaction.commit()
    }

    /// Looks through a part of the notes and forgets old ones of files that are no more.
    fn review(&mut self) -> rusqlite::Result<()> {
        let old = unix_seconds(SystemTime::now() - FORGET_AFTER);
        let sql = "SELECT path, noted FROM done WHERE path > ?1 ORDER BY path LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![self.reviewed, REVIEW], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?))
        })?;
        let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
        self.reviewed = rows.last().map(|(path, _)| path.clone()).unwrap_or_default();
        for (path, noted) in rows {
            let is_gone = |path: &Path| path.symlink_metadata().is_err_and(|it| is_absent(&it));
            if noted < old && is_gone(Path::new(OsStr::from_bytes(&path))) {
                self.connection.execute("DELETE FROM done WHERE path = ?1", [&path])?;
            }
        }
        Ok(())
    }
}

fn unix_seconds(moment: SystemTime) -> i64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(size: u64) -> Identity {
        Identity { size, modified: -5, inode: u64::MAX }
    }

    #[test]
    fn what_is_noted_is_known_at_once_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let name = OsStr::from_bytes(b"/in/b\xff' OR 1=1.fits");
        let path: Arc<Path> = Path::new(name).into();
        {
            let seen = Seen::open(folder.path()).unwrap();
            let view = seen.view().unwrap();
            assert_eq!(view.done(&path), None);
            for size in [1, 2] {
                seen.note(Arc::clone(&path), identity(size));
                assert_eq!(view.done(&path), Some(identity(size)));
            }
            std::thread::sleep(BATCH_AGE * 3);
            assert!(seen.unwritten.lock().done.is_empty(), "it is written by now");
            assert_eq!(view.done(&path), Some(identity(2)));
            seen.note(Path::new("/in/last.fits").into(), identity(3));
        }
        let view = Seen::open(folder.path()).unwrap().view().unwrap();
        assert_eq!(view.done(&path), Some(identity(2)));
        assert_eq!(view.done(Path::new("/in/last.fits")), Some(identity(3)));
    }

    #[test]
    fn a_damaged_store_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("seen.sqlite"), vec![7; 10_000]).unwrap();
        let seen = Seen::open(folder.path()).unwrap();
        seen.note(Path::new("/in/a.fits").into(), identity(1));
        drop(seen);
        let view = Seen::open(folder.path()).unwrap().view().unwrap();
        assert_eq!(view.done(Path::new("/in/a.fits")), Some(identity(1)));
    }

    #[test]
    fn old_notes_of_files_that_are_no_more_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("there.fits");
        std::fs::write(&there, b"x").unwrap();
        let path = folder.path().join("seen.sqlite");
        let connection = connect(&path).unwrap();
        let mut writer =
            Writer { path, connection, unwritten: Arc::default(), reviewed: Vec::new() };
        let gone = folder.path().join("gone.fits");
        let new = folder.path().join("gone-lately.fits");
        let note = |path: &Path| (Arc::from(path), identity(1));
        writer.write(&[note(&there), note(&gone)]).unwrap();
        writer.connection.execute("UPDATE done SET noted = 1", []).unwrap();
        writer.write(&[note(&new)]).unwrap();
        writer.review().unwrap();
        let count = |path: &Path| -> i64 {
            let path = path.as_os_str().as_bytes();
            let sql = "SELECT count(*) FROM done WHERE path = ?1";
            writer.connection.query_row(sql, [path], |row| row.get(0)).unwrap()
        };
        assert_eq!([&there, &gone, &new].map(|path| count(path)), [1, 0, 1]);
    }
}
