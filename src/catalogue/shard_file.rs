//! All outcomes of one shard of a backfill in one file: sorted like a segment, and it says by itself
//! what made it. One file can be given its name at once, and by one of several processes alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{BooleanArray, Int32Array, RecordBatch};
use arrow_select::filter::filter_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use serde::{Deserialize, Serialize};

use super::batch::{published, text_column, writer_properties};
use super::columns::{CODE, FILE, FILE_BLAKE3};
use super::durable::sync_file;
use super::merge::{ROWS, merge};
use super::reductions::{Reductions, Superseded};
use super::seal::{Counts, Made, Provenance};
use super::{CatalogueError, SEGMENTS, Store, StoreError};

/// Key of what a shard says of itself.
const SHARD: &str = "starmill.shard";

/// What made the rows of a backfill. It is the same in all shards, or they do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// BLAKE3 of the plan.
    pub plan: String,
    /// How many shards the plan has.
    pub shards: u64,
    /// Name, version and the beginning of the network's hash.
    pub model: String,
    /// Keyword, value and comment of each entry of the provenance.
    pub provenance: Vec<(String, String, String)>,
    /// SHA-256 of each file of the model, by its name.
    pub model_files: BTreeMap<String, String>,
    /// The settings that can change a row or a reject.
    pub settings: BTreeMap<String, String>,
}

impl Origin {
    /// What is made for this plan by this model with these settings.
    pub fn of(plan: &str, shards: u64, model: &str, made: &Made) -> Self {
        let Made { provenance, model_files, settings } = made.clone();
        let (plan, model, provenance) = (plan.to_owned(), model.to_owned(), provenance.entries);
        Self { plan, shards, model, provenance, model_files, settings }
    }
}

impl Origin {
    /// The provenance as headers have it.
    pub fn provenance(&self) -> Provenance {
        Provenance { entries: self.provenance.clone() }
    }

    /// What made the rows, by lower-case keyword.
    pub fn made_with(&self) -> BTreeMap<String, String> {
        let entries = self.provenance.iter();
        entries.map(|(keyword, value, _)| (keyword.to_lowercase(), value.clone())).collect()
    }

    /// Which of several reductions of an observation are published.
    pub fn reductions(&self) -> Reductions {
        Reductions::of(&self.settings)
    }
}

/// What the writer of a shard's file knows of it.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// What makes the rows.
    pub origin: &'a Origin,
    /// The shard's number.
    pub number: u64,
    /// Entries of its list that were done.
    pub entries: u64,
    /// The name of this try.
    pub attempt: &'a str,
}

/// What a shard says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardNote {
    /// What made it.
    pub origin: Origin,
    /// Its number in the plan.
    pub number: u64,
    /// Entries of its list that it accounts for.
    pub entries: u64,
    /// Inputs of different content among them.
    pub inputs: u64,
    /// Its spectra that gave a row, before reductions of one observation are compared.
    pub rows: u64,
    /// Its spectra and files that gave a reject.
    pub rejects: u64,
    /// Which of several tries wrote it.
    pub attempt: String,
}

impl ShardNote {
    /// Reads what a shard's file says of itself.
    ///
    /// # Errors
    /// [`CatalogueError`] if it cannot be read or is none.
    pub fn read(path: &Path) -> Result<Self, CatalogueError> {
        let read = || -> Result<Self, ParquetError> {
            let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
            let notes = builder.metadata().file_metadata().key_value_metadata();
            let note = notes.into_iter().flatten().find(|note| note.key == SHARD);
            let text = note.and_then(|note| note.value.as_deref());
            let absent = || ParquetError::General("it is no shard of a backfill".to_owned());
            serde_json::from_str(text.ok_or_else(absent)?)
                .map_err(|error| ParquetError::General(error.to_string()))
        };
        read().map_err(CatalogueError::parquet(path))
    }
}

/// Writes all outcomes of a catalogue's segments to one file, durably but under whatever name is
/// given. Contents that their paths do not have any more are left out.
///
/// # Errors
/// [`CatalogueError::Conservation`] when rows and rejects do not add up to the ledger's spectra,
/// [`CatalogueError::GivenUp`] when asked to, and those of reading and writing.
pub(super) fn write(
    store: &Store,
    path: &Path,
    written: &Written<'_>,
    give_up: &dyn Fn() -> bool,
) -> Result<ShardNote, StoreError> {
    let (folder, ledger) = (store.folder(), store.ledger());
    let segments = ledger.segments()?.into_iter();
    let segments = segments.map(|segment| folder.join(SEGMENTS).join(segment.name)).collect();
    let mut merged = merge(segments, ROWS, folder, give_up)?;
    let superseded = Superseded::of(ledger)?;
    let file = File::create(path).map_err(CatalogueError::io(path))?;
    let wrong = || CatalogueError::parquet(path);
    let (mut writer, mut file, mut counts) = (None, Some(file), Counts::default());
    while let Some(batch) = merged.next_batch()? {
        if give_up() {
            return Err(CatalogueError::GivenUp.into());
        }
        let batch = without(&batch, &superseded)?;
        count(&batch, &mut counts);
        let writer = match (&mut writer, file.take()) {
            (Some(writer), _) => writer,
            (empty, file) => {
                let properties = Some(writer_properties(published()));
                let file = file.ok_or_else(|| ParquetError::General("no file".to_owned()));
                let begun =
                    ArrowWriter::try_new(file.map_err(wrong())?, batch.schema(), properties);
                empty.insert(begun.map_err(wrong())?)
            }
        };
        writer.write(&batch).map_err(wrong())?;
    }
    let (inputs, spectra) = ledger.totals()?;
    let Counts { rows, rejects } = counts;
    if rows + rejects != spectra {
        return Err(CatalogueError::Conservation { rows, rejects, spectra }.into());
    }
    let note = ShardNote {
        origin: written.origin.clone(),
        number: written.number,
        entries: written.entries,
        inputs,
        rows,
        rejects,
        attempt: written.attempt.to_owned(),
    };
    let text =
        serde_json::to_string(&note).map_err(|error| CatalogueError::io(path)(error.into()))?;
    // A shard has at least one entry, and an entry gives at least one outcome.
    let mut writer: ArrowWriter<File> = writer
        .ok_or_else(|| ParquetError::General("there is no outcome to write".to_owned()))
        .map_err(wrong())?;
    writer.append_key_value_metadata(KeyValue::new(SHARD.to_owned(), text));
    writer.close().map_err(wrong())?;
    sync_file(path)?;
    Ok(note)
}

/// The rows whose paths still have their content.
fn without(batch: &RecordBatch, superseded: &Superseded<'_>) -> Result<RecordBatch, StoreError> {
    let (files, digests) = (text_column(batch, FILE), text_column(batch, FILE_BLAKE3));
    let mut kept = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        kept.push(Some(!superseded.holds(digests.value(row), files.value(row))?));
    }
    let kept: BooleanArray = kept.into_iter().collect();
    let batch = filter_record_batch(batch, &kept);
    Ok(batch.map_err(CatalogueError::parquet(Path::new(SEGMENTS)))?)
}

fn count(batch: &RecordBatch, counts: &mut Counts) {
    let codes = batch.column_by_name(CODE).expect("segments have every column");
    let codes: &Int32Array = codes.as_primitive::<Int32Type>();
    let rows = codes.values().iter().filter(|&&code| code == 0).count() as u64;
    counts.rows += rows;
    counts.rejects += batch.num_rows() as u64 - rows;
}
