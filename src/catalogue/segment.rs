//! Segments: the outcomes of some whole files in one sorted file that is named after its digest
//! and says by itself which model made it and which inputs it makes done.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;

use super::batch::{PART_FIRST, PART_TOTAL, TRANSIENT, sorted_batch, writer_properties};
use super::columns::{FILE, FILE_BLAKE3, Schema};
use super::commit_times::{COMMITS, CommitTimes};
use super::durable::{remove, rename, sync_file, sync_folder, temporary_name};
use super::printable::path_text;
use super::{CatalogueError, SEGMENTS, order};
use crate::failpoint::crash_point;
use crate::input::Digest;
use crate::ledger::Input;
use crate::outcome::Outcome;

/// A segment as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// File name within the folder of segments.
    pub name: String,
    /// Digest of its bytes; recovery believes nothing less.
    pub digest: Digest,
}

impl Segment {
    /// The segment of this number and digest.
    pub fn named(number: u64, digest: Digest) -> Self {
        Self { name: format!("segment-{number:08}-{digest}.parquet"), digest }
    }

    /// The segment that a file name promises.
    pub fn from_name(name: &str) -> Option<Self> {
        let hex = name.strip_suffix(".parquet")?.rsplit_once('-')?.1;
        let digest = Digest(*blake3::Hash::from_hex(hex).ok()?.as_bytes());
        let segment = Self { name: name.into(), digest };
        segment.number().is_some().then_some(segment)
    }

    /// Its number in the order of commits; `None` if the name does not hold the digest.
    pub fn number(&self) -> Option<u64> {
        let number = self.name.strip_prefix("segment-")?.split('-').next()?.parse().ok()?;
        (Self::named(number, self.digest) == *self).then_some(number)
    }
}

/// Outcomes in the bytes of a segment.
#[derive(Clone)]
pub struct Encoded {
    bytes: Vec<u8>,
    digest: Digest,
    inputs: Vec<Input>,
}

impl Encoded {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The inputs whose outcomes these are, in canonical order.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The segment of this number.
    pub(super) fn segment(&self, number: u64) -> Segment {
        Segment::named(number, self.digest)
    }
}

/// Key of the model's id in the notes of a segment.
const MODEL: &str = "starmill.model";
/// Key of the [order] of contents.
const ORDER: &str = "starmill.order";

/// Encodes outcomes. It is pure: the same outcomes give the same bytes, and nothing is written.
///
/// # Errors
/// [`CatalogueError::Parquet`].
pub fn encode(
    schema: &Schema,
    model_id: &str,
    outcomes: &[Outcome],
) -> Result<Encoded, CatalogueError> {
    let batch = sorted_batch(schema, outcomes);
    let batch = batch.map_err(CatalogueError::parquet(Path::new(SEGMENTS)))?;
    let mut parts = Parts::default();
    for outcome in outcomes {
        let file = &outcome.origin.file;
        parts.count((path_text(&file.path), file.digest, file.first), file.total);
    }
    let bytes = parquet_of(&batch, model_id, std::iter::empty())?;
    Ok(Encoded { digest: Digest::of(&bytes), bytes, inputs: parts.inputs() })
}

/// Encodes sorted rows of several segments, whose inputs are given in the order of their commits,
/// and which were committed at these times.
pub(super) fn encode_batch(
    batch: &RecordBatch,
    model_id: &str,
    committed: &[Input],
    times: &CommitTimes,
) -> Result<Encoded, CatalogueError> {
    let order = order::note(committed).map(|note| (ORDER, note));
    let notes = order.into_iter().chain([(COMMITS, times.note())]);
    let bytes = parquet_of(batch, model_id, notes)?;
    let mut parts = Parts::default();
    parts
        .count_rows(batch)
        .ok_or_else(nameless)
        .map_err(CatalogueError::parquet(Path::new(SEGMENTS)))?;
    Ok(Encoded { digest: Digest::of(&bytes), bytes, inputs: parts.inputs() })
}

fn nameless() -> ParquetError {
    ParquetError::General("it does not name its inputs".to_owned())
}

fn parquet_of(
    batch: &RecordBatch,
    model_id: &str,
    notes: impl Iterator<Item = (&'static str, String)>,
) -> Result<Vec<u8>, CatalogueError> {
    let write = move || -> Result<Vec<u8>, ParquetError> {
        let mut bytes = Vec::new();
        let properties = Some(writer_properties(TRANSIENT));
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), properties)?;
        writer.append_key_value_metadata(KeyValue::new(MODEL.to_owned(), model_id.to_owned()));
        for (key, note) in notes {
            writer.append_key_value_metadata(KeyValue::new(key.to_owned(), note));
        }
        writer.write(batch)?;
        writer.close()?;
        Ok(bytes)
    };
    write().map_err(CatalogueError::parquet(Path::new(SEGMENTS)))
}

/// Writes a segment durably under its name.
pub(super) fn write(
    folder: &Path,
    segment: &Segment,
    encoded: &Encoded,
) -> Result<(), CatalogueError> {
    let path = folder.join(&segment.name);
    let temporary = temporary_name(&path);
    crash_point!("commit-begins");
    if let Err(error) = fill(&temporary, &encoded.bytes) {
        // A full disk has more use for the space than we have for half a segment.
        let _ = remove(&temporary);
        return Err(CatalogueError::io(&temporary)(error));
    }
    crash_point!("commit-written");
    sync_file(&temporary)?;
    crash_point!("commit-synced");
    rename(&temporary, &path)?;
    crash_point!("commit-renamed");
    sync_folder(folder)?;
    crash_point!("commit-folder-synced");
    Ok(())
}

