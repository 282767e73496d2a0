//! Large files one at a time, so that the memory of many readers is that of one large file and
//! their small ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The right to hold a large file in memory, shared by all readers of a run.
#[derive(Debug, Clone, Default)]
pub struct LargeFiles(Arc<AtomicBool>);

/// Held by the reader whose turn it is, and given back when dropped.
#[derive(Debug)]
pub(super) struct Turn(Arc<AtomicBool>);

impl LargeFiles {
    pub(super) fn try_take(&self) -> Option<Turn> {
        let free = !self.0.swap(true, Ordering::Acquire);
        free.then(|| Turn(Arc::clone(&self.0)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reader_at_a_time_has_the_turn() {
        let large = LargeFiles::default();
        let turn = large.try_take();
        assert!(turn.is_some());
        assert!(large.clone().try_take().is_none());
        drop(turn);
        assert!(large.try_take().is_some());
    }
}
