//! `run.json`: what a catalogue was made with and the digests of its files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::durable::{sync_file, temporary_name};
use super::seal::{Counts, Sealing};
use super::{CatalogueError, publish};

/// Name of the manifest within the catalogue's folder.
pub const MANIFEST: &str = "run.json";

/// What `run.json` says. Like the files that it vouches for it holds nothing that differs between
/// two runs over the same inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Rows of the catalogue.
    pub rows: u64,
    /// Rows of the table of rejects.
    pub rejects: u64,
    /// Inputs that the catalogue accounts for.
    pub inputs: u64,
    /// Those of them that could be read, which `inputs.b3` lists.
    pub inputs_read: u64,
    /// Rows of contents that their files do not have any more; the ledger does not count them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replaced: u64,
    /// The volumes of the night whose rows were taken into account, the oldest first: the names of
    /// folders beside this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supplements: Vec<String>,
    /// What made the rows, by lower-case keyword; the same stands in the headers.
    pub made_with: BTreeMap<String, String>,
    /// Name, version and the beginning of the network's hash.
    pub model: String,
    /// SHA-256 of the model's files.
    pub model_sha256: BTreeMap<String, String>,
    /// The settings that can change a row or a reject.
    pub settings: BTreeMap<String, String>,
    /// SHA-256 of the settings, a line `key = value` each.
    pub settings_sha256: String,
    /// SHA-256 of every published file.
    pub sha256: BTreeMap<String, String>,
}

impl Manifest {
    /// The manifest of the files that lie in the folder under their temporary names.
    pub(super) fn of(
        sealing: &Sealing<'_>,
        counts: Counts,
        inputs_read: u64,
        replaced: u64,
    ) -> Result<Self, CatalogueError> {
        let made = sealing.made;
        let (inputs, _) = sealing.ledger.totals()?;
        let mut digests = BTreeMap::new();
        for name in publish::NAMES {
            let path = temporary_name(&sealing.folder.join(name));
            digests.insert(name.to_owned(), sha256_of_file(&path)?);
        }
        let entries = made.provenance.entries.iter();
        let volumes = sealing.earlier.iter().filter_map(|folder| folder.file_name());
        Ok(Self {
            rows: counts.rows,
            rejects: counts.rejects,
            inputs,
            inputs_read,
            replaced,
            supplements: volumes.map(|name| name.to_string_lossy().into_owned()).collect(),
            made_with: entries
                .map(|(keyword, value, _)| (keyword.to_lowercase(), value.clone()))
                .collect(),
            model: sealing.model_id.to_owned(),
            model_sha256: made.model_files.clone(),
            settings: made.settings.clone(),
            settings_sha256: settings_sha256(&made.settings),
            sha256: digests,
        })
    }

    /// Writes it under its temporary name, synced.
    pub(super) fn write(&self, folder: &Path) -> Result<(), CatalogueError> {
        let path = temporary_name(&folder.join(MANIFEST));
        let json = serde_json::to_string_pretty(self)
            .map_err(|error| CatalogueError::io(&path)(error.into()))?;
        std::fs::write(&path, json + "\n").map_err(CatalogueError::io(&path))?;
        sync_file(&path)
    }

    /// Reads the manifest of a catalogue; `None` if there is none, so that nothing vouches for the
    /// files beside it.
    ///
    /// # Errors
    /// [`CatalogueError::Io`] when it cannot be read or is none.
    pub fn read(folder: &Path) -> Result<Option<Self>, CatalogueError> {
        let path = folder.join(MANIFEST);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| CatalogueError::io(&path)(error.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CatalogueError::io(&path)(error)),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn settings_sha256(settings: &BTreeMap<String, String>) -> String {
    let mut hasher = Sha256::new();
    for (key, value) in settings {
        hasher.update(format!("{key} = {value}\n"));
    }
    hex(&hasher.finalize())
}

/// SHA-256 of every file below a folder, by its name within it, but for those in one of its folders.
pub(crate) fn digests_below(
    folder: &Path,
    without: &Path,
) -> Result<BTreeMap<String, String>, CatalogueError> {
    let mut digests = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(place) = open.pop() {
        for entry in std::fs::read_dir(&place).map_err(CatalogueError::io(&place))? {
            let path = entry.map_err(CatalogueError::io(&place))?.path();
            if path == without {
                continue;
            }
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            digests.insert(name, sha256_of_file(&path)?);
        }
    }
    Ok(digests)
}

/// What `sha256sum` prints for a file.
pub(crate) fn sha256_of_file(path: &Path) -> Result<String, CatalogueError> {
    let mut hasher = Sha256::new();
    let mut file = std::fs::File::open(path).map_err(CatalogueError::io(path))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).map_err(CatalogueError::io(path))? {
            0 => return Ok(hex(&hasher.finalize())),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// The digits of a digest.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
