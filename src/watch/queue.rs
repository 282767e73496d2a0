//! Where inboxes and the one who asks for files meet: what waits, and what was given.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::bell::Bell;
use super::look::Look;
use super::settle::Identity;
use super::waiting::Waiting;
use super::{Arrival, Inbox, InboxState, Priority};

/// The state that threads share.
pub struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    /// As many as may be given and not done; beyond that nothing is given until some are.
    most_given: usize,
}

struct State {
    desks: Vec<Desk>,
    given: HashMap<Arc<Path>, Given>,
    is_closing: bool,
}

/// One inbox.
struct Desk {
    name: String,
    priority: Priority,
    waiting: Waiting,
    settling: usize,
    /// Files that the inbox shall look at again.
    again: Vec<Arc<Path>>,
    wants_scan: bool,
    bell: Arc<Bell>,
}

/// A file that was given and is not done.
struct Given {
    inbox: usize,
    identity: Identity,
    arrived: SystemTime,
    /// It has become another since, and that is complete as well.
    next: Option<(Identity, SystemTime)>,
}

/// What the queue asks of an inbox.
#[derive(Debug, Default)]
pub struct Wishes {
    pub look_at: Vec<Arc<Path>>,
    pub scan: bool,
    pub stop: bool,
}

impl Queue {
    /// A queue of at most `most` files that wait for each inbox, and as many that are given.
    pub fn new(inboxes: &[Inbox], bells: &[Arc<Bell>], most: usize) -> Self {
        let desks = inboxes.iter().zip(bells).map(|(inbox, bell)| Desk {
            name: inbox.name.clone(),
            priority: inbox.priority,
            waiting: Waiting::new(most),
            settling: 0,
            again: Vec::new(),
            wants_scan: false,
            bell: Arc::clone(bell),
        });
        let state = State { desks: desks.collect(), given: HashMap::new(), is_closing: false };
        Self { state: Mutex::new(state), ready: Condvar::new(), most_given: most }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a complete file, unless this content was given already.
    pub fn add(&self, inbox: usize, path: &Arc<Path>, identity: Identity, arrived: SystemTime) {
        let mut state = self.lock();
        if let Some(given) = state.given.get_mut(path) {
            given.next = (given.identity != identity).then_some((identity, arrived));
            return;
        }
        state.desks[inbox].waiting.add(path, identity, arrived);
        self.ready.notify_one();
    }

    /// Whether a file that arrived then would find room. If not, the inbox is listed again later.
    pub fn has_room(&self, inbox: usize, arrived: SystemTime) -> bool {
        self.lock().desks[inbox].waiting.has_room(arrived)
    }

    /// A file was left out before it came here.
    pub fn leave_out(&self, inbox: usize) {
        self.lock().desks[inbox].waiting.leave_out();
    }

    /// The content of a file that waits or was given.
    pub fn identity(&self, inbox: usize, path: &Path) -> Option<Identity> {
        let state = self.lock();
        match state.given.get(path) {
            Some(given) => Some(given.next.map_or(given.identity, |(identity, _)| identity)),
            None => state.desks[inbox].waiting.identity(path),
        }
    }

    /// A file is gone or is another now: what waits of it waits no more.
    pub fn withdraw(&self, inbox: usize, path: &Path) {
        let mut state = self.lock();
        state.desks[inbox].waiting.remove(path);
        if let Some(given) = state.given.get_mut(path) {
            given.next = None;
        }
    }

    /// What an inbox is to do, and how many files it follows for [`Queue::states`].
    pub fn wishes(&self, inbox: usize, settling: usize) -> Wishes {
        let mut state = self.lock();
        let stop = state.is_closing;
        let desk = &mut state.desks[inbox];
        desk.settling = settling;
        // While it follows as many as it may, a scan would find no room.
        let has_room = settling <= self.most_given / 2;
        let scan =
            has_room && (std::mem::take(&mut desk.wants_scan) || desk.waiting.take_wants_more());
        Wishes { look_at: std::mem::take(&mut desk.again), scan, stop }
    }

    /// The next file, if one comes within `patience`: of the highest priority, and of those the
    /// oldest.
    pub fn next(&self, patience: Duration) -> Option<Arrival> {
        let deadline = Instant::now().checked_add(patience);
        let mut state = self.lock();
        loop {
            if let Some((inbox, path, identity, arrived)) = state.take(self.most_given) {
                drop(state);
                // It may have changed since it was found complete, and it would be half then.
                let is_same =
                    matches!(Look::at(&path), Ok(Some(look)) if look.identity == identity);
                if is_same {
                    return Some(Arrival { path: path.to_path_buf(), inbox, arrived });
                }
                state = self.lock();
                state.given.remove(&path);
                let desk = &mut state.desks[inbox];
                desk.again.push(path);
                desk.bell.ring();
                continue;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            let waited = self.ready.wait_timeout(state, left.unwrap_or(Duration::from_hours(1)));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes note that a file that was given is done. `note` gets its content before it counts as
    /// done here, so that it is known to one or the other at every moment.
    pub fn done(&self, path: &Path, note: impl FnOnce(Arc<Path>, Identity)) {
        let mut state = self.lock();
        let Some((path, given)) = state.given.remove_entry(path) else {
            tracing::debug!(path = %path.display(), "done, and was not given");
            return;
        };
        note(Arc::clone(&path), given.identity);
        if let Some((identity, arrived)) = given.next {
            state.desks[given.inbox].waiting.add(&path, identity, arrived);
        }
        self.ready.notify_one();
    }

    /// Lets everything wait again that was given and is not done.
    pub fn give_again(&self) {
        let mut state = self.lock();
        let State { desks, given, .. } = &mut *state;
        for (path, given) in given.drain() {
            let (identity, arrived) = given.next.unwrap_or((given.identity, given.arrived));
            desks[given.inbox].waiting.add(&path, identity, arrived);
        }
        self.ready.notify_all();
    }

    /// How it stands with each inbox.
    pub fn states(&self) -> Vec<InboxState> {
        let state = self.lock();
        let mut given = vec![0; state.desks.len()];
        state.given.values().for_each(|file| given[file.inbox] += 1);
        let of = |(desk, given): (&Desk, usize)| InboxState {
            name: desk.name.clone(),
            priority: desk.priority,
            waiting: desk.waiting.len(),
            settling: desk.settling,
            given,
            oldest: desk.waiting.oldest().map(|oldest| oldest.elapsed().unwrap_or_default()),
        };
        state.desks.iter().zip(given).map(of).collect()
    }

    /// Asks every inbox to end.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closing = true;
        for desk in &state.desks {
            desk.bell.ring();
        }
    }
}

impl State {
    /// Moves the file that is next from those that wait to those that are given.
    fn take(&mut self, most_given: usize) -> Option<(usize, Arc<Path>, Identity, SystemTime)> {
        if self.given.len() >= most_given {
            return None;
        }
        let first = self.desks.iter().enumerate().filter_map(|(inbox, desk)| {
            desk.waiting.oldest().map(|oldest| (desk.priority, oldest, inbox))
        });
        let (_, _, inbox) = first.min()?;
        let desk = &mut self.desks[inbox];
        let (path, identity, arrived) = desk.waiting.pop()?;
        if desk.waiting.take_wants_more() {
            desk.wants_scan = true;
            desk.bell.ring();
        }
        let given = Given { inbox, identity, arrived, next: None };
        self.given.insert(Arc::clone(&path), given);
        Some((inbox, path, identity, arrived))
    }
}
