//! Records of separated fields, each in bounded memory.

use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use thiserror::Error;

/// The longest record, bytes; LAMOST's catalogues have less than one thousand.
pub(crate) const MOST_RECORD: usize = 1 << 16;
/// The most fields of one.
const MOST_FIELDS: usize = 4096;

/// A record that cannot be read.
#[derive(Debug, Error)]
pub(crate) enum RecordError {
    /// The operating system refused.
    #[error("{0}")]
    Io(io::Error),
    /// It is longer than any record of a table.
    #[error("a record is longer than {MOST_RECORD} bytes or {MOST_FIELDS} fields")]
    Long,
}

/// What takes a record as its fields.
type Visit<'a, E> = dyn FnMut(&[&[u8]]) -> Result<(), E> + 'a;

/// Reads records, none longer than [`MOST_RECORD`].
pub(crate) struct Records {
    reader: Reader,
    output: Vec<u8>,
    ends: Vec<usize>,
}

impl Records {
    pub(crate) fn new(separator: u8) -> Self {
        // With bars nothing is quoted, and a comment may begin with a quotation mark.
        let quoting = separator == b',';
        let reader = ReaderBuilder::new().delimiter(separator).quoting(quoting).build();
        Self { reader, output: vec![0; MOST_RECORD], ends: vec![0; MOST_FIELDS] }
    }

    /// Calls `visit` for every record, until one of them is an error.
    pub(crate) fn read<E: From<RecordError>>(
        &mut self,
        source: &mut impl BufRead,
        visit: &mut Visit<'_, E>,
    ) -> Result<(), E> {
        let (mut filled, mut fields) = (0, 0);
        loop {
            let input = source.fill_buf().map_err(RecordError::Io)?;
            let (result, taken, written, ended) = self.reader.read_record(
                input,
                &mut self.output[filled..],
                &mut self.ends[fields..],
            );
            source.consume(taken);
            filled += written;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record => {
                    let starts = std::iter::once(0).chain(self.ends.iter().copied());
                    let ends = self.ends[..fields].iter();
                    let record: Vec<&[u8]> =
                        starts.zip(ends).map(|(start, &end)| &self.output[start..end]).collect();
                    visit(&record)?;
                    (filled, fields) = (0, 0);
                }
                ReadRecordResult::End => return Ok(()),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(RecordError::Long.into());
                }
            }
        }
    }
}
