//! A table as SQLite sees it: a virtual table that is there without being created.
//!
//! `rusqlite` asks for two promises that the compiler cannot check: that the structures begin with
//! SQLite's own, and that their layout is C's. They do and it is.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::ValueRef;
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConfig, VTabConnection,
    VTabCursor, escape_double_quote, sqlite3_vtab, sqlite3_vtab_cursor,
};
use rusqlite::{Connection, Error, Result};

use super::QueryError;
use super::prune::{Bound, Key, Test};
use super::scan::Scan;
use super::table::Table;
use super::values::{Value, affinity};

/// Values of an IN by which row groups are skipped; of more, all row groups are read.
const MOST_IN: usize = 10_000;

/// A table, and what all passes over it share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) table: Arc<Table>,
    pub(super) give_up: Arc<dyn Fn() -> bool + Send + Sync>,
    pub(super) trouble: Trouble,
}

/// The error behind an error of SQLite, which has words for it alone.
#[derive(Clone, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<QueryError>>>);

impl Trouble {
    pub(super) fn take(&self) -> Option<QueryError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps the first error.
    pub(super) fn keep(&self, error: QueryError) -> Error {
        let words = error.to_string();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        Error::ModuleError(words)
    }
}

/// Makes a table known under its name.
pub(super) fn register(connection: &Connection, shared: Shared) -> Result<()> {
    const MODULE: &Module<'static, Virtual> = &Module::eponymous_only_module();
    connection.create_module(shared.table.name, MODULE, Some(shared))
}

/// What SQLite keeps of a table.
#[repr(C)]
struct Virtual {
    base: sqlite3_vtab,
    shared: Shared,
}

// SAFETY: the first member is SQLite's structure, and the layout is C's.
unsafe impl VTab<'_> for Virtual {
    type Aux = Shared;
    type Cursor = Cursor;

    fn connect(
        db: &mut VTabConnection,
        aux: Option<&Shared>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        let missing = || Error::ModuleError("the table was registered without its files".into());
        let shared = aux.cloned().ok_or_else(missing)?;
        db.config(VTabConfig::Innocuous)?;
        let column = |column: &arrow_schema::FieldRef| {
            let kind = affinity(column.data_type()).unwrap_or_default();
            format!("\"{}\" {kind}", escape_double_quote(column.name()))
        };
        let columns: Vec<String> = shared.table.columns.iter().map(column).collect();
        let declaration = CString::new(format!("CREATE TABLE x({})", columns.join(",")))
            .map_err(|error| Error::ModuleError(error.to_string()))?;
        Ok((declaration.into(), Self { base: sqlite3_vtab::default(), shared }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let mut wanted = Vec::new();
        for (at, constraint) in info.constraints().enumerate() {
            let column = usize::try_from(constraint.column()).ok();
            let column = column.filter(|_| constraint.is_usable());
            let (Some(column), Some(asked)) = (column, Asked::of(&constraint.operator())) else {
                continue;
            };
            let kind = self.shared.table.columns[column].data_type();
            // Statistics go by bytes, as the collation of columns does unless a query names another.
            if !kind.is_nested() && (!kind.is_string() || info.collation(at)? == "BINARY") {
                wanted.push((at, column, asked));
            }
        }
        let (mut plan, mut arguments, mut rows) = (String::new(), 0, 1e6);
        for (at, column, mut asked) in wanted {
            if asked == Asked::Equal && info.is_in_constraint(at)? {
                info.set_in_constraint(at, true)?;
                asked = Asked::In;
            }
            if asked.has_argument() {
                arguments += 1;
                info.constraint_usage(at).set_argv_index(arguments);
            }
            rows *= if asked == Asked::Equal { 0.01 } else { 0.4 };
            plan += &format!("{column}{} ", asked.letter());
        }
        info.set_idx_str(&plan);
        // Whole row groups are read whatever is found in them.
        info.set_estimated_cost(1e5 + rows);
        #[expect(clippy::cast_possible_truncation, reason = "at most a million")]
        info.set_estimated_rows((rows as i64).max(1));
        Ok(true)
    }

    fn open(&mut self) -> Result<Cursor> {
        let Shared { table, give_up, .. } = self.shared.clone();
        Ok(Cursor {
            base: sqlite3_vtab_cursor::default(),
            scan: Scan::new(table, Vec::new(), give_up),
            shared: self.shared.clone(),
            at_end: true,
        })
    }
}

/// What can be asked of a column.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Equal,
    In,
    AtLeast,
    AtMost,
    Present,
    Missing,
}

