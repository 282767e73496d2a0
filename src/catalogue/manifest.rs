//! `run.json`: what a catalogue was made with and the digests of its files.

use std::path::Path;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::seal::{CATALOGUE, Counts, Provenance, REJECTS};
use super::{CatalogueError, publish, temporary_name};

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
            let digest = sha256(&path).map_err(CatalogueError::io(&path))?;
            digests.insert(name, digest.into());
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

/// What `sha256sum` prints for a file.
fn sha256(path: &Path) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut buffer)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    let digest = hasher.finalize();
    Ok(digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}
