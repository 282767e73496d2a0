//! A folder that is looked at again and again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::input::{Found, Listing};

pub(super) struct Arrival {
    pub(super) path: PathBuf,
    pub(super) arrived: SystemTime,
}

/// One folder; a file is taken when it has not changed between two looks.
pub(super) struct Inbox {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: HashMap<PathBuf, (u64, SystemTime, bool)>,
    waiting: Vec<Arrival>,
    settling: usize,
}

impl Inbox {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, state: Mutex::default() }
    }

    pub(super) fn next(&self, patience: Duration) -> Option<Arrival> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() {
            drop(state);
            std::thread::sleep(patience.min(Duration::from_millis(100)));
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            self.look(&mut state);
        }
        state.waiting.pop()
    }

    fn look(&self, state: &mut State) {
        state.settling = 0;
        let Ok(listing) = Listing::start(vec![self.folder.clone()], std::io::empty()) else {
            return;
        };
        for found in listing {
            let Found::File(path) = found else { continue };
            let Ok(meta) = path.metadata() else { continue };
            let arrived = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            match state.seen.get_mut(&path) {
                Some((size, time, given)) if *size == meta.len() && *time == arrived => {
                    if !*given {
                        *given = true;
                        state.waiting.push(Arrival { path, arrived });
                    }
                }
                _ => {
                    state.settling += 1;
                    state.seen.insert(path, (meta.len(), arrived, false));
                }
            }
        }
    }

    pub(super) fn waiting(&self) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.len() + state.settling
    }
}
