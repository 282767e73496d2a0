//! What the page of a release shows, counted as rows pass, in memory that does not grow with them.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type};
use arrow_array::{Array, BooleanArray, RecordBatch};

use super::cells::{COUNTED, COUNTS, counted};
use super::sorting::cells;
use crate::catalogue::Schema;
use crate::quality::{BITS, Quality};

/// Squares of the Kiel diagram along each side.
pub const SQUARES: usize = 90;
/// Its ends: effective temperature in K, surface gravity in dex.
pub const TEFF: (f64, f64) = (3000.0, 9000.0);
/// See [`TEFF`].
pub const LOGG: (f64, f64) = (-0.5, 5.5);
/// The order of the cells of the map: 1.8 degrees.
pub const MAP_ORDER: u8 = 5;

/// Counts of a release.
pub struct Summary {
    /// Rows without `flag_bad`.
    pub good: u64,
    /// Rows in each square of `teff` and `logg`, rows of squares along `logg`.
    pub kiel: Vec<u64>,
    /// Rows outside the diagram, or without such labels.
    pub beyond: u64,
    /// Rows with each quality bit, in the order of [`BITS`].
    pub flags: Vec<u64>,
    /// Rows in each cell of the map, order 5.
    pub map: Vec<u64>,
    /// Rejects by reason, with the remedy. There are as many as the program knows.
    pub rejects: BTreeMap<String, (u64, String)>,
    has_kiel: bool,
}

impl Summary {
    /// Nothing counted yet.
    pub fn new(schema: &Schema) -> Self {
        let has = |name: &str| schema.rows().any(|column| column.name == name);
        Self {
            good: 0,
            kiel: vec![0; SQUARES * SQUARES],
            beyond: 0,
            flags: vec![0; BITS.len()],
            map: vec![0; 12 << (2 * MAP_ORDER)],
            rejects: BTreeMap::new(),
            has_kiel: has("teff") && has("logg"),
        }
    }

    /// Whether there is a Kiel diagram.
    pub fn has_kiel(&self) -> bool {
        self.has_kiel
    }

    /// Counts rejects.
    pub fn take_rejects(&mut self, batch: &RecordBatch) {
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let (Some(reasons), Some(remedies)) = (text("reason"), text("remedy")) else { return };
        for (reason, remedy) in reasons.iter().zip(remedies) {
            let (reason, remedy) = (reason.unwrap_or_default(), remedy.unwrap_or_default());
            match self.rejects.get_mut(reason) {
                Some((count, _)) => *count += 1,
                None => {
                    self.rejects.insert(reason.to_owned(), (1, remedy.to_owned()));
                }
            }
        }
    }

    /// Counts rows with their cells.
    pub fn take(&mut self, batch: &RecordBatch) {
        debug_assert!(COUNTS >= self.map.len());
        for cell in cells(batch).iter().flatten() {
            let shift = 2 * u32::from(COUNTED - MAP_ORDER);
            let place = counted(cell).map(|cell| cell >> shift);
            if let Some(count) = place.and_then(|place| self.map.get_mut(place)) {
                *count += 1;
            }
        }
        let flags = batch.column_by_name("flags").and_then(|it| it.as_primitive_opt::<Int32Type>());
        for value in flags.iter().flat_map(|flags| flags.iter().flatten()) {
            let quality = Quality::from_value(value);
            for (count, bit) in self.flags.iter_mut().zip(BITS) {
                *count += u64::from(quality.bits().any(|set| set.bit == bit.bit));
            }
        }
        let bad: Option<&BooleanArray> =
            batch.column_by_name("flag_bad").and_then(|it| it.as_boolean_opt());
        let is_good = |row: usize| bad.is_some_and(|bad| bad.is_valid(row) && !bad.value(row));
        let label = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Float32Type>();
        let (teff, logg) = (label("teff"), label("logg"));
        for row in 0..batch.num_rows() {
            if !is_good(row) {
                continue;
            }
            self.good += 1;
            let at = |values: Option<&arrow_array::Float32Array>, ends| {
                let values = values.filter(|values| values.is_valid(row))?;
                square(f64::from(values.value(row)), ends)
            };
            match (at(teff, TEFF), at(logg, LOGG)) {
                (Some(x), Some(y)) => self.kiel[y * SQUARES + x] += 1,
                _ => self.beyond += 1,
            }
        }
    }
}

/// The square of a value between two ends.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies within")]
fn square(value: f64, (low, high): (f64, f64)) -> Option<usize> {
    let part = (value - low) / (high - low);
    (0.0..1.0).contains(&part).then_some((part * SQUARES as f64) as usize)
}
