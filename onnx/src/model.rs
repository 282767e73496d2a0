//! A model folder on disk.

use std::fs;
use std::path::{Path, PathBuf};

use crate::folder::{self, Kind, ManifestText, read_error};
use crate::forward_model::ForwardModel;
use crate::golden::Golden;
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
    /// [`ModelError::Read`], [`ModelError::Parse`] or [`ModelError::Invalid`], and
    /// [`ModelError::Kind`] for a model of another kind.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, ModelError> {
        let dir = dir.into();
        let text = ManifestText::read(&dir)?;
        Self::from_text(dir, text)
    }

    fn from_text(dir: PathBuf, text: ManifestText) -> Result<Self, ModelError> {
        let manifest = text.into_manifest(Kind::Regressor, validate)?;
        Ok(Self { dir, manifest })
    }

    /// Hashes every file the manifest names.
    ///
    /// # Errors
    /// [`ModelError::Read`], [`ModelError::Escape`] or [`ModelError::Hash`], for the first file
    /// that fails.
    pub fn check_files(&self) -> Result<(), ModelError> {
        folder::check_files(&self.dir, self.manifest.files.iter())
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
        folder::read(&self.dir, entry)
    }
}

/// A model of either kind.
#[derive(Debug, Clone)]
pub enum AnyModel {
    /// From prepared spectra to labels.
    Regressor(Box<Model>),
    /// From labels to spectra.
    Forward(Box<ForwardModel>),
}

impl AnyModel {
    /// Reads and checks `dir/manifest.toml`, of whatever kind it is.
    ///
    /// # Errors
    /// [`ModelError::Read`], [`ModelError::Parse`] or [`ModelError::Invalid`].
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, ModelError> {
        let dir = dir.into();
        let text = ManifestText::read(&dir)?;
        match text.kind() {
            Kind::Regressor => {
                Model::from_text(dir, text).map(|model| Self::Regressor(Box::new(model)))
            }
            Kind::Forward => {
                ForwardModel::from_text(dir, text).map(|model| Self::Forward(Box::new(model)))
            }
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        match self {
            Self::Regressor(model) => &model.dir,
            Self::Forward(model) => &model.dir,
        }
    }

    /// The regressor, unless it is a model of another kind.
    pub fn regressor(self) -> Option<Model> {
        match self {
            Self::Regressor(model) => Some(*model),
            Self::Forward(_) => None,
        }
    }

    /// The forward model, unless it is a model of another kind.
    pub fn forward(self) -> Option<ForwardModel> {
        match self {
            Self::Forward(model) => Some(*model),
            Self::Regressor(_) => None,
        }
    }
}

/// Opens every folder in `models_dir` that holds a `manifest.toml`, sorted by folder name. A
/// broken one is an entry of the list, so that it does not hide the others.
///
/// # Errors
/// [`ModelError::Read`] when `models_dir` itself cannot be read.
pub fn list(models_dir: &Path) -> Result<Vec<Result<AnyModel, ModelError>>, ModelError> {
    let unreadable = |source| read_error(models_dir, source);
    let mut folders = fs::read_dir(models_dir)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    folders.retain(|folder| folder.join("manifest.toml").exists());
    folders.sort();
    Ok(folders.into_iter().map(AnyModel::open).collect())
}
