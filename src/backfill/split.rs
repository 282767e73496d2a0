//! Large tables, whose rows are done by several shards.

use std::fs::File;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::Entry;
use crate::fits::Fits;
use crate::input::PART;
use crate::survey;

/// Files from this size on are looked into, bytes. There are few of them.
pub const SIZE: u64 = 32 << 20;
/// Bytes of the rows that are in one entry, about.
const PIECE: u64 = 8 << 20;

/// The entries of a file: one, or several of a large table. A file that is no such table, or cannot be
/// read now, is one; whoever reads it then says what is wrong with it.
///
/// Files are looked into if their size is in `split`: smaller ones are not worth it, and larger ones no
/// reader takes either.
pub(super) fn entries(
    path: PathBuf,
    bytes: u64,
    split: &RangeInclusive<u64>,
    entries: &mut Vec<Entry>,
) {
    match split.contains(&bytes).then(|| spectra(&path, *split.end())).flatten() {
        Some(rows) if rows > PART => pieces(&path, bytes, rows, entries),
        _ => entries.push(Entry { path, bytes, first: 0, rows: None }),
    }
}

/// How many spectra the table has, if the file is one and not compressed.
fn spectra(path: &Path, most: u64) -> Option<usize> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    let fits = Fits::parse(&bytes).ok()?;
    Some(survey::detect(&fits).ok()?.count(&fits))
}

/// Pieces of whole parts, of about even size.
fn pieces(path: &Path, bytes: u64, rows: usize, entries: &mut Vec<Entry>) {
    let (whole, part) = (rows as u64, PART as u64);
    let row = (bytes / whole).max(1);
    let step = (PIECE / row).next_multiple_of(part).max(part);
    let mut first = 0;
    while first < whole {
        let rows = step.min(whole - first);
        let share = u128::from(bytes) * u128::from(rows) / u128::from(whole);
        let bytes = u64::try_from(share).unwrap_or(u64::MAX);
        entries.push(Entry { path: path.to_owned(), bytes, first, rows: Some(rows) });
        first += rows;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_parts_and_cover_the_table() {
        for (rows, bytes) in [(40_226, 108_000_000), (257, 1 << 40), (1_000_000, 1)] {
            let mut entries = Vec::new();
            pieces(Path::new("t.fits"), bytes, rows, &mut entries);
            let mut next = 0;
            for entry in &entries {
                assert_eq!(entry.first, next);
                assert_eq!(entry.first % PART as u64, 0);
                next += entry.rows.unwrap();
            }
            assert_eq!(next, rows as u64);
            let sum: u64 = entries.iter().map(|entry| entry.bytes).sum();
            assert!(bytes - sum <= entries.len() as u64);
        }
    }

    #[test]
    fn what_is_no_table_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fits");
        std::fs::write(&path, b"nothing").unwrap();
        let mut found = Vec::new();
        entries(path.clone(), 7, &(0..=9), &mut found);
        assert_eq!(found, [Entry { path, bytes: 7, first: 0, rows: None }]);
    }
}
