//! What every model folder has, whatever its kind: a manifest, and files with their hashes.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::hash;
use crate::manifest::FileEntry;
use crate::model_error::ModelError;

/// What a model is for, the key `kind` of its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// From prepared spectra to labels; the kind of a manifest that names none.
    #[default]
    Regressor,
    /// From labels to spectra.
    Forward,
}

/// The text of a manifest, of which the kind is told before all of it is believed.
pub(crate) struct ManifestText {
    path: PathBuf,
    text: String,
    kind: Kind,
}

impl ManifestText {
    /// Reads `dir/manifest.toml`.
    pub(crate) fn read(dir: &Path) -> Result<Self, ModelError> {
        /// The only key that is looked at here.
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            kind: Kind,
        }
        let path = dir.join("manifest.toml");
        let text = fs::read_to_string(&path).map_err(|source| read_error(&path, source))?;
        let Head { kind } = parse(&path, &text)?;
        Ok(Self { path, text, kind })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The manifest, if it is of this kind and keeps the rules.
    pub(crate) fn into_manifest<M: DeserializeOwned>(
        self,
        wanted: Kind,
        rules: impl FnOnce(&M) -> Result<(), String>,
    ) -> Result<M, ModelError> {
        if self.kind != wanted {
            return Err(ModelError::Kind { path: self.path, found: self.kind });
        }
        let manifest = parse(&self.path, &self.text)?;
        match rules(&manifest) {
            Ok(()) => Ok(manifest),
            Err(rule) => Err(ModelError::Invalid { path: self.path, rule }),
        }
    }
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ModelError> {
    toml::from_str(text).map_err(|error| ModelError::Parse {
        path: path.to_owned(),
        reason: error.to_string().trim_end().into(),
    })
}

/// Hashes files of a folder.
pub(crate) fn check_files<'a>(
    dir: &Path,
    mut entries: impl Iterator<Item = &'a FileEntry>,
) -> Result<(), ModelError> {
    entries.try_for_each(|entry| {
        let path = locate(dir, entry)?;
        let found = hash::of_file(&path).map_err(|source| read_error(&path, source))?;
        compare(path, entry, found)
    })
}

/// The content of a file of the folder. The bytes returned are the bytes hashed, so a file
/// replaced in between cannot slip through.
pub(crate) fn read(dir: &Path, entry: &FileEntry) -> Result<Vec<u8>, ModelError> {
    let path = locate(dir, entry)?;
    let bytes = fs::read(&path).map_err(|source| read_error(&path, source))?;
    compare(path, entry, hash::of_bytes(&bytes))?;
    Ok(bytes)
}

/// Where a file of the folder lies; a link that leads out of the folder is refused.
fn locate(dir: &Path, entry: &FileEntry) -> Result<PathBuf, ModelError> {
    let path = dir.join(&entry.path);
    let real = |path: &Path| path.canonicalize().map_err(|source| read_error(path, source));
    if real(&path)?.starts_with(real(dir)?) { Ok(path) } else { Err(ModelError::Escape { path }) }
}

fn compare(path: PathBuf, entry: &FileEntry, found: String) -> Result<(), ModelError> {
    if found == entry.sha256 {
        return Ok(());
    }
    Err(ModelError::Hash { path, expected: entry.sha256.clone(), found })
}

pub(crate) fn read_error(path: &Path, source: std::io::Error) -> ModelError {
    ModelError::Read { path: path.to_owned(), source }
}
