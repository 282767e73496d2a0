//! The columns that a model adds: its labels with their errors, and columns of several values.

use super::column_list::{Table, column, estimate, float, int};
use super::columns::{Cell, Column, Kind, LabelColumn, ModelColumns, VectorColumn};

pub(super) fn model_columns(model: &ModelColumns) -> Vec<Column> {
    let mut columns = Vec::new();
    for (position, label) in model.labels.iter().enumerate() {
        columns.push(label_column(position, label));
        if model.errors {
            columns.push(error_column(position, label));
        }
    }
    let mut first = 0;
    for vector in &model.vectors {
        columns.push(vector_column(first, vector));
        first += vector.width();
    }
    columns
}

fn label_column(position: usize, label: &LabelColumn) -> Column {
    let LabelColumn { name, unit, ucd, description, alias } = label;
    let value = estimate(move |e| float(e.values.get(position).copied()));
    let column = column(Table::Rows, (name, Kind::Float32), (unit, ucd), description, value);
    Column { alias: alias.clone(), ..column }
}

fn error_column(position: usize, label: &LabelColumn) -> Column {
    let LabelColumn { name, unit, ucd, alias, .. } = label;
    let value = estimate(move |e| float(e.errors.get(position).copied()));
    let ucd = if ucd.is_empty() { "stat.error".to_owned() } else { format!("stat.error;{ucd}") };
    let description = format!("Error of {name}, one standard deviation");
    let name = format!("{name}_err");
    let column = column(Table::Rows, (&name, Kind::Float32), (unit, &ucd), &description, value);
    let alias = if alias.is_empty() { String::new() } else { format!("{alias}_err") };
    Column { alias, ..column }
}

fn vector_column(first: usize, vector: &VectorColumn) -> Column {
    let VectorColumn { name, unit, ucd, description, shape, integer } = vector;
    let width = vector.width();
    if shape.is_empty() {
        let kind = if *integer { Kind::Int32 } else { Kind::Float32 };
        let value = estimate(move |e| match (e.vectors.get(first), kind) {
            (Some(&value), Kind::Int32) =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "it is a whole number")]
                int(Some(value as i32))
            }
            (value, _) => float(value.copied()),
        });
        return column(Table::Rows, (name, kind), (unit, ucd), description, value);
    }
    let kind = if *integer { Kind::Integers(width) } else { Kind::Floats(width) };
    let value = estimate(move |e| {
        Cell::Values(e.vectors.get(first..first + width).map(<[f32]>::to_vec).unwrap_or_default())
    });
    let column = column(Table::Rows, (name, kind), (unit, ucd), description, value);
    Column { shape: shape.clone(), ..column }
}
