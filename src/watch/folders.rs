//! What the kernel tells of the folders of one inbox: inotify, and which folder is which.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::ops::Bound;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::settle::Sign;

/// Something that happened in a watched folder.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// A file was created, closed after writing or renamed into place.
    File(PathBuf, Sign),
    /// A name is gone.
    Gone(PathBuf),
    /// A folder appeared.
    Folder(PathBuf),
    /// Some of what happened was not told.
    Missed,
}

/// Changes that are told at once; a buffer of them may be more.
const PORTION: usize = 1024;

/// The folders that are watched.
pub struct Folders {
    inotify: OwnedFd,
    by_watch: HashMap<i32, Arc<Path>>,
    by_path: BTreeMap<Arc<Path>, i32>,
    /// Folders that may be watched.
    most: usize,
    /// Said once: the system watches no more folders for us.
    is_limited: bool,
    buffer: Vec<MaybeUninit<u8>>,
}

impl Folders {
    pub fn new(most: usize) -> Result<Self, Errno> {
        Ok(Self {
            inotify: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?,
            by_watch: HashMap::new(),
            by_path: BTreeMap::new(),
            most,
            is_limited: false,
            buffer: vec![MaybeUninit::uninit(); 64 << 10],
        })
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Begins to watch a folder; says no more than once that there are too many.
    pub fn watch(&mut self, folder: &Path) {
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVE_SELF
            | WatchFlags::EXCL_UNLINK
            | WatchFlags::ONLYDIR;
        let is_known = self.by_path.contains_key(folder);
        let added = if is_known || self.by_path.len() < self.most {
            inotify::add_watch(&self.inotify, folder, flags)
        } else {
            Err(Errno::NOSPC)
        };
        match added {
            Ok(watch) => self.know(folder, watch),
            Err(Errno::NOSPC | Errno::NOMEM) if !self.is_limited => {
                self.is_limited = true;
                tracing::warn!(folder = %folder.display(), watched = self.by_path.len(), "the system watches no more folders, their files are found by rescans alone; raise fs.inotify.max_user_watches with sysctl");
            }
            // A folder that is gone already, or that others may not read, is a matter of the scan.
            Err(error) => tracing::debug!(folder = %folder.display(), %error, "not watched"),
        }
    }

    fn know(&mut self, folder: &Path, watch: i32) {
        let folder: Arc<Path> = folder.into();
        if let Some(other) = self.by_watch.insert(watch, Arc::clone(&folder))
            && other != folder
        {
            self.by_path.remove(&other);
        }
        if let Some(old) = self.by_path.insert(folder, watch)
            && old != watch
        {
            self.by_watch.remove(&old);
        }
    }

    /// Forgets a folder and all below it, for it has another name now, or none.
    pub fn forget(&mut self, folder: &Path) {
        let below = self.by_path.range::<Path, _>((Bound::Included(folder), Bound::Unbounded));
        let gone: Vec<_> = below
            .take_while(|(path, _)| path.starts_with(folder))
            .map(|(path, watch)| (Arc::clone(path), *watch))
            .collect();
        for (path, watch) in gone {
            // The kernel may have dropped it already.
            let _ = inotify::remove_watch(&self.inotify, watch);
            self.by_path.remove(&path);
            self.by_watch.remove(&watch);
        }
    }

    /// The next portion of what happened, in order. Empty when there is nothing more.
    pub fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut moved = Vec::new();
        while changes.len() < PORTION || !events.is_buffer_empty() {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(Errno::WOULDBLOCK) => break,
                Err(error) => {
                    tracing::warn!(%error, "events cannot be read, the folders are listed again");
                    changes.push(Change::Missed);
                    break;
                }
            };
            let what = event.events();
            if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                changes.push(Change::Missed);
                continue;
            }
            let Some(folder) = self.by_watch.get(&event.wd()) else { continue };
            if what.intersects(ReadFlags::IGNORED | ReadFlags::MOVE_SELF) {
                moved.push(Arc::clone(folder));
                continue;
            }
            let Some(name) = event.file_name() else { continue };
            let path = folder.join(OsStr::from_bytes(name.to_bytes()));
            let is_gone = what.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM);
            changes.push(match (what.contains(ReadFlags::ISDIR), is_gone) {
                (_, true) => Change::Gone(path),
                (true, false) => Change::Folder(path),
                (false, false) if what.contains(ReadFlags::MOVED_TO) => {
                    Change::File(path, Sign::Renamed)
                }
                (false, false) => Change::File(path, Sign::Seen),
            });
        }
        self.buffer = buffer;
        for folder in moved {
            self.forget(&folder);
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_folders_are_not_watched_and_the_others_are() {
        let place = tempfile::tempdir().unwrap();
        let mut folders = Folders::new(2).unwrap();
        for name in ["a", "b", "c"] {
            std::fs::create_dir(place.path().join(name)).unwrap();
            folders.watch(&place.path().join(name));
        }
        assert!(folders.is_limited);
        for name in ["a", "b", "c"] {
            std::fs::write(place.path().join(name).join("x.fits"), b"x").unwrap();
        }
        let changes = folders.changes();
        let heard = |name: &str| {
            changes.contains(&Change::File(place.path().join(name).join("x.fits"), Sign::Seen))
        };
        assert_eq!(["a", "b", "c"].map(heard), [true, true, false]);
        // Room that is given back is used.
        folders.forget(&place.path().join("a"));
        folders.watch(&place.path().join("c"));
        assert_eq!(folders.by_path.len(), 2);
        assert_eq!(folders.by_watch.len(), 2);
    }

    #[test]
    fn a_moved_folder_and_those_below_it_are_forgotten() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        std::fs::create_dir_all(path("a/b/c")).unwrap();
        std::fs::create_dir_all(path("a.b")).unwrap();
        let mut folders = Folders::new(10).unwrap();
        for name in ["", "a", "a/b", "a/b/c", "a.b"] {
            folders.watch(&path(name));
        }
        std::fs::rename(path("a/b"), path("moved")).unwrap();
        let changes = folders.changes();
        assert_eq!(changes, [Change::Gone(path("a/b")), Change::Folder(path("moved"))]);
        let known: Vec<_> = folders.by_path.keys().map(|path| path.to_path_buf()).collect();
        assert_eq!(known, [path(""), path("a"), path("a.b")]);
        // What happens below is not told by the old name.
        std::fs::write(path("moved/c/x.fits"), b"x").unwrap();
        assert_eq!(folders.changes(), []);
    }
}
