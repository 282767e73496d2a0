//! Listing an inbox, one entry at a time, so that whoever lists can do other things in between.

use std::collections::HashSet;
use std::fs::ReadDir;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::look;

/// An entry.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// A folder, whose entries follow at some time.
    Folder(PathBuf),
    /// A file of a name that is wanted.
    File(PathBuf),
    /// Nothing of interest.
    Other,
}

/// Folders that are entered in one scan. Its list of what was entered is bounded by this.
pub const MAX_FOLDERS: usize = 1 << 17;

/// A walk through the folders below one. Each folder is entered once, by its own name before any
/// link to it, so that loops of links end and a file inside has one name.
pub struct Scan {
    open: Option<ReadDir>,
    folders: Vec<PathBuf>,
    links: Vec<PathBuf>,
    entered: HashSet<(u64, u64)>,
    follows_links: bool,
}

impl Scan {
    /// Lists a whole inbox.
    pub fn of(folder: &Path) -> Self {
        Self {
            open: None,
            folders: Vec::new(),
            // The folder itself may be a link; this says it to the caller as it says others.
            links: vec![folder.to_owned()],
            entered: HashSet::new(),
            follows_links: true,
        }
    }

    /// Lists a folder that appeared in an inbox. Where its links lead may have a name already,
    /// which only a scan of the whole inbox can know.
    pub fn of_new(folder: &Path) -> Self {
        Self { follows_links: false, ..Self::of(folder) }
    }

    fn enter(&mut self, folder: PathBuf) -> Entry {
        let id = std::fs::metadata(&folder).map(|it| (it.is_dir(), it.dev(), it.ino()));
        let Ok((true, device, inode)) = id else { return Entry::Other };
        if self.entered.len() >= MAX_FOLDERS || !self.entered.insert((device, inode)) {
            tracing::debug!(folder = %folder.display(), "another name leads to the same folder, or there are too many; not followed");
            return Entry::Other;
        }
        self.folders.push(folder.clone());
        Entry::Folder(folder)
    }

    fn entry(&mut self, entry: &std::fs::DirEntry) -> Entry {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if look::is_temporary(&path) || kind.is_file() && !look::is_wanted(&path) => {
                Entry::Other
            }
            Ok(kind) if kind.is_dir() => self.enter(path),
            Ok(kind) if kind.is_symlink() && path.is_dir() => {
                if self.follows_links && self.links.len() < MAX_FOLDERS {
                    self.links.push(path);
                }
                Entry::Other
            }
            Ok(_) if look::is_wanted(&path) => Entry::File(path),
            _ => Entry::Other,
        }
    }
}

impl Iterator for Scan {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if let Some(entries) = &mut self.open {
            match entries.next() {
                Some(Ok(entry)) => return Some(self.entry(&entry)),
                Some(Err(error)) => {
                    tracing::debug!(%error, "a folder cannot be read to its end; the next scan tries again");
                    self.open = None;
                    return Some(Entry::Other);
                }
                None => self.open = None,
            }
        }
        if let Some(folder) = self.folders.pop() {
            match std::fs::read_dir(&folder) {
                Ok(entries) => self.open = Some(entries),
                Err(error) if look::is_absent(&error) => {}
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "folder cannot be listed; check its permissions");
                }
            }
            return Some(Entry::Other);
        }
        let link = self.links.pop()?;
        Some(self.enter(link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut files: Vec<_> = Scan::of(folder)
            .filter_map(|entry| match entry {
                Entry::File(path) => Some(path.strip_prefix(folder).unwrap().to_owned()),
                _ => None,
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_folder_is_entered_once_and_by_its_own_name_if_it_has_one() {
        let place = tempfile::tempdir().unwrap();
        let (inbox, outside) = (place.path().join("inbox"), place.path().join("outside"));
        std::fs::create_dir_all(inbox.join("z/plan")).unwrap();
        std::fs::create_dir_all(inbox.join(".hidden")).unwrap();
        std::fs::create_dir_all(inbox.join("night.tmp")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        for name in ["z/plan/1.fits", ".hidden/2.fits", "night.tmp/3.fits", "4.txt", "5.fits.gz"] {
            std::fs::write(inbox.join(name), b"x").unwrap();
        }
        std::fs::write(outside.join("6.fits"), b"x").unwrap();
        symlink(&inbox, inbox.join("a_loop")).unwrap();
        symlink(inbox.join("z"), inbox.join("b_again")).unwrap();
        symlink(&outside, inbox.join("c_outside")).unwrap();
        symlink(&outside, inbox.join("z/d_outside")).unwrap();
        symlink(outside.join("6.fits"), inbox.join("7.fits")).unwrap();
        let files = files(&inbox);
        let outside = files.iter().filter(|file| file.ends_with("6.fits")).count();
        assert_eq!(outside, 1, "{files:?}");
        let own: Vec<_> = files.iter().filter(|file| !file.ends_with("6.fits")).collect();
        assert_eq!(own, [Path::new("5.fits.gz"), Path::new("7.fits"), Path::new("z/plan/1.fits")]);
    }
}
