//! The first rows of an answer as lines for a terminal.

use std::time::{Duration, Instant};

use super::words;
use crate::query::{Answered, QueryError, Sink, Value};

/// Letters of a cell.
const MOST_LETTERS: usize = 40;
/// How long rows that are not shown are counted.
const COUNTING: Duration = Duration::from_secs(2);

/// Collects the first rows, and counts the others for a while.
pub struct Lines {
    most: usize,
    columns: Vec<Answered>,
    rows: Vec<Vec<String>>,
    others: u64,
    full: Option<Instant>,
    /// Whether all others were counted.
    is_all: bool,
}

impl Lines {
    /// Shows so many rows at the most.
    pub fn new(most: usize) -> Self {
        let (columns, rows) = (Vec::new(), Vec::new());
        Self { most, columns, rows, others: 0, full: None, is_all: true }
    }

    /// Aligned lines, the names first; columns beyond so many letters are left out, and said to be.
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        let letters = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.columns[column].name.chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(letters).collect();
        let mut used = 0;
        let fits = |letters: &&usize| {
            used += **letters + 2;
            width.is_none_or(|width| used <= width + 2)
        };
        let shown = widths.iter().take_while(fits).count().max(1).min(widths.len());
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells = cells.zip(&widths[..shown]).map(|(cell, width)| format!("{cell:>width$}"));
            cells.collect::<Vec<_>>().join("  ")
        };
        let mut lines = vec![line(&mut self.columns.iter().map(|it| it.name.as_str()))];
        lines.extend(self.rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
        if shown < widths.len() {
            let left = widths.len() - shown;
            lines.push(format!("... {left} more columns; select some, or write all with --out"));
        }
        if self.others > 0 {
            let about = if self.is_all { "" } else { "at least " };
            lines.push(format!("... {about}{} more rows", self.others));
        }
        lines
    }
}

impl Sink for Lines {
    fn begin(&mut self, columns: &[Answered]) -> Result<(), QueryError> {
        self.columns = columns.to_vec();
        Ok(())
    }

    fn row(&mut self, values: &[Value<'_>]) -> Result<bool, QueryError> {
        if self.rows.len() < self.most {
            let cells = values.iter().zip(&self.columns).map(|(value, column)| cell(value, column));
            self.rows.push(cells.collect());
            return Ok(true);
        }
        let full = *self.full.get_or_insert_with(Instant::now);
        self.others += 1;
        self.is_all = !self.others.is_multiple_of(4096) || full.elapsed() < COUNTING;
        Ok(self.is_all)
    }
}

fn cell(value: &Value<'_>, column: &Answered) -> String {
    let text = match value {
        Value::Missing => return "-".into(),
        // Ten digits are enough for an eye; the files have all.
        Value::Real(value) if column.field.is_none() => {
            let rounded = format!("{value:.9e}").parse::<f64>().unwrap_or(*value);
            format!("{rounded:?}").into()
        }
        value => words(value, column),
    };
    if text.chars().count() <= MOST_LETTERS {
        return text.into_owned();
    }
    let begin: String = text.chars().take(MOST_LETTERS - 3).collect();
    begin + "..."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_shown_is_counted() {
        let mut lines = Lines::new(2);
        let column = |name: &str| Answered { name: name.into(), field: None };
        lines.begin(&[column("count"), column("mean"), column("a long name")]).unwrap();
        for row in 0..5 {
            let values = [Value::Int(row), Value::Real(1.0 / 3.0), Value::Missing];
            assert!(lines.row(&values).unwrap());
        }
        let expected = [
            "count          mean  a long name",
            "    0  0.3333333333            -",
            "    1  0.3333333333            -",
            "... 3 more rows",
        ];
        assert_eq!(lines.lines(None), expected);
        assert_eq!(lines.lines(Some(32)), expected);
        let narrow = lines.lines(Some(19));
        assert_eq!(narrow[0], "count          mean");
        assert_eq!(narrow[3], "... 1 more columns; select some, or write all with --out");
    }
}
