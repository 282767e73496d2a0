//! When one file is complete: rules without a clock, a disk or a thread.
//!
//! Moments are durations since some moment in the past that the caller keeps to.

use std::time::Duration;

/// By what the content of a file is told from another: as much as can be had without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Bytes.
    pub size: u64,
    /// Time of the last change of its content, in nanoseconds since 1970.
    pub modified: i64,
    /// A file that is renamed over another may have its size and time, but not its number.
    pub inode: u64,
}

/// How a file came to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It was renamed into place, which is done with whole files.
    Renamed,
    /// It was created, written, closed, found in a folder or looked at again.
    Seen,
}

/// How long to wait for a file.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// A file that was not renamed into place is stable after so long without a change.
    pub settle: Duration,
    /// A file that is stable and not whole is taken as it is after so long without a change.
    pub give_up: Duration,
}

/// What to do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Look at it again at that moment, or at its next event.
    LookAt(Duration),
    /// Find out whether its structure is whole.
    Check,
    /// Take it and forget it.
    Take,
}

/// A file that is not known to be complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settling {
    identity: Identity,
    /// When it was last seen to change.
    changed: Duration,
    /// How long it had rested when it was first seen.
    rested: Duration,
    renamed: bool,
    whole: Option<bool>,
}

impl Settling {
    /// Begins to follow a file, unless this content of it was taken before. `rested` is for how
    /// long it is certain not to have changed.
    pub fn begin(
        taken: Option<Identity>,
        sign: Sign,
        identity: Identity,
        rested: Duration,
        at: Duration,
    ) -> Option<Self> {
        (taken != Some(identity)).then_some(Self {
            identity,
            changed: at,
            rested,
            renamed: sign == Sign::Renamed,
            whole: None,
        })
    }

    /// The content that it had when it was last seen.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Notes what it is now.
    pub fn observe(&mut self, sign: Sign, identity: Identity, at: Duration) {
        if identity != self.identity {
            // Whoever writes to a file after its renaming does not keep to the rule.
            *self = Self {
                identity,
                changed: at,
                rested: Duration::ZERO,
                renamed: sign == Sign::Renamed,
                whole: None,
            };
        }
        self.renamed |= sign == Sign::Renamed;
    }

    /// Notes the answer to [`Step::Check`], which is about the content last observed.
    pub fn judge(&mut self, whole: bool) {
        self.whole = Some(whole);
    }

