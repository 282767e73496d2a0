//! What opening a catalogue does after a crash or after damage.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ErrorCode;
use serde::{Serialize, Serializer};

use super::durable::{beside, remove, rename, sync_file, sync_folder, temporary_name};
use super::segment::{Segment, contents, rows};
use super::{CatalogueError, LEDGER, SEGMENTS, StoreError, publish};
use crate::failpoint::crash_point;
use crate::input::Digest;
use crate::ledger::{Input, Ledger};

/// What recovery did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// Files removed that no commit names.
    pub orphans: u64,
    /// Damaged or lost segments that were forgotten.
    pub segments_forgotten: u64,
    /// Inputs in them, which are processed again.
    pub inputs_forgotten: u64,
    /// Set if the ledger was rebuilt.
    pub ledger: Option<Rebuilt>,
    /// How long opening took; seconds where it is written.
    #[serde(serialize_with = "as_seconds")]
    pub took: Duration,
}

fn as_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// What a rebuild of the ledger found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// Why it was rebuilt.
    pub reason: String,
    /// Segments adopted.
    pub segments: u64,
    /// Inputs in them.
    pub inputs: u64,
    /// Segments refused: damaged, or with an input that an earlier one has while another is new.
    pub refused: u64,
}

/// Opens the ledger, rebuilding it where it is damaged, or missing although there are segments.
pub(super) fn open_ledger(folder: &Path) -> Result<(Ledger, Option<Rebuilt>), StoreError> {
    let path = folder.join(LEDGER);
    let segments = segments_by_name(&folder.join(SEGMENTS))?;
    let exists = path.try_exists().map_err(CatalogueError::io(&path))?;
    let reason = if exists {
        match Ledger::open(&path) {
            // An empty file is an empty database to SQLite, but before the first segment was
            // written the model had been noted.
            Ok(ledger) if segments.is_empty() || ledger.note("model")?.is_some() => {
                return Ok((ledger, None));
            }
            Ok(_) => "it is empty although there are segments".to_owned(),
            Err(error) if error.is_damage() => error.to_string(),
            Err(error) => return Err(error.into()),
        }
    } else {
        // A log without its database must not be taken for that of a new one.
        set_aside(&path)?;
        if segments.is_empty() {
            return Ok((Ledger::open(&path)?, None));
        }
        "it is missing although there are segments".to_owned()
    };
    let rebuilt = rebuild(&path, &folder.join(SEGMENTS), segments, reason)?;
    Ok((Ledger::open(&path)?, Some(rebuilt)))
}

/// Files that are named as segments, in the order of their commits.
fn segments_by_name(folder: &Path) -> Result<Vec<Segment>, CatalogueError> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(CatalogueError::io(folder))? {
        let name = entry.map_err(CatalogueError::io(folder))?.file_name();
        segments.extend(name.to_str().and_then(Segment::from_name));
    }
    segments.sort_by_cached_key(|segment| (segment.number(), segment.digest));
    Ok(segments)
}

/// Writes a new ledger from segments and puts it in the place of the damaged one.
fn rebuild(
    path: &Path,
    folder: &Path,
    mut segments: Vec<Segment>,
    reason: String,
) -> Result<Rebuilt, StoreError> {
    tracing::warn!(ledger = %path.display(), reason, "the ledger is rebuilt from the segments");
    let temporary = temporary_name(path);
    remove(&temporary)?;
    let mut ledger = Ledger::create_scratch(&temporary)?;
    let mut rebuilt = Rebuilt { reason, ..Rebuilt::default() };
    // A merged segment has the number of the first that it replaces, and comes before it.
    for same in segments.chunk_by_mut(|one, other| one.number() == other.number()) {
        if same.len() > 1 {
            same.sort_by_cached_key(|segment| Reverse(rows(&folder.join(&segment.name))));
        }
    }
    for segment in &segments {
        match adopt(&mut ledger, folder, segment)? {
            Adopted::Taken { inputs } => {
                rebuilt.segments += 1;
                rebuilt.inputs += inputs as u64;
            }
            Adopted::Merged => {
                tracing::info!(segment = segment.name, "segment is part of a merged one");
            }
            Adopted::Refused(why) => {
                rebuilt.refused += 1;
                tracing::warn!(
                    segment = segment.name,
                    why,
                    "segment is refused, its inputs will be processed again"
                );
            }
        }
        crash_point!("recover-rebuild-adopted");
    }
    drop(ledger);
    sync_file(&temporary)?;
    crash_point!("recover-rebuild-synced");
    set_aside(path)?;
    crash_point!("recover-rebuild-aside");
    rename(&temporary, path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))?;
    crash_point!("recover-rebuild-done");
    let Rebuilt { segments, inputs, refused, .. } = &rebuilt;
    tracing::warn!(segments, inputs, refused, "the ledger is rebuilt");
    Ok(rebuilt)
}

