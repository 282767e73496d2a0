//! The file of spectra, in one of two formats.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int64Array};
use arrow_schema::{DataType, Field};
use ndarray::Array2;

use super::fits_file::FitsFile;
use super::parquet_file::ParquetFile;
use super::{Column, GenerateError};
use crate::catalogue::{Provenance, space};

/// What the spectra are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A binary table with a row for each spectrum, and the wavelengths as an image.
    Fits,
    /// A table with a list in each row; the wavelengths are metadata of that column.
    Parquet,
}

impl Format {
    /// The format that a name tells.
    ///
    /// # Errors
    /// [`GenerateError::Format`] if it tells none.
    pub fn of(path: &Path) -> Result<Self, GenerateError> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("fits") => Ok(Self::Fits),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(GenerateError::Format(path.to_owned())),
        }
    }
}

/// What the file holds.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) labels: Vec<Column>,
    /// Vacuum, Angstrom, moved by the velocity of the spectra.
    pub(super) wavelength: Vec<f64>,
    /// Whether there is a column `ivar`.
    pub(super) has_noise: bool,
    pub(super) provenance: Provenance,
}

/// What both formats say of a column.
pub(super) struct Head {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) ucd: String,
    pub(super) description: String,
    /// Whether it has a value for each pixel.
    pub(super) is_spectrum: bool,
}

impl Layout {
    /// The columns: number of the row, labels, spectra.
    pub(super) fn columns(&self) -> Vec<Head> {
        let head = |name: &str, ucd: &str, description: &str, is_spectrum| Head {
            name: name.into(),
            unit: String::new(),
            ucd: ucd.into(),
            description: description.into(),
            is_spectrum,
        };
        let labels = self.labels.iter().map(|label| Head {
            name: label.name.clone(),
            unit: label.unit.clone(),
            ucd: label.ucd.clone(),
            description: label.description.clone(),
            is_spectrum: false,
        });
        let flux = head("flux", "phot.flux.density;arith.ratio", "Normalised flux", true);
        let ivar = head("ivar", "stat.weight", "Inverse variance of the flux", true);
        std::iter::once(head("row", "meta.record", "Row of the labels, from 1", false))
            .chain(labels)
            .chain([flux])
            .chain(self.has_noise.then_some(ivar))
            .collect()
    }

    /// Bytes of a spectrum with its labels.
    pub(super) fn row_bytes(&self) -> usize {
        let spectra = if self.has_noise { 2 } else { 1 };
        8 * (1 + self.labels.len()) + 4 * spectra * self.wavelength.len()
    }

    /// Refuses spectra for which the disk is too small, before the work is done.
    pub(super) fn check_room(&self, path: &Path, rows: u64) -> Result<(), GenerateError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let needed = rows.saturating_mul(self.row_bytes() as u64);
        match space(folder.unwrap_or(Path::new("."))) {
            // Parquet is compressed, by less than this.
            Some(space) if space.free < needed / 2 => {
                Err(GenerateError::Room { path: path.to_owned(), needed, free: space.free })
            }
            _ => Ok(()),
        }
    }
}

/// Spectra that belong together.
pub(super) struct Rows<'a> {
    pub(super) numbers: &'a [u64],
    /// The labels of all rows, one row after another.
    pub(super) labels: &'a [f64],
    pub(super) flux: Array2<f32>,
    /// The inverse variance of every pixel, where there is noise.
    pub(super) ivar: Option<f32>,
}

impl Rows<'_> {
    /// The arrays in the order of [`Layout::columns`].
    pub(super) fn arrays(&self) -> Vec<ArrayRef> {
        let width = self.labels.len() / self.numbers.len();
        let numbers = self.numbers.iter().map(|&number| number.cast_signed());
        let numbers: ArrayRef = Arc::new(numbers.collect::<Int64Array>());
        let labels = (0..width).map(|label| -> ArrayRef {
            let values = self.labels.iter().skip(label).step_by(width);
            Arc::new(values.copied().collect::<Float64Array>())
        });
        let pixels = self.flux.ncols();
        let flux = spectra(Float32Array::from_iter_values(self.flux.iter().copied()), pixels);
        let ivar = self.ivar.map(|ivar| {
            let values = std::iter::repeat_n(ivar, self.flux.len());
            spectra(Float32Array::from_iter_values(values), pixels)
        });
        std::iter::once(numbers).chain(labels).chain([flux]).chain(ivar).collect()
    }
}

/// A column of so many values in each row.
fn spectra(values: Float32Array, pixels: usize) -> ArrayRef {
    // A manifest has at most 2^17 pixels.
    let width = i32::try_from(pixels).unwrap_or(i32::MAX);
    Arc::new(FixedSizeListArray::new(item(), width, Arc::new(values), None))
}

/// The values of a list.
pub(super) fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, false))
}

/// The open file.
pub(super) enum Output {
    Fits(FitsFile),
    Parquet(Box<ParquetFile>),
}

impl Output {
    pub(super) fn create(
        format: Format,
        path: &Path,
        layout: Layout,
    ) -> Result<Self, GenerateError> {
        match format {
            Format::Fits => FitsFile::create(path, layout).map(Self::Fits),
            Format::Parquet => {
                ParquetFile::create(path, &layout).map(|file| Self::Parquet(Box::new(file)))
            }
        }
    }

    pub(super) fn append(&mut self, rows: &Rows<'_>) -> Result<(), GenerateError> {
        match self {
            Self::Fits(file) => file.append(rows),
            Self::Parquet(file) => file.append(rows),
        }
    }

    /// Ends the file, gives it its name and says how many spectra it holds.
    pub(super) fn finish(self) -> Result<u64, GenerateError> {
        match self {
            Self::Fits(file) => file.finish(),
            Self::Parquet(file) => file.finish(),
        }
    }
}
