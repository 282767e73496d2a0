//! From what the user names to bytes in memory: listing, reading, inflating, hashing.

mod bytes;
mod digest;
mod inflate;
mod large;
mod listing;
mod names;
mod rows;
mod unread;

pub use bytes::{Limits, Reader, SMALL_FILE, SMALL_INFLATED};
pub use digest::Digest;
pub use inflate::{LARGE_WINDOW, Need, SMALL_WINDOW};
pub use large::LargeFiles;
pub(crate) use listing::is_candidate;
pub use listing::{Ending, Finder, Found, Listing, Pending};
pub use names::{MAX_NAME, Names, PATH_COLUMN};
pub use rows::{PART, RowRange};
pub use unread::Unread;
