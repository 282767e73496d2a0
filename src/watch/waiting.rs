//! The complete files of one inbox that wait to be given, the oldest first, and not too many.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::settle::Identity;

/// Files in the order of their arrival, at most `most` of them.
#[derive(Debug)]
pub struct Waiting {
    by_age: BTreeMap<(SystemTime, Arc<Path>), Identity>,
    by_path: HashMap<Arc<Path>, SystemTime>,
    most: usize,
    /// Some did not fit, so that the folder has to be listed again when there is room.
    left_out: bool,
}

impl Waiting {
    pub fn new(most: usize) -> Self {
        Self { by_age: BTreeMap::new(), by_path: HashMap::new(), most, left_out: false }
    }

    pub fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Whether a file of this age would find room. If not, it counts as left out.
    pub fn has_room(&mut self, arrived: SystemTime) -> bool {
        let has_room = self.len() < self.most || self.newest().is_some_and(|it| arrived < it);
        self.left_out |= !has_room;
        has_room
    }

    /// Adds a file, or renews it. Where there is no room the newest is left out.
    pub fn add(&mut self, path: &Arc<Path>, identity: Identity, arrived: SystemTime) {
        self.remove(path);
        if !self.has_room(arrived) {
            return;
        }
        self.by_path.insert(Arc::clone(path), arrived);
        self.by_age.insert((arrived, Arc::clone(path)), identity);
        if self.len() > self.most
            && let Some(((_, newest), _)) = self.by_age.pop_last()
        {
            self.by_path.remove(&newest);
            self.left_out = true;
        }
    }

    pub fn remove(&mut self, path: &Path) {
        if let Some((path, arrived)) = self.by_path.remove_entry(path) {
            self.by_age.remove(&(arrived, path));
        }
    }

    pub fn identity(&self, path: &Path) -> Option<Identity> {
        let (path, arrived) = self.by_path.get_key_value(path)?;
        self.by_age.get(&(*arrived, Arc::clone(path))).copied()
    }

    pub fn oldest(&self) -> Option<SystemTime> {
        self.by_age.first_key_value().map(|((arrived, _), _)| *arrived)
    }

    fn newest(&self) -> Option<SystemTime> {
        self.by_age.last_key_value().map(|((arrived, _), _)| *arrived)
    }

    /// Takes the oldest out.
    pub fn pop(&mut self) -> Option<(Arc<Path>, Identity, SystemTime)> {
        let ((arrived, path), identity) = self.by_age.pop_first()?;
        self.by_path.remove(&path);
        Some((path, identity, arrived))
    }

    pub fn leave_out(&mut self) {
        self.left_out = true;
    }

    /// Whether files were left out and there is room for many of them now. Says so once.
    pub fn take_wants_more(&mut self) -> bool {
        self.left_out && self.len() <= self.most / 2 && std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_oldest_are_kept_and_the_rest_is_asked_for_later() {
        let moment = |second: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let name = |second: u64| Arc::from(Path::new(&format!("{second}.fits")));
        let identity = Identity { size: 1, modified: 1, inode: 1 };
        let mut waiting = Waiting::new(4);
        for second in [9, 3, 7, 1, 5, 8, 2] {
            waiting.add(&name(second), identity, moment(second));
        }
        assert_eq!(waiting.len(), 4);
        assert!(!waiting.take_wants_more(), "there is no room yet");
        let mut given = Vec::new();
        while let Some((path, ..)) = waiting.pop() {
            given.push(path.display().to_string());
        }
        assert_eq!(given, ["1.fits", "2.fits", "3.fits", "5.fits"]);
        assert!(waiting.by_path.is_empty());
        assert!(waiting.take_wants_more());
        assert!(!waiting.take_wants_more());

        // A file that is renewed is there once.
        waiting.add(&name(1), identity, moment(1));
        waiting.add(&name(1), Identity { size: 2, ..identity }, moment(6));
        assert_eq!((waiting.len(), waiting.oldest()), (1, Some(moment(6))));
        assert_eq!(waiting.identity(&name(1)).map(|identity| identity.size), Some(2));
    }
}
