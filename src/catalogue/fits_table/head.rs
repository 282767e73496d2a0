//! What a header says of the columns of a table.

use arrow_schema::{DataType, Field};

use crate::catalogue::columns::{Column, Kind};

/// What the header says of a column.
#[derive(Debug, Clone)]
pub(crate) struct ColumnHead {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) unit: String,
    pub(crate) ucd: String,
    pub(crate) description: String,
    pub(crate) alias: String,
    pub(crate) shape: Vec<usize>,
}

impl From<&Column> for ColumnHead {
    fn from(column: &Column) -> Self {
        Self {
            name: column.name.clone(),
            kind: column.kind,
            unit: column.unit.clone(),
            ucd: column.ucd.clone(),
            description: column.description.clone(),
            alias: column.alias.clone(),
            shape: column.shape.clone(),
        }
    }
}

impl ColumnHead {
    /// What a Parquet file that was published says of a column.
    pub(crate) fn of_field(field: &Field) -> Self {
        let note = |key: &str| field.metadata().get(key).cloned().unwrap_or_default();
        let vector = |item: &Field, width: i32| {
            let width = usize::try_from(width).unwrap_or(0);
            match item.data_type() {
                DataType::Int32 => Kind::Integers(width),
                _ => Kind::Floats(width),
            }
        };
        let kind = match field.data_type() {
            DataType::Int64 => Kind::Int64,
            DataType::Int32 => Kind::Int32,
            DataType::Float32 => Kind::Float32,
            DataType::Float64 => Kind::Float64,
            DataType::Boolean => Kind::Logical,
            DataType::FixedSizeList(item, width) => vector(item, *width),
            _ => Kind::Text,
        };
        let shape = note("shape");
        Self {
            name: field.name().clone(),
            kind,
            unit: note("unit"),
            ucd: note("ucd"),
            description: note("description"),
            alias: note("alias"),
            shape: shape.split('x').filter_map(|side| side.trim().parse().ok()).collect(),
        }
    }
}
