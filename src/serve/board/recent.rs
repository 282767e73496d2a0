//! The last things of a kind, numbered, so that a reader can ask for what is new.

use std::collections::VecDeque;

/// A ring of the last `most` things.
pub(super) struct Recent<T> {
    things: VecDeque<T>,
    most: usize,
    // The number of the next one.
    next: u64,
    // Whether things are kept without being shown, because older ones are still to come.
    held: bool,
}

impl<T> Recent<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { things: VecDeque::with_capacity(most), most, next: 1, held: false }
    }

    /// Adds a thing, made from its number, which begins at 1.
    pub(super) fn push(&mut self, make: impl FnOnce(u64) -> T) {
        if self.things.len() == self.most {
            self.things.pop_front();
        }
        self.things.push_back(make(self.next));
        self.next += u64::from(!self.held);
    }

    /// From now on what is pushed is neither shown nor numbered.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// Shows what was held, behind what is older than it; all get their numbers now.
    pub(super) fn release(&mut self, older: VecDeque<T>, mut number: impl FnMut(&mut T, u64)) {
        let held = std::mem::replace(&mut self.things, older);
        self.things.extend(held);
        self.things.drain(..self.things.len().saturating_sub(self.most));
        for thing in &mut self.things {
            number(thing, self.next);
            self.next += 1;
        }
        self.held = false;
    }

    /// Forgets all; numbers go on.
    pub(super) fn clear(&mut self) {
        self.things.clear();
    }

    /// The number of the newest; 0 before the first.
    pub(super) fn newest(&self) -> u64 {
        self.next - 1
    }

    /// The newest `most` of those with a number above `after`, oldest first.
    pub(super) fn after(&self, after: u64, most: usize) -> impl Iterator<Item = &T> {
        // A number from before a restart asks for all that is there.
        let after = if after >= self.next { 0 } else { after };
        let shown = if self.held { 0 } else { self.things.len() };
        let oldest = self.next - shown as u64;
        let skip = usize::try_from((after + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        let skip = skip.max(shown.saturating_sub(most));
        self.things.iter().take(shown).skip(skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_given_once_and_what_is_old_is_forgotten() {
        let mut ring = Recent::new(3);
        assert_eq!(ring.newest(), 0);
        (0..5).for_each(|_| ring.push(|number| number));
        let after = |after, most| ring.after(after, most).copied().collect::<Vec<_>>();
        assert_eq!(after(0, 9), [3, 4, 5]);
        assert_eq!(after(4, 9), [5]);
        assert_eq!(after(5, 9), [] as [u64; 0]);
        assert_eq!(after(0, 2), [4, 5]);
        assert_eq!(after(77, 9), [3, 4, 5]);
    }

    #[test]
    fn what_is_held_comes_behind_what_is_older_and_is_numbered_then() {
        let mut ring = Recent::new(4);
        ring.hold();
        ring.push(|number| (number, "c"));
        ring.push(|number| (number, "d"));
        assert_eq!((ring.newest(), ring.after(0, 9).count()), (0, 0));
        ring.release([(0, "x"), (0, "a"), (0, "b")].into(), |thing, number| thing.0 = number);
        ring.push(|number| (number, "e"));
        let shown: Vec<_> = ring.after(0, 9).copied().collect();
        assert_eq!(shown, [(2, "b"), (3, "c"), (4, "d"), (5, "e")]);
    }
}