fn fill(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    let (begin, end) = bytes.split_at(bytes.len() / 2);
    file.write_all(begin)?;
    fail::fail_point!("commit-write", |_| Err(std::io::ErrorKind::StorageFull.into()));
    file.write_all(end)
}

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    /// The model that made it; empty if it does not say.
    pub(super) model_id: String,
    /// The inputs that it makes done, contents of one path in the order of their commits.
    pub(super) inputs: Vec<Input>,
}

/// Reads what a segment says of itself.
pub(super) fn contents(path: &Path) -> Result<Contents, CatalogueError> {
    let read = || -> Result<Contents, ParquetError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
        let notes = builder.metadata().file_metadata().key_value_metadata();
        let note = |key| {
            let note = notes.into_iter().flatten().find(|note| note.key == key);
            note.and_then(|note| note.value.clone())
        };
        let (model_id, order) = (note(MODEL).unwrap_or_default(), note(ORDER));
        let columns = [FILE, FILE_BLAKE3, PART_FIRST, PART_TOTAL];
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
        let mut parts = Parts::default();
        for batch in builder.with_projection(mask).build()? {
            parts.count_rows(&batch?).ok_or_else(nameless)?;
        }
        let mut inputs = parts.inputs();
        if let Some(order) = order {
            order::restore(&mut inputs, &order).ok_or_else(nameless)?;
        }
        Ok(Contents { model_id, inputs })
    };
    read().map_err(CatalogueError::parquet(path))
}

/// How many outcomes a segment holds, as far as it can be read.
pub(super) fn rows(path: &Path) -> i64 {
    let file = File::open(path).map_err(ParquetError::from);
    let builder = file.and_then(ParquetRecordBatchReaderBuilder::try_new);
    builder.map_or(0, |builder| builder.metadata().file_metadata().num_rows())
}

/// Outcomes counted by the part of the file to which they belong.
#[derive(Default)]
struct Parts(BTreeMap<(String, Digest, usize), (usize, usize)>);

impl Parts {
    fn count(&mut self, part: (String, Digest, usize), total: usize) {
        self.0.entry(part).or_insert((0, total)).0 += 1;
    }

    /// `None` if the batch lacks a column or a value.
    fn count_rows(&mut self, batch: &RecordBatch) -> Option<()> {
        let files = batch.column_by_name(FILE)?.as_string_opt::<i32>()?;
        let digests = batch.column_by_name(FILE_BLAKE3)?.as_string_opt::<i32>()?;
        let number = |name| batch.column_by_name(name)?.as_primitive_opt::<UInt64Type>();
        let (firsts, totals) = (number(PART_FIRST)?, number(PART_TOTAL)?);
        for row in 0..batch.num_rows() {
            let digest = Digest(*blake3::Hash::from_hex(digests.value(row)).ok()?.as_bytes());
            let first = usize::try_from(firsts.value(row)).ok()?;
            let total = usize::try_from(totals.value(row)).ok()?;
            self.count((files.value(row).to_owned(), digest, first), total);
        }
        Some(())
    }

    fn inputs(self) -> Vec<Input> {
        let input = |((path, digest, first), (spectra, total))| Input {
            path,
            digest,
            first,
            spectra,
            total,
        };
        self.0.into_iter().map(input).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::testing::{outcomes, schema};

    #[test]
    fn a_name_holds_number_and_digest() {
        let segment = Segment::named(12, Digest::of(b"x"));
        assert_eq!(segment.number(), Some(12));
        assert_eq!(Segment::from_name(&segment.name), Some(segment.clone()));
        let other = Segment { digest: Digest::of(b"y"), ..segment };
        assert_eq!(other.number(), None);
        for name in ["segment-00000012.parquet", "x", "segment-1-.parquet", ".parquet"] {
            assert_eq!(Segment::from_name(name), None, "{name}");
        }
        let many = Segment::named(123_456_789, Digest::of(b"x"));
        assert_eq!(many.number(), Some(123_456_789));
    }

    #[test]
    fn a_segment_names_its_model_and_its_inputs() {
        let outcomes: Vec<Outcome> =
            [outcomes("a.fits", b"a", 2, 3, 9), outcomes("b\n", b"b", 0, 1, 1)].concat();
        let encoded = encode(&schema(), "m 1", &outcomes).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let segment = encoded.segment(1);
        write(folder.path(), &segment, &encoded).unwrap();
        let path = folder.path().join(&segment.name);
        assert_eq!(Digest::of_file(&path).unwrap(), segment.digest);
        let found = contents(&path).unwrap();
        assert_eq!(found.model_id, "m 1");
        assert_eq!(found.inputs, encoded.inputs());
        let part = Input {
            path: "a.fits".into(),
            digest: Digest::of(b"a"),
            first: 2,
            spectra: 3,
            total: 9,
        };
        assert_eq!(found.inputs[0], part);
        assert_eq!(found.inputs[1].path, "b%0A");
    }
}
