//! The columns of an answer on their way into Arrow.
//!
//! What is a column of a table keeps its type and what is said of it. An expression has the type of
//! its values, which is known behind the last row: until then it is kept in three columns, of which
//! one has the value.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder, StringBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int32Array, StringArray,
};
use arrow_schema::{DataType, Field, FieldRef};

use crate::query::values::numbers;
use crate::query::{Answered, QueryError, Value};

/// A column that is being filled.
pub(super) enum Store {
    Int64(Int64Builder),
    Int32(Int32Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Logical(BooleanBuilder),
    Text(StringBuilder),
    /// Several values a row.
    Floats(FieldRef, i32, Vec<f32>, Vec<bool>),
    Integers(FieldRef, i32, Vec<i32>, Vec<bool>),
    /// An expression.
    Any(Box<(Int64Builder, Float64Builder, StringBuilder)>),
}

/// Which types the values of an expression have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    int: bool,
    real: bool,
    text: bool,
}

impl Store {
    pub(super) fn of(field: Option<&Field>) -> Self {
        let any = || {
            Self::Any(Box::new((Int64Builder::new(), Float64Builder::new(), StringBuilder::new())))
        };
        match field.map(Field::data_type) {
            Some(DataType::Boolean) => Self::Logical(BooleanBuilder::new()),
            Some(DataType::Int32) => Self::Int32(Int32Builder::new()),
            Some(kind) if kind.is_integer() => Self::Int64(Int64Builder::new()),
            Some(DataType::Float32) => Self::Float32(Float32Builder::new()),
            Some(DataType::Float64) => Self::Float64(Float64Builder::new()),
            Some(kind) if kind.is_string() => Self::Text(StringBuilder::new()),
            Some(DataType::FixedSizeList(item, width)) => match item.data_type() {
                DataType::Float32 => Self::Floats(Arc::clone(item), *width, vec![], vec![]),
                DataType::Int32 => Self::Integers(Arc::clone(item), *width, vec![], vec![]),
                _ => any(),
            },
            _ => any(),
        }
    }

    /// The columns that it becomes, under this name.
    pub(super) fn fields(&self, name: &str, field: Option<&Field>) -> Vec<Field> {
        let one = |kind: DataType| {
            let notes = field.map(|field| field.metadata().clone()).unwrap_or_default();
            vec![Field::new(name, kind, true).with_metadata(notes)]
        };
        match self {
            Self::Int64(_) => one(DataType::Int64),
            Self::Int32(_) => one(DataType::Int32),
            Self::Float32(_) => one(DataType::Float32),
            Self::Float64(_) => one(DataType::Float64),
            Self::Logical(_) => one(DataType::Boolean),
            Self::Text(_) => one(DataType::Utf8),
            Self::Floats(item, width, ..) | Self::Integers(item, width, ..) => {
                one(DataType::FixedSizeList(Arc::clone(item), *width))
            }
            Self::Any(..) => [DataType::Int64, DataType::Float64, DataType::Utf8]
                .map(|kind| Field::new(format!("{name} {kind}"), kind, true))
                .into(),
        }
    }

    /// Takes a value; returns its bytes.
    pub(super) fn push(
        &mut self,
        value: &Value<'_>,
        seen: &mut Seen,
        column: &Answered,
    ) -> Result<usize, QueryError> {
        #[expect(clippy::cast_possible_truncation, reason = "it was single precision")]
        #[expect(
            clippy::cast_precision_loss,
            reason = "a sum of whole numbers in a column of others"
        )]
        match (self, value) {
            (Self::Int64(it), Value::Int(value)) => it.append_value(*value),
            (Self::Int64(it), Value::Missing) => it.append_null(),
            (Self::Int32(it), Value::Int(value)) => {
                it.append_value(i32::try_from(*value).map_err(|_| mixed(column))?);
            }
            (Self::Int32(it), Value::Missing) => it.append_null(),
            (Self::Float32(it), Value::Real(value)) => it.append_value(*value as f32),
            (Self::Float32(it), Value::Missing) => it.append_null(),
            (Self::Float64(it), Value::Real(value)) => it.append_value(*value),
            (Self::Float64(it), Value::Int(value)) => it.append_value(*value as f64),
            (Self::Float64(it), Value::Missing) => it.append_null(),
            (Self::Logical(it), Value::Int(value @ 0..=1)) => it.append_value(*value == 1),
            (Self::Logical(it), Value::Missing) => it.append_null(),
            (Self::Text(it), Value::Text(text)) => it.append_value(text),
            (Self::Text(it), Value::Missing) => it.append_null(),
            (Self::Floats(_, width, values, there), value) => {
                append(values, there, *width, value, f32::NAN, column)?;
            }
            (Self::Integers(_, width, values, there), value) => {
                append(values, there, *width, value, 0, column)?;
            }
            (Self::Any(parts), value) => {
                let (ints, reals, texts) = &mut **parts;
                let (mut int, mut real, mut text) = (None, None, None);
                match value {
                    Value::Missing => {}
                    Value::Int(value) => int = Some(*value),
                    Value::Real(value) => real = Some(*value),
                    Value::Text(value) => text = Some(value),
                }
                seen.int |= int.is_some();
                seen.real |= real.is_some();
                seen.text |= text.is_some();
                ints.append_option(int);
                reals.append_option(real);
                texts.append_option(text);
            }
            _ => return Err(mixed(column)),
        }
        Ok(match value {
            Value::Text(text) => 16 + text.len(),
            _ => 8,
        })
    }

    /// What was taken so far.
    pub(super) fn finish(&mut self) -> Vec<ArrayRef> {
        match self {
            Self::Int64(it) => vec![Arc::new(it.finish())],
            Self::Int32(it) => vec![Arc::new(it.finish())],
            Self::Float32(it) => vec![Arc::new(it.finish())],
            Self::Float64(it) => vec![Arc::new(it.finish())],
            Self::Logical(it) => vec![Arc::new(it.finish())],
            Self::Text(it) => vec![Arc::new(it.finish())],
            Self::Floats(item, width, values, there) => {
                let values: ArrayRef = Arc::new(Float32Array::from(std::mem::take(values)));
                vec![vector(item, *width, values, there)]
            }
            Self::Integers(item, width, values, there) => {
                let values: ArrayRef = Arc::new(Int32Array::from(std::mem::take(values)));
                vec![vector(item, *width, values, there)]
            }
            Self::Any(parts) => {
                let (ints, reals, texts) = &mut **parts;
                vec![Arc::new(ints.finish()), Arc::new(reals.finish()), Arc::new(texts.finish())]
            }
        }
    }
}