/// What becomes of a segment when the ledger is rebuilt.
enum Adopted {
    /// It is part of the catalogue.
    Taken {
        /// How many inputs it has.
        inputs: usize,
    },
    /// An earlier one has all that it holds: it was merged, and not yet removed.
    Merged,
    /// It cannot be part of the catalogue.
    Refused(&'static str),
}

/// Takes a segment into a new ledger; a segment is whole or not there, so an orphan is as good as
/// any other.
fn adopt(ledger: &mut Ledger, folder: &Path, segment: &Segment) -> Result<Adopted, StoreError> {
    let path = folder.join(&segment.name);
    if !is_whole(&path, segment)? {
        return Ok(Adopted::Refused("its bytes are not those of its name"));
    }
    let Ok(contents) = contents(&path) else {
        return Ok(Adopted::Refused("it does not say which inputs it holds"));
    };
    ledger.set_note("model", &contents.model_id)?;
    if ledger.note("model")?.as_ref() != Some(&contents.model_id) {
        return Ok(Adopted::Refused("another model made it than the first segment"));
    }
    match ledger.commit(segment, &contents.inputs) {
        Ok(()) => Ok(Adopted::Taken { inputs: contents.inputs.len() }),
        Err(error) if error.code() == Some(ErrorCode::ConstraintViolation) => {
            for Input { digest, path, first, .. } in &contents.inputs {
                if !ledger.is_done(*digest, path, *first)? {
                    return Ok(Adopted::Refused("an earlier segment has one of its inputs"));
                }
            }
            Ok(Adopted::Merged)
        }
        Err(error) => Err(error.into()),
    }
}

/// Moves a ledger with its log away, over what was moved away before.
fn set_aside(path: &Path) -> Result<(), CatalogueError> {
    let damaged = beside(path, ".damaged");
    // The database goes first: while it is there its log belongs to it.
    for ending in ["", "-wal", "-shm"] {
        let (from, to) = (beside(path, ending), beside(&damaged, ending));
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(CatalogueError::io(&from)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a segment's bytes are those that were committed.
///
/// # Errors
/// When they cannot be read for a reason that may pass.
pub(super) fn is_whole(path: &Path, segment: &Segment) -> Result<bool, CatalogueError> {
    const EIO: i32 = rustix::io::Errno::IO.raw_os_error();
    match Digest::of_file(path) {
        Ok(digest) => Ok(digest == segment.digest),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        // The disk does not give the bytes back any more: they are lost.
        Err(error) if error.raw_os_error() == Some(EIO) => Ok(false),
        Err(error) => Err(CatalogueError::io(path)(error)),
    }
}

/// Brings segments and ledger to agreement: a segment whose bytes are not those that were committed
/// is forgotten, and a file that no commit names is removed. Returns the number of the next segment.
pub(super) fn reconcile(
    folder: &Path,
    ledger: &mut Ledger,
    recovered: &mut Recovered,
) -> Result<u64, StoreError> {
    let folder = folder.join(SEGMENTS);
    let mut known = HashSet::new();
    let mut last = 0;
    for segment in ledger.segments()? {
        last = last.max(segment.number().unwrap_or(0));
        if is_whole(&folder.join(&segment.name), &segment)? {
            known.insert(segment.name);
            continue;
        }
        let inputs = ledger.forget(&segment)?;
        recovered.segments_forgotten += 1;
        recovered.inputs_forgotten += inputs as u64;
        tracing::warn!(
            segment = segment.name,
            inputs,
            "segment is damaged or gone, its inputs will be processed again"
        );
        crash_point!("recover-segment-forgotten");
    }
    for entry in std::fs::read_dir(&folder).map_err(CatalogueError::io(&folder))? {
        let entry = entry.map_err(CatalogueError::io(&folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !known.contains(&name) {
            remove(&entry.path())?;
            recovered.orphans += 1;
            tracing::info!(file = name, "removed a file that no commit names");
            crash_point!("recover-orphan-removed");
        }
    }
    Ok(last + 1)
}

/// Removes what an interrupted seal or rebuild left. The folder may hold files of others, so only
/// names of our own count.
pub(super) fn remove_scratch(folder: &Path) -> Result<u64, CatalogueError> {
    let ours: Vec<PathBuf> = publish::NAMES
        .iter()
        .chain(&[LEDGER, super::MANIFEST, super::history::HISTORY, crate::report::REPORT])
        .map(|name| temporary_name(Path::new(name)))
        .collect();
    let mut removed = 0;
    for entry in std::fs::read_dir(folder).map_err(CatalogueError::io(folder))? {
        let entry = entry.map_err(CatalogueError::io(folder))?;
        let name = PathBuf::from(entry.file_name());
        if ours.contains(&name) || super::merge::is_scratch(&name) {
            remove(&entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}
