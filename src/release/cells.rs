//! Cells of HEALPix: where a row lies, and into which cells a release is cut.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use cdshealpix::nested;

use super::ReleaseError;
use crate::catalogue::{CatalogueError, SORT_KEY};

/// The column with the cell of a row at the finest order, nested scheme, as HATS names it.
pub const HEALPIX: &str = "_healpix_29";
const FINEST: u8 = 29;
/// The order at which rows are counted: 0.2 degrees. No partition is smaller.
pub const COUNTED: u8 = 8;
/// Cells at that order.
pub const COUNTS: usize = 12 << (2 * COUNTED as usize);

/// A cell of HEALPix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Order, from 0.
    pub order: u8,
    /// Number within the order, nested scheme.
    pub pixel: u64,
}

impl fmt::Display for Cell {
    /// Its place in a folder, as HATS has it.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { order, pixel } = self;
        write!(to, "Norder={order}/Dir={}/Npix={pixel}", pixel / 10_000 * 10_000)
    }
}

/// The cells of a release. They do not overlap, and every row with a place lies in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitions(Vec<Cell>);

impl Partitions {
    /// The largest cells with at most so many rows, by the counts at order 8. A cell of that
    /// order may have more, since there is no smaller one. Cells without rows are left out.
    pub fn of(counts: &[u64], most: u64) -> Self {
        let mut sums = vec![counts.to_vec()];
        for _ in 0..COUNTED {
            let finer = sums.last().map_or(&[][..], Vec::as_slice);
            sums.push(finer.chunks(4).map(|four| four.iter().sum()).collect());
        }
        sums.reverse();
        let mut cells = Vec::new();
        let mut open: Vec<Cell> = (0..12).rev().map(|pixel| Cell { order: 0, pixel }).collect();
        while let Some(cell) = open.pop() {
            let index = usize::try_from(cell.pixel).unwrap_or(usize::MAX);
            let count = sums[usize::from(cell.order)].get(index).copied().unwrap_or(0);
            if count == 0 {
                continue;
            }
            if count <= most || cell.order == COUNTED {
                cells.push(cell);
                continue;
            }
            let child = |it: u64| Cell { order: cell.order + 1, pixel: 4 * cell.pixel + it };
            open.extend((0..4).rev().map(child));
        }
        Self(cells)
    }

    /// The cells in the order of their rows.
    pub fn cells(&self) -> &[Cell] {
        &self.0
    }
}

impl Cell {
    /// The numbers at the finest order that lie in it: from the first to the one behind the last.
    pub fn range(self) -> (i64, i64) {
        let shift = 2 * u32::from(FINEST - self.order);
        let at = |pixel: u64| i64::try_from(pixel << shift).unwrap_or(i64::MAX);
        (at(self.pixel), at(self.pixel + 1))
    }
}

/// The cell of a number at the finest order, among those that are counted.
pub fn counted(healpix: i64) -> Option<usize> {
    usize::try_from(healpix >> (2 * u32::from(FINEST - COUNTED))).ok()
}

/// Adds the cell of every row in front, and sets it before its sort key, so that rows are sorted by
/// place, then as they were. Rows without a place come last.
///
/// # Errors
/// [`ReleaseError::Catalogue`] if the batch has no such columns.
pub fn placed(batch: &RecordBatch) -> Result<RecordBatch, ReleaseError> {
    let empty = || Arc::new(arrow_array::Float64Array::new_null(batch.num_rows())) as ArrayRef;
    let column = |name| batch.column_by_name(name).cloned().unwrap_or_else(empty);
    let (ra, dec) = (column("ra"), column("dec"));
    let (ra, dec) = (ra.as_primitive::<Float64Type>(), dec.as_primitive::<Float64Type>());
    let cell = |row: usize| {
        let has_place = ra.is_valid(row) && dec.is_valid(row);
        has_place.then(|| cell_of(ra.value(row), dec.value(row))).flatten()
    };
    let cells: Int64Array = (0..batch.num_rows()).map(cell).collect();
    let keys = crate::catalogue::keys(batch);
    let key = |row: usize| {
        let place = if cells.is_valid(row) { cells.value(row) } else { i64::MAX };
        [&place.to_be_bytes()[..], keys.value(row)].concat()
    };
    let keyed: BinaryArray = BinaryArray::from_iter_values((0..batch.num_rows()).map(key));
    let (mut fields, mut columns) = (vec![Arc::new(field())], vec![Arc::new(cells) as ArrayRef]);
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        fields.push(Arc::clone(field));
        let is_key = field.name() == SORT_KEY;
        columns.push(if is_key { Arc::new(keyed.clone()) } else { Arc::clone(array) });
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema, columns);
    Ok(batch.map_err(CatalogueError::in_memory)?)
}

/// The column of cells.
fn field() -> Field {
    let notes = [
        ("ucd", "pos.healpix"),
        ("description", "Cell of HEALPix, order 29, nested scheme, of ra and dec"),
    ];
    let notes = notes.into_iter().map(|(key, note)| (key.to_owned(), note.to_owned()));
    Field::new(HEALPIX, DataType::Int64, true).with_metadata(notes.collect::<HashMap<_, _>>())
}

fn cell_of(ra: f64, dec: f64) -> Option<i64> {
    let is_place = ra.is_finite() && (-90.0..=90.0).contains(&dec);
    is_place
        .then(|| nested::hash(FINEST, ra.rem_euclid(360.0).to_radians(), dec.to_radians()))
        .and_then(|cell| i64::try_from(cell).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cells_are_those_of_the_standard() {
        // By astropy-healpix 2.0.1: HEALPix(2**29, "nested").lonlat_to_healpix(ra, dec).
        assert_eq!(cell_of(0.0, 0.0), Some(1_369_094_286_720_630_784));
        assert_eq!(cell_of(123.456, -67.89), Some(2_635_567_950_134_201_126));
        assert_eq!(cell_of(266.4168, -29.0078), Some(2_028_740_913_184_819_897));
        assert_eq!(cell_of(f64::NAN, 0.0), None);
        assert_eq!(cell_of(10.0, 91.0), None);
        assert_eq!(cell_of(-350.0, 20.0), cell_of(10.0, 20.0));
        let cell = Cell { order: 2, pixel: 10_123 };
        assert_eq!(cell.to_string(), "Norder=2/Dir=10000/Npix=10123");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn every_place_is_in_one_partition_of_not_too_many_rows(
            places in prop::collection::vec((0.0..360.0, -1.0..1.0_f64), 1..300),
            most in 1_u64..60,
        ) {
            let mut counts = vec![0; COUNTS];
            let cells: Vec<i64> = places
                .iter()
                .map(|&(ra, z)| cell_of(ra, z.asin().to_degrees()).unwrap())
                .collect();
            for &cell in &cells {
                counts[counted(cell).unwrap()] += 1;
            }
            let partitions = Partitions::of(&counts, most);
            let ranges: Vec<(i64, i64)> =
                partitions.cells().iter().map(|cell| cell.range()).collect();
            prop_assert!(ranges.windows(2).all(|two| two[0].1 <= two[1].0));
            let within = |(low, high): (i64, i64)| {
                cells.iter().filter(|cell| (low..high).contains(*cell)).count() as u64
            };
            let found: Vec<u64> = ranges.iter().copied().map(within).collect();
            prop_assert_eq!(found.iter().sum::<u64>(), cells.len() as u64);
            for (cell, count) in partitions.cells().iter().zip(found) {
                prop_assert!(count > 0 && (count <= most || cell.order == COUNTED));
            }
        }
    }
}
