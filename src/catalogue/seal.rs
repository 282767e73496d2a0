//! Sealing: from segments to the catalogue and the table of rejects, in both formats.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow_select::filter::filter_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;

use super::batch::{name_in, published, segment_schema, writer_properties};
use super::columns::{CODE, Column, DETAIL, FILE, REASON, REMEDY, Schema};
use super::fits_table::{FitsTable, TextWidths};
use super::merge::{MERGED_ROWS, keys, merge};
use super::{CatalogueError, publish, temporary_name};
use crate::reject::{Code, Reject};

/// Stem of the catalogue's files.
pub const CATALOGUE: &str = "catalogue";
/// Stem of the files of rejects.
pub const REJECTS: &str = "rejects";

/// What made the rows; it goes into the headers of both formats. It holds nothing that differs
/// between two runs over the same inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// Keyword (at most eight characters), value, comment.
    pub entries: Vec<(String, String, String)>,
}

/// How many outcomes a catalogue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Rows.
    pub rows: u64,
    /// Rejects.
    pub rejects: u64,
}

/// What the ledger expects of a catalogue.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Spectra of all inputs that count.
    pub spectra: u64,
    /// Inputs (digest and path) that a newer content of the same path replaces.
    pub superseded: HashSet<(String, String)>,
}

/// Merges the segments into `catalogue.{parquet,fits}` and `rejects.{parquet,fits}`.
///
/// Of several rows for one observation the newest reduction stays; the others become rejects.
///
/// # Errors
/// [`CatalogueError::Conservation`] when rows and rejects do not add up; the old catalogue stays
/// then, as it does after any other [`CatalogueError`].
pub fn seal(
    folder: &Path,
    segments: Vec<PathBuf>,
    schema: &Schema,
    provenance: &Provenance,
    expected: &Expected,
) -> Result<Counts, CatalogueError> {
    let mut rows = Sink::create(folder, CATALOGUE, schema, schema.rows(), provenance)?;
    let mut rejects = Sink::create(folder, REJECTS, schema, schema.rejects(), provenance)?;
    let mut merged = merge(segments, folder)?;
    let mut winner = None;
    while let Some(batch) = merged.next_batch()? {
        let verdicts = judge(&batch, &mut winner, &expected.superseded);
        rows.write(&batch, &verdicts, |verdict| *verdict == Verdict::Row)?;
        let batch =
            with_verdicts(&batch, &verdicts).map_err(CatalogueError::parquet(&rejects.parquet))?;
        rejects.write(&batch, &verdicts, |verdict| matches!(verdict, Verdict::Reject(_)))?;
    }
    let counts = Counts { rows: rows.count, rejects: rejects.count };
    if counts.rows + counts.rejects != expected.spectra {
        let Counts { rows, rejects } = counts;
        return Err(CatalogueError::Conservation { rows, rejects, spectra: expected.spectra });
    }
    for sink in [rows, rejects] {
        sink.publish(provenance)?;
    }
    remove_scratch(folder)?;
    Ok(counts)
}

/// What becomes of a row of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Row,
    /// With the new reason if the segment held a row.
    Reject(Option<Reject>),
    Superseded,
}

/// The row that stands for an observation.
struct Winner {
    name: Vec<u8>,
    digest: String,
    file: String,
}

fn text_column<'a>(batch: &'a RecordBatch, name: &str) -> &'a StringArray {
    batch.column_by_name(name).expect("segments have every column").as_string()
}

fn judge(
    batch: &RecordBatch,
    winner: &mut Option<Winner>,
    superseded: &HashSet<(String, String)>,
) -> Vec<Verdict> {
    let codes: &Int32Array =
        batch.column_by_name(CODE).expect("segments have every column").as_primitive::<Int32Type>();
    let (files, digests) = (text_column(batch, FILE), text_column(batch, "file_blake3"));
    let mut verdicts = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let (file, digest) = (files.value(row), digests.value(row));
        let input = (digest.to_owned(), file.to_owned());
        if superseded.contains(&input) {
            verdicts.push(Verdict::Superseded);
            continue;
        }
        if codes.value(row) != 0 {
            verdicts.push(Verdict::Reject(None));
            continue;
        }
        let name = name_in(keys(batch).value(row));
        verdicts.push(match winner {
            Some(winner) if winner.name == name => Verdict::Reject(Some(lost_to(winner, digest))),
            _ => {
                *winner = Some(Winner { name: name.to_vec(), digest: input.0, file: input.1 });
                Verdict::Row
            }
        });
    }
    verdicts
}

fn lost_to(winner: &Winner, digest: &str) -> Reject {
    if winner.digest == digest {
        Code::DUPLICATE_CONTENT.because(format!("the same bytes as {}", winner.file))
    } else {
        let name = String::from_utf8_lossy(&winner.name);
        Code::DUPLICATE_SPECTRUM.because(format!("{name} is in the catalogue from {}", winner.file))
    }
}