    /// What is to be done now.
    pub fn step(&self, at: Duration, rules: Rules) -> Step {
        let quiet = (at + self.rested).saturating_sub(self.changed);
        let left = |until: Duration| at + until.saturating_sub(quiet);
        match self.whole {
            _ if !self.renamed && quiet < rules.settle => Step::LookAt(left(rules.settle)),
            None => Step::Check,
            Some(true) => Step::Take,
            Some(false) if quiet >= rules.give_up => Step::Take,
            // No event may come of a change: a network's file system has none.
            Some(false) => Step::LookAt(left(rules.give_up).min(at + rules.settle)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: Rules =
        Rules { settle: Duration::from_millis(20), give_up: Duration::from_millis(100) };

    fn ms(moment: u64) -> Duration {
        Duration::from_millis(moment)
    }

    fn identity(size: u64) -> Identity {
        Identity { size, modified: 7, inode: 1 }
    }

    #[test]
    fn a_renamed_file_is_taken_at_once_and_a_written_one_when_it_rests() {
        let begin = |sign, rested| {
            Settling::begin(None, sign, identity(5), rested, ms(0)).expect("a new file")
        };
        let mut file = begin(Sign::Renamed, ms(0));
        assert_eq!(file.step(ms(0), RULES), Step::Check);
        file.judge(true);
        assert_eq!(file.step(ms(0), RULES), Step::Take);

        let mut file = begin(Sign::Seen, ms(0));
        assert_eq!(file.step(ms(1), RULES), Step::LookAt(ms(20)));
        file.observe(Sign::Seen, identity(6), ms(15));
        assert_eq!(file.step(ms(20), RULES), Step::LookAt(ms(35)));
        assert_eq!(file.step(ms(35), RULES), Step::Check);

        assert_eq!(begin(Sign::Seen, ms(60_000)).step(ms(0), RULES), Step::Check);
    }

    #[test]
    fn what_is_never_whole_is_taken_in_the_end() {
        let mut file = Settling::begin(None, Sign::Renamed, identity(5), ms(0), ms(0)).unwrap();
        file.judge(false);
        assert_eq!(file.step(ms(0), RULES), Step::LookAt(ms(20)));
        assert_eq!(file.step(ms(95), RULES), Step::LookAt(ms(100)));
        assert_eq!(file.step(ms(100), RULES), Step::Take);
    }

    /// What happens to a file, and how much time passes after it.
    #[derive(Debug, Clone, Copy)]
    enum Deed {
        /// So many bytes more are written; five are a whole file.
        Write(u64),
        Close,
        /// A whole file is renamed over it.
        Replace,
        Delete,
        Nothing,
    }

    fn deed() -> impl Strategy<Value = (Deed, bool, u64)> {
        let deed = prop_oneof![
            (1_u64..3).prop_map(Deed::Write),
            Just(Deed::Close),
            Just(Deed::Replace),
            Just(Deed::Delete),
            Just(Deed::Nothing),
        ];
        // The event may be lost, and time passes.
        (deed, any::<bool>(), 0_u64..60)
    }

    const WHOLE: u64 = 5;

    /// A disk with one name on it, and the one who watches it.
    #[derive(Default)]
    struct World {
        now: u64,
        file: Option<Identity>,
        changed: u64,
        inodes: u64,
        settling: Option<Settling>,
        due: Option<u64>,
        taken: Vec<Identity>,
    }

    impl World {
        fn change(&mut self, size: u64, is_new: bool) {
            self.inodes += u64::from(is_new);
            let modified = self.now.cast_signed();
            self.file = Some(Identity { size, modified, inode: self.inodes });
            self.changed = self.now;
        }

        fn apply(&mut self, deed: Deed) -> Option<Sign> {
            let size = self.file.map_or(0, |file| file.size);
            match deed {
                Deed::Write(more) if size < WHOLE => {
                    self.change((size + more).min(WHOLE), self.file.is_none());
                    // Writing itself makes no event, creating does.
                    (size == 0).then_some(Sign::Seen)
                }
                Deed::Replace => {
                    self.change(WHOLE, true);
                    Some(Sign::Renamed)
                }
                Deed::Delete => {
                    self.file = None;
                    Some(Sign::Seen)
                }
                Deed::Close => Some(Sign::Seen),
                Deed::Write(_) | Deed::Nothing => None,
            }
        }

        fn look(&mut self, sign: Sign) {
            self.due = None;
            let Some(identity) = self.file else {
                self.settling = None;
                return;
            };
            let now = ms(self.now);
            if let Some(settling) = &mut self.settling {
                settling.observe(sign, identity, now);
            } else {
                let taken = self.taken.last().copied();
                self.settling = Settling::begin(taken, sign, identity, ms(0), now);
            }
            while let Some(settling) = &mut self.settling {
                match settling.step(now, RULES) {
                    Step::LookAt(due) => {
                        assert!(due > now, "to look again at once would never end");
                        self.due = Some(u64::try_from(due.as_millis()).unwrap());
                        return;
                    }
                    Step::Check => settling.judge(identity.size == WHOLE),
                    Step::Take => {
                        let rested = self.now - self.changed;
                        let gave_up = ms(rested) >= RULES.give_up;
                        assert!(identity.size == WHOLE || gave_up, "half of it was taken");
                        assert!(!self.taken.contains(&identity), "it was taken twice");
                        self.taken.push(identity);
                        self.settling = None;
                    }
                }
            }
        }

        /// Lets time pass; what is due is looked at, and the folder is listed every 50 ms.
        fn pass(&mut self, time: u64) {
            for _ in 0..time {
                self.now += 1;
                if self.due == Some(self.now) || self.now.is_multiple_of(50) {
                    self.look(Sign::Seen);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn each_content_is_taken_once_and_never_before_it_is_complete(
            deeds in prop::collection::vec(deed(), 1..40),
        ) {
            let mut world = World::default();
            for (deed, is_noticed, time) in deeds {
                if let Some(sign) = world.apply(deed)
                    && is_noticed
                {
                    world.look(sign);
                }
                world.pass(time);
            }
            // Once it rests, what is there was taken, whole or given up.
            world.pass(300);
            prop_assert_eq!(world.taken.last().copied().filter(|_| world.file.is_some()), world.file);
        }
    }
}
