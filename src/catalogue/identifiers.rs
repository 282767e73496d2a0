//! Whether the identifiers of a published catalogue are unique and in order.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use parquet::arrow::ProjectionMask;

use super::columns::{REDUCTION, SPECTRUM_ID};
use super::verify::open_parquet;
use super::{CATALOGUE, CatalogueError};

/// The reductions of one observation, which stand together and have different numbers.
#[derive(Default)]
struct Observation {
    name: String,
    has_first: bool,
    /// Of the numbers above 1.
    greatest: i32,
}

impl Observation {
    /// Takes the number of a further row; false if it cannot be there.
    fn takes(&mut self, number: i32) -> bool {
        if number == 1 {
            return !std::mem::replace(&mut self.has_first, true);
        }
        let is_next = number > self.greatest.max(1);
        self.greatest = number;
        is_next
    }
}

/// The catalogue is sorted by its identifier, so that none is smaller than the one before. The inner
/// error says what is wrong.
pub(super) fn identifiers(folder: &Path) -> Result<Result<String, String>, CatalogueError> {
    let path = folder.join(format!("{CATALOGUE}.parquet"));
    let builder = open_parquet(&path)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), [SPECTRUM_ID, REDUCTION]);
    let reader = builder.with_projection(mask).build().map_err(CatalogueError::parquet(&path))?;
    let mut observation = Observation::default();
    let (mut rows, mut observations) = (0_u64, 0_u64);
    for batch in reader {
        let batch = batch.map_err(CatalogueError::parquet(&path))?;
        let column = |name| batch.column_by_name(name);
        let Some(names) = column(SPECTRUM_ID).and_then(|names| names.as_string_opt::<i32>()) else {
            return Ok(Err(format!("there is no {SPECTRUM_ID}; run again to seal anew")));
        };
        // Catalogues from before there were numbers have one row of each.
        let numbers = column(REDUCTION).and_then(|column| column.as_primitive_opt::<Int32Type>());
        for row in 0..batch.num_rows() {
            let (name, number) = (names.value(row), numbers.map_or(1, |all| all.value(row)));
            let is_in_order = name >= observation.name.as_str();
            if name > observation.name.as_str() {
                observation = Observation { name: name.to_owned(), ..Observation::default() };
                observations += 1;
            }
            if !is_in_order || !observation.takes(number) {
                return Ok(Err(format!(
                    "{name}, reduction {number}, comes after {}, twice or out of order; report \
                     this with the ledger",
                    observation.name
                )));
            }
            rows += 1;
        }
    }
    Ok(Ok(match rows - observations {
        0 => format!("{rows} are unique and in order"),
        more => format!("{observations} are in order, with {more} rows of further reductions"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_given_once_and_the_first_may_stand_anywhere() {
        let takes = |numbers: &[i32]| {
            let mut observation = Observation::default();
            numbers.iter().all(|&number| observation.takes(number))
        };
        for good in [&[1][..], &[1, 2, 3], &[2, 1, 3], &[2], &[3, 7]] {
            assert!(takes(good), "{good:?}");
        }
        for bad in [&[1, 1][..], &[1, 2, 2], &[3, 2], &[0], &[1, 2, 1]] {
            assert!(!takes(bad), "{bad:?}");
        }
    }
}
