//! The first binary table of a FITS file.

use std::path::Path;

use super::{
    Column, Kind, Record, Stop, TableError, Visit, Wanted, bytes, damaged, number, unreadable,
};
use crate::fits::{self, Numbers, ScanError, Table, scan_table};

/// A scan that ended, and why.
enum Ended<E> {
    Scan(ScanError),
    Stop(Stop<E>),
}

impl<E> From<ScanError> for Ended<E> {
    fn from(error: ScanError) -> Self {
        Self::Scan(error)
    }
}

pub(super) fn columns(path: &Path) -> Result<Vec<Column>, TableError> {
    let mut columns = Vec::new();
    let scanned = scan_table(&mut bytes(path)?, &mut |table| {
        columns = table.columns().iter().map(|column| describe(table, column)).collect();
        Err(Ended::Stop(Stop::Found))
    });
    ended(path, scanned)?;
    Ok(columns)
}

fn describe(table: &Table, column: &fits::Column) -> Column {
    let kind = match column.kind {
        b'A' => Kind::Text,
        _ if column.repeat != 1 => Kind::Other,
        b'E' | b'D' => Kind::Float,
        b'B' | b'I' | b'J' | b'K' | b'L' => Kind::Whole,
        _ => Kind::Other,
    };
    let (name, unit, ucd) = (column.name.clone(), table.unit(column), table.ucd(column));
    Column { name, unit, ucd, alias: String::new(), kind }
}

pub(super) fn read<E: From<TableError>>(
    path: &Path,
    wanted: &Wanted,
    visit: &mut Visit<'_, E>,
) -> Result<(), E> {
    let (mut numbers, mut texts) = (Vec::new(), Vec::new());
    let scanned = scan_table(&mut bytes(path)?, &mut |table| -> Result<(), Ended<E>> {
        let columns = table.columns();
        let cells = wanted.numbers.iter().map(|&at| Cells::of(table, &columns[at]));
        let cells = cells.collect::<Result<Vec<_>, _>>()?;
        for row in 0..table.rows {
            numbers.clear();
            numbers.extend(cells.iter().map(|cells| number(cells.at(row))));
            texts.clear();
            texts.extend(wanted.texts.iter().map(|&at| text(table, &columns[at], row)));
            visit(&Record { numbers: &numbers, texts: &texts })
                .map_err(|error| Ended::Stop(Stop::Error(error)))?;
        }
        Ok(())
    });
    ended(path, scanned)
}

/// The cells of a column that is read as numbers.
enum Cells<'t, 'a> {
    Numbers(Numbers<'t, 'a>),
    Logical(&'t Table<'a>, &'t fits::Column),
}

impl<'t, 'a> Cells<'t, 'a> {
    fn of(table: &'t Table<'a>, column: &'t fits::Column) -> Result<Self, ScanError> {
        if column.kind == b'L' {
            return Ok(Self::Logical(table, column));
        }
        Ok(Self::Numbers(table.numbers(column)?))
    }

    fn at(&self, row: usize) -> Option<f64> {
        match self {
            Self::Numbers(numbers) => numbers.at(row),
            Self::Logical(table, column) => table.logical(column, row).map(f64::from),
        }
    }
}

/// A cell as text: whole numbers with all their digits, since identifiers have up to 19.
fn text(table: &Table, column: &fits::Column, row: usize) -> String {
    if column.kind == b'A' {
        return table.text(column, row).unwrap_or_default();
    }
    if let Some(whole) = table.whole(column, row) {
        return whole.to_string();
    }
    let value = table.numbers(column).ok().and_then(|numbers| numbers.at(row));
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn ended<E: From<TableError>>(path: &Path, scanned: Result<(), Ended<E>>) -> Result<(), E> {
    match scanned {
        Ok(()) | Err(Ended::Stop(Stop::Found)) => Ok(()),
        Err(Ended::Stop(Stop::Error(error))) => Err(error),
        Err(Ended::Scan(ScanError::Io(error))) => Err(unreadable(path, &error).into()),
        Err(Ended::Scan(error)) => Err(damaged(path, &error).into()),
    }
}
