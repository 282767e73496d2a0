//! SQL over a release or a sealed catalogue, where it lies.
//!
//! The engine is SQLite, which is in the program anyway; a release stays in its Parquet files, which
//! SQLite sees as virtual tables (`vtab`). Row groups and files are left out by what their ends say of
//! columns and of the sky (`prune`, `sky`), columns are decoded when they are asked for (`scan`),
//! and SQLite holds every row against the query again. So memory does not grow with the release but
//! for what a query keeps: sorting and grouping go to temporary files (in `TMPDIR`) beyond 64 MiB.
//!
//! A connection reads and does nothing else. It has no file, an authorizer refuses everything but
//! reading, and what it takes is limited.

mod error;
mod functions;
mod place;
mod prune;
mod scan;
mod sky;
mod table;
mod values;
#[expect(unsafe_code, reason = "SQLite is C; rusqlite asks for promises about two structures")]
mod vtab;
mod words;

pub mod output;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow_schema::FieldRef;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;

use crate::backfill::Region;
use place::Place;
use sky::Sky;
use table::Table;
use vtab::{Shared, Trouble};

pub use error::QueryError;
pub use values::Value;

/// The table of rows.
pub const CATALOGUE: &str = crate::catalogue::CATALOGUE;
/// The table of rejects.
pub const REJECTS: &str = crate::catalogue::REJECTS;

/// What SQLite takes at most: memory, the longest value, the longest query, and what it sorts in memory.
const MOST_MEMORY: u64 = 1 << 30;
const MOST_LENGTH: i32 = 64 << 20;
const MOST_QUERY: i32 = 1 << 20;
const CACHE_KIB: i64 = 64 << 10;
/// Steps of SQLite between two looks at whether to stop: less than a millisecond.
const STEPS: i32 = 10_000;

/// How queries are answered.
pub struct Options {
    /// The part of the sky to which the table of rows is restricted.
    pub region: Option<Region>,
    /// After so long a query is given up.
    pub timeout: Option<Duration>,
    /// Whether to stop.
    pub stop: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// A column of an answer.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Its name.
    pub name: String,
    /// The column of a table that it is, if it is one as it stands there.
    pub field: Option<FieldRef>,
}

/// What takes an answer.
pub trait Sink {
    /// Takes the columns.
    ///
    /// # Errors
    /// [`QueryError`] when they cannot be written.
    fn begin(&mut self, columns: &[Answered]) -> Result<(), QueryError>;

    /// Takes a row; false if no more are wanted.
    ///
    /// # Errors
    /// [`QueryError`] when it cannot be written.
    fn row(&mut self, values: &[Value<'_>]) -> Result<bool, QueryError>;
}

/// What was read of a table for all queries so far, and what was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    /// Files that were not opened.
    pub files_skipped: u64,
    /// Row groups that were not read.
    pub groups_skipped: u64,
    /// Row groups of which columns were read.
    pub groups_read: u64,
}

/// A release or a catalogue that can be asked.
pub struct Session {
    connection: Connection,
    tables: Vec<Arc<Table>>,
    trouble: Trouble,
    stop: Arc<dyn Fn() -> bool + Send + Sync>,
    timeout: Option<Duration>,
    origin: Vec<(String, String, String)>,
}

impl Session {
    /// Opens a release, a sealed catalogue or one Parquet file.
    ///
    /// # Errors
    /// [`QueryError`] if it is none of these, or damaged.
    pub fn open(path: &Path, options: Options) -> Result<Self, QueryError> {
        let Place { rows, rejects, origin } = Place::of(path)?;
        let Options { region, timeout, stop } = options;
        let mut tables = vec![Arc::new(Table::open(CATALOGUE, rows, region.map(Sky::of))?)];
        if let Some(rejects) = rejects {
            tables.push(Arc::new(Table::open(REJECTS, rejects, None)?));
        }
        let trouble = Trouble::default();
        let begun = Instant::now();
        let give_up = {
            let stop = Arc::clone(&stop);
            move || stop() || timeout.is_some_and(|limit| begun.elapsed() >= limit)
        };
        let give_up: Arc<dyn Fn() -> bool + Send + Sync> = Arc::new(give_up);
        let connection = connect(&tables, &trouble, &give_up);
        let connection = connection.map_err(|error| QueryError::Sql(error.to_string()))?;
        Ok(Self { connection, tables, trouble, stop, timeout, origin })
    }

