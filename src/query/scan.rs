//! Reading the rows of a table, one after the other. A column is decoded when it is first asked for,
//! some thousand rows at a time; row groups and files without a row that could be wanted are skipped.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::RowGroupMetaData;

use super::QueryError;
use super::prune::Bound;
use super::table::{OpenPart, Places, Table};
use super::values::{Value, affinity, value, width};

/// Values of a column that are decoded at once.
const VALUES: usize = 8192;
/// Of a column with several values a row, so many values.
const WIDE_VALUES: usize = 1 << 18;

/// A pass over the rows.
pub(super) struct Scan {
    table: Arc<Table>,
    bounds: Vec<Bound>,
    give_up: Arc<dyn Fn() -> bool + Send + Sync>,
    /// The file that is read, and where the next row group of it is looked for.
    file: usize,
    part: Option<(Arc<OpenPart>, usize)>,
    group: Option<Group>,
}

/// A row group.
struct Group {
    part: Arc<OpenPart>,
    number: usize,
    row: usize,
    rows: usize,
    columns: RefCell<Vec<Option<Column>>>,
}

/// The values of a column that are decoded, and what decodes more.
struct Column {
    reader: ParquetRecordBatchReader,
    first: usize,
    values: Option<ArrayRef>,
}

impl Scan {
    pub(super) fn new(
        table: Arc<Table>,
        bounds: Vec<Bound>,
        give_up: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Self {
        Self { table, bounds, give_up, file: 0, part: None, group: None }
    }

    /// Goes to the next row; false if there is none.
    pub(super) fn advance(&mut self) -> Result<bool, QueryError> {
        loop {
            if let Some(group) = &mut self.group {
                if group.advance(&self.table, &*self.give_up)? {
                    return Ok(true);
                }
                self.group = None;
            }
            if (self.give_up)() {
                return Err(QueryError::Stopped);
            }
            let Some((part, next)) = &mut self.part else {
                if self.file >= self.table.files.len() {
                    return Ok(false);
                }
                self.part = self.table.part(self.file)?.map(|part| (Arc::new(part), 0));
                self.file += 1;
                continue;
            };
            let number = *next;
            if number >= part.end.metadata().num_row_groups() {
                self.part = None;
                continue;
            }
            *next += 1;
            if self.table.admits(part, number, &self.bounds) {
                self.group = Some(Group::new(Arc::clone(part), number, self.table.columns.len()));
            }
        }
    }

    /// Hands over a value of the current row.
    pub(super) fn read<R>(
        &self,
        column: usize,
        take: impl FnOnce(Value<'_>) -> R,
    ) -> Result<R, QueryError> {
        match &self.group {
            Some(group) => group.read(&self.table, column, group.row - 1, take),
            None => Ok(take(Value::Missing)),
        }
    }

    /// A number that no other row of the table has.
    pub(super) fn row_number(&self) -> i64 {
        let Some(group) = &self.group else { return 0 };
        let groups = group.part.end.metadata().row_groups();
        let before: i64 = groups[..group.number].iter().map(RowGroupMetaData::num_rows).sum();
        let row = i64::try_from(group.row).unwrap_or(0);
        (i64::try_from(self.file).unwrap_or(0) << 40) + before + row
    }
}

impl Group {
    fn new(part: Arc<OpenPart>, number: usize, columns: usize) -> Self {
        let rows = part.end.metadata().row_group(number).num_rows();
        let rows = usize::try_from(rows).unwrap_or(0);
        let columns = RefCell::new((0..columns).map(|_| None).collect());
        Self { part, number, row: 0, rows, columns }
    }

    /// Goes to the next row in the region; `row` is the number behind it.
    fn advance(&mut self, table: &Table, give_up: &dyn Fn() -> bool) -> Result<bool, QueryError> {
        while self.row < self.rows {
            self.row += 1;
            if self.row.is_multiple_of(VALUES) && give_up() {
                return Err(QueryError::Stopped);
            }
            let Some(places) = &table.places else { return Ok(true) };
            if self.is_in(table, places, self.row - 1)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_in(&self, table: &Table, places: &Places, row: usize) -> Result<bool, QueryError> {
        if let Some(column) = places.cell {
            let cell = self.read(table, column, row, |value| match value {
                Value::Int(cell) => Some(cell),
                _ => None,
            })?;
            // Cells are cheaper than angles, of which most rows need none.
            if cell.is_none_or(|cell| !places.sky.meets(cell, cell)) {
                return Ok(false);
            }
        }
        let angle = |column| {
            self.read(table, column, row, |value| match value {
                Value::Real(angle) => angle,
                _ => f64::NAN,
            })
        };
        Ok(places.sky.contains(angle(places.ra)?, angle(places.dec)?))
    }

    fn read<R>(
        &self,
        table: &Table,
        column: usize,
        row: usize,
        take: impl FnOnce(Value<'_>) -> R,
    ) -> Result<R, QueryError> {
        let mut columns = self.columns.borrow_mut();
        let Some(slot) = columns.get_mut(column) else { return Ok(take(Value::Missing)) };
        let column = match slot {
            Some(column) => column,
            None => slot.insert(self.open(table, column)?),
        };
        loop {
            if let Some(values) = &column.values
                && row < column.first + values.len()
            {
                return Ok(take(value(values, row - column.first)));
            }
            column.decode(&self.part)?;
        }
    }

    fn open(&self, table: &Table, column: usize) -> Result<Column, QueryError> {
        let OpenPart { path, file, end } = &*self.part;
        let field = &table.columns[column];
        if affinity(field.data_type()).is_none() {
            let (column, kind) = (field.name().clone(), field.data_type().to_string());
            return Err(QueryError::Unread { path: path.clone(), column, kind });
        }
        let file = file.try_clone().map_err(QueryError::io(path))?;
        let values = match width(field.data_type()) {
            1 => VALUES,
            width => (WIDE_VALUES / width).clamp(1, VALUES),
        };
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, end.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), [column]);
        let builder = builder.with_row_groups(vec![self.number]).with_projection(mask);
        let reader = builder.with_batch_size(values).build().map_err(QueryError::parquet(path))?;
        Ok(Column { reader, first: 0, values: None })
    }
}

impl Column {
    fn decode(&mut self, part: &OpenPart) -> Result<(), QueryError> {
        self.first += self.values.take().map_or(0, |values| values.len());
        // C would be left by a panic through its frames, which ends the process.
        let batch = catch_unwind(AssertUnwindSafe(|| self.reader.next()));
        match batch {
            Ok(Some(Ok(batch))) if batch.num_rows() > 0 => {
                self.values = Some(Arc::clone(batch.column(0)));
                Ok(())
            }
            Ok(Some(Err(error))) => Err(QueryError::damaged(&part.path, error.to_string())),
            Ok(_) => Err(QueryError::damaged(&part.path, "it has fewer rows than its end says")),
            Err(_) => Err(QueryError::damaged(&part.path, "its values cannot be decoded")),
        }
    }
}
