//! What wakes the thread of an inbox.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

/// A bell that a thread can wait for together with other descriptors.
pub struct Bell {
    descriptor: OwnedFd,
}

impl Bell {
    pub fn new() -> Result<Self, Errno> {
        Ok(Self { descriptor: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)? })
    }

    pub fn ring(&self) {
        // It refuses only when it was rung 2^64 times and nobody listened.
        let _ = rustix::io::write(&self.descriptor, &1_u64.to_ne_bytes());
    }

    /// Waits until it rings, `other` has something to read, or time is up.
    pub fn wait(&self, other: Option<BorrowedFd<'_>>, patience: Duration) {
        let mut descriptors = vec![PollFd::new(&self.descriptor, PollFlags::IN)];
        descriptors.extend(other.map(|other| PollFd::from_borrowed_fd(other, PollFlags::IN)));
        let patience = Timespec::try_from(patience).ok();
        // Whoever waits looks around afterwards, whatever woke it.
        let _ = poll(&mut descriptors, patience.as_ref());
        let _ = rustix::io::read(self.descriptor.as_fd(), &mut [0_u8; 8]);
    }
}
