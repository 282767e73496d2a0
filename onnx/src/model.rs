//! A model folder on disk.

use std::fs;
use std::path::{Path, PathBuf};

use crate::golden::Golden;
use crate::hash;
use crate::manifest::{FileEntry, Manifest};
use crate::model_error::ModelError;
use crate::validate::validate;

/// A model folder whose manifest was read and holds together.
///
/// Opening reads the manifest alone. The files are hashed when they are used, or all of them by
/// [`Model::check_files`].
#[derive(Debug, Clone)]
pub struct Model {
    /// The folder.
    pub dir: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Model {
    /// Reads and checks `dir/manifest.toml`.
    ///
    /// # Errors
    /// [`ModelError::Read`], [`ModelError::Parse`] or [`ModelError::Invalid`].
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, ModelError> {
        let dir = dir.into();
        let path = dir.join("manifest.toml");
        let text = fs::read_to_string(&path).map_err(|source| read_error(&path, source))?;
        let manifest: Manifest = match toml::from_str(&text) {
            Ok(manifest) => manifest,
            Err(error) => {
                return Err(ModelError::Parse {
                    path,
                    reason: error.to_string().trim_end().into(),
                });
            }
        };
        match validate(&manifest) {
            Ok(()) => Ok(Self { dir, manifest }),
            Err(rule) => Err(ModelError::Invalid { path, rule }),
        }
    }

    /// Hashes every file the manifest names.
    ///
    /// # Errors
    /// [`ModelError::Read`], [`ModelError::Escape`] or [`ModelError::Hash`], for the first file
    /// that fails.
    pub fn check_files(&self) -> Result<(), ModelError> {
        self.manifest.files.iter().try_for_each(|entry| {
            let path = self.path(entry)?;
            let found = hash::of_file(&path).map_err(|source| read_error(&path, source))?;
            compare(path, entry, found)
        })
    }

    /// The SHA-256 of the network, as the manifest states it.
    pub fn onnx_sha256(&self) -> &str {
        &self.manifest.files.onnx.sha256
    }

    /// The golden cases, from bytes whose hash was checked.
    ///
    /// # Errors
    /// As [`Model::read`], and [`ModelError::Golden`] when a case does not fit the manifest.
    pub fn golden(&self) -> Result<Golden, ModelError> {
        let entry = &self.manifest.files.golden;
        let bytes = self.read(entry)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| error.to_string())
            .and_then(|golden: Golden| golden.validate(&self.manifest).map(|()| golden))
            .map_err(|reason| ModelError::Golden { path: self.dir.join(&entry.path), reason })
    }

    /// The content of a file of the folder. The bytes returned are the bytes hashed, so a file
    /// replaced in between cannot slip through.
    ///
    /// # Errors
    /// [`ModelError::Read`], [`ModelError::Escape`] or [`ModelError::Hash`].
    pub fn read(&self, entry: &FileEntry) -> Result<Vec<u8>, ModelError> {
        let path = self.path(entry)?;
        let bytes = fs::read(&path).map_err(|source| read_error(&path, source))?;
        compare(path, entry, hash::of_bytes(&bytes))?;
        Ok(bytes)
    }

    /// Where a file of the folder lies; a link that leads out of the folder is refused.
    fn path(&self, entry: &FileEntry) -> Result<PathBuf, ModelError> {
        let path = self.dir.join(&entry.path);
        let real = |path: &Path| path.canonicalize().map_err(|source| read_error(path, source));
        if real(&path)?.starts_with(real(&self.dir)?) {
            Ok(path)
        } else {
            Err(ModelError::Escape { path })
        }
    }
}

/// Opens every folder in `models_dir` that holds a `manifest.toml`, sorted by folder name. A
/// broken one is an entry of the list, so that it does not hide the others.
///
/// # Errors
/// [`ModelError::Read`] when `models_dir` itself cannot be read.
pub fn list(models_dir: &Path) -> Result<Vec<Result<Model, ModelError>>, ModelError> {
    let unreadable = |source| read_error(models_dir, source);
    let mut folders = fs::read_dir(models_dir)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    folders.retain(|folder| folder.join("manifest.toml").exists());
    folders.sort();
    Ok(folders.into_iter().map(Model::open).collect())
}

fn compare(path: PathBuf, entry: &FileEntry, found: String) -> Result<(), ModelError> {
    if found == entry.sha256 {
        return Ok(());
    }
    Err(ModelError::Hash { path, expected: entry.sha256.clone(), found })
}

fn read_error(path: &Path, source: std::io::Error) -> ModelError {
    ModelError::Read { path: path.to_owned(), source }
}