    /// Answers a query.
    ///
    /// # Errors
    /// [`QueryError`] when the query is none, takes too much, or a file is damaged.
    pub fn ask(&self, sql: &str, sink: &mut dyn Sink) -> Result<(), QueryError> {
        let failed = |error| self.explain(error);
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        if !statement.readonly() || statement.column_count() == 0 {
            return Err(QueryError::ReadOnly);
        }
        let columns: Vec<Answered> = statement
            .columns_with_metadata()
            .map(|column| {
                let field = self.field(column.table_name(), column.origin_name());
                Answered { name: column.name().to_owned(), field }
            })
            .collect();
        sink.begin(&columns)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let mut values = Vec::with_capacity(columns.len());
            for (at, column) in columns.iter().enumerate() {
                values.push(match row.get_ref(at).map_err(failed)? {
                    ValueRef::Null => Value::Missing,
                    ValueRef::Integer(value) => Value::Int(value),
                    ValueRef::Real(value) => Value::Real(value),
                    ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes)),
                    ValueRef::Blob(_) => return Err(QueryError::Bytes(column.name.clone())),
                });
            }
            if !sink.row(&values)? {
                break;
            }
        }
        Ok(())
    }

    /// What was read of the table of rows so far.
    pub fn scanned(&self) -> Scanned {
        let read = &self.tables[0].read;
        Scanned {
            files_skipped: read.files_skipped.load(Ordering::Relaxed),
            groups_skipped: read.groups_skipped.load(Ordering::Relaxed),
            groups_read: read.groups_read.load(Ordering::Relaxed),
        }
    }

    /// Keyword, value and comment of what made the rows.
    pub fn origin(&self) -> &[(String, String, String)] {
        &self.origin
    }

    fn field(&self, table: Option<&str>, column: Option<&str>) -> Option<FieldRef> {
        let table = self.tables.iter().find(|it| Some(it.name) == table)?;
        Some(Arc::clone(&table.columns[table.position(column?)?]))
    }

    fn explain(&self, error: rusqlite::Error) -> QueryError {
        let explained = match self.trouble.take() {
            Some(QueryError::Stopped) | None => words::explain(error, &self.tables),
            Some(trouble) => trouble,
        };
        match (explained, self.timeout) {
            (QueryError::Stopped, Some(limit)) if !(self.stop)() => {
                QueryError::TimedOut(limit.as_secs())
            }
            (explained, _) => explained,
        }
    }
}

/// A connection that knows the tables and the functions, and can do nothing but read.
fn connect(
    tables: &[Arc<Table>],
    trouble: &Trouble,
    give_up: &Arc<dyn Fn() -> bool + Send + Sync>,
) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Otherwise a misspelt name in double quotes would be a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MOST_LENGTH)?;
    connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, MOST_QUERY)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    let memory = i64::try_from(MOST_MEMORY).unwrap_or(i64::MAX);
    connection.pragma_update_and_check(None, "hard_heap_limit", memory, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "FILE")?;
    connection.pragma_update(None, "query_only", true)?;
    functions::register(&connection, trouble)?;
    for table in tables {
        let (table, give_up, trouble) = (Arc::clone(table), Arc::clone(give_up), trouble.clone());
        vtab::register(&connection, Shared { table, give_up, trouble })?;
    }
    let give_up = Arc::clone(give_up);
    connection.progress_handler(STEPS, Some(move || give_up()))?;
    connection.authorizer(Some(may))?;
    Ok(connection)
}

/// What a query may do: read, call functions, and ask for the columns of a table.
fn may(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Recursive
        | AuthAction::Pragma { pragma_name: "table_info", .. } => Authorization::Allow,
        AuthAction::Function { function_name } if function_name != "load_extension" => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}
