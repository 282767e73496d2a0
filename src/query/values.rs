//! The values of a column, some rows of them, as SQLite wants them.

use std::borrow::Cow;
use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// None.
    Missing,
    /// A whole number; true is 1.
    Int(i64),
    /// Another number; never NaN.
    Real(f64),
    /// Text; a JSON array stands for several values.
    Text(Cow<'a, str>),
}

/// The affinity that SQLite is told of a column; `None` if its type is not read.
pub(super) fn affinity(kind: &DataType) -> Option<&'static str> {
    Some(match kind {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => "INTEGER",
        DataType::Float32 | DataType::Float64 => "REAL",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "TEXT",
        DataType::FixedSizeList(item, _)
            if matches!(item.data_type(), DataType::Float32 | DataType::Int32) =>
        {
            "TEXT"
        }
        _ => return None,
    })
}

/// How many values a row has.
pub(super) fn width(kind: &DataType) -> usize {
    match kind {
        DataType::FixedSizeList(_, width) => usize::try_from(*width).unwrap_or(0).max(1),
        _ => 1,
    }
}

/// The value of a row. What [`affinity`] does not know is missing; nobody gets as far as to ask.
pub(super) fn value(array: &ArrayRef, row: usize) -> Value<'_> {
    if array.is_null(row) {
        return Value::Missing;
    }
    let real = |value: f64| if value.is_nan() { Value::Missing } else { Value::Real(value) };
    match array.data_type() {
        DataType::Float32 => real(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => real(array.as_primitive::<Float64Type>().value(row)),
        DataType::Int64 => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Int32 => Value::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Boolean => Value::Int(array.as_boolean().value(row).into()),
        DataType::Int16 => Value::Int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int8 => Value::Int(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::UInt8 => Value::Int(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => Value::Int(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => Value::Int(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).into()),
        DataType::LargeUtf8 => Value::Text(array.as_string::<i64>().value(row).into()),
        DataType::Utf8View => Value::Text(array.as_string_view().value(row).into()),
        DataType::FixedSizeList(..) => {
            Value::Text(list(&array.as_fixed_size_list().value(row)).into())
        }
        _ => Value::Missing,
    }
}

/// Several values as a JSON array, with the shortest digits that read back as the same number.
fn list(values: &ArrayRef) -> String {
    let mut text = String::from("[");
    for at in 0..values.len() {
        if at > 0 {
            text.push(',');
        }
        // Writing to a string cannot fail.
        let _ = match values.data_type() {
            DataType::Int32 => write!(text, "{}", values.as_primitive::<Int32Type>().value(at)),
            _ => match values.as_primitive::<Float32Type>().value(at) {
                // As SQLite writes what JSON has no word for.
                value if value.is_nan() => write!(text, "null"),
                f32::INFINITY => write!(text, "9e999"),
                f32::NEG_INFINITY => write!(text, "-9e999"),
                value => write!(text, "{value}"),
            },
        };
    }
    text.push(']');
    text
}

/// The numbers that `list` wrote, if there are as many as this.
pub(super) fn numbers<T: Copy + std::str::FromStr>(
    text: &str,
    width: usize,
    none: T,
) -> Option<Vec<T>> {
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    let number = |word: &str| if word == "null" { Some(none) } else { word.parse().ok() };
    let values: Option<Vec<T>> = inside.split(',').map(|word| number(word.trim())).collect();
    values.filter(|values| values.len() == width)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Float32Array;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn several_numbers_come_back_to_the_last_bit(bits in prop::collection::vec(any::<u32>(), 1..9)) {
            let values: Vec<f32> = bits.iter().map(|&bits| f32::from_bits(bits)).collect();
            let array: ArrayRef = Arc::new(Float32Array::from(values.clone()));
            let back = numbers(&list(&array), values.len(), f32::NAN).unwrap();
            for (one, other) in values.iter().zip(back) {
                prop_assert!(one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan());
            }
        }
    }

    #[test]
    fn what_is_no_list_of_that_many_numbers_is_none() {
        assert_eq!(numbers("[1,2]", 2, 0), Some(vec![1, 2]));
        for wrong in ["[1,2,3]", "[]", "1,2", "[1,x]", ""] {
            assert_eq!(numbers(wrong, 2, 0_i32), None, "{wrong}");
        }
    }
}
