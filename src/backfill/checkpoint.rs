//! What an unfinished shard has, on the shared disk: the segments alone. The ledger stays on the disk
//! of the machine, since a database on a network's file system is asking for damage; it is rebuilt
//! from the segments wherever the shard goes on.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

use super::BackfillError;
use crate::catalogue::{Segment, beside, create_folders, publish_file, segments_folder};

/// Copies segments that are not there yet from a catalogue's folder to that of its checkpoint; returns
/// how many. Names hold digests, so that equal names are equal files, whoever wrote them.
///
/// # Errors
/// [`BackfillError`] when they cannot be read or written.
pub fn keep(catalogue: &Path, checkpoint: &Path, attempt: &str) -> Result<usize, BackfillError> {
    create_folders(checkpoint)?;
    let there = names(checkpoint)?;
    let mut copied = 0;
    for name in names(&segments_folder(catalogue))? {
        if !there.contains(&name) {
            copied += usize::from(copy(&segments_folder(catalogue), checkpoint, &name, attempt)?);
        }
    }
    Ok(copied)
}

/// Brings a checkpoint's segments into a catalogue's folder that is new; one that has segments of its
/// own goes on with these, for both hold the same or its own hold more. Returns how many.
///
/// # Errors
/// [`BackfillError`] when they cannot be read or written.
pub fn bring(checkpoint: &Path, catalogue: &Path, attempt: &str) -> Result<usize, BackfillError> {
    let folder = segments_folder(catalogue);
    create_folders(&folder)?;
    if !names(&folder)?.is_empty() || !checkpoint.is_dir() {
        return Ok(0);
    }
    let mut copied = 0;
    for name in names(checkpoint)? {
        copied += usize::from(copy(checkpoint, &folder, &name, attempt)?);
    }
    Ok(copied)
}

/// Removes a checkpoint; another try may be doing the same.
///
/// # Errors
/// [`BackfillError::Io`].
pub fn drop_all(checkpoint: &Path) -> Result<(), BackfillError> {
    match std::fs::remove_dir_all(checkpoint) {
        Err(error)
            if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) =>
        {
            Err(BackfillError::io(checkpoint)(error))
        }
        _ => Ok(()),
    }
}

/// Names of segments in a folder.
fn names(folder: &Path) -> Result<HashSet<OsString>, BackfillError> {
    let mut names = HashSet::new();
    for entry in std::fs::read_dir(folder).map_err(BackfillError::io(folder))? {
        let name = entry.map_err(BackfillError::io(folder))?.file_name();
        if name.to_str().and_then(Segment::from_name).is_some() {
            names.insert(name);
        }
    }
    Ok(names)
}

/// Copies a file durably; one that is gone by now was merged into another.
fn copy(from: &Path, to: &Path, name: &OsString, attempt: &str) -> Result<bool, BackfillError> {
    let (from, to) = (from.join(name), to.join(name));
    let temporary = beside(&to, &format!(".{attempt}.tmp"));
    match std::fs::copy(&from, &temporary) {
        Ok(_) => publish_file(&temporary, &to).map(|()| true).map_err(BackfillError::from),
        Err(error) if error.kind() == ErrorKind::NotFound && !from.exists() => {
            let _ = std::fs::remove_file(&temporary);
            Ok(false)
        }
        Err(error) => Err(BackfillError::io(&temporary)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Digest;

    #[test]
    fn segments_are_kept_once_and_come_back_to_a_new_folder() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let (old, new, kept) = (place("old"), place("new"), place("kept"));
        let segments = segments_folder(&old);
        std::fs::create_dir_all(&segments).unwrap();
        assert_eq!(bring(&kept, &new, "t").unwrap(), 0);
        for (number, content) in [(1, b"a"), (2, b"b")] {
            let name = Segment::named(number, Digest::of(content)).name;
            std::fs::write(segments.join(name), content).unwrap();
        }
        std::fs::write(segments.join("other.tmp"), b"x").unwrap();
        assert_eq!(keep(&old, &kept, "t").unwrap(), 2);
        assert_eq!(keep(&old, &kept, "t").unwrap(), 0);
        assert_eq!(bring(&kept, &new, "t").unwrap(), 2);
        assert_eq!(bring(&kept, &new, "t").unwrap(), 0);
        assert_eq!(names(&segments_folder(&new)).unwrap(), names(&kept).unwrap());
        drop_all(&kept).unwrap();
        drop_all(&kept).unwrap();
        assert!(!kept.exists());
    }
}
