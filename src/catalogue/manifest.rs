//! `run.json`: what a catalogue was made with and the digests of its files.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::seal::{CATALOGUE, Counts, Provenance, REJECTS};
use super::{CatalogueError, publish, temporary_name};
use crate::input::Digest;

/// Name of the manifest within the catalogue's folder.
pub const MANIFEST: &str = "run.json";

/// Writes the manifest beside the sealed files. Like them it holds nothing that differs between
/// two runs over the same inputs.
///
/// # Errors
/// [`CatalogueError::Io`] names the file.
pub fn write_manifest(
    folder: &Path,
    provenance: &Provenance,
    counts: Counts,
    files: u64,
) -> Result<(), CatalogueError> {
    let mut made_with = Map::new();
    for (keyword, value, _) in &provenance.entries {
        made_with.insert(keyword.to_lowercase(), value.as_str().into());
    }
    let mut digests = Map::new();
    for stem in [CATALOGUE, REJECTS] {
        for ending in ["fits", "parquet"] {
            let name = format!("{stem}.{ending}");
            let path = folder.join(&name);
            digests.insert(
                name,
                Digest::of_file(&path).map_err(CatalogueError::io(&path))?.to_string().into(),
            );
        }
    }
    let manifest = json!({
        "rows": counts.rows,
        "rejects": counts.rejects,
        "inputs": files,
        "made_with": Value::Object(made_with),
        "sha256": Value::Object(digests),
    });
    let path = folder.join(MANIFEST);
    let temporary = temporary_name(&path);
    std::fs::write(&temporary, format!("{manifest:#}\n"))
        .map_err(CatalogueError::io(&temporary))?;
    publish(&temporary, &path)
}
