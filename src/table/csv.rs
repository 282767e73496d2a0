//! Text with a first line of names, separated by commas, bars or tabs.

use std::io::{BufRead, Read};
use std::path::Path;

use super::{
    Column, Kind, Record, Stop, TableError, Visit, Wanted, bytes, damaged, number, unreadable,
};
use crate::records::{MOST_RECORD, RecordError, Records};

/// A reading that ended, and why.
enum Ended<E> {
    Record(RecordError),
    Stop(Stop<E>),
}

impl<E> From<RecordError> for Ended<E> {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

pub(super) fn columns(path: &Path) -> Result<Vec<Column>, TableError> {
    let first = first_line(path)?;
    if !first.ends_with(b"\n") {
        let what = "it is neither FITS nor Parquet nor a table with a first line of names; give \
                    one of these";
        return Err(TableError::new(path, what.into()));
    }
    let mut columns = Vec::new();
    let read = Records::new(separator(&first)).read(&mut &first[..], &mut |fields| {
        columns = fields.iter().map(|field| column(field)).collect();
        Err(Ended::Stop(Stop::Found))
    });
    ended(path, read)?;
    Ok(columns)
}

fn first_line(path: &Path) -> Result<Vec<u8>, TableError> {
    let mut first = Vec::new();
    let mut limited = bytes(path)?.take(MOST_RECORD as u64);
    limited.read_until(b'\n', &mut first).map_err(|error| unreadable(path, &error))?;
    Ok(first)
}

/// Bars and tabs stand in no name of a column.
fn separator(first: &[u8]) -> u8 {
    [b'|', b'\t'].into_iter().find(|separator| first.contains(separator)).unwrap_or(b',')
}

fn column(field: &[u8]) -> Column {
    // A byte order mark, which spreadsheets write.
    let name = String::from_utf8_lossy(field).trim_start_matches('\u{feff}').trim().to_owned();
    let [unit, ucd, alias] = [const { String::new() }; 3];
    Column { name, unit, ucd, alias, kind: Kind::Unknown }
}

pub(super) fn read<E: From<TableError>>(
    path: &Path,
    width: usize,
    wanted: &Wanted,
    visit: &mut Visit<'_, E>,
) -> Result<(), E> {
    let separator = separator(&first_line(path)?);
    let (mut numbers, mut texts, mut line) = (Vec::new(), Vec::new(), 0_u64);
    let read = Records::new(separator).read(&mut bytes(path)?, &mut |fields| {
        line += 1;
        if fields.len() != width {
            let found = fields.len();
            let what = format!("record {line} has {found} fields, the first has {width}");
            return Err(Ended::Stop(Stop::Error(damaged(path, &what).into())));
        }
        if line == 1 {
            return Ok(());
        }
        let field = |at: usize| String::from_utf8_lossy(fields[at]);
        numbers.clear();
        numbers.extend(wanted.numbers.iter().map(|&at| value(field(at).trim())));
        texts.clear();
        texts.extend(wanted.texts.iter().map(|&at| field(at).trim().to_owned()));
        visit(&Record { numbers: &numbers, texts: &texts })
            .map_err(|error| Ended::Stop(Stop::Error(error)))
    });
    ended(path, read)
}

/// A field as a number; true is 1 and false is 0.
fn value(text: &str) -> f64 {
    match text {
        "true" | "True" | "TRUE" => 1.0,
        "false" | "False" | "FALSE" => 0.0,
        _ => number(text.parse().ok()),
    }
}

fn ended<E: From<TableError>>(path: &Path, read: Result<(), Ended<E>>) -> Result<(), E> {
    match read {
        Ok(()) | Err(Ended::Stop(Stop::Found)) => Ok(()),
        Err(Ended::Stop(Stop::Error(error))) => Err(error),
        Err(Ended::Record(RecordError::Io(error))) => Err(unreadable(path, &error).into()),
        Err(Ended::Record(error)) => Err(damaged(path, &error).into()),
    }
}
