//! Compaction: while a night goes on, small segments become larger ones.
//!
//! A live night commits a spectrum or two at a time. Each commit is a file whose frame is larger than
//! its rows, and opening, sealing and verifying take time for every one of them. So neighbours are
//! merged as soon as they make up the next size together, in two steps: from whatever was committed
//! to a thirty-second of a large segment, and from these to a large one. A row is written three times
//! at most, and one merge takes fewer than twice the rows of a large segment.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::interleave::interleave_record_batch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::CatalogueError;
use super::commit_times::CommitTimes;
use super::durable::{remove, rename, sync_file, sync_folder, temporary_name};
use super::merge::keys;
use super::recover::is_whole;
use super::segment::{Encoded, Segment, encode_batch};
use crate::failpoint::crash_point;
use crate::ledger::Input;

/// Segments of the smaller size that make up a large one.
const FAN_IN: u64 = 32;

/// Which segments are merged next, if any, by their numbers of spectra in the order of their
/// commits. Only neighbours are, so that the order of commits stays what it was.
pub(super) fn plan(spectra: &[u64], below: u64) -> Option<Range<usize>> {
    [below / FAN_IN, below].into_iter().find_map(|size| neighbours(spectra, size))
}

/// The first neighbours below a size that reach it together, or that never will because larger ones
/// stand on both sides.
fn neighbours(spectra: &[u64], size: u64) -> Option<Range<usize>> {
    let (mut begin, mut sum) = (0, 0);
    for (place, &count) in spectra.iter().enumerate() {
        if count >= size {
            if place - begin > 1 {
                return Some(begin..place);
            }
            (begin, sum) = (place + 1, 0);
            continue;
        }
        sum += count;
        if sum >= size {
            return Some(begin..place + 1);
        }
    }
    None
}

/// Merges segments into the bytes of one. Their inputs are given in the order of their commits.
///
/// # Errors
/// [`CatalogueError::Damaged`] if the bytes of a segment are not those that were committed: they must
/// not get a new digest that vouches for them.
pub(super) fn merge(
    folder: &Path,
    segments: &[Segment],
    model_id: &str,
    committed: &[Input],
) -> Result<Encoded, CatalogueError> {
    let mut batches = Vec::new();
    let mut times = Vec::with_capacity(segments.len());
    for segment in segments {
        let path = folder.join(&segment.name);
        if !is_whole(&path, segment)? {
            return Err(CatalogueError::Damaged { path });
        }
        times.push(CommitTimes::of(&path)?);
        batches.extend(read(&path).map_err(CatalogueError::parquet(&path))?);
    }
    let merged = sorted(&batches).map_err(CatalogueError::parquet(folder))?;
    drop(batches);
    encode_batch(&merged, model_id, committed, &CommitTimes::joined(times))
}

fn read(path: &Path) -> Result<Vec<RecordBatch>, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    Ok(builder.build()?.collect::<Result<_, _>>()?)
}

/// All rows in the order of their keys, which differ.
fn sorted(batches: &[RecordBatch]) -> Result<RecordBatch, ParquetError> {
    let rows = |number: usize| (0..batches[number].num_rows()).map(move |row| (number, row));
    let mut places: Vec<(usize, usize)> = (0..batches.len()).flat_map(rows).collect();
    let keys: Vec<_> = batches.iter().map(keys).collect();
    places.sort_unstable_by_key(|&(number, row)| keys[number].value(row));
    let references: Vec<&RecordBatch> = batches.iter().collect();
    let merged = interleave_record_batch(&references, &places)?;
    // Readers put the notes of a file into its schema; a merged segment has its own.
    let schema = merged.schema().as_ref().clone().with_metadata(HashMap::new());
    Ok(RecordBatch::try_new(Arc::new(schema), merged.columns().to_vec())?)
}

/// Writes a merged segment durably, under its final name.
pub(super) fn write(
    folder: &Path,
    segment: &Segment,
    encoded: &Encoded,
) -> Result<(), CatalogueError> {
    let path = folder.join(&segment.name);
    let temporary = temporary_name(&path);
    crash_point!("compact-begins");
    if let Err(error) = fill(&temporary, encoded.bytes()) {
        let _ = remove(&temporary);
        return Err(CatalogueError::io(&temporary)(error));
    }
    crash_point!("compact-written");
    sync_file(&temporary)?;
    crash_point!("compact-synced");
    rename(&temporary, &path)?;
    crash_point!("compact-renamed");
    sync_folder(folder)?;
    crash_point!("compact-folder-synced");
    Ok(())
}

fn fill(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    fail::fail_point!("compact-write", |_| Err(std::io::ErrorKind::StorageFull.into()));
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_are_merged_when_they_make_up_the_next_size() {
        let check = |spectra: &[u64], expected| assert_eq!(plan(spectra, 1024), expected);
        check(&[], None);
        check(&[1; 31], None);
        check(&[1; 32], Some(0..32));
        check(&[32, 1, 1, 31], Some(1..4));
        check(&[32; 31], None);
        check(&[32; 32], Some(0..32));
        check(&[1024; 5], None);
        // What stands between larger ones will not grow.
        check(&[1024, 1, 1, 1024], Some(1..3));
        check(&[1024, 1, 1024], None);
        check(&[1, 1, 40, 1], Some(0..2));
        assert_eq!(plan(&[1; 100], 0), None);
    }

    proptest! {
        /// Commits of any sizes, with a merge or none after each: what is merged is little, no row
        /// is written more than three times, and few small segments are left.
        #[test]
        fn work_and_segments_are_bounded(
            commits in prop::collection::vec(
                (prop_oneof![8 => 1_u64..4, 1 => 1_u64..400, 1 => 900_u64..1100], any::<bool>()),
                0..3000,
            ),
        ) {
            const BELOW: u64 = 1024;
            // Spectra of each segment, and how often its rows were written at most.
            let mut segments: Vec<(u64, u32)> = Vec::new();
            let merge = |segments: &mut Vec<(u64, u32)>| {
                let spectra: Vec<u64> = segments.iter().map(|(spectra, _)| *spectra).collect();
                let Some(range) = plan(&spectra, BELOW) else { return Ok(false) };
                prop_assert!(range.len() > 1 && range.len() as u64 <= 3 * FAN_IN);
                let merged = &segments[range.clone()];
                let sum = merged.iter().map(|(spectra, _)| spectra).sum();
                let times = merged.iter().map(|(_, times)| times).max().unwrap() + 1;
                prop_assert!(sum < 2 * BELOW && times <= 3, "{sum} rows, {times} times");
                segments.splice(range, [(sum, times)]);
                Ok(true)
            };
            for (spectra, merges) in commits {
                segments.push((spectra, 1));
                if merges {
                    merge(&mut segments)?;
                }
            }
            while merge(&mut segments)? {}
            let large = segments.iter().filter(|(spectra, _)| *spectra >= BELOW).count();
            let small = segments.len() - large;
            prop_assert!(small <= large + 3 * FAN_IN as usize, "{small} small, {large} large");
        }
    }
}
