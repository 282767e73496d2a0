//! The files that a command line names: files, directories, patterns, or a list on a stream.

use std::collections::HashSet;
use std::io::BufRead;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Names, RowRange};
use crate::reject::{Code, Reject};

/// Endings that a directory is searched for.
const ENDINGS: [&str; 3] = [".fits", ".fits.gz", ".fits.zst"];

/// What a listing yields.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A file to read.
    File(PathBuf),
    /// Rows of a file to read, one range behind the other.
    Rows(PathBuf, Vec<RowRange>),
    /// A name that leads nowhere.
    Missing(PathBuf, Reject),
}

/// What knows which files there are: it calls its argument with each, until that says that nobody
/// listens any more. Its error is one of reading what it knows.
pub type Finder = Box<dyn FnOnce(&mut dyn FnMut(Found) -> bool) -> Result<(), String> + Send>;

/// How a listing ended, for when its names are done.
#[derive(Debug, Clone, Default)]
pub struct Ending(Arc<Mutex<Option<String>>>);

impl Ending {
    /// Whether all names were given.
    ///
    /// # Errors
    /// Why they were not.
    pub fn whole(&self) -> Result<(), String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }
}

/// Walks the named paths one entry at a time, in the order given and sorted within a directory.
///
/// The walk runs on a thread of its own, so that waiting for a list on standard input never holds
/// up a stop request, and it is at most a few names ahead, so that memory does not grow with the
/// archive.
pub struct Listing {
    found: Receiver<Vec<Found>>,
    /// What is left of the portion last received.
    portion: std::vec::IntoIter<Found>,
    ending: Ending,
}

/// Entries that change threads together.
const PORTION: usize = 64;
/// The most ranges of one file that are one entry.
const RANGES: usize = 1024;

/// Waiting for the next entry had no result yet.
#[derive(Debug, PartialEq, Eq)]
pub enum Pending {
    /// Nothing came within the time.
    NotYet,
    /// There is nothing more.
    End,
}

impl Listing {
    /// Starts to walk. A name `-` stands for a list of names on `stdin`, one a line.
    ///
    /// # Errors
    /// The operating system's error when no thread can be started.
    pub fn start(
        names: Vec<PathBuf>,
        stdin: impl BufRead + Send + 'static,
    ) -> std::io::Result<Self> {
        Self::start_with(None, names, stdin)
    }

    /// The same, with the names of a list before the others; see [`Names::of_list`].
    ///
    /// # Errors
    /// As [`Listing::start`].
    pub fn start_with(
        list: Option<Box<dyn BufRead + Send>>,
        names: Vec<PathBuf>,
        stdin: impl BufRead + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, found) = sync_channel(4);
        std::thread::Builder::new().name("listing".into()).spawn(move || {
            let mut emit = Portions { sender, waiting: Vec::new() };
            let mut stdin = Some(stdin);
            if list.is_some_and(|lines| !list_lines(Names::of_list(lines), false, &mut emit)) {
                return;
            }
            for name in names {
                let more = if name.as_os_str() == "-" {
                    stdin.take().is_none_or(|lines| list_lines(Names::new(lines), true, &mut emit))
                } else {
                    list_name(&name, &mut emit)
                };
                if !more {
                    return;
                }
            }
            emit.flush();
        })?;
        Ok(Self { found, portion: Vec::new().into_iter(), ending: Ending::default() })
    }

    /// The files that something else knows.
    ///
    /// # Errors
    /// As [`Listing::start`].
    pub fn of(finder: Finder) -> std::io::Result<Self> {
        let (sender, found) = sync_channel(4);
        let ending = Ending::default();
        let end = ending.clone();
        std::thread::Builder::new().name("listing".into()).spawn(move || {
            let mut emit = Portions { sender, waiting: Vec::new() };
            let finding = finder(&mut |found| emit.emit(found));
            // Before the channel closes: who sees its end looks here.
            *end.0.lock().unwrap_or_else(PoisonError::into_inner) = finding.err();
            emit.flush();
        })?;
        Ok(Self { found, portion: Vec::new().into_iter(), ending })
    }

    /// How it will have ended.
    pub fn ending(&self) -> Ending {
        self.ending.clone()
    }

    /// The next entry, if one comes within `patience`.
    ///
    /// # Errors
    /// [`Pending`] says whether to ask again.
    pub fn next(&mut self, patience: Duration) -> Result<Found, Pending> {
        if let Some(found) = self.portion.next() {
            return Ok(found);
        }
        match self.found.recv_timeout(patience) {
            Ok(portion) => self.portion = portion.into_iter(),
            Err(RecvTimeoutError::Timeout) => return Err(Pending::NotYet),
            Err(RecvTimeoutError::Disconnected) => return Err(Pending::End),
        }
        self.portion.next().ok_or(Pending::NotYet)
    }
}

