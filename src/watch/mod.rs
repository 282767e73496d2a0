//! Inboxes: the folders in which a telescope's pipeline puts its files, and which of these are
//! complete.
//!
//! Each inbox has a thread (`inbox`) that hears of files by inotify (`folders`), lists its folders
//! now and then for what no event told of (`scan`), and follows each file by the rules of `settle`
//! until its structure is whole (`whole`). Complete files meet in a `queue` that gives them by
//! priority and age; what is done is kept in `seen`.
//!
//! A file is given at least once until [`Watch::done`] is called for it, and not again unless its
//! size, time or inode changes. What is in memory is bounded: where more files wait than
//! [`WatchSettings::waiting`], the oldest are kept and the folders are listed again when there is
//! room for the rest.

mod bell;
mod folders;
mod inbox;
mod look;
mod queue;
mod scan;
mod seen;
pub mod settle;
mod waiting;
mod whole;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ledger::CACHE_BYTES;
use bell::Bell;
use inbox::Keeper;
use queue::Queue;
use seen::Seen;

/// Which files are given first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// The night that is being observed: before everything else, always.
    Live,
    /// What was left over, or comes from another place: whenever nothing live waits.
    CatchUp,
}

/// A folder in which files appear, at any depth.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Inbox {
    /// What it is called in logs and on the board.
    pub name: String,
    /// Where it is. It may appear later.
    pub folder: PathBuf,
    /// Whether its files come first.
    pub priority: Priority,
}

/// How to watch. `config/default.toml` gives the reason of each value.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchSettings {
    /// The folders, none within another.
    pub inboxes: Vec<Inbox>,
    /// A file that was not renamed into place is stable after so long without a change.
    pub settle: Duration,
    /// A file that is not whole is taken as it is after so long without a change.
    pub give_up: Duration,
    /// How often the folders are listed.
    pub rescan: Duration,
    /// Whether the kernel is asked for events.
    pub inotify: bool,
    /// Complete files that wait in memory, for each inbox.
    pub waiting: usize,
}

impl WatchSettings {
    /// Checks the inboxes without watching them.
    ///
    /// # Errors
    /// [`WatchError`] says what to change.
    pub fn check(&self) -> Result<(), WatchError> {
        absolute(&self.inboxes).map(|_| ())
    }
}

/// A complete file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its name.
    pub path: PathBuf,
    /// Index of its inbox in [`WatchSettings::inboxes`].
    pub inbox: usize,
    /// When it was renamed into place or last written.
    pub arrived: SystemTime,
}

/// How it stands with an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InboxState {
    /// Its name.
    pub name: String,
    /// Its priority.
    pub priority: Priority,
    /// Complete files that wait to be given.
    pub waiting: usize,
    /// Files that are not known to be complete.
    pub settling: usize,
    /// Files that were given and are not done.
    pub given: usize,
    /// How long ago the oldest file that waits arrived.
    pub oldest: Option<Duration>,
}

/// Watching could not begin.
#[derive(Debug, Error)]
pub enum WatchError {
    /// There is nothing to watch.
    #[error("no inbox is configured; add an [[inbox]] with name, folder and priority")]
    NoInbox,
    /// A file would have two names.
    #[error("inbox {inner} lies within inbox {outer}; give each inbox a folder of its own")]
    Overlap {
        /// The inbox within.
        inner: String,
        /// The inbox around it.
        outer: String,
    },
    /// The folder of the state cannot be used.
    #[error("{path}: {source}; make it a folder that starmill may write")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The list of what is done cannot be used.
    #[error("{path}: {source}; check space and permissions, or remove it: it only saves time")]
    Store {
        /// The database.
        path: PathBuf,
        /// The cause.
        source: rusqlite::Error,
    },
    /// The system gives no thread.
    #[error("no thread can be started: {0}; raise the limit of tasks")]
    Thread(std::io::Error),
    /// The system gives no descriptor.
    #[error("no descriptor can be opened: {0}; raise the limit of open files")]
    Descriptor(std::io::Error),
}

