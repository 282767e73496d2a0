//! Labels outside the trained box: counted, shown, and listed where they are left out.

use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::GenerateError;
use super::source::Column;
use crate::catalogue::{CatalogueError, Unfinished, beside};

/// One value outside the trained box.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The row of labels, from 1.
    pub row: u64,
    /// The label.
    pub label: String,
    /// Its value; not a number if there is none.
    pub value: f64,
    /// The trained range.
    pub valid: [f64; 2],
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, label, value, valid: [low, high] } = self;
        if value.is_finite() {
            write!(f, "row {row}: {label} = {value} is outside {low} to {high}")
        } else {
            write!(f, "row {row}: {label} has no value, which lies within {low} to {high}")
        }
    }
}

/// Refusals that are shown; all are counted.
pub const SHOWN: usize = 10;

/// What was refused of all rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Refused {
    /// Rows that were looked at.
    pub all: u64,
    /// Rows with a value outside the box.
    pub rows: u64,
    /// The first values outside, [`SHOWN`] at most.
    pub first: Vec<Refusal>,
}

impl Refused {
    /// Looks at one row.
    pub(super) fn judge(&mut self, row: u64, labels: &[f64], columns: &[Column]) {
        self.all += 1;
        let mut outside = outside(row, labels, columns).peekable();
        if outside.peek().is_some() {
            self.rows += 1;
            let room = SHOWN - self.first.len();
            self.first.extend(outside.take(room));
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} rows lie outside the trained box: ", self.rows, self.all)?;
        for (number, refusal) in self.first.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{refusal}")?;
        }
        if self.rows > self.first.len() as u64 {
            write!(f, "; and others")?;
        }
        Ok(())
    }
}

fn outside<'a>(
    row: u64,
    labels: &'a [f64],
    columns: &'a [Column],
) -> impl Iterator<Item = Refusal> + 'a {
    let values = labels.iter().zip(columns);
    values.filter(|(value, column)| !column.contains(**value)).map(move |(value, column)| Refusal {
        row,
        label: column.name.clone(),
        value: *value,
        valid: column.valid,
    })
}

/// The list of what was left out, a CSV file beside the spectra; there is none if nothing was.
pub(super) struct LeftOut {
    list: Option<(BufWriter<File>, Unfinished)>,
    rows: u64,
}

impl LeftOut {
    pub(super) fn create(spectra: &Path, wanted: bool) -> Result<Self, GenerateError> {
        let path = beside(spectra, ".left-out.csv");
        if !wanted {
            // That of a former run would speak of other labels.
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed(&path)(error));
                }
                _ => return Ok(Self { list: None, rows: 0 }),
            }
        }
        let file = Unfinished::new(&path);
        let mut list =
            File::create(&file.temporary).map(BufWriter::new).map_err(failed(&file.temporary))?;
        writeln!(list, "row,label,value,low,high").map_err(failed(&file.temporary))?;
        Ok(Self { list: Some((list, file)), rows: 0 })
    }

    /// Lists a row if it is outside the box, and says whether it is.
    pub(super) fn take(
        &mut self,
        row: u64,
        labels: &[f64],
        columns: &[Column],
    ) -> Result<bool, GenerateError> {
        let mut refusals = outside(row, labels, columns).peekable();
        if refusals.peek().is_none() {
            return Ok(false);
        }
        self.rows += 1;
        let Some((list, file)) = &mut self.list else {
            // The survey saw no such row, so the table has changed since.
            let refused = Refused { all: row, rows: 1, first: refusals.take(SHOWN).collect() };
            return Err(GenerateError::Outside(refused));
        };
        for Refusal { row, label, value, valid: [low, high] } in refusals {
            let value = if value.is_finite() { value.to_string() } else { String::new() };
            writeln!(list, "{row},{label},{value},{low},{high}")
                .map_err(failed(&file.temporary))?;
        }
        Ok(true)
    }

    pub(super) fn finish(self) -> Result<u64, GenerateError> {
        if let Some((mut list, file)) = self.list {
            list.flush().map_err(failed(&file.temporary))?;
            file.publish()?;
        }
        Ok(self.rows)
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> GenerateError + '_ {
    move |source| CatalogueError::Io { path: path.to_owned(), source }.into()
}
