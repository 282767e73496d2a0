//! Files that survive a crash of the machine: written under a temporary name, synced, renamed, and
//! their folder synced. What is not synced may be lost or, worse, empty after the power fails.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::CatalogueError;

/// Room on a disk, bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    /// What this user may still write.
    pub(crate) free: u64,
    /// Its size.
    pub(crate) total: u64,
}

/// The room on the disk of a file or folder; `None` where the system does not tell.
pub(crate) fn space(path: &Path) -> Option<Space> {
    let disk = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some(Space { free: bytes(disk.f_bavail), total: bytes(disk.f_blocks) })
}

/// The temporary name beside a final one.
pub(super) fn temporary_name(path: &Path) -> PathBuf {
    beside(path, ".tmp")
}

/// The name with something behind it.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Makes the bytes of a file durable.
pub(super) fn sync_file(path: &Path) -> Result<(), CatalogueError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(CatalogueError::io(path))
}

/// Makes names durable: those that were added to a folder, and those that were removed.
pub(super) fn sync_folder(folder: &Path) -> Result<(), CatalogueError> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    sync_file(folder)
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), CatalogueError> {
    std::fs::rename(from, to).map_err(CatalogueError::io(to))
}

/// Removes a file; it is well if there is none.
pub(super) fn remove(path: &Path) -> Result<(), CatalogueError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CatalogueError::io(path)(error))
        }
        _ => Ok(()),
    }
}

/// Replaces a small file at once: after a crash there is the old content or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), CatalogueError> {
    let temporary = temporary_name(path);
    File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(CatalogueError::io(&temporary))?;
    publish_file(&temporary, path)
}

/// Gives a whole file its name, durably.
pub(crate) fn publish_file(temporary: &Path, path: &Path) -> Result<(), CatalogueError> {
    sync_file(temporary)?;
    rename(temporary, path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// A file that is being written under a temporary name, which goes if it is not finished.
pub(crate) struct Unfinished {
    pub(crate) path: PathBuf,
    pub(crate) temporary: PathBuf,
}

impl Unfinished {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), temporary: temporary_name(path) }
    }

    /// Gives it its name, durably.
    pub(crate) fn publish(self) -> Result<(), CatalogueError> {
        publish_file(&self.temporary, &self.path)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After publishing there is nothing under this name any more.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

/// Gives a whole file its name, durably, unless the name is taken; returns whether it got it. The
/// temporary name goes in either case. Of several processes one succeeds, also on a network's file
/// system, for which renaming would be no such promise: it replaces what is there.
pub(crate) fn link_once(temporary: &Path, path: &Path) -> Result<bool, CatalogueError> {
    sync_file(temporary)?;
    let linked = match std::fs::hard_link(temporary, path) {
        Ok(()) => true,
        // Over a network the answer may be lost and the question repeated: two names are a success.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            is_same_file(temporary, path)
        }
        Err(error) => return Err(CatalogueError::io(path)(error)),
    };
    sync_folder(path.parent().unwrap_or(Path::new(".")))?;
    remove(temporary)?;
    Ok(linked)
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).map(|it| (it.dev(), it.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// Gives a whole folder its name, durably; its files were synced before.
pub(crate) fn rename_folder(from: &Path, to: &Path) -> Result<(), CatalogueError> {
    rename(from, to)?;
    sync_folder(to.parent().unwrap_or(Path::new(".")))
}

/// Makes all files and names below a folder durable.
pub(crate) fn sync_tree(folder: &Path) -> Result<(), CatalogueError> {
    for entry in std::fs::read_dir(folder).map_err(CatalogueError::io(folder))? {
        let path = entry.map_err(CatalogueError::io(folder))?.path();
        if path.is_dir() { sync_tree(&path)? } else { sync_file(&path)? }
    }
    sync_folder(folder)
}

/// Creates a folder and those above it that are missing, durably.
pub(crate) fn create_folders(folder: &Path) -> Result<(), CatalogueError> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
        .collect();
    for folder in missing.into_iter().rev() {
        match std::fs::create_dir(folder) {
            // Another process that begins in the same place; the lock decides which one goes on.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            other => other.map_err(CatalogueError::io(folder))?,
        }
        sync_folder(folder.parent().unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_created_to_any_depth_and_twice() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        create_folders(&deep).unwrap();
        create_folders(&deep).unwrap();
        assert!(deep.is_dir());
        std::fs::write(folder.path().join("file"), b"").unwrap();
        let error = create_folders(&folder.path().join("file/below")).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }

    #[test]
    fn a_name_is_given_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for (content, first) in [("one", true), ("two", false)] {
            let temporary = folder.path().join(format!(".{content}"));
            std::fs::write(&temporary, content).unwrap();
            assert_eq!(link_once(&temporary, &path).unwrap(), first);
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        // The link was made, and the answer lost.
        let temporary = folder.path().join(".three");
        std::fs::write(&temporary, "three").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::hard_link(&temporary, &path).unwrap();
        assert!(link_once(&temporary, &path).unwrap());
    }

    #[test]
    fn a_replaced_file_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        replace(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
    }
}
