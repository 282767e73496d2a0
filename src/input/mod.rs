//! From what the user names to bytes in memory: listing, reading, inflating, hashing.

mod bytes;
mod listing;
mod names;

pub use bytes::{Digest, Limits, Reader};
pub use listing::{Found, Listing, Pending};
pub use names::{MAX_NAME, Names};
