//! A release: the shards of a backfill as one catalogue that can be queried where it lies.
//!
//! Rows are sorted by place on the sky and partitioned by HEALPix cells, each with at most so many
//! rows, in the layout of HATS (<https://www.ivoa.net/documents/Notes/HATS/>): LSDB reads it, and so
//! does everything that reads a folder of Parquet files. FITS lies beside, one file a partition.
//!
//! Nothing here holds more than some rows in memory, and nothing depends on how many shards there
//! were: rows are merged in the canonical order first, in which reductions of one observation meet.

mod cells;
mod description;
mod metadata;
mod page;
mod partition;
mod sorting;
mod summary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::backfill::{BackfillError, Campaign, attempt_name};
use crate::catalogue::{CatalogueError, Judged, Origin, Schema, ShardNote, create_folders};

pub use cells::{Cell, HEALPIX, Partitions};
pub use summary::Summary;

/// Name of the manifest within the release's folder.
pub const RELEASE: &str = "release.json";

/// A release that could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The operating system refused.
    #[error("{path}: {source}; check space and permissions, then run again")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The folder is there.
    #[error("{0}: it is there already; choose another --out, or remove it")]
    Exists(PathBuf),
    /// Shards are not done.
    #[error(
        "{missing} of {shards} shards are not done, the first is {first}; run them, or see \
         `starmill backfill status`"
    )]
    Missing {
        /// How many.
        missing: usize,
        /// Of how many.
        shards: usize,
        /// The first of them.
        first: u64,
    },
    /// The model has other columns than the shards.
    #[error(
        "the shards were made by {found}, the model here is {here}; merge with the model that made \
         them"
    )]
    OtherModel {
        /// What made the shards.
        found: String,
        /// What is here.
        here: String,
    },
    /// A shard does not account for its list.
    #[error(
        "shard {shard} accounts for {found} of {planned} entries of its list; remove its file and \
         run it again"
    )]
    Unaccounted {
        /// The shard.
        shard: u64,
        /// Entries of its list.
        planned: u64,
        /// Entries that it accounts for.
        found: u64,
    },
    /// What came out is not what went in.
    #[error(
        "{rows} rows and {rejects} rejects were written, the shards have {outcomes} outcomes and \
         {copies} of them are copies; nothing was published, report this"
    )]
    Conservation {
        /// Rows written.
        rows: u64,
        /// Rejects written.
        rejects: u64,
        /// What the shards say they have.
        outcomes: u64,
        /// Outcomes that several shards have alike.
        copies: u64,
    },
    /// The backfill's folder cannot be used.
    #[error(transparent)]
    Backfill(#[from] BackfillError),
    /// A table cannot be read or written.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A stop was asked for.
    #[error("stopped; nothing was published, run it again")]
    Stopped,
}

impl ReleaseError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// How a release is made.
pub struct Request<'a> {
    /// The backfill.
    pub campaign: &'a Campaign,
    /// The columns of the model.
    pub schema: &'a Schema,
    /// Name, version and the beginning of the network's hash of the model.
    pub model: &'a str,
    /// The folder to make.
    pub out: &'a Path,
    /// The name of the release.
    pub name: &'a str,
    /// The most rows of a partition.
    pub partition_rows: u64,
    /// Whether FITS is written beside Parquet.
    pub fits: bool,
    /// Whether to stop.
    pub give_up: &'a dyn Fn() -> bool,
}

/// What `release.json` says. It holds nothing that depends on how the shards were cut or made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The name of the release.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Rows without a place on the sky.
    pub unplaced: u64,
    /// Rejects.
    pub rejects: u64,
    /// Files, and parts of large tables, that the plan lists: it accounts for all of them.
    pub inputs: u64,
    /// Which of several reductions of one observation have rows: `catalogue.reductions`.
    pub reductions: String,
    /// Name, version and the beginning of the network's hash.
    pub model: String,
    /// SHA-256 of the model's files.
    pub model_sha256: BTreeMap<String, String>,
    /// What made the rows, by lower-case keyword.
    pub made_with: BTreeMap<String, String>,
    /// The settings that can change a row or a reject.
    pub settings: BTreeMap<String, String>,
    /// The partitions, with their rows.
    pub partitions: BTreeMap<String, u64>,
    /// SHA-256 of every file.
    pub sha256: BTreeMap<String, String>,
}

/// Merges the shards of a backfill into a release.
///
/// # Errors
/// [`ReleaseError::Missing`] while shards are not done, [`ReleaseError::Conservation`] if an outcome
/// was lost or doubled; the folder is only there when all is well.
pub fn make(request: &Request<'_>) -> Result<Release, ReleaseError> {
    let (origin, notes) = shards(request)?;
    if origin.model != request.model {
        let (found, here) = (origin.model, request.model.to_owned());
        return Err(ReleaseError::OtherModel { found, here });
    }
    if request.out.exists() {
        return Err(ReleaseError::Exists(request.out.to_owned()));
    }
    tell_leftovers(request.out);
    // Slurm may begin a merge a second time while the first lives on, so each has its own folder.
    let making = crate::catalogue::beside(request.out, &format!(".{}.making", attempt_name()));
    let scratch = making.join("scratch");
    create_folders(&scratch)?;
    let made = write(request, &origin, &notes, &making, &scratch);
    let made = match made {
        Ok(made) => made,
        Err(error) => {
            // Half a release under another name is of no use.
            let _ = std::fs::remove_dir_all(&making);
            return Err(error);
        }
    };
    std::fs::remove_dir_all(&scratch).map_err(ReleaseError::io(&scratch))?;
    crate::catalogue::sync_tree(&making)?;
    if let Err(error) = crate::catalogue::rename_folder(&making, request.out) {
        let _ = std::fs::remove_dir_all(&making);
        let late = request.out.exists();
        return Err(if late { ReleaseError::Exists(request.out.to_owned()) } else { error.into() });
    }
    Ok(made)
}

