//! From what the user names to bytes in memory: listing, reading, inflating, hashing.

mod bytes;
mod listing;

pub use bytes::{Digest, Limits, Reader};
pub use listing::{Found, Listing, Pending};
