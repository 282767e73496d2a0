//! What SQLite says of a query, in our words and with a remedy.

use std::sync::Arc;

use rusqlite::{Error, ErrorCode};

use super::table::Table;
use super::{MOST_MEMORY, QueryError};

/// Names that are told.
const TOLD: usize = 4;

pub(super) fn explain(error: Error, tables: &[Arc<Table>]) -> QueryError {
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => return QueryError::Stopped,
        Some(ErrorCode::OutOfMemory) => return QueryError::Memory(MOST_MEMORY >> 20),
        Some(ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly) => {
            return QueryError::ReadOnly;
        }
        _ => {}
    }
    let words = match error {
        Error::MultipleStatement => return QueryError::Several,
        Error::SqlInputError { msg, .. } | Error::SqliteFailure(_, Some(msg)) => msg,
        error => error.to_string(),
    };
    if let Some(name) = words.strip_prefix("no such column: ") {
        // SQLite has a hint of its own for texts in double quotes.
        if !name.contains('"') {
            let name = name.rsplit('.').next().unwrap_or(name).to_owned();
            return QueryError::NoColumn { near: near(&name, tables), name };
        }
    }
    if let Some(name) = words.strip_prefix("no such table: ") {
        let names: Vec<&str> = tables.iter().map(|table| table.name).collect();
        let tables = format!("ask {}", names.join(" or "));
        return QueryError::NoTable { name: name.to_owned(), tables };
    }
    QueryError::Sql(words)
}

/// The columns whose names are most like this one.
fn near(name: &str, tables: &[Arc<Table>]) -> String {
    let name = name.to_lowercase();
    let all = tables.iter().flat_map(|table| &table.columns).map(|column| column.name().as_str());
    let likeness = |other: &str| {
        let holds = !name.is_empty() && (other.contains(&name) || name.contains(other));
        strsim::jaro_winkler(&name, other) + if holds { 0.2 } else { 0.0 }
    };
    let mut alike: Vec<(f64, &str)> = all.map(|other| (likeness(other), other)).collect();
    alike.retain(|(likeness, _)| *likeness > 0.8);
    alike.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
    alike.dedup();
    let names: Vec<&str> = alike.iter().take(TOLD).map(|(_, name)| *name).collect();
    if names.is_empty() {
        return "SELECT name FROM pragma_table_info('catalogue') has them all".into();
    }
    format!("did you mean {}?", names.join(", "))
}
