//! The thread of one inbox: it hears of files, follows them until they are complete, and lists the
//! folders now and then for what it did not hear of.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::bell::Bell;
use super::folders::{Change, Folders};
use super::look::{Look, is_temporary, is_wanted};
use super::queue::Queue;
use super::scan::{Entry, MAX_FOLDERS, Scan};
use super::seen::View;
use super::settle::{Rules, Settling, Sign, Step};
use super::whole::Inspector;
use super::{Inbox, WatchSettings};
use crate::failpoint::panic_on;

/// How often the thread looks whether its folder is still the one that it knows.
const BEAT: Duration = Duration::from_secs(1);
/// Entries of a listing, or files that are due, between two looks at the events.
const PORTION: usize = 64;
/// A listing may take this part of the time: a folder that is long to list is listed less often.
const REST_FACTOR: u32 = 10;

/// One inbox at work.
pub struct Keeper {
    inbox: usize,
    folder: PathBuf,
    name: String,
    rules: Rules,
    rescan: Duration,
    /// Files that may be followed at once.
    most: usize,
    bell: Arc<Bell>,
    queue: Arc<Queue>,
    seen: View,
    folders: Option<Folders>,
    inspector: Inspector,
    started: Instant,
    following: HashMap<Arc<Path>, Followed>,
    due: BTreeSet<(Duration, Arc<Path>)>,
    /// What has to be listed now: the whole inbox, or folders that appeared.
    scans: Vec<Listing>,
    next_scan: Duration,
    next_beat: Duration,
    /// Device and number of the inbox's folder, by which another one of its name is told.
    id: Option<(u64, u64)>,
    /// Whether its folders are known.
    is_listed: bool,
}

struct Listing {
    scan: Scan,
    what: Listed,
    begun: Duration,
}

/// What is listed, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    /// The whole inbox.
    Inbox,
    /// The folders of the inbox, so that they are watched before its files, which may be many, are
    /// looked at.
    Folders,
    /// A folder that appeared.
    NewFolder,
}

/// A file that is not known to be complete.
struct Followed {
    settling: Settling,
    arrived: SystemTime,
    due: Duration,
}

impl Keeper {
    pub fn new(
        inbox: usize,
        settings: &WatchSettings,
        Inbox { name, folder, .. }: &Inbox,
        bell: Arc<Bell>,
        queue: Arc<Queue>,
        seen: View,
    ) -> Self {
        let folders = settings.inotify.then(|| Folders::new(MAX_FOLDERS)).and_then(|folders| {
            folders
                .inspect_err(|error| tracing::warn!(inbox = %name, %error, "the system gives no events of files, they are found by rescans alone; raise fs.inotify.max_user_instances with sysctl"))
                .ok()
        });
        Self {
            inbox,
            folder: folder.clone(),
            name: name.clone(),
            rules: Rules { settle: settings.settle, give_up: settings.give_up },
            rescan: settings.rescan,
            most: settings.waiting,
            bell,
            queue,
            seen,
            folders,
            inspector: Inspector::new(),
            started: Instant::now(),
            following: HashMap::new(),
            due: BTreeSet::new(),
            scans: Vec::new(),
            next_scan: Duration::MAX,
            next_beat: Duration::ZERO,
            id: None,
            is_listed: false,
        }
    }

    /// Works until the queue asks it to stop.
    pub fn run(mut self) {
        loop {
            let wishes = self.queue.wishes(self.inbox, self.following.len());
            if wishes.stop {
                return;
            }
            for path in wishes.look_at {
                self.look(&path, Sign::Seen);
            }
            if wishes.scan {
                self.next_scan = self.now();
            }
            if self.turn() {
                continue;
            }
            let due = self.due.first().map_or(Duration::MAX, |(due, _)| *due);
            let until = due.min(self.next_beat).min(self.next_scan);
            let events = self.folders.as_ref().map(Folders::as_fd);
            self.bell.wait(events, until.saturating_sub(self.now()));
        }
    }