impl Seen {
    /// The type of an expression of which all values were seen.
    pub(super) fn kind(self) -> DataType {
        match self {
            Self { text: true, .. } => DataType::Utf8,
            Self { int: true, real: false, .. } => DataType::Int64,
            _ => DataType::Float64,
        }
    }

    /// The values of an expression, out of the three columns that hold them.
    pub(super) fn array(self, parts: &[ArrayRef]) -> ArrayRef {
        let ints = parts[0].as_primitive::<Int64Type>();
        let reals = parts[1].as_primitive::<Float64Type>();
        let texts = parts[2].as_string::<i32>();
        #[expect(clippy::cast_precision_loss, reason = "as SQLite does")]
        let real = |(int, real): (Option<i64>, Option<f64>)| real.or(int.map(|int| int as f64));
        match self.kind() {
            DataType::Int64 => Arc::clone(&parts[0]),
            DataType::Utf8 => {
                let numbers = ints.iter().zip(reals);
                let words = numbers.zip(texts).map(|((int, real), text)| match (int, real) {
                    (Some(int), _) => Some(int.to_string()),
                    (None, Some(real)) => Some(format!("{real:?}")),
                    (None, None) => text.map(str::to_owned),
                });
                Arc::new(words.collect::<StringArray>())
            }
            _ => Arc::new(ints.iter().zip(reals).map(real).collect::<Float64Array>()),
        }
    }
}

fn mixed(column: &Answered) -> QueryError {
    QueryError::Mixed(column.name.clone())
}

fn append<T: Copy + std::str::FromStr>(
    values: &mut Vec<T>,
    there: &mut Vec<bool>,
    width: i32,
    value: &Value<'_>,
    none: T,
    column: &Answered,
) -> Result<(), QueryError> {
    let width = usize::try_from(width).unwrap_or(0);
    match value {
        Value::Missing => values.extend(std::iter::repeat_n(none, width)),
        Value::Text(text) => {
            values.extend(numbers(text, width, none).ok_or_else(|| mixed(column))?);
        }
        _ => return Err(mixed(column)),
    }
    there.push(*value != Value::Missing);
    Ok(())
}

fn vector(item: &FieldRef, width: i32, values: ArrayRef, there: &mut Vec<bool>) -> ArrayRef {
    let nulls = std::mem::take(there).into();
    Arc::new(FixedSizeListArray::new(Arc::clone(item), width, values, Some(nulls)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(values: &[Value<'_>]) -> (DataType, ArrayRef) {
        let (mut store, mut seen) = (Store::of(None), Seen::default());
        let column = Answered { name: "x".into(), field: None };
        for value in values {
            store.push(value, &mut seen, &column).unwrap();
        }
        (seen.kind(), seen.array(&store.finish()))
    }

    #[test]
    fn an_expression_has_the_type_of_its_values() {
        let int = || Value::Int(7);
        assert_eq!(kind_of(&[Value::Missing, int()]).0, DataType::Int64);
        assert_eq!(kind_of(&[Value::Missing]).0, DataType::Float64);
        let (kind, array) = kind_of(&[int(), Value::Missing, Value::Real(0.5)]);
        assert_eq!(kind, DataType::Float64);
        let expected = Float64Array::from(vec![Some(7.0), None, Some(0.5)]);
        assert_eq!(array.as_primitive::<Float64Type>(), &expected);
        let (kind, array) = kind_of(&[int(), Value::Real(0.5), Value::Text("x".into())]);
        assert_eq!(kind, DataType::Utf8);
        assert_eq!(array.as_string::<i32>(), &StringArray::from(vec!["7", "0.5", "x"]));
    }

    #[test]
    fn a_column_takes_nothing_that_is_not_of_its_type() {
        let column = Answered { name: "obsid".into(), field: None };
        let mut store = Store::of(Some(&Field::new("obsid", DataType::Int64, true)));
        let text = Value::Text("x".into());
        let refusal = store.push(&text, &mut Seen::default(), &column).unwrap_err();
        assert!(refusal.to_string().contains("CAST(obsid AS TEXT)"), "{refusal}");
    }
}