/// Says what merges into this folder that were killed have left: whether one of them is at work
/// elsewhere, nobody can tell.
fn tell_leftovers(out: &Path) {
    let beginning = out.file_name().map(|name| format!("{}.", name.to_string_lossy()));
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = std::fs::read_dir(parent.unwrap_or(Path::new(".")));
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let same = beginning.as_ref().is_some_and(|beginning| name.starts_with(beginning));
        if same && name.ends_with(".making") {
            let folder = entry.path();
            tracing::warn!(
                ?folder,
                "another merge is at work or was killed; if none is, remove it"
            );
        }
    }
}

/// What made the shards, and what each says of itself.
fn shards(request: &Request<'_>) -> Result<(Origin, Vec<ShardNote>), ReleaseError> {
    let campaign = request.campaign;
    let shards = campaign.plan().shards.len();
    let missing = campaign.missing()?;
    let origin = campaign.origin()?;
    let (Some(origin), None) = (origin, missing.first()) else {
        let first = missing.first().copied().unwrap_or(0);
        return Err(ReleaseError::Missing { missing: missing.len(), shards, first });
    };
    let notes = (0..shards as u64).map(|number| campaign.note(number, &origin));
    let notes: Vec<ShardNote> = notes.collect::<Result<_, _>>()?;
    for (note, shard) in notes.iter().zip(&campaign.plan().shards) {
        if note.entries != shard.entries {
            let (shard, planned) = (note.number, shard.entries);
            return Err(ReleaseError::Unaccounted { shard, planned, found: note.entries });
        }
    }
    Ok((origin, notes))
}

fn write(
    request: &Request<'_>,
    origin: &Origin,
    notes: &[ShardNote],
    folder: &Path,
    scratch: &Path,
) -> Result<Release, ReleaseError> {
    let paths = notes.iter().map(|note| request.campaign.shard_file(note.number)).collect();
    let mut judged = Judged::open(paths, request.schema, origin, scratch, request.give_up)?;
    let mut runs = sorting::Runs::new(scratch);
    let mut summary = Summary::new(request.schema);
    let provenance = origin.provenance();
    let mut rejects = partition::Rejects::new(folder, request, &provenance);
    while let Some(batch) = judged.next_batch()? {
        if (request.give_up)() {
            return Err(ReleaseError::Stopped);
        }
        rejects.write(&batch.rejects)?;
        summary.take_rejects(&batch.rejects);
        let placed = cells::placed(&batch.rows)?;
        summary.take(&placed);
        runs.take(placed)?;
    }
    let rejects = rejects.finish()?;
    let partitions = Partitions::of(runs.counts(), request.partition_rows);
    let mut rows = partition::Writer::new(folder, request, &provenance, &partitions);
    let mut sorted = runs.merge(request.give_up)?;
    while let Some(batch) = sorted.next_batch()? {
        if (request.give_up)() {
            return Err(ReleaseError::Stopped);
        }
        rows.write(&batch)?;
    }
    let written = rows.finish()?;
    let outcomes: u64 = notes.iter().map(|note| note.rows + note.rejects).sum();
    let (total, copies) = (written.rows + written.unplaced, judged.copies());
    if total + rejects.rows + copies != outcomes {
        let (rows, rejects) = (total, rejects.rows);
        return Err(ReleaseError::Conservation { rows, rejects, outcomes, copies });
    }
    metadata::write(folder, request, &written)?;
    description::write(folder, request.schema)?;
    let mut release = Release {
        name: request.name.to_owned(),
        rows: total,
        unplaced: written.unplaced,
        rejects: rejects.rows,
        inputs: request.campaign.plan().entries,
        reductions: origin.reductions().name().to_owned(),
        model: origin.model.clone(),
        model_sha256: origin.model_files.clone(),
        made_with: origin.made_with(),
        settings: origin.settings.clone(),
        partitions: written.all.iter().map(|file| (file.name.clone(), file.rows)).collect(),
        sha256: BTreeMap::new(),
    };
    page::write(folder, &release, &summary)?;
    release.sha256 = crate::catalogue::digests_below(folder, scratch)?;
    let path = folder.join(RELEASE);
    let json = serde_json::to_string_pretty(&release)
        .map_err(|error| ReleaseError::io(&path)(error.into()))?;
    std::fs::write(&path, json + "\n").map_err(ReleaseError::io(&path))?;
    Ok(release)
}
