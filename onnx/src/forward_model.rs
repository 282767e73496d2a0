//! The folder of a forward model on disk.

use std::path::PathBuf;

use crate::folder::{self, Kind, ManifestText};
use crate::forward_golden::ForwardGolden;
use crate::forward_manifest::ForwardManifest;
use crate::forward_validate::validate;
use crate::manifest::FileEntry;
use crate::model_error::ModelError;

/// A folder of a forward model whose manifest was read and holds together.
///
/// Opening reads the manifest alone. The files are hashed when they are used, or all of them by
/// [`ForwardModel::check_files`].
#[derive(Debug, Clone)]
pub struct ForwardModel {
    /// The folder.
    pub dir: PathBuf,
    /// Its manifest.
    pub manifest: ForwardManifest,
}

impl ForwardModel {
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

    pub(crate) fn from_text(dir: PathBuf, text: ManifestText) -> Result<Self, ModelError> {
        let manifest = text.into_manifest(Kind::Forward, validate)?;
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

    /// The wavelength of each pixel: vacuum, Angstrom, in the star's rest frame, increasing.
    ///
    /// # Errors
    /// As [`ForwardModel::read`], and [`ModelError::Pixels`] for another number of values or one
    /// that is not positive, finite and larger than the one before.
    pub fn wavelength(&self) -> Result<Vec<f64>, ModelError> {
        let entry = &self.manifest.files.wavelength;
        let values = self.values(entry, f64::from_le_bytes)?;
        let is_wavelength = |value: &f64| value.is_finite() && *value > 0.0;
        if !values.iter().all(is_wavelength) || !values.is_sorted_by(|before, after| before < after)
        {
            let reason = "the wavelengths are not positive, finite and increasing".into();
            return Err(ModelError::Pixels { path: self.dir.join(&entry.path), reason });
        }
        Ok(values)
    }

    /// The error of the normalised flux, one standard deviation for each pixel: from the file of
    /// the folder, else the one number of the manifest for all.
    ///
    /// # Errors
    /// As [`ForwardModel::read`], and [`ModelError::Pixels`] for another number of values or one
    /// that is negative or not finite.
    pub fn model_error(&self) -> Result<Vec<f32>, ModelError> {
        let spectrum = &self.manifest.spectrum;
        let Some(entry) = &self.manifest.files.model_error else {
            #[expect(clippy::cast_possible_truncation, reason = "an error needs few digits")]
            return Ok(vec![spectrum.model_error as f32; spectrum.pixels]);
        };
        let values = self.values(entry, f32::from_le_bytes)?;
        if !values.iter().all(|value| value.is_finite() && *value >= 0.0) {
            let reason = "an error is negative or not finite".into();
            return Err(ModelError::Pixels { path: self.dir.join(&entry.path), reason });
        }
        Ok(values)
    }

    /// One little-endian number for each pixel.
    fn values<T, const BYTES: usize>(
        &self,
        entry: &FileEntry,
        decode: fn([u8; BYTES]) -> T,
    ) -> Result<Vec<T>, ModelError> {
        let bytes = self.read(entry)?;
        let pixels = self.manifest.spectrum.pixels;
        if bytes.len() != BYTES * pixels {
            let (found, needed) = (bytes.len(), BYTES * pixels);
            let reason = format!("{found} bytes where {pixels} pixels take {needed}");
            return Err(ModelError::Pixels { path: self.dir.join(&entry.path), reason });
        }
        let (values, _) = bytes.as_chunks();
        Ok(values.iter().map(|value| decode(*value)).collect())
    }

    /// The golden cases, from bytes whose hash was checked.
    ///
    /// # Errors
    /// As [`ForwardModel::read`], and [`ModelError::Golden`] when a case does not fit the manifest.
    pub fn golden(&self) -> Result<ForwardGolden, ModelError> {
        let entry = &self.manifest.files.golden;
        let bytes = self.read(entry)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| error.to_string())
            .and_then(|golden: ForwardGolden| golden.validate(&self.manifest).map(|()| golden))
            .map_err(|reason| ModelError::Golden { path: self.dir.join(&entry.path), reason })
    }

    /// The content of a file of the folder; the bytes returned are the bytes hashed.
    ///
    /// # Errors
    /// [`ModelError::Read`], [`ModelError::Escape`] or [`ModelError::Hash`].
    pub fn read(&self, entry: &FileEntry) -> Result<Vec<u8>, ModelError> {
        folder::read(&self.dir, entry)
    }
}
