//! From what the user names to bytes in memory: listing, reading, inflating, hashing.

mod bytes;
mod listing;

pub use bytes::{Contents, Digest, Limits, inflate, read_file};
pub use listing::{Found, Listing, Pending};
