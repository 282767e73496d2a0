//! Rows of a table as part of its name, `table.fits[512:1024]`, so that what one process does of a
//! large table may be named on a command line or in a list.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::reject::{Code, Reject};

/// Spectra of a large table that are done or not together. It bounds what waits in the writer and
/// what a crash can undo, and never changes, for ledgers name parts by their first spectrum.
pub const PART: usize = 256;

/// Some rows of a table: from `first` on, before `end`, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRange {
    /// The first row.
    pub first: usize,
    /// The row behind the last one.
    pub end: usize,
}

impl RowRange {
    /// Takes a name apart that ends with a range; `None` if it does not.
    pub fn of_name(name: &Path) -> Option<(PathBuf, Self)> {
        let inner = name.as_os_str().as_bytes().strip_suffix(b"]")?;
        let open = inner.iter().rposition(|&byte| byte == b'[')?;
        let (first, end) = std::str::from_utf8(&inner[open + 1..]).ok()?.split_once(':')?;
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { text.parse().ok() } else { None }
        };
        let rows = Self { first: number(first)?, end: number(end)? };
        Some((Path::new(std::ffi::OsStr::from_bytes(&inner[..open])).to_owned(), rows))
    }

    /// The name of these rows of a table.
    pub fn name(self, table: &Path) -> PathBuf {
        let mut name = table.as_os_str().to_owned();
        name.push(self.to_string());
        name.into()
    }

    /// The first rows of the parts that it consists of, in a table of so many rows.
    ///
    /// # Errors
    /// [`Code::ROW_RANGE`] when it begins or ends within a part, or beyond the table: what shards do of
    /// a table must neither overlap nor leave rows out.
    pub fn parts(self, total: usize) -> Result<impl Iterator<Item = usize>, Reject> {
        let Self { first, end } = self;
        let refuse = |what: String| Err(Code::ROW_RANGE.because(what));
        if end > total {
            return refuse(format!("it ends at row {end}, the table has {total}"));
        }
        if first >= end {
            return refuse("it holds no row".into());
        }
        if first % PART != 0 || (end % PART != 0 && end < total) {
            let whole =
                Self { first: first - first % PART, end: end.next_multiple_of(PART).min(total) };
            return refuse(format!("rows are done {PART} at a time; {whole} are whole parts"));
        }
        Ok((first..end).step_by(PART))
    }
}

impl fmt::Display for RowRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:{}]", self.first, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_end_with_rows() {
        let of = |name: &str| {
            let (table, rows) = RowRange::of_name(Path::new(name))?;
            assert_eq!(rows.name(&table).to_str(), Some(name));
            Some((table.to_str()?.to_owned(), rows.first, rows.end))
        };
        assert_eq!(of("a/t.fits[256:512]"), Some(("a/t.fits".into(), 256, 512)));
        assert_eq!(of("a[0:1].fits[0:2]"), Some(("a[0:1].fits".into(), 0, 2)));
        let none =
            ["t.fits", "t[0:2].fits", "t[0:2", "t[:2]", "t[0:]", "t[2]", "t[-1:2]", "t[+1:2]"];
        for name in none.into_iter().chain(["t[1:2:3]", "t[1:99999999999999999999]", "t[ 1:2]"]) {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn a_range_is_whole_parts_of_the_table_that_is_there() {
        let parts = |first, end, total| {
            let parts = RowRange { first, end }.parts(total);
            parts.map(Iterator::collect::<Vec<_>>).map_err(|reject| reject.detail)
        };
        assert_eq!(parts(0, 512, 600), Ok(vec![0, 256]));
        assert_eq!(parts(512, 600, 600), Ok(vec![512]));
        assert_eq!(parts(256, 512, 512), Ok(vec![256]));
        for (first, end, says) in [
            (0, 513, "it ends at row 513, the table has 512"),
            (512, 512, "no row"),
            (300, 200, "no row"),
            (100, 512, "[0:512] are whole parts"),
            (0, 300, "[0:512] are whole parts"),
        ] {
            let refused = parts(first, end, 512).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
    }
}