impl Iterator for Listing {
    type Item = Found;
    fn next(&mut self) -> Option<Found> {
        loop {
            match self.next(Duration::MAX) {
                Ok(found) => return Some(found),
                Err(Pending::NotYet) => {}
                Err(Pending::End) => return None,
            }
        }
    }
}

/// Collects entries and hands them over in portions. Each of its calls, like each lister, returns
/// false once nobody listens any more.
struct Portions {
    sender: SyncSender<Vec<Found>>,
    waiting: Vec<Found>,
}

impl Portions {
    /// Ranges of one file that follow each other become one entry, so that it is read once.
    fn emit(&mut self, found: Found) -> bool {
        match (self.waiting.last_mut(), &found) {
            (Some(Found::Rows(before, ranges)), Found::Rows(path, more))
                if before == path
                    && ranges.len() + more.len() <= RANGES
                    && ranges.last().map(|rows| rows.end)
                        == more.first().map(|rows| rows.first) =>
            {
                ranges.extend(more);
                return true;
            }
            _ => self.waiting.push(found),
        }
        self.waiting.len() < PORTION || self.flush()
    }

    fn flush(&mut self) -> bool {
        self.waiting.is_empty() || self.sender.send(std::mem::take(&mut self.waiting)).is_ok()
    }
}

/// On a stream the next line may be long in coming, so that none waits for it.
fn list_lines(names: Names<impl BufRead>, is_stream: bool, emit: &mut Portions) -> bool {
    for name in names {
        let listed = match name {
            Ok(name) => list_name(&name, emit),
            Err(reject) => emit.emit(Found::Missing("-".into(), reject)),
        };
        let waits = !is_stream && matches!(emit.waiting.last(), Some(Found::Rows(..)));
        if !(listed && (waits || emit.flush())) {
            return false;
        }
    }
    true
}

/// A name that exists is taken as it is; only one that does not is tried as rows of a file, then as a
/// pattern.
fn list_name(name: &Path, emit: &mut Portions) -> bool {
    match std::fs::symlink_metadata(name) {
        Ok(_) if name.is_dir() => list_directory(name, emit),
        Ok(_) => emit.emit(Found::File(name.to_owned())),
        Err(error) => {
            if let Some((table, rows)) =
                RowRange::of_name(name).filter(|(table, _)| table.is_file())
            {
                return emit.emit(Found::Rows(table, vec![rows]));
            }
            let pattern = name.to_str().filter(|name| name.contains(['*', '?', '[']));
            match pattern.and_then(|pattern| glob::glob(pattern).ok()) {
                Some(paths) => list_pattern(name, paths, emit),
                None => emit.emit(missing(name, &error.to_string())),
            }
        }
    }
}

fn list_pattern(name: &Path, paths: glob::Paths, emit: &mut Portions) -> bool {
    let mut any = false;
    for path in paths {
        any = true;
        let more = match path {
            Ok(path) if path.is_dir() => list_directory(&path, emit),
            Ok(path) => emit.emit(Found::File(path)),
            Err(error) => emit.emit(unreadable(error.path(), &error.error().to_string())),
        };
        if !more {
            return false;
        }
    }
    any || emit.emit(missing(name, "the pattern matches nothing"))
}

fn list_directory(directory: &Path, emit: &mut Portions) -> bool {
    let mut any = false;
    // Links to directories are followed; walkdir ends loops and reports them as errors. Each
    // directory is entered through one link alone: n folders of two links to the next one would
    // otherwise be 2^n ways through an archive.
    let mut entered = HashSet::new();
    let mut walk =
        walkdir::WalkDir::new(directory).follow_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        let found = match entry {
            Ok(entry) if entry.file_type().is_dir() => {
                let is_link = entry.path_is_symlink() && entry.depth() > 0;
                let mut again =
                    || entry.metadata().is_ok_and(|it| !entered.insert((it.dev(), it.ino())));
                if is_link && again() {
                    tracing::warn!(link = %entry.path().display(), "another link leads to the same folder, not followed; remove it");
                    walk.skip_current_dir();
                }
                continue;
            }
            Ok(entry) if is_candidate(entry.path()) => Found::File(entry.into_path()),
            Ok(_) => continue,
            Err(error) if error.loop_ancestor().is_some() => {
                tracing::warn!(%error, "link leads back to its own folder, not followed; remove it");
                continue;
            }
            Err(error) => {
                let path = error.path().unwrap_or(directory).to_owned();
                // A dangling link is a name like any other: reading it says what is wrong.
                if is_candidate(&path) {
                    Found::File(path)
                } else {
                    unreadable(&path, &error.to_string())
                }
            }
        };
        any = true;
        if !emit.emit(found) {
            return false;
        }
    }
    any || emit.emit(missing(directory, "the directory holds no .fits, .fits.gz or .fits.zst file"))
}

