//! Names from a list on a stream, one a line.

use std::io::{BufRead, Read};
use std::path::PathBuf;

use crate::reject::{Code, Reject};

/// The longest line that is taken for a name, bytes. No system opens a name of more than 4096, and
/// a stream without line ends must not fill the memory.
pub const MAX_NAME: usize = 1 << 14;

/// The names of a stream, as bytes: nothing in them is an instruction. Empty lines are skipped, and
/// a carriage return before the line end is not part of a name.
pub struct Names<R> {
    /// `None` once the stream has failed.
    lines: Option<R>,
}

impl<R: BufRead> Names<R> {
    /// The names on this stream.
    pub fn new(lines: R) -> Self {
        Self { lines: Some(lines) }
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
                Ok(Some(Ok(line))) if line.is_empty() => {}
                Ok(Some(Ok(line))) => return Some(Ok(bytes_to_path(line))),
                Ok(Some(Err(reject))) => return Some(Err(reject)),
                Ok(None) => return None,
                Err(error) => {
                    self.lines = None;
                    let detail = format!("the list on standard input could not be read: {error}");
                    return Some(Err(Code::UNREADABLE.because(detail)));
                }
            }
        }
    }
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
