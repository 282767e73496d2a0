//! What a published catalogue says of reductions, read from its Parquet files.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use starmill::quality::Quality;

/// A row of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: String,
    pub reduction: i32,
    pub flags: Quality,
    pub bad: bool,
    pub file: String,
}

impl Row {
    /// Whether it says that another row of its catalogue counts.
    pub fn is_older(&self) -> bool {
        self.flags.contains(Quality::OLDER_REDUCTION)
    }

    /// Whether it says that it counts instead of a row of an earlier volume.
    pub fn is_newer(&self) -> bool {
        self.flags.contains(Quality::NEWER_REDUCTION)
    }
}

fn batches(folder: &Path, stem: &str) -> Vec<RecordBatch> {
    let file = File::open(folder.join(format!("{stem}.parquet"))).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    batches.map(Result::unwrap).collect()
}

/// The rows of the catalogue in a folder, in its order.
pub fn rows(folder: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches(folder, "catalogue") {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let (ids, files) = (column("spectrum_id").as_string::<i32>(), column("file"));
        let files = files.as_string::<i32>();
        let number = |name: &str, row| column(name).as_primitive::<Int32Type>().value(row);
        for row in 0..batch.num_rows() {
            assert!(column("reduction").is_valid(row));
            rows.push(Row {
                id: ids.value(row).to_owned(),
                reduction: number("reduction", row),
                flags: Quality::from_value(number("flags", row)),
                bad: column("flag_bad").as_boolean().value(row),
                file: files.value(row).to_owned(),
            });
        }
    }
    rows
}

/// The reasons of the rejects in a folder, in their order.
pub fn rejects(folder: &Path) -> Vec<String> {
    let reasons = |batch: RecordBatch| -> Vec<String> {
        let reasons = batch.column_by_name("reason").unwrap().as_string::<i32>().clone();
        reasons.iter().map(|reason| reason.unwrap().to_owned()).collect()
    };
    batches(folder, "rejects").into_iter().flat_map(reasons).collect()
}
