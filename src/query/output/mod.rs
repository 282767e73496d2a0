//! What becomes of an answer: lines for a terminal, CSV, or a file of one of three formats.

mod csv;
mod file;
mod store;
mod text;

use std::borrow::Cow;
use std::path::Path;

use arrow_schema::DataType;

use super::{Answered, QueryError, Value};

pub use csv::Csv;
pub use file::TableFile;
pub use text::Lines;

/// What an answer is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text with a first line of names, separated by commas.
    Csv,
    /// A binary table.
    Fits,
    /// Parquet.
    Parquet,
}

impl Format {
    /// The format that a name tells.
    ///
    /// # Errors
    /// [`QueryError::Format`] if it tells none.
    pub fn of(path: &Path) -> Result<Self, QueryError> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("fits") => Ok(Self::Fits),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(QueryError::Format(path.to_owned())),
        }
    }
}

/// A value in the digits of its column's type, which read back as the same number.
fn words<'a>(value: &'a Value<'_>, column: &Answered) -> Cow<'a, str> {
    let kind = column.field.as_ref().map(|field| field.data_type());
    match (value, kind) {
        (Value::Missing, _) => "".into(),
        (Value::Int(0), Some(DataType::Boolean)) => "false".into(),
        (Value::Int(1), Some(DataType::Boolean)) => "true".into(),
        (Value::Int(value), _) => value.to_string().into(),
        #[expect(clippy::cast_possible_truncation, reason = "it was single precision")]
        (Value::Real(value), Some(DataType::Float32)) => format!("{:?}", *value as f32).into(),
        (Value::Real(value), _) => format!("{value:?}").into(),
        (Value::Text(text), _) => text.as_ref().into(),
    }
}

/// Names of which none is there twice, whatever their case: the second `ra` is `ra_2`.
fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut taken = std::collections::HashSet::new();
    let free = |name: String| {
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let mut choices = std::iter::once(name.clone()).chain(numbered);
        let free = choices.find(|choice| taken.insert(choice.to_lowercase()));
        free.unwrap_or(name)
    };
    names.map(free).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_there_twice() {
        let names = ["ra", "RA", "ra_2", "dec", "ra"].map(str::to_owned);
        assert_eq!(unique(names.into_iter()), ["ra", "RA_2", "ra_2_2", "dec", "ra_3"]);
    }

    #[test]
    fn the_ending_tells_the_format() {
        assert_eq!(Format::of(Path::new("a/b.fits")).unwrap(), Format::Fits);
        assert!(Format::of(Path::new("a.fits.gz")).unwrap_err().to_string().contains(".parquet"));
    }
}