impl Asked {
    const ALL: [Self; 6] =
        [Self::Equal, Self::In, Self::AtLeast, Self::AtMost, Self::Present, Self::Missing];

    fn of(operator: &IndexConstraintOp) -> Option<Self> {
        Some(match operator {
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ => Self::Equal,
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GT
            | IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GE => Self::AtLeast,
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LT
            | IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LE => Self::AtMost,
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_ISNOTNULL => Self::Present,
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_ISNULL => Self::Missing,
            _ => return None,
        })
    }

    /// How a plan names it.
    fn letter(self) -> char {
        match self {
            Self::Equal => '=',
            Self::In => 'i',
            Self::AtLeast => '>',
            Self::AtMost => '<',
            Self::Present => 'p',
            Self::Missing => 'm',
        }
    }

    fn has_argument(self) -> bool {
        !matches!(self, Self::Present | Self::Missing)
    }

    /// The test, with an argument of the query; `None` if it can tell nothing.
    fn test(self, arguments: &Filters<'_>, at: usize) -> Result<Option<Test>> {
        let one = || arguments.iter().nth(at).and_then(key);
        Ok(match self {
            Self::Equal => one().map(|key| Test::OneOf(vec![key])),
            Self::In => {
                let mut keys = Vec::new();
                let mut values = arguments.in_values(at)?;
                while let Some(value) = values.next()? {
                    if keys.len() == MOST_IN {
                        return Ok(None);
                    }
                    // Nothing is equal to what is missing.
                    match value {
                        ValueRef::Null => {}
                        value => match key(value) {
                            Some(key) => keys.push(key),
                            None => return Ok(None),
                        },
                    }
                }
                Some(Test::OneOf(keys))
            }
            Self::AtLeast => one().map(Test::AtLeast),
            Self::AtMost => one().map(Test::AtMost),
            Self::Present => Some(Test::Present),
            Self::Missing => Some(Test::Missing),
        })
    }
}

fn key(value: ValueRef<'_>) -> Option<Key> {
    match value {
        ValueRef::Integer(value) => Some(Key::Int(value)),
        ValueRef::Real(value) => Some(Key::Real(value)),
        ValueRef::Text(bytes) => Some(Key::Text(std::str::from_utf8(bytes).ok()?.to_owned())),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

/// A pass over a table.
#[repr(C)]
struct Cursor {
    base: sqlite3_vtab_cursor,
    scan: Scan,
    shared: Shared,
    at_end: bool,
}

// SAFETY: the first member is SQLite's structure, and the layout is C's.
unsafe impl VTabCursor for Cursor {
    fn filter(&mut self, _: c_int, plan: Option<&str>, arguments: &Filters<'_>) -> Result<()> {
        let (mut bounds, mut at) = (Vec::new(), 0);
        for word in plan.unwrap_or_default().split_ascii_whitespace() {
            let (number, letter) = word.split_at(word.len() - 1);
            let asked = Asked::ALL.into_iter().find(|asked| letter.starts_with(asked.letter()));
            let (Some(asked), Ok(column)) = (asked, number.parse()) else { continue };
            bounds.extend(asked.test(arguments, at)?.map(|test| Bound { column, test }));
            at += usize::from(asked.has_argument());
        }
        let Shared { table, give_up, .. } = self.shared.clone();
        self.scan = Scan::new(table, bounds, give_up);
        self.next()
    }

    fn next(&mut self) -> Result<()> {
        self.at_end = !self.scan.advance().map_err(|error| self.shared.trouble.keep(error))?;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.at_end
    }

    fn column(&self, context: &mut Context, column: c_int) -> Result<()> {
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        let set = |value: Value<'_>| match value {
            Value::Missing => context.set_result(None::<i64>),
            Value::Int(value) => context.set_result(value),
            Value::Real(value) => context.set_result(value),
            Value::Text(text) => context.set_result(&*text),
        };
        self.scan.read(column, set).map_err(|error| self.shared.trouble.keep(error))?
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.scan.row_number())
    }
}