    /// Does a portion of everything that is to be done. False if there was nothing.
    fn turn(&mut self) -> bool {
        let changes = self.folders.as_mut().map(Folders::changes).unwrap_or_default();
        let mut is_busy = !changes.is_empty();
        for change in changes {
            self.hear(change);
        }
        if self.now() >= self.next_beat {
            self.look_at_folder();
            self.next_beat = self.now() + BEAT;
        }
        is_busy |= self.look_at_due();
        is_busy | self.list_some()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn hear(&mut self, change: Change) {
        match change {
            Change::File(path, sign) => self.look(&path.into(), sign),
            Change::Gone(path) => {
                if let Some(folders) = &mut self.folders {
                    folders.forget(&path);
                }
                self.forget(&path);
            }
            Change::Folder(path) if !is_temporary(&path) => {
                // Files may be in it already, so it is watched first and listed then.
                self.begin_scan(&path, Listed::NewFolder);
            }
            Change::Folder(_) => {}
            Change::Missed => {
                tracing::info!(inbox = %self.name, "more happened than the system tells, the folders are listed again");
                self.next_scan = self.now();
            }
        }
    }

    /// Whether the inbox's folder appeared, vanished or became another, of which no event tells.
    fn look_at_folder(&mut self) {
        let metadata = std::fs::metadata(&self.folder).ok().filter(std::fs::Metadata::is_dir);
        let id = metadata.map(|it| (it.dev(), it.ino()));
        if id == self.id {
            return;
        }
        let (inbox, folder) = (&self.name, self.folder.display());
        if id.is_some() {
            tracing::info!(%inbox, %folder, "folder is there");
        } else {
            tracing::warn!(%inbox, %folder, "folder is gone, it is watched again once it is back; mount or make it");
        }
        self.id = id;
        self.is_listed = false;
        if let Some(folders) = &mut self.folders {
            folders.forget(&self.folder);
        }
        // What is being listed is of another folder now.
        self.scans.clear();
        self.next_scan = self.now();
    }

    fn begin_scan(&mut self, folder: &Path, what: Listed) {
        if self.scans.len() >= PORTION {
            // So many new folders are found together.
            self.next_scan = self.now();
            return;
        }
        let scan = match what {
            Listed::NewFolder => Scan::of_new(folder),
            Listed::Inbox | Listed::Folders => Scan::of(folder),
        };
        self.scans.push(Listing { scan, what, begun: self.now() });
    }

    /// Lists a portion of what is to be listed. False if there is nothing.
    fn list_some(&mut self) -> bool {
        let is_listing = self.scans.iter().any(|listing| listing.what == Listed::Inbox);
        if !is_listing && self.now() >= self.next_scan {
            self.next_scan = Duration::MAX;
            // It finds what the others would.
            self.scans.clear();
            let folder = self.folder.clone();
            self.begin_scan(&folder, Listed::Inbox);
            if !std::mem::replace(&mut self.is_listed, true) {
                self.begin_scan(&folder, Listed::Folders);
            }
        }
        // What came last goes first: a folder that appeared just now.
        for _ in 0..PORTION {
            let Some(listing) = self.scans.last_mut() else { return false };
            match listing.scan.next() {
                Some(Entry::File(_)) if listing.what == Listed::Folders => {}
                Some(Entry::File(path)) => self.look(&path.into(), Sign::Seen),
                Some(Entry::Folder(path)) => {
                    if let Some(folders) = &mut self.folders {
                        folders.watch(&path);
                    }
                }
                Some(Entry::Other) => {}
                None => {
                    let (what, begun) = (listing.what, listing.begun);
                    self.scans.pop();
                    if what == Listed::Inbox {
                        self.rest_from(begun);
                    }
                }
            }
        }
        true
    }

    /// The inbox was listed; sets when that is done again, unless somebody asked for it meanwhile.
    fn rest_from(&mut self, begun: Duration) {
        let took = self.now().saturating_sub(begun);
        tracing::debug!(inbox = %self.name, seconds = took.as_secs_f64(), "listed");
        if self.next_scan == Duration::MAX {
            self.next_scan = self.now() + self.rescan.max(took * REST_FACTOR);
        }
    }

    /// Looks at a portion of the files whose time has come. False if there is none.
    fn look_at_due(&mut self) -> bool {
        let now = self.now();
        for _ in 0..PORTION {
            let Some((_, path)) = self.due.first().filter(|(due, _)| *due <= now) else {
                return false;
            };
            let path = Arc::clone(path);
            self.look(&path, Sign::Seen);
        }
        true
    }

    /// Looks at one name, and does what its state asks for.
    fn look(&mut self, path: &Arc<Path>, sign: Sign) {
        if !is_wanted(path) {
            return;
        }
        panic_on("watch-look", path);
        let look = match Look::at(path) {
            Ok(Some(look)) => look,
            Ok(None) => return self.forget(path),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "cannot be looked at now");
                return self.forget(path);
            }
        };
        let now = self.now();
        if let Some(followed) = self.following.get_mut(path) {
            if followed.settling.identity() != look.identity {
                followed.arrived = look.touched;
            }
            followed.settling.observe(sign, look.identity, now);
        } else {
            self.follow(path, sign, look);
        }
        self.advance(path);
    }

    /// Begins to follow a file, unless it was taken as it is or there is no room for it.
    fn follow(&mut self, path: &Arc<Path>, sign: Sign, look: Look) {
        let taken = self.queue.identity(self.inbox, path).or_else(|| self.seen.done(path));
        let now = self.now();
        let begun = Settling::begin(taken, sign, look.identity, look.rested(), now);
        let Some(settling) = begun else { return };
        self.queue.withdraw(self.inbox, path);
        if !self.queue.has_room(self.inbox, look.touched) {
            return;
        }
        if self.following.len() >= self.most {
            return self.queue.leave_out(self.inbox);
        }
        let followed = Followed { settling, arrived: look.touched, due: now };
        self.following.insert(Arc::clone(path), followed);
    }

    fn advance(&mut self, path: &Arc<Path>) {
        while let Some(followed) = self.following.get_mut(path) {
            let now = self.started.elapsed();
            match followed.settling.step(now, self.rules) {
                Step::LookAt(due) => {
                    self.due.remove(&(followed.due, Arc::clone(path)));
                    followed.due = due;
                    self.due.insert((due, Arc::clone(path)));
                    return;
                }
                Step::Check => match self.inspector.inspect(path) {
                    Ok((identity, is_whole)) if identity == followed.settling.identity() => {
                        followed.settling.judge(is_whole);
                    }
                    Ok((identity, _)) => followed.settling.observe(Sign::Seen, identity, now),
                    // Permissions may still be given.
                    Err(_) => followed.settling.judge(false),
                },
                Step::Take => {
                    let (identity, arrived) = (followed.settling.identity(), followed.arrived);
                    self.unfollow(path);
                    self.queue.add(self.inbox, path, identity, arrived);
                }
            }
        }
    }

    fn unfollow(&mut self, path: &Path) {
        if let Some((path, followed)) = self.following.remove_entry(path) {
            self.due.remove(&(followed.due, path));
        }
    }

    fn forget(&mut self, path: &Path) {
        self.unfollow(path);
        self.queue.withdraw(self.inbox, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Priority;
    use crate::watch::seen::Seen;

    #[test]
    fn files_of_which_the_system_could_not_tell_are_found_by_listing() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("live");
        std::fs::create_dir(&folder).unwrap();
        let inbox = Inbox { name: "live".into(), folder: folder.clone(), priority: Priority::Live };
        let settings = WatchSettings {
            inboxes: vec![inbox.clone()],
            settle: Duration::from_millis(50),
            give_up: Duration::from_mins(1),
            rescan: Duration::from_hours(24),
            inotify: true,
            waiting: 65_536,
        };
        let bell = Arc::new(Bell::new().unwrap());
        let queue = Arc::new(Queue::new(&settings.inboxes, &[Arc::clone(&bell)], 65_536));
        let seen = Seen::open(&place.path().join("state")).unwrap();
        let view = seen.view().unwrap();
        let mut keeper = Keeper::new(0, &settings, &inbox, bell, Arc::clone(&queue), view);
        while keeper.turn() {}

        let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        // Creating and closing are an event each.
        let count = limit.trim().parse::<usize>().unwrap() / 2 + 500;
        for number in 0..count {
            std::fs::write(folder.join(format!("{number}.fits")), b"tiny").unwrap();
        }
        let mut is_missed = false;
        loop {
            let changes = keeper.folders.as_mut().unwrap().changes();
            if changes.is_empty() {
                break;
            }
            is_missed |= changes.contains(&Change::Missed);
            for change in changes {
                keeper.hear(change);
            }
        }
        let deadline = Instant::now() + Duration::from_mins(1);
        while queue.states()[0].waiting < count && Instant::now() < deadline {
            keeper.turn();
        }
        assert!(is_missed, "the system's queue was to overflow");
        assert_eq!(queue.states()[0].waiting, count);
    }
}
