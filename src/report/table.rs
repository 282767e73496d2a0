//! Published tables and segments, read row by row in batches: only the columns that are needed.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::ReportError;
use crate::catalogue::{CATALOGUE, REJECTS};

/// A label column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) description: String,
}

/// What a report needs of a row of the catalogue. Missing numbers are NaN.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) id: &'a str,
    pub(crate) ra: f64,
    pub(crate) dec: f64,
    pub(crate) date_obs: &'a str,
    pub(crate) snr: f32,
    pub(crate) flags: i32,
    pub(crate) bad: bool,
    /// One value a label.
    pub(crate) values: &'a [f32],
}

/// What a report needs of a reject.
pub(crate) struct RejectRow<'a> {
    pub(crate) code: i32,
    pub(crate) reason: &'a str,
    pub(crate) remedy: &'a str,
    pub(crate) detail: &'a str,
    pub(crate) file: &'a str,
    /// Which spectrum of the file, from 0.
    pub(crate) index: i32,
    pub(crate) ra: f64,
    pub(crate) dec: f64,
}

/// Rows that are in memory at once.
const BATCH: usize = 2048;

const ROW_COLUMNS: [&str; 7] =
    ["spectrum_id", "ra", "dec", "date_obs", "snr_g", "flags", "flag_bad"];
const REJECT_COLUMNS: [&str; 8] =
    ["code", "reason", "remedy", "detail", "file", "file_index", "ra", "dec"];

/// A table that is open.
pub(crate) struct Table {
    path: PathBuf,
    builder: ParquetRecordBatchReaderBuilder<File>,
    /// The label columns: those between the counts of pixels and the novelty.
    pub(crate) labels: Vec<Label>,
    /// How many rows it has.
    pub(crate) rows: u64,
}

impl Table {
    /// Opens the catalogue of a folder.
    pub(crate) fn catalogue(folder: &Path) -> Result<Self, ReportError> {
        Self::with_labels(folder.join(format!("{CATALOGUE}.parquet")))
    }

    /// Opens a segment, which has the columns of both tables.
    pub(crate) fn segment(path: PathBuf) -> Result<Self, ReportError> {
        Self::with_labels(path)
    }

    fn with_labels(path: PathBuf) -> Result<Self, ReportError> {
        let mut table = Self::open(path)?;
        let fields = table.builder.schema().fields().clone();
        let place = |name: &str| fields.iter().position(|field| field.name() == name);
        let (Some(before), Some(behind)) = (place("n_empty_bins"), place("novelty")) else {
            return Err(table.lacks("novelty"));
        };
        let between = fields.iter().take(behind).skip(before + 1);
        table.labels = between
            .filter(|field| field.data_type() == &DataType::Float32)
            // How well a forward model fits stands there too, which is no physical quantity.
            .filter(|field| {
                let ucd = field.metadata().get("ucd").map_or("", String::as_str);
                ucd.is_empty() || ucd.starts_with("phys")
            })
            // The error of a label is none.
            .filter(|field| {
                field.name().strip_suffix("_err").is_none_or(|label| place(label).is_none())
            })
            .map(|field| {
                let note = |key: &str| field.metadata().get(key).cloned().unwrap_or_default();
                Label {
                    name: field.name().clone(),
                    unit: note("unit"),
                    description: note("description"),
                }
            })
            .collect();
        Ok(table)
    }

    /// Opens the rejects of a folder.
    pub(crate) fn rejects(folder: &Path) -> Result<Self, ReportError> {
        Self::open(folder.join(format!("{REJECTS}.parquet")))
    }