/// Whether a name has one of the endings that a directory is searched for.
pub(crate) fn is_candidate(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn missing(path: &Path, why: &str) -> Found {
    Found::Missing(path.to_owned(), Code::NOTHING_FOUND.because(why))
}

fn unreadable(path: &Path, why: &str) -> Found {
    Found::Missing(path.to_owned(), Code::UNREADABLE.because(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: Vec<PathBuf>, stdin: &'static [u8]) -> Vec<String> {
        Listing::start(names, stdin)
            .unwrap()
            .map(|found| match found {
                Found::File(path) => path.file_name().unwrap().to_string_lossy().into_owned(),
                Found::Rows(path, ranges) => {
                    let name = path.file_name().unwrap().to_string_lossy().into_owned();
                    ranges.iter().fold(name, |name, rows| name + &rows.to_string())
                }
                Found::Missing(_, reject) => reject.code.entry().name.to_owned(),
            })
            .collect()
    }

    #[test]
    fn names_are_data() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a[1].fits", "!b.fits.gz", "c\nd.fits.zst", "notes.txt"];
        for name in names {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        std::fs::create_dir(folder.path().join("empty.fits")).unwrap();
        assert_eq!(
            list(vec![folder.path().into()], b""),
            ["!b.fits.gz", "a[1].fits", "c\nd.fits.zst"]
        );
        // A name that exists is never a pattern; a file that is named is taken whatever its ending.
        assert_eq!(list(vec![folder.path().join("a[1].fits")], b""), ["a[1].fits"]);
        assert_eq!(list(vec![folder.path().join("notes.txt")], b""), ["notes.txt"]);
        assert_eq!(list(vec![folder.path().join("*.gz")], b""), ["!b.fits.gz"]);
        assert_eq!(list(vec![folder.path().join("*.csv")], b""), ["nothing_found"]);
        assert_eq!(list(vec![folder.path().join("empty.fits")], b""), ["nothing_found"]);
        assert_eq!(list(vec![folder.path().join("absent.fits")], b""), ["nothing_found"]);
    }

    #[test]
    fn rows_are_of_a_file_that_is_there_and_those_behind_each_other_are_read_together() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["t.fits", "t.fits[512:768]"] {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        let path = |name: &str| folder.path().join(name);
        let rows = ["t.fits[0:256]", "t.fits[256:300]", "t.fits[300:512]", "t.fits[0:256]"];
        let names = rows.into_iter().chain(["t.fits[512:768]", "u.fits[0:256]"]).map(path);
        assert_eq!(
            list(names.collect(), b""),
            [
                "t.fits[0:256][256:300][300:512]",
                "t.fits[0:256]",
                "t.fits[512:768]",
                "nothing_found"
            ]
        );
        // As they come in a list that is a file; on a stream each goes its way at once.
        let lines = rows.map(|name| path(name).display().to_string()).join("\n");
        let listing = |list: Option<Box<dyn BufRead + Send>>, stdin: &str| {
            let stdin = std::io::Cursor::new(stdin.to_owned());
            let names = if list.is_none() { vec!["-".into()] } else { Vec::new() };
            Listing::start_with(list, names, stdin).unwrap().count()
        };
        assert_eq!(listing(Some(Box::new(std::io::Cursor::new(lines.clone()))), ""), 2);
        assert_eq!(listing(None, &lines), 4);
    }

    #[test]
    fn a_list_on_a_stream_is_one_name_a_line() {
        let listed = list(vec!["-".into()], b"/no/such.fits\r\n\n/no/other.fits");
        assert_eq!(listed, ["nothing_found", "nothing_found"]);
    }

    #[test]
    fn links_that_multiply_the_ways_to_a_file_lead_to_it_once() {
        // Systems follow some forty links in one name, so thirty levels are within what they allow.
        let folder = tempfile::tempdir().unwrap();
        let level = |number: usize| folder.path().join(format!("archive/of/{number}"));
        std::fs::create_dir_all(folder.path().join("archive/of")).unwrap();
        std::fs::create_dir(folder.path().join("named")).unwrap();
        for number in 0..30 {
            std::fs::create_dir(level(number)).unwrap();
            for name in ["one", "other"] {
                std::os::unix::fs::symlink(level(number + 1), level(number).join(name)).unwrap();
            }
        }
        std::fs::create_dir(level(30)).unwrap();
        std::fs::write(level(30).join("a.fits"), b"x").unwrap();
        std::os::unix::fs::symlink(level(0), folder.path().join("named/start")).unwrap();
        assert_eq!(list(vec![folder.path().join("named")], b""), ["a.fits"]);
    }

    #[test]
    fn a_loop_of_links_ends() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.fits"), b"x").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        assert_eq!(list(vec![folder.path().into()], b""), ["a.fits"]);
    }
}
