//! What is still to come of a night, as far as anybody knows.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::night::Night;
use crate::watch::{InboxState, Priority};

/// What is on its way to a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// Nothing waits or is on its way at all.
    Nothing,
    /// Files of a catch-up that are not known to be of it.
    Others,
    /// Files of it, or live ones that may be.
    Expected,
}

/// The nights of files that are on their way, by number of the file: their headers were read and
/// their outcomes are not durable. It holds no more than the flow does.
#[derive(Debug, Default)]
pub(super) struct OnTheWay(Mutex<HashMap<u64, Night>>);

impl OnTheWay {
    /// A file was read, and is of this night.
    pub(super) fn note(&self, file: u64, night: Night) {
        self.lock().insert(file, night);
    }

    /// A file is done.
    pub(super) fn done(&self, file: u64) {
        self.lock().remove(&file);
    }

    /// A new flow begins: what the one before had in hand is given again.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Night>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is ahead of a night, given how it stands with the inboxes. What waits in a catch-up was not
/// read yet, so that nobody knows its night; if it kept all nights open, a catch-up of months would
/// keep tonight open for months.
pub(super) fn ahead(inboxes: &[InboxState], on_the_way: &OnTheWay, night: Night) -> Ahead {
    let left = |priority| {
        let inboxes = inboxes.iter().filter(|inbox| inbox.priority == priority);
        inboxes.map(|inbox| inbox.waiting + inbox.settling + inbox.given).sum::<usize>()
    };
    let is_on_the_way = || on_the_way.lock().values().any(|of| *of == night);
    match () {
        () if left(Priority::Live) > 0 || is_on_the_way() => Ahead::Expected,
        () if left(Priority::CatchUp) > 0 => Ahead::Others,
        () => Ahead::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catch_up_is_ahead_of_the_nights_that_its_files_are_known_to_be_of() {
        let inbox = |priority, [waiting, settling, given]: [usize; 3]| InboxState {
            name: String::new(),
            priority,
            waiting,
            settling,
            given,
            oldest: None,
        };
        let [tonight, before] =
            ["2017-11-11", "2017-11-10"].map(|date| Night::of_date(date).unwrap());
        let on_the_way = OnTheWay::default();
        let check = |live, catch_up, expected| {
            let inboxes = [inbox(Priority::Live, live), inbox(Priority::CatchUp, catch_up)];
            let found = [tonight, before].map(|night| ahead(&inboxes, &on_the_way, night));
            assert_eq!(found, expected, "{live:?} {catch_up:?}");
        };
        check([0; 3], [0; 3], [Ahead::Nothing; 2]);
        for one in [[1, 0, 0], [0, 1, 0], [0, 0, 1]] {
            check(one, [0; 3], [Ahead::Expected; 2]);
            check([0; 3], one, [Ahead::Others; 2]);
        }
        on_the_way.note(7, before);
        check([0; 3], [9, 0, 1], [Ahead::Others, Ahead::Expected]);
        on_the_way.done(7);
        check([0; 3], [9, 0, 0], [Ahead::Others; 2]);
    }
}
