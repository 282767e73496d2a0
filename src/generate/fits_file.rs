//! Spectra as FITS: a binary table `SPECTRA` with a row for each, and an image `WAVELENGTH`.
//!
//! astropy and whatever else knows binary tables read it: `Table.read(path, hdu="SPECTRA")` has the
//! labels and a column `flux` of shape `[rows, pixels]`; `fits.getdata(path, "WAVELENGTH")` is the
//! axis that all of them share.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};

use super::GenerateError;
use super::output::{Head, Layout, Rows};
use crate::catalogue::{
    Axis1, CatalogueError, ColumnHead, FitsTable, Kind, TextWidths, Unfinished,
};

/// An open file.
pub(super) struct FitsFile {
    table: FitsTable,
    wavelength: Vec<f64>,
    spectra: u64,
    // Dropped last: the table closes its file before the name is removed.
    file: Unfinished,
}

impl FitsFile {
    pub(super) fn create(path: &Path, layout: Layout) -> Result<Self, GenerateError> {
        let file = Unfinished::new(path);
        let pixels = layout.wavelength.len();
        let heads: Vec<ColumnHead> =
            layout.columns().into_iter().map(|column| head(column, pixels)).collect();
        let widths = TextWidths::new(heads.len());
        let provenance = &layout.provenance;
        let table = FitsTable::create(&file.temporary, "spectra", &heads, &widths, provenance)?;
        Ok(Self { table, wavelength: layout.wavelength, spectra: 0, file })
    }

    pub(super) fn append(&mut self, rows: &Rows<'_>) -> Result<(), GenerateError> {
        let arrays = rows.arrays();
        // The table goes by the order of the columns alone.
        let fields: Vec<Field> = arrays
            .iter()
            .enumerate()
            .map(|(at, array)| Field::new(at.to_string(), array.data_type().clone(), true))
            .collect();
        let batch =
            RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|error| {
                CatalogueError::Parquet { path: self.file.path.clone(), source: error.into() }
            })?;
        self.table.append(&batch)?;
        self.spectra += batch.num_rows() as u64;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<u64, GenerateError> {
        self.table.append_image(&Axis1 {
            extname: "WAVELENGTH",
            values: &self.wavelength,
            unit: "Angstrom",
            comment: "vacuum wavelength of each pixel of flux",
        })?;
        self.table.close()?;
        self.file.publish()?;
        Ok(self.spectra)
    }
}

fn head(column: Head, pixels: usize) -> ColumnHead {
    let kind = match column.name.as_str() {
        "row" => Kind::Int64,
        _ if column.is_spectrum => Kind::Floats(pixels),
        _ => Kind::Float64,
    };
    ColumnHead {
        name: column.name,
        kind,
        unit: column.unit,
        ucd: column.ucd,
        description: column.description,
        alias: String::new(),
        shape: Vec::new(),
    }
}
