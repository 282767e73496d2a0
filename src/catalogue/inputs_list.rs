//! `inputs.b3`: the inputs of a catalogue with their digests, in the format of `b3sum --check`.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::CatalogueError;
use super::durable::temporary_name;
use super::path_of_text;
use crate::input::Digest;
use crate::ledger::Ledger;

/// Name of the list within the catalogue's folder.
pub const INPUTS: &str = "inputs.b3";

/// Streams the list from the ledger into its temporary file, by path; returns how many inputs it
/// names. Inputs that could not be read have no digest and are not in it.
pub(super) fn write(folder: &Path, ledger: &Ledger) -> Result<u64, CatalogueError> {
    let path = temporary_name(&folder.join(INPUTS));
    let file = File::create(&path).map_err(CatalogueError::io(&path))?;
    let mut file = BufWriter::new(file);
    let mut count = 0;
    ledger.for_each_current(|name, digest| {
        count += 1;
        writeln!(file, "{digest}  {name}").map_err(CatalogueError::io(&path))
    })?;
    file.flush().map_err(CatalogueError::io(&path))?;
    Ok(count)
}

/// Calls `visit` with the name of every file that a sealed catalogue accounts for and that it could
/// read: the others may be read by now.
///
/// # Errors
/// [`CatalogueError::Io`], also of `visit`.
pub fn files_of(
    folder: &Path,
    visit: &mut dyn FnMut(PathBuf) -> std::io::Result<()>,
) -> Result<(), CatalogueError> {
    let mut visited = Ok(());
    for_each(folder, |line| {
        if let (Ok(()), Some(path)) = (&visited, line.and_then(|(name, _)| path_of_text(name))) {
            visited = visit(path);
        }
    })?;
    visited.map_err(CatalogueError::io(&folder.join(INPUTS)))
}

/// Shows every line of the list to `see`: name and digest, or `None` if it is not such a line.
pub(super) fn for_each(
    folder: &Path,
    mut see: impl FnMut(Option<(&str, Digest)>),
) -> Result<(), CatalogueError> {
    let path = folder.join(INPUTS);
    let file = File::open(&path).map_err(CatalogueError::io(&path))?;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(CatalogueError::io(&path))?;
        let parsed = line.split_once("  ").and_then(|(hex, name)| {
            Some((name, Digest(*blake3::Hash::from_hex(hex).ok()?.as_bytes())))
        });
        see(parsed);
    }
    Ok(())
}
