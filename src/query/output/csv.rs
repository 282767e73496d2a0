//! An answer as CSV.

use std::borrow::Cow;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::words;
use crate::query::{Answered, QueryError, Sink, Value};

/// Writes CSV: RFC 4180, with a first line of names; what is missing is empty.
pub struct Csv<W: Write> {
    writer: csv::Writer<W>,
    columns: Vec<Answered>,
    path: PathBuf,
    rows: u64,
}

impl<W: Write> Csv<W> {
    /// Writes to a file, of which errors speak as `path`.
    pub fn new(to: W, path: &Path) -> Self {
        let writer = csv::Writer::from_writer(to);
        Self { writer, columns: Vec::new(), path: path.to_owned(), rows: 0 }
    }

    /// Ends the text and says how many rows it has.
    ///
    /// # Errors
    /// [`QueryError::Io`] when it cannot be written.
    pub fn finish(mut self) -> Result<u64, QueryError> {
        match self.writer.flush() {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(QueryError::io(&self.path)(error))
            }
            _ => Ok(self.rows),
        }
    }

    /// Whether somebody reads on: who reads the first lines alone, as head does, has what was wanted.
    fn goes_on(&self, written: csv::Result<()>) -> Result<bool, QueryError> {
        let error = match written {
            Ok(()) => return Ok(true),
            Err(error) => std::io::Error::from(error),
        };
        if error.kind() == ErrorKind::BrokenPipe {
            return Ok(false);
        }
        Err(QueryError::io(&self.path)(error))
    }
}

impl<W: Write> Sink for Csv<W> {
    fn begin(&mut self, columns: &[Answered]) -> Result<(), QueryError> {
        self.columns = columns.to_vec();
        let written = self.writer.write_record(columns.iter().map(|column| &column.name));
        self.goes_on(written).map(drop)
    }

    fn row(&mut self, values: &[Value<'_>]) -> Result<bool, QueryError> {
        let words = values.iter().zip(&self.columns).map(|(value, column)| words(value, column));
        let written: Vec<String> = words.map(Cow::into_owned).collect();
        let written = self.writer.write_record(written);
        self.rows += 1;
        self.goes_on(written)
    }
}
