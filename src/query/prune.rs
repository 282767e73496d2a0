//! What a query says of a column, held against what a row group says of it: pure.
//!
//! SQLite checks every row itself, so the one promise here is that nothing is left out that might
//! be wanted. Comparisons are taken to include their end, and what is not understood admits all.

use std::cmp::Ordering;

use arrow_schema::DataType;
use parquet::file::statistics::Statistics;

use super::sky::Sky;

/// A value in a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Key {
    Int(i64),
    Real(f64),
    Text(String),
}

/// What is asked of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// Any of these.
    OneOf(Vec<Key>),
    AtLeast(Key),
    AtMost(Key),
    /// A value is there.
    Present,
    /// There is none.
    Missing,
}

/// What is asked of which column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bound {
    pub(super) column: usize,
    pub(super) test: Test,
}

/// What a row group says of a column.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Extent {
    /// Smallest and largest value.
    pub(super) ends: Option<(Key, Key)>,
    /// How many values are missing.
    pub(super) missing: Option<u64>,
    pub(super) rows: u64,
}

impl Extent {
    pub(super) fn of(statistics: Option<&Statistics>, kind: &DataType, rows: u64) -> Self {
        let Some(statistics) = statistics else { return Self { rows, ..Self::default() } };
        // A NaN is no value to SQLite, and Parquet does not count it as missing.
        let missing = if kind.is_floating() { None } else { statistics.null_count_opt() };
        Self { ends: ends(statistics, kind), missing, rows }
    }

    /// Whether a row might pass.
    pub(super) fn admits(&self, test: &Test) -> bool {
        let all_missing = self.missing == Some(self.rows);
        match test {
            Test::Missing => self.missing != Some(0),
            _ if all_missing => false,
            Test::Present => true,
            Test::OneOf(keys) => keys.iter().any(|key| self.reaches(key) && self.begins_by(key)),
            Test::AtLeast(key) => self.reaches(key),
            Test::AtMost(key) => self.begins_by(key),
        }
    }

    /// Whether a cell between its ends might be in the region.
    pub(super) fn meets(&self, sky: &Sky) -> bool {
        match self.ends {
            Some((Key::Int(low), Key::Int(high))) => sky.meets(low, high),
            _ => true,
        }
    }

    /// Whether values might be as large as this.
    fn reaches(&self, key: &Key) -> bool {
        self.ends.as_ref().is_none_or(|(_, high)| order(high, key) != Some(Ordering::Less))
    }

    /// Whether values might be as small as this.
    fn begins_by(&self, key: &Key) -> bool {
        self.ends.as_ref().is_none_or(|(low, _)| order(low, key) != Some(Ordering::Greater))
    }
}

/// The order of two keys of one kind. Between a whole number and another it is the order of their
/// nearest doubles, which is never the wrong way round, though equal for some that differ.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn order(one: &Key, other: &Key) -> Option<Ordering> {
    match (one, other) {
        (Key::Int(one), Key::Int(other)) => Some(one.cmp(other)),
        (Key::Real(one), Key::Real(other)) => one.partial_cmp(other),
        (Key::Int(one), Key::Real(other)) => (*one as f64).partial_cmp(other),
        (Key::Real(one), Key::Int(other)) => one.partial_cmp(&(*other as f64)),
        // SQLite compares the bytes, and so do the statistics.
        (Key::Text(one), Key::Text(other)) => Some(one.as_bytes().cmp(other.as_bytes())),
        // SQLite turns one into the other first, by rules of its own.
        _ => None,
    }
}

fn ends(statistics: &Statistics, kind: &DataType) -> Option<(Key, Key)> {
    let real = |low: f64, high: f64| {
        (!low.is_nan() && !high.is_nan()).then_some((Key::Real(low), Key::Real(high)))
    };
    match statistics {
        Statistics::Boolean(it) => {
            Some((Key::Int((*it.min_opt()?).into()), Key::Int((*it.max_opt()?).into())))
        }
        Statistics::Int32(it) if kind.is_signed_integer() => {
            Some((Key::Int((*it.min_opt()?).into()), Key::Int((*it.max_opt()?).into())))
        }
        Statistics::Int64(it) if kind.is_signed_integer() => {
            Some((Key::Int(*it.min_opt()?), Key::Int(*it.max_opt()?)))
        }
        Statistics::Float(it) => real((*it.min_opt()?).into(), (*it.max_opt()?).into()),
        Statistics::Double(it) => real(*it.min_opt()?, *it.max_opt()?),
        Statistics::ByteArray(it) if kind.is_string() && !statistics.is_min_max_deprecated() => {
            let text = |bytes: &[u8]| Some(Key::Text(std::str::from_utf8(bytes).ok()?.to_owned()));
            Some((text(it.min_opt()?.data())?, text(it.max_opt()?.data())?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extent(low: Key, high: Key, missing: u64) -> Extent {
        Extent { ends: Some((low, high)), missing: Some(missing), rows: 10 }
    }

    #[test]
    fn a_row_group_is_left_out_only_if_no_row_can_pass() {
        let text = |text: &str| Key::Text(text.into());
        let ints = extent(Key::Int(5), Key::Int(9), 0);
        let cases = [
            (Test::AtLeast(Key::Int(9)), true),
            (Test::AtLeast(Key::Real(9.5)), false),
            (Test::AtMost(Key::Int(4)), false),
            (Test::OneOf(vec![Key::Int(1), Key::Int(7)]), true),
            (Test::OneOf(vec![Key::Int(1), Key::Int(10)]), false),
            (Test::OneOf(Vec::new()), false),
            (Test::Missing, false),
            (Test::Present, true),
            (Test::AtLeast(text("9")), true),
        ];
        for (test, expected) in cases {
            assert_eq!(ints.admits(&test), expected, "{test:?}");
        }
        let texts = extent(text("lamost:1"), text("lamost:5"), 0);
        assert!(texts.admits(&Test::OneOf(vec![text("lamost:3")])));
        assert!(!texts.admits(&Test::OneOf(vec![text("lamost:50")])));
        assert!(texts.admits(&Test::AtMost(Key::Int(3))));
        let nothing = Extent { ends: None, missing: Some(10), rows: 10 };
        assert!(!nothing.admits(&Test::Present) && nothing.admits(&Test::Missing));
        let unknown = Extent { rows: 10, ..Extent::default() };
        assert!(unknown.admits(&Test::Present) && unknown.admits(&Test::Missing));
        assert!(unknown.admits(&Test::AtLeast(Key::Int(3))));
    }

    proptest! {
        #[test]
        fn whole_numbers_beyond_doubles_are_not_lost(value: i64, other: i64, real: f64) {
            let one = extent(Key::Int(value), Key::Int(value), 0);
            prop_assert_eq!(one.admits(&Test::AtLeast(Key::Int(other))), value >= other);
            prop_assert_eq!(one.admits(&Test::AtMost(Key::Int(other))), value <= other);
            prop_assert!(one.admits(&Test::AtMost(Key::Real(real))) || value as f64 > real);
            let real_one = extent(Key::Real(real), Key::Real(real), 0);
            // The exact order of a double and a whole number, which have both 128 bits to be in.
            if real.abs() < 1e18 && real.fract() == 0.0 {
                let whole = i128::from(real as i64);
                prop_assert!(real_one.admits(&Test::AtLeast(Key::Int(other)))
                    || whole < i128::from(other));
            }
        }
    }
}