/// Puts the reasons of rows that lost into the columns of rejects.
fn with_verdicts(
    batch: &RecordBatch,
    verdicts: &[Verdict],
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    if !verdicts.iter().any(|verdict| matches!(verdict, Verdict::Reject(Some(_)))) {
        return Ok(batch.clone());
    }
    let lost = |row: usize| match &verdicts[row] {
        Verdict::Reject(reject) => reject.as_ref(),
        _ => None,
    };
    let codes = batch.column_by_name(CODE).expect("segments have every column");
    let codes = codes.as_primitive::<Int32Type>();
    let codes: Int32Array = (0..batch.num_rows())
        .map(|row| {
            Some(lost(row).map_or(codes.value(row), |reject| i32::from(reject.code.number())))
        })
        .collect();
    let text = |name: &str, new: &dyn Fn(&Reject) -> String| -> ArrayRef {
        let old = text_column(batch, name);
        let kept = |row| old.is_valid(row).then(|| old.value(row).to_owned());
        let texts = (0..batch.num_rows())
            .map(|row| lost(row).map_or_else(|| kept(row), |reject| Some(new(reject))));
        Arc::new(texts.collect::<StringArray>())
    };
    let mut columns = batch.columns().to_vec();
    let mut replace = |name: &str, array: ArrayRef| -> Result<(), arrow_schema::ArrowError> {
        columns[batch.schema().index_of(name)?] = array;
        Ok(())
    };
    replace(CODE, Arc::new(codes))?;
    replace(REASON, text(REASON, &|reject| reject.code.entry().name.to_owned()))?;
    replace(DETAIL, text(DETAIL, &|reject| reject.detail.clone()))?;
    replace(REMEDY, text(REMEDY, &|reject| reject.code.entry().remedy.to_owned()))?;
    RecordBatch::try_new(batch.schema(), columns)
}

/// One table on its way into both formats.
struct Sink {
    columns: Vec<Column>,
    projection: Vec<usize>,
    parquet: PathBuf,
    fits: PathBuf,
    writer: ArrowWriter<File>,
    widths: TextWidths,
    extname: &'static str,
    count: u64,
}

impl Sink {
    fn create<'a>(
        folder: &Path,
        stem: &'static str,
        schema: &Schema,
        columns: impl Iterator<Item = &'a Column>,
        provenance: &Provenance,
    ) -> Result<Self, CatalogueError> {
        let columns: Vec<Column> = columns.cloned().collect();
        let all = segment_schema(schema);
        let parquet = folder.join(format!("{stem}.parquet"));
        let temporary = temporary_name(&parquet);
        let projection: Vec<usize> =
            columns.iter().filter_map(|column| all.index_of(&column.name).ok()).collect();
        let notes: Vec<(String, String)> = provenance
            .entries
            .iter()
            .map(|(keyword, value, _)| {
                (format!("starmill.{}", keyword.to_lowercase()), value.clone())
            })
            .collect();
        let schema = all
            .project(&projection)
            .map_err(CatalogueError::parquet(&parquet))?
            .with_metadata(notes.iter().cloned().collect::<HashMap<_, _>>());
        let file = File::create(&temporary).map_err(CatalogueError::io(&temporary))?;
        let mut writer =
            ArrowWriter::try_new(file, Arc::new(schema), Some(writer_properties(published())))
                .map_err(CatalogueError::parquet(&parquet))?;
        // Readers that know Arrow see the notes of its schema, all others those of the file.
        for (key, value) in notes {
            writer.append_key_value_metadata(KeyValue::new(key, value));
        }
        let widths = TextWidths::new(&columns);
        let fits = folder.join(format!("{stem}.fits"));
        Ok(Self { columns, projection, parquet, fits, writer, widths, extname: stem, count: 0 })
    }

    fn write(
        &mut self,
        batch: &RecordBatch,
        verdicts: &[Verdict],
        wanted: impl Fn(&Verdict) -> bool,
    ) -> Result<(), CatalogueError> {
        let mask: BooleanArray = verdicts.iter().map(|verdict| Some(wanted(verdict))).collect();
        let batch = batch
            .project(&self.projection)
            .and_then(|batch| filter_record_batch(&batch, &mask))
            .map_err(CatalogueError::parquet(&self.parquet))?;
        self.widths.observe(&batch);
        self.count += batch.num_rows() as u64;
        self.writer.write(&batch).map_err(CatalogueError::parquet(&self.parquet))
    }

    /// Closes Parquet, writes FITS from it, and gives both their names.
    fn publish(self, provenance: &Provenance) -> Result<(), CatalogueError> {
        let temporary = temporary_name(&self.parquet);
        self.writer.close().map_err(CatalogueError::parquet(&self.parquet))?;
        let file = File::open(&temporary).map_err(CatalogueError::io(&temporary))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(|builder| builder.with_batch_size(MERGED_ROWS).build())
            .map_err(CatalogueError::parquet(&temporary))?;
        let fits = temporary_name(&self.fits);
        let mut table =
            FitsTable::create(&fits, self.extname, &self.columns, &self.widths, provenance)?;
        for batch in reader {
            table.append(&batch.map_err(CatalogueError::parquet(&temporary))?)?;
        }
        table.close()?;
        publish(&fits, &self.fits)?;
        publish(&temporary, &self.parquet)
    }
}

fn remove_scratch(folder: &Path) -> Result<(), CatalogueError> {
    for entry in std::fs::read_dir(folder).map_err(CatalogueError::io(folder))? {
        let path = entry.map_err(CatalogueError::io(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            std::fs::remove_file(&path).map_err(CatalogueError::io(&path))?;
        }
    }
    Ok(())
}
