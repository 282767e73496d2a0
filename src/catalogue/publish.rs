//! The exchange of published files: while it goes on, no manifest vouches for them.
//!
//! Five names cannot change at once. So the manifest goes first, durably, and comes last: a reader
//! who finds `run.json` finds the files that it names, whatever crashed in between.

use std::path::Path;

use super::durable::{remove, rename, sync_file, sync_folder, temporary_name};
use super::inputs_list::INPUTS;
use super::{CatalogueError, MANIFEST};
use crate::failpoint::crash_point;

/// The files that a catalogue publishes and its manifest vouches for.
pub const NAMES: [&str; 5] =
    ["catalogue.fits", "catalogue.parquet", "rejects.fits", "rejects.parquet", INPUTS];

/// Makes the bytes of all files durable under their temporary names.
pub(super) fn sync(folder: &Path) -> Result<(), CatalogueError> {
    NAMES.iter().try_for_each(|name| sync_file(&temporary_name(&folder.join(name))))
}

/// Gives all files and then the manifest their names.
pub(super) fn publish(folder: &Path) -> Result<(), CatalogueError> {
    let manifest = folder.join(MANIFEST);
    remove(&manifest)?;
    sync_folder(folder)?;
    crash_point!("seal-unvouched");
    for name in NAMES {
        let path = folder.join(name);
        rename(&temporary_name(&path), &path)?;
        crash_point!(&format!("seal-{name}"));
    }
    sync_folder(folder)?;
    crash_point!("seal-files-synced");
    rename(&temporary_name(&manifest), &manifest)?;
    sync_folder(folder)?;
    crash_point!("seal-done");
    Ok(())
}
