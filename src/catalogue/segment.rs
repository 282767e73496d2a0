//! Segments: the outcomes of some whole files in one sorted, checksummed file.

use std::fs::File;
use std::path::Path;

use parquet::arrow::ArrowWriter;

use super::batch::{TRANSIENT, sorted_batch, writer_properties};
use super::columns::Schema;
use super::{CatalogueError, publish, temporary_name};
use crate::input::Digest;
use crate::outcome::Outcome;

/// A segment as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// File name within the folder of segments.
    pub name: String,
    /// Digest of its bytes; recovery believes nothing less.
    pub digest: Digest,
}

/// Writes outcomes as a segment, durably: temporary name, sync, rename, sync of the folder.
///
/// # Errors
/// [`CatalogueError`] names the file.
pub fn write_segment(
    folder: &Path,
    name: String,
    schema: &Schema,
    outcomes: &[Outcome],
) -> Result<Segment, CatalogueError> {
    let path = folder.join(&name);
    let temporary = temporary_name(&path);
    let batch = sorted_batch(schema, outcomes).map_err(CatalogueError::parquet(&path))?;
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, batch.schema(), Some(writer_properties(TRANSIENT)))
            .map_err(CatalogueError::parquet(&path))?;
    writer.write(&batch).map_err(CatalogueError::parquet(&path))?;
    writer.close().map_err(CatalogueError::parquet(&path))?;
    File::create(&temporary)
        .and_then(|mut file| std::io::Write::write_all(&mut file, &bytes))
        .map_err(CatalogueError::io(&temporary))?;
    publish(&temporary, &path)?;
    Ok(Segment { name, digest: Digest::of(&bytes) })
}