    fn open(path: PathBuf) -> Result<Self, ReportError> {
        let file =
            File::open(&path).map_err(|source| ReportError::Io { path: path.clone(), source })?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|source| ReportError::Table { path: path.clone(), source })?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        Ok(Self { path, builder, labels: Vec::new(), rows })
    }

    fn lacks(&self, column: &str) -> ReportError {
        ReportError::Column { path: self.path.clone(), column: column.to_owned() }
    }

    /// Shows every row of the catalogue, in its order.
    pub(crate) fn each_row(self, mut show: impl FnMut(&Row<'_>)) -> Result<(), ReportError> {
        let labels = self.label_names();
        let wanted: Vec<&str> =
            ROW_COLUMNS.into_iter().chain(labels.iter().map(String::as_str)).collect();
        let mut values = vec![f32::NAN; labels.len()];
        self.each_batch(&wanted, |batch| {
            (0..batch.num_rows()).for_each(|row| show(&batch.row(row, &labels, &mut values)));
        })
    }

    /// Shows every reject, in its order.
    pub(crate) fn each_reject(
        self,
        mut show: impl FnMut(&RejectRow<'_>),
    ) -> Result<(), ReportError> {
        self.each_batch(&REJECT_COLUMNS, |batch| {
            (0..batch.num_rows()).for_each(|row| show(&batch.reject(row)));
        })
    }

    /// Shows every outcome of a segment as a row and as a reject: the code of a row is 0.
    pub(crate) fn each_outcome(
        self,
        mut show: impl FnMut(&Row<'_>, &RejectRow<'_>),
    ) -> Result<(), ReportError> {
        let labels = self.label_names();
        let wanted = ROW_COLUMNS.into_iter().chain(REJECT_COLUMNS);
        let wanted: Vec<&str> = wanted.chain(labels.iter().map(String::as_str)).collect();
        let mut values = vec![f32::NAN; labels.len()];
        self.each_batch(&wanted, |batch| {
            for row in 0..batch.num_rows() {
                show(&batch.row(row, &labels, &mut values), &batch.reject(row));
            }
        })
    }

    fn label_names(&self) -> Vec<String> {
        self.labels.iter().map(|label| label.name.clone()).collect()
    }

    fn each_batch(self, wanted: &[&str], mut show: impl FnMut(&Batch)) -> Result<(), ReportError> {
        let schema = self.builder.parquet_schema();
        let missing = wanted
            .iter()
            .find(|name| schema.columns().iter().all(|column| column.name() != **name));
        if let Some(missing) = missing {
            return Err(self.lacks(missing));
        }
        let mask = ProjectionMask::columns(schema, wanted.iter().copied());
        let path = self.path;
        let reader = self
            .builder
            .with_projection(mask)
            .with_batch_size(BATCH)
            .build()
            .map_err(|source| ReportError::Table { path: path.clone(), source })?;
        for batch in reader {
            let batch = batch.map_err(|source| ReportError::Table {
                path: path.clone(),
                source: source.into(),
            })?;
            show(&Batch(batch));
        }
        Ok(())
    }
}

/// Cells by name; what is missing or of another type is NaN, 0 or empty.
struct Batch(RecordBatch);

impl Batch {
    fn row<'a>(&'a self, row: usize, labels: &[String], values: &'a mut [f32]) -> Row<'a> {
        for (value, name) in values.iter_mut().zip(labels) {
            *value = self.float(name, row);
        }
        Row {
            id: self.text("spectrum_id", row),
            ra: self.double("ra", row),
            dec: self.double("dec", row),
            date_obs: self.text("date_obs", row),
            snr: self.float("snr_g", row),
            flags: self.int("flags", row),
            bad: self
                .0
                .column_by_name("flag_bad")
                .is_some_and(|array| array.as_boolean_opt().is_some_and(|array| array.value(row))),
            values,
        }
    }

    fn reject(&self, row: usize) -> RejectRow<'_> {
        RejectRow {
            code: self.int("code", row),
            reason: self.text("reason", row),
            remedy: self.text("remedy", row),
            detail: self.text("detail", row),
            file: self.text("file", row),
            index: self.int("file_index", row),
            ra: self.double("ra", row),
            dec: self.double("dec", row),
        }
    }

    fn column(&self, name: &str, row: usize) -> Option<&dyn Array> {
        self.0.column_by_name(name).map(AsRef::as_ref).filter(|array| array.is_valid(row))
    }

    fn num_rows(&self) -> usize {
        self.0.num_rows()
    }

    fn text(&self, name: &str, row: usize) -> &str {
        let array = self.column(name, row).and_then(|array| array.as_string_opt::<i32>());
        array.map_or("", |array| array.value(row))
    }

    fn double(&self, name: &str, row: usize) -> f64 {
        let array =
            self.column(name, row).and_then(|array| array.as_primitive_opt::<Float64Type>());
        array.map_or(f64::NAN, |array| array.value(row))
    }

    fn float(&self, name: &str, row: usize) -> f32 {
        let array =
            self.column(name, row).and_then(|array| array.as_primitive_opt::<Float32Type>());
        array.map_or(f32::NAN, |array| array.value(row))
    }

    fn int(&self, name: &str, row: usize) -> i32 {
        let array = self.column(name, row).and_then(|array| array.as_primitive_opt::<Int32Type>());
        array.map_or(0, |array| array.value(row))
    }
}
