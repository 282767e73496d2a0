//! Names from a list on a stream, one a line, or from a column of a table.

use std::io::{BufRead, Read};
use std::path::PathBuf;

use csv_core::Reader;

use crate::reject::{Code, Reject};

/// The longest line that is taken for a name, bytes. No system opens a name of more than 4096, and
/// a stream without line ends must not fill the memory.
pub const MAX_NAME: usize = 1 << 14;

/// The names of a stream, as bytes: nothing in them is an instruction. Empty lines are skipped, and
/// a carriage return before the line end is not part of a name.
pub struct Names<R> {
    /// `None` once the stream has failed.
    lines: Option<R>,
    /// Where the names stand.
    place: Place,
}

/// Where the names of a list stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Line,
    /// The first line tells.
    Unknown,
    Column(usize),
}

/// The column of a table that holds names.
pub const PATH_COLUMN: &str = "path";

impl<R: BufRead> Names<R> {
    /// The names on this stream.
    pub fn new(lines: R) -> Self {
        Self { lines: Some(lines), place: Place::Line }
    }

    /// The same, or those of the column `path` if the first line, separated by commas, names one.
    pub fn of_list(lines: R) -> Self {
        Self { lines: Some(lines), place: Place::Unknown }
    }

    /// The name on a line; `None` if it has none.
    fn name(&mut self, line: Vec<u8>) -> Option<Vec<u8>> {
        if self.place == Place::Unknown {
            let column = fields(&line).iter().position(|name| name == PATH_COLUMN.as_bytes());
            self.place = column.map_or(Place::Line, Place::Column);
            if column.is_some() {
                return None;
            }
        }
        let name = match self.place {
            Place::Line | Place::Unknown => line,
            Place::Column(column) => fields(&line).into_iter().nth(column)?,
        };
        (!name.is_empty()).then_some(name)
    }

    /// The next line without its end; `None` at the end of the stream.
    fn line(lines: &mut R) -> std::io::Result<Option<Result<Vec<u8>, Reject>>> {
        let mut line = Vec::new();
        // A name, its carriage return and its line end.
        let most = MAX_NAME as u64 + 2;
        if (&mut *lines).take(most).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let is_whole = line.ends_with(b"\n");
        line.pop_if(|byte| *byte == b'\n');
        line.pop_if(|byte| *byte == b'\r');
        if line.len() <= MAX_NAME {
            return Ok(Some(Ok(line)));
        }
        if !is_whole {
            lines.skip_until(b'\n')?;
        }
        let detail =
            format!("a line of the list has more than {MAX_NAME} bytes, one name is wanted");
        Ok(Some(Err(Code::NOTHING_FOUND.because(detail))))
    }
}

impl<R: BufRead> Iterator for Names<R> {
    type Item = Result<PathBuf, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match Self::line(self.lines.as_mut()?) {
                Ok(Some(Ok(line))) => {
                    if let Some(name) = self.name(line) {
                        return Some(Ok(bytes_to_path(name)));
                    }
                }
                Ok(Some(Err(reject))) => return Some(Err(reject)),
                Ok(None) => return None,
                Err(error) => {
                    self.lines = None;
                    let detail = format!("the list could not be read: {error}");
                    return Some(Err(Code::UNREADABLE.because(detail)));
                }
            }
        }
    }
}

/// The fields of one line of a table, separated by commas and quoted where they must be.
fn fields(line: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader::new();
    let (mut record, mut ends) = (vec![0; line.len() + 1], vec![0; line.len() + 1]);
    let (_, _, written, mut count) = reader.read_record(line, &mut record, &mut ends);
    // The end of the line ends the last field, and a quotation that is left open.
    let (_, _, more, last) = reader.read_record(&[], &mut record[written..], &mut ends[count..]);
    debug_assert_eq!(more, 0, "all fields were written");
    count += last;
    let begins = std::iter::once(0).chain(ends.iter().copied());
    let fields = begins.zip(&ends[..count]).map(|(begin, &end)| record[begin..end].to_vec());
    fields.collect()
}

#[cfg(unix)]
fn bytes_to_path(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[u8]) -> Vec<Result<PathBuf, Code>> {
        Names::new(list).map(|name| name.map_err(|reject| reject.code)).collect()
    }

    #[test]
    fn a_line_that_is_no_name_costs_one_reject_and_the_next_is_read() {
        let long = vec![b'x'; MAX_NAME];
        let list = [&long, b"\r\n".as_slice(), &long, b"x\n", &long, &long, b"\n\na\n"].concat();
        let too_long = || Err(Code::NOTHING_FOUND);
        let longest = PathBuf::from(String::from_utf8(long).unwrap());
        assert_eq!(names(&list), [Ok(longest), too_long(), too_long(), Ok("a".into())]);
    }

    #[test]
    fn a_table_with_a_column_of_names_is_a_list() {
        let names = |list: &[u8]| -> Vec<PathBuf> {
            Names::of_list(list).map(|name| name.map_err(|reject| reject.code).unwrap()).collect()
        };
        let table = b"rv,path,rv_err\r\n1.5,a.fits,0.5\n\n,\"b,\"\"c.fits\",\n7\n8,d.fits\n";
        assert_eq!(names(table), ["a.fits", "b,\"c.fits", "d.fits"].map(PathBuf::from));
        // Names that are alone on their lines are whole lines, whatever they hold.
        assert_eq!(names(b"a,path.fits\n\"b\n"), ["a,path.fits", "\"b"].map(PathBuf::from));
    }

    #[test]
    fn a_stream_that_fails_ends_with_a_reject() {
        struct Broken;
        impl std::io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("unplugged"))
            }
        }
        let mut names = Names::new(std::io::BufReader::new(Broken));
        assert!(names.next().unwrap().unwrap_err().detail.contains("unplugged"));
        assert!(names.next().is_none());
    }
}
