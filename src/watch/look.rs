//! One look at a name: whose it is, and what lies there.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;

use super::settle::Identity;

/// A regular file as it is now.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub identity: Identity,
    /// When it was last written, renamed or otherwise touched, and not in the future. Unlike the
    /// time of its content this cannot be set, so copying a file with its times does not age it.
    pub touched: SystemTime,
}

impl Look {
    /// Looks at a file, through links. `None` if there is no regular file.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(metadata.is_file().then(|| Self {
            identity: Identity::of(&metadata),
            touched: touched(&metadata).min(SystemTime::now()),
        }))
    }

    /// For how long it is certain not to have changed. A server's clock may differ from ours by
    /// seconds, so a file that was touched lately says nothing.
    pub fn rested(&self) -> Duration {
        let age = self.touched.elapsed().unwrap_or_default();
        if age >= CERTAIN { age } else { Duration::ZERO }
    }
}

const CERTAIN: Duration = Duration::from_mins(1);

impl Identity {
    pub(super) fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            size: metadata.len(),
            modified: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
            inode: metadata.ino(),
        }
    }
}

fn touched(metadata: &std::fs::Metadata) -> SystemTime {
    let seconds = Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0));
    let nanoseconds = Duration::from_nanos(u64::try_from(metadata.ctime_nsec()).unwrap_or(0));
    SystemTime::UNIX_EPOCH + seconds + nanoseconds
}

/// Whether the name leads nowhere, which for a name in a watched folder is no fault.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

/// Whether a file or folder of this name is still being made, as its name says.
pub fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    name.starts_with(b".") || name.ends_with(b".tmp") || name.ends_with(b".part")
}

/// Whether a file of this name is one to take.
pub fn is_wanted(path: &Path) -> bool {
    !is_temporary(path) && crate::input::is_candidate(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_taken() {
        let wanted = ["a.fits", "B.FITS.GZ", "c d.fits.zst", "tmp.fits", "x.part.fits"];
        let others =
            [".a.fits", ".fits", "a.fits.tmp", "a.fits.part", "a.txt", "fits", "a.fits.gz~"];
        assert!(wanted.iter().all(|name| is_wanted(Path::new(name))));
        assert!(!others.iter().any(|name| is_wanted(Path::new(name))));
    }
}
