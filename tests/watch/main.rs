//! Inboxes: every complete file is given once, none before it is complete, live ones first.

mod complete;
mod folders;
mod memory;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use starmill::watch::{Arrival, Inbox, Priority, Watch, WatchSettings};
use support::lrs::{Layout, Lrs};

const LONG: Duration = Duration::from_secs(20);
/// Longer than any file of these tests takes to settle.
const QUIET: Duration = Duration::from_millis(900);

/// Two inboxes, a place to make files in, and the state.
struct Place {
    folder: tempfile::TempDir,
    settings: WatchSettings,
    whole: Vec<u8>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inbox = |name: &str, priority| {
            let folder = folder.path().join(name);
            fs::create_dir(&folder).unwrap();
            Inbox { name: name.to_owned(), folder, priority }
        };
        let inboxes = vec![inbox("old", Priority::CatchUp), inbox("live", Priority::Live)];
        fs::create_dir(folder.path().join("making")).unwrap();
        let settings = WatchSettings {
            inboxes,
            settle: Duration::from_millis(200),
            give_up: Duration::from_mins(1),
            rescan: Duration::from_mins(1),
            inotify: true,
            waiting: 65_536,
        };
        Self { folder, settings, whole: Lrs::star(1).to_fits(Layout::Image) }
    }

    fn start(&self) -> Watch {
        Watch::start(&self.settings, &self.folder.path().join("state")).expect("it starts")
    }

    /// Starts and waits until the folders are watched.
    fn start_quiet(&self) -> Watch {
        let watch = self.start();
        self.put(b"no file", "live/.probe/probe.fits");
        assert_eq!(watch.next(QUIET / 2), None, "the inboxes are empty");
        watch
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a file elsewhere and renames it into place.
    fn put(&self, bytes: &[u8], name: &str) -> PathBuf {
        let (made, path) = (self.path("making/file"), self.path(name));
        fs::write(&made, bytes).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::rename(made, &path).unwrap();
        path
    }

    /// Many tiny files that are whole for all that can be seen of them.
    fn put_many(&self, folder: &str, count: usize) {
        fs::create_dir_all(self.path(folder)).unwrap();
        for number in 0..count {
            fs::write(self.path(&format!("{folder}/{number:06}.fits")), b"tiny").unwrap();
        }
    }
}

#[track_caller]
fn expect(watch: &Watch, path: &Path) -> Arrival {
    let arrival = watch.next(LONG).expect("a file is given");
    assert_eq!(arrival.path, path);
    arrival
}

/// Takes and finishes files until none comes for a while.
fn drain(watch: &Watch, patience: Duration) -> Vec<PathBuf> {
    std::iter::from_fn(|| watch.next(patience))
        .map(|arrival| {
            watch.done(&arrival.path);
            arrival.path
        })
        .collect()
}
