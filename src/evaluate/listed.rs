//! A list of rows: those of a catalogue that shall be evaluated.

use std::collections::HashSet;
use std::path::Path;

use super::EvaluateError;
use super::rows::{MOST_ROWS, file_key, is_file};
use crate::table::{Kind, Source, TableError, Wanted};

/// What a column of the catalogue must hold.
#[derive(Debug)]
pub(super) struct Listed {
    /// The column, as the list calls it.
    pub(super) column: String,
    values: HashSet<String>,
}

impl Listed {
    /// Reads the first column of a table that the catalogue has as well.
    pub(super) fn read(path: &Path, catalogue: &Source) -> Result<Self, EvaluateError> {
        let list = Source::open(path)?;
        let both = list.columns.iter().position(|column| {
            column.kind != Kind::Other && catalogue.position(&column.name).is_some()
        });
        let Some(at) = both else {
            let remedy = "name the column of the list as the catalogue does, such as file or obsid";
            return Err(EvaluateError::no_column(&list, "of the catalogue", remedy));
        };
        let column = list.columns[at].name.clone();
        let is_file = is_file(&column);
        let mut values = HashSet::new();
        let wanted = Wanted { texts: vec![at], ..Wanted::default() };
        list.read::<EvaluateError>(&wanted, &mut |record| {
            let text = record.texts[0].as_str();
            let text = if is_file { file_key(text) } else { text };
            if !text.is_empty() {
                values.insert(text.to_owned());
            }
            if values.len() > MOST_ROWS {
                let what = format!("it lists more than {MOST_ROWS} rows; name a shorter list");
                return Err(TableError::new(path, what).into());
            }
            Ok(())
        })?;
        Ok(Self { column, values })
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        self.values.contains(if is_file(&self.column) { file_key(text) } else { text })
    }
}
