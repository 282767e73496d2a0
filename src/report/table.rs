//! Published tables, read row by row in batches: only the columns that a report needs.

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
pub(super) struct Label {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) description: String,
}

/// What a report needs of a row of the catalogue. Missing numbers are NaN.
pub(super) struct Row<'a> {
    pub(super) id: &'a str,
    pub(super) ra: f64,
    pub(super) dec: f64,
    pub(super) date_obs: &'a str,
    pub(super) snr: f32,
    pub(super) flags: i32,
    pub(super) bad: bool,
    /// One value a label.
    pub(super) values: &'a [f32],
}

/// What a report needs of a reject.
pub(super) struct RejectRow<'a> {
    pub(super) code: i32,
    pub(super) reason: &'a str,
    pub(super) remedy: &'a str,
    pub(super) detail: &'a str,
    pub(super) file: &'a str,
    pub(super) ra: f64,
    pub(super) dec: f64,
}

/// Rows that are in memory at once.
const BATCH: usize = 2048;

const ROW_COLUMNS: [&str; 7] =
    ["spectrum_id", "ra", "dec", "date_obs", "snr_g", "flags", "flag_bad"];
const REJECT_COLUMNS: [&str; 7] = ["code", "reason", "remedy", "detail", "file", "ra", "dec"];

/// A table that is open.
pub(super) struct Table {
    path: PathBuf,
    builder: ParquetRecordBatchReaderBuilder<File>,
    /// The label columns: those between the counts of pixels and the novelty.
    pub(super) labels: Vec<Label>,
    /// How many rows it has.
    pub(super) rows: u64,
}

impl Table {
    /// Opens the catalogue of a folder.
    pub(super) fn catalogue(folder: &Path) -> Result<Self, ReportError> {
        let mut table = Self::open(folder, CATALOGUE)?;
        let fields = table.builder.schema().fields().clone();
        let place = |name: &str| fields.iter().position(|field| field.name() == name);
        let (Some(before), Some(behind)) = (place("n_empty_bins"), place("novelty")) else {
            return Err(table.lacks("novelty"));
        };
        let between = fields.iter().take(behind).skip(before + 1);
        table.labels = between
            .filter(|field| field.data_type() == &DataType::Float32)
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
    pub(super) fn rejects(folder: &Path) -> Result<Self, ReportError> {
        Self::open(folder, REJECTS)
    }

    fn open(folder: &Path, stem: &str) -> Result<Self, ReportError> {
        let path = folder.join(format!("{stem}.parquet"));
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
    pub(super) fn each_row(self, mut show: impl FnMut(&Row<'_>)) -> Result<(), ReportError> {
        let labels: Vec<String> = self.labels.iter().map(|label| label.name.clone()).collect();
        let wanted: Vec<&str> =
            ROW_COLUMNS.into_iter().chain(labels.iter().map(String::as_str)).collect();
        let mut values = vec![f32::NAN; labels.len()];
        self.each_batch(&wanted, |batch| {
            for row in 0..batch.num_rows() {
                for (value, name) in values.iter_mut().zip(&labels) {
                    *value = batch.float(name, row);
                }
                show(&Row {
                    id: batch.text("spectrum_id", row),
                    ra: batch.double("ra", row),
                    dec: batch.double("dec", row),
                    date_obs: batch.text("date_obs", row),
                    snr: batch.float("snr_g", row),
                    flags: batch.int("flags", row),
                    bad: batch.0.column_by_name("flag_bad").is_some_and(|array| {
                        array.as_boolean_opt().is_some_and(|array| array.value(row))
                    }),
                    values: &values,
                });
            }
        })
    }

    /// Shows every reject, in its order.
    pub(super) fn each_reject(
        self,
        mut show: impl FnMut(&RejectRow<'_>),
    ) -> Result<(), ReportError> {
        self.each_batch(&REJECT_COLUMNS, |batch| {
            for row in 0..batch.num_rows() {
                show(&RejectRow {
                    code: batch.int("code", row),
                    reason: batch.text("reason", row),
                    remedy: batch.text("remedy", row),
                    detail: batch.text("detail", row),
                    file: batch.text("file", row),
                    ra: batch.double("ra", row),
                    dec: batch.double("dec", row),
                });
            }
        })
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
