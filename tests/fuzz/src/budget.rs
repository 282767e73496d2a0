//! Memory that is counted: a reader that allocates more than its input justifies is stopped.

#![allow(unsafe_code, reason = "an allocator is unsafe by nature; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The room that small strings, errors and tables of HDUs need whatever the input.
pub const SLACK: usize = 1 << 20;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The system's allocator, counting what is live.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        if live > LIMIT.load(Relaxed) && !std::thread::panicking() {
            stop(live);
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer came from `alloc` above, so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Runs `work` and ends the process if it ever holds more than `bytes` beyond what was held before.
/// A panic may take what it needs to tell where it was.
pub fn within<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    LIMIT.store(LIVE.load(Relaxed).saturating_add(bytes), Relaxed);
    let result = work();
    LIMIT.store(usize::MAX, Relaxed);
    result
}

/// An allocator must not unwind, and libFuzzer keeps the input of a process that aborts.
fn stop(live: usize) -> ! {
    let limit = LIMIT.swap(usize::MAX, Relaxed);
    eprintln!("memory: {live} bytes are live, the limit for this input is {limit}");
    std::process::abort()
}