impl WatchError {
    /// Whether a later try may succeed, as after a disk was full.
    pub fn may_pass(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, SystemIoFailure};
        match self {
            Self::Store { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(DatabaseBusy | DatabaseLocked | DiskFull | SystemIoFailure)
            ),
            Self::Folder { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }
}

/// Inboxes under watch. Dropping it ends its threads, and what was done is written first.
pub struct Watch {
    queue: Arc<Queue>,
    keepers: Vec<JoinHandle<()>>,
    seen: Seen,
}

impl Watch {
    /// Begins to watch. What is done is kept in the folder `seen`, which belongs to one process at
    /// a time.
    ///
    /// # Errors
    /// [`WatchError`] says what to change. A folder that is not there is no error.
    pub fn start(settings: &WatchSettings, seen: &Path) -> Result<Self, WatchError> {
        let inboxes = absolute(&settings.inboxes)?;
        let seen = Seen::open(seen)?;
        let bells = inboxes.iter().map(|_| Bell::new().map(Arc::new));
        let bells: Vec<_> =
            bells.collect::<Result<_, _>>().map_err(|it| WatchError::Descriptor(it.into()))?;
        let queue = Arc::new(Queue::new(&inboxes, &bells, settings.waiting.max(1)));
        let mut watch = Self { queue, keepers: Vec::new(), seen };
        for (number, (inbox, bell)) in inboxes.iter().zip(bells).enumerate() {
            let queue = Arc::clone(&watch.queue);
            let view = watch.seen.view()?;
            let keeper = Keeper::new(number, settings, inbox, bell, queue, view);
            let thread = std::thread::Builder::new().name(format!("inbox-{number}"));
            // Of an error, dropping what has begun ends it.
            let thread = thread.spawn(move || keeper.run()).map_err(WatchError::Thread)?;
            watch.keepers.push(thread);
        }
        Ok(watch)
    }

    /// The next file, if one comes within `patience`: one that is live before any other, and of
    /// those the oldest.
    pub fn next(&self, patience: Duration) -> Option<Arrival> {
        self.queue.next(patience)
    }

    /// The outcome of a file is durable: it is not given again unless its content changes.
    pub fn done(&self, path: &Path) {
        self.queue.done(path, |path, identity| self.seen.note(path, identity));
    }

    /// Lets [`Watch::next`] give again what it gave and what is not done, for whoever took it is
    /// no more.
    pub fn give_again(&self) {
        self.queue.give_again();
    }

    /// Whether the thread of an inbox has died. Only a fault of the program does that, and nothing
    /// of that inbox comes any more: whoever watches begins anew.
    pub fn has_failed(&self) -> bool {
        self.keepers.iter().any(JoinHandle::is_finished)
    }

    /// How it stands with each inbox, in the order of the settings.
    pub fn waiting(&self) -> Vec<InboxState> {
        self.queue.states()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.queue.close();
        for keeper in self.keepers.drain(..) {
            let _ = keeper.join();
        }
    }
}

/// What watching takes, at the most: names that wait or settle and folders of every inbox, notes of
/// what is done, and SQLite's caches. Names are taken to be of ordinary length.
pub fn most_bytes(settings: &WatchSettings) -> u64 {
    const NAME: usize = 256;
    let inbox = (2 * settings.waiting + scan::MAX_FOLDERS) * NAME + CACHE_BYTES;
    (settings.inboxes.len() * inbox + seen::MOST_UNWRITTEN * NAME + CACHE_BYTES) as u64
}

/// The inboxes with absolute folders, of which none lies within another.
fn absolute(inboxes: &[Inbox]) -> Result<Vec<Inbox>, WatchError> {
    let absolute = |inbox: &Inbox| {
        // Through links where they lead somewhere by now, but keeping the name that was given.
        let unusable = |source| WatchError::Folder { path: inbox.folder.clone(), source };
        let folder = std::path::absolute(&inbox.folder).map_err(unusable)?;
        Ok(Inbox { folder, ..inbox.clone() })
    };
    let inboxes: Vec<Inbox> = inboxes.iter().map(absolute).collect::<Result<_, _>>()?;
    if inboxes.is_empty() {
        return Err(WatchError::NoInbox);
    }
    let real = |inbox: &Inbox| inbox.folder.canonicalize().unwrap_or(inbox.folder.clone());
    for (number, inner) in inboxes.iter().enumerate() {
        for (other, outer) in inboxes.iter().enumerate() {
            if number != other && real(inner).starts_with(real(outer)) {
                let (inner, outer) = (inner.name.clone(), outer.name.clone());
                return Err(WatchError::Overlap { inner, outer });
            }
        }
    }
    Ok(inboxes)
}
