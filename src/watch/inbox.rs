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
use super::scan::{Entry, Scan};
use super::seen::View;
use super::settle::{Rules, Settling, Sign, Step};
use super::whole::Inspector;
use super::{Inbox, WatchSettings};

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
    /// Device and number of the inbox's folder, by which another one of its name is told.
    id: Option<(u64, u64)>,
}

struct Listing {
    scan: Scan,
    is_whole_inbox: bool,
    begun: Duration,
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
        let folders = settings.inotify.then(Folders::new).and_then(|folders| {
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
            next_scan: Duration::ZERO,
            id: None,
        }
    }

    /// Works until the queue asks it to stop.
    pub fn run(mut self) {
        let mut next_beat = Duration::ZERO;
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
            let changes = self.folders.as_mut().map(Folders::changes).unwrap_or_default();
            let is_idle = changes.is_empty();
            for change in changes {
                self.hear(change);
            }
            if self.now() >= next_beat {
                self.look_at_folder();
                next_beat = self.now() + BEAT;
            }
            let is_idle = !self.look_at_due() && is_idle;
            let is_idle = !self.list_some() && is_idle;
            if is_idle {
                let due = self.due.first().map_or(Duration::MAX, |(due, _)| *due);
                let until = due.min(next_beat).min(self.next_scan);
                let events = self.folders.as_ref().map(Folders::as_fd);
                self.bell.wait(events, until.saturating_sub(self.now()));
            }
        }
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
                self.begin_scan(&path, false);
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
        match id {
            Some(_) => tracing::info!(%inbox, %folder, "folder is there"),
            None => {
                tracing::warn!(%inbox, %folder, "folder is gone, it is watched again once it is back; mount or make it")
            }
        }
        self.id = id;
        if let Some(folders) = &mut self.folders {
            folders.forget(&self.folder);
        }
        self.next_scan = self.now();
    }

    fn begin_scan(&mut self, folder: &Path, is_whole_inbox: bool) {
        let begun = self.now();
        if is_whole_inbox {
            // It finds what others would.
            self.scans.clear();
            self.next_scan = Duration::MAX;
        } else if self.scans.len() >= PORTION {
            // So many new folders are found together.
            self.next_scan = begun;
            return;
        }
        let scan = if is_whole_inbox { Scan::of(folder) } else { Scan::of_new(folder) };
        self.scans.push(Listing { scan, is_whole_inbox, begun });
    }

    /// Lists a portion of what is to be listed. False if there is nothing.
    fn list_some(&mut self) -> bool {
        let is_listing = self.scans.iter().any(|listing| listing.is_whole_inbox);
        if !is_listing && self.now() >= self.next_scan {
            self.begin_scan(&self.folder.clone(), true);
        }
        // A folder that appeared just now comes first.
        for _ in 0..PORTION {
            let Some(listing) = self.scans.last_mut() else { return false };
            match listing.scan.next() {
                Some(Entry::File(path)) => self.look(&path.into(), Sign::Seen),
                Some(Entry::Folder(path)) => {
                    if let Some(folders) = &mut self.folders {
                        folders.watch(&path);
                    }
                }
                Some(Entry::Other) => {}
                None => {
                    if listing.is_whole_inbox {
                        let took = self.started.elapsed().saturating_sub(listing.begun);
                        let pause = self.rescan.max(took * REST_FACTOR);
                        tracing::debug!(inbox = %self.name, seconds = took.as_secs_f64(), "listed");
                        // Unless something asked for another listing meanwhile.
                        if self.next_scan == Duration::MAX {
                            self.next_scan = self.started.elapsed() + pause;
                        }
                    }
                    self.scans.pop();
                }
            }
        }
        true
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
        let look = match Look::at(path) {
            Ok(Some(look)) => look,
            Ok(None) => return self.forget(path),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "cannot be looked at now");
                return self.forget(path);
            }
        };
        let now = self.now();
        match self.following.get_mut(path) {
            Some(followed) => {
                if followed.settling.identity() != look.identity {
                    followed.arrived = look.touched;
                }
                followed.settling.observe(sign, look.identity, now);
            }
            None => {
                let taken = self.queue.identity(self.inbox, path).or_else(|| self.seen.done(path));
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
        }
        self.advance(path);
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
