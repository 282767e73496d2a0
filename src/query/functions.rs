//! Functions that astronomers need and SQLite lacks. Missing values give missing values, and so does
//! what has no answer, such as the logarithm of 0.

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Result};

use super::QueryError;
use super::vtab::Trouble;
use crate::quality::{BITS, Quality};

/// Values that an aggregate keeps: 512 MiB.
const MOST_KEPT: usize = 1 << 26;

/// From the median absolute deviation to the standard deviation of a normal distribution.
const MAD_TO_SIGMA: f64 = 1.482_602_218_505_602;

/// Functions of one number and of two, by name.
type One = (&'static str, fn(f64) -> f64);
type Two = (&'static str, fn(f64, f64) -> f64);

const ONE: [One; 19] = [
    ("sqrt", f64::sqrt),
    ("exp", f64::exp),
    ("ln", f64::ln),
    ("log", f64::log10),
    ("log10", f64::log10),
    ("log2", f64::log2),
    ("sin", f64::sin),
    ("cos", f64::cos),
    ("tan", f64::tan),
    ("asin", f64::asin),
    ("acos", f64::acos),
    ("atan", f64::atan),
    ("degrees", f64::to_degrees),
    ("radians", f64::to_radians),
    ("floor", f64::floor),
    ("ceil", f64::ceil),
    ("trunc", f64::trunc),
    ("sinh", f64::sinh),
    ("cosh", f64::cosh),
];

const TWO: [Two; 4] = [
    ("pow", f64::powf),
    ("power", f64::powf),
    ("atan2", f64::atan2),
    ("mod", |value, by| value % by),
];

pub(super) fn register(connection: &Connection, trouble: &Trouble) -> Result<()> {
    let pure = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    for (name, function) in ONE {
        connection.create_scalar_function(name, 1, pure, move |context| {
            Ok(number(context, 0).map(function).filter(|value| !value.is_nan()))
        })?;
    }
    for (name, function) in TWO {
        connection.create_scalar_function(name, 2, pure, move |context| {
            let value = number(context, 0).zip(number(context, 1));
            Ok(value.map(|(one, other)| function(one, other)).filter(|value| !value.is_nan()))
        })?;
    }
    connection.create_scalar_function("pi", 0, pure, |_| Ok(std::f64::consts::PI))?;
    connection.create_scalar_function("separation", 4, pure, |context| {
        let angles = [0, 1, 2, 3].map(|at| number(context, at));
        let [Some(ra), Some(dec), Some(other_ra), Some(other_dec)] = angles else {
            return Ok(None);
        };
        Ok(Some(separation((ra, dec), (other_ra, other_dec))))
    })?;
    connection.create_scalar_function("has_flag", 2, pure, |context| {
        let ValueRef::Text(name) = context.get_raw(1) else { return Ok(None) };
        let bit = BITS.iter().find(|bit| bit.name.as_bytes() == name);
        let bit = bit.ok_or_else(|| no_flag(&String::from_utf8_lossy(name)))?;
        Ok(flags(context).map(|flags| flags >> bit.bit & 1))
    })?;
    connection.create_scalar_function("flag_names", 1, pure, |context| {
        let quality = flags(context).and_then(|flags| i32::try_from(flags).ok());
        Ok(quality.map(|value| Quality::from_value(value).to_string()))
    })?;
    let kept = |summary| Kept { summary, trouble: trouble.clone() };
    connection.create_aggregate_function(
        "median",
        1,
        pure,
        kept(|mut values, _| quantile(&mut values, 0.5)),
    )?;
    connection.create_aggregate_function(
        "percentile",
        2,
        pure,
        kept(|mut values, per_cent| quantile(&mut values, per_cent / 100.0)),
    )?;
    connection.create_aggregate_function(
        "mad_std",
        1,
        pure,
        kept(|mut values, _| {
            let median = quantile(&mut values, 0.5)?;
            for value in &mut values {
                *value = (*value - median).abs();
            }
            Some(MAD_TO_SIGMA * quantile(&mut values, 0.5)?)
        }),
    )?;
    connection.create_aggregate_function("stddev", 1, pure, Deviation)
}

fn number(context: &Context<'_>, at: usize) -> Option<f64> {
    match context.get_raw(at) {
        ValueRef::Real(value) => Some(value),
        #[expect(clippy::cast_precision_loss, reason = "as SQLite does")]
        ValueRef::Integer(value) => Some(value as f64),
        _ => None,
    }
}

fn flags(context: &Context<'_>) -> Option<i64> {
    match context.get_raw(0) {
        ValueRef::Integer(flags) => Some(flags),
        _ => None,
    }
}

fn no_flag(name: &str) -> Error {
    let names: Vec<&str> = BITS.iter().map(|bit| bit.name).collect();
    let words = format!("there is no flag {name}, there are {}", names.join(", "));
    Error::UserFunctionError(words.into())
}

/// Degrees between two places. Haversines keep their digits in small angles; of nearly opposite places
/// the last digits are lost.
fn separation((ra, dec): (f64, f64), (other_ra, other_dec): (f64, f64)) -> f64 {
    let half = |angle: f64| (angle.to_radians() / 2.0).sin().powi(2);
    let cosines = dec.to_radians().cos() * other_dec.to_radians().cos();
    let chord = half(other_dec - dec) + cosines * half(other_ra - ra);
    2.0 * chord.clamp(0.0, 1.0).sqrt().asin().to_degrees()
}

/// The value below which this part of all lies, between two of them if need be, as numpy has it.
fn quantile(values: &mut [f64], part: f64) -> Option<f64> {
    if values.is_empty() || !(0.0..=1.0).contains(&part) {
        return None;
    }
    let place = part * (values.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the slice")]
    let (_, low, above) = values.select_nth_unstable_by(place as usize, f64::total_cmp);
    let low = *low;
    let next = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    Some(low + place.fract() * (next - low))
}

/// An aggregate that needs all values at once.
struct Kept {
    summary: fn(Vec<f64>, f64) -> Option<f64>,
    trouble: Trouble,
}

impl Aggregate<(Vec<f64>, f64), Option<f64>> for Kept {
    fn init(&self, _: &mut Context<'_>) -> Result<(Vec<f64>, f64)> {
        Ok((Vec::new(), 0.0))
    }

    fn step(&self, context: &mut Context<'_>, (values, other): &mut (Vec<f64>, f64)) -> Result<()> {
        if values.len() == MOST_KEPT {
            let mebibytes = (MOST_KEPT * size_of::<f64>()) as u64 >> 20;
            return Err(self.trouble.keep(QueryError::Memory(mebibytes)));
        }
        values.extend(number(context, 0));
        if context.len() > 1 {
            *other = number(context, 1).unwrap_or(f64::NAN);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, all: Option<(Vec<f64>, f64)>) -> Result<Option<f64>> {
        Ok(all.and_then(|(values, other)| (self.summary)(values, other)))
    }
}

/// The standard deviation of a sample, value by value (Welford 1962).
struct Deviation;

/// How many values there were, their mean, and the sum of the squares of what they are away from it.
#[derive(Default)]
struct Moments(u64, f64, f64);

impl Aggregate<Moments, Option<f64>> for Deviation {
    fn init(&self, _: &mut Context<'_>) -> Result<Moments> {
        Ok(Moments::default())
    }

    fn step(&self, context: &mut Context<'_>, moments: &mut Moments) -> Result<()> {
        let Some(value) = number(context, 0) else { return Ok(()) };
        let Moments(count, mean, squares) = moments;
        *count += 1;
        let before = value - *mean;
        *mean += before / *count as f64;
        *squares += before * (value - *mean);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, moments: Option<Moments>) -> Result<Option<f64>> {
        let moments = moments.filter(|moments| moments.0 > 1);
        Ok(moments.map(|Moments(count, _, squares)| (squares / (count - 1) as f64).sqrt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(sql: &str) -> Option<f64> {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection, &Trouble::default()).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn numbers_are_those_of_numpy_and_astropy() {
        let values = "FROM (VALUES (1), (2.0), (4), (NULL), (10), (3.5))";
        let cases = [
            (format!("SELECT median(column1) {values}"), 3.5),
            (format!("SELECT percentile(column1, 16) {values}"), 1.64),
            (format!("SELECT percentile(column1, 100) {values}"), 10.0),
            (format!("SELECT stddev(column1) {values}"), 3.507_135_583_35),
            (format!("SELECT mad_std(column1) {values}"), 2.223_903_327_76),
            ("SELECT separation(10, 20, 11, 21)".into(), 1.370_153_439_06),
            ("SELECT separation(359.9999, 0, 0.0001, 0) * 3600".into(), 0.72),
            ("SELECT separation(0, 90, 123, -90)".into(), 180.0),
            ("SELECT pow(10, 0.5) - sqrt(10) + log10(100) + mod(7, 4)".into(), 5.0),
        ];
        for (sql, expected) in cases {
            let found = ask(&sql).unwrap();
            assert!((found - expected).abs() < 1e-9, "{sql}: {found}");
        }
    }

    #[test]
    fn what_has_no_answer_is_missing() {
        for sql in [
            "SELECT sqrt(-1)",
            "SELECT ln('x')",
            "SELECT separation(1, 2, NULL, 4)",
            "SELECT median(column1) FROM (VALUES (NULL))",
            "SELECT stddev(column1) FROM (VALUES (1))",
            "SELECT percentile(column1, 101) FROM (VALUES (1))",
        ] {
            assert_eq!(ask(sql), None, "{sql}");
        }
    }

    #[test]
    fn flags_have_names() {
        assert_eq!(ask("SELECT has_flag(5, 'bad_pixels')"), Some(1.0));
        assert_eq!(ask("SELECT has_flag(5, 'snr_unknown')"), Some(0.0));
        let connection = Connection::open_in_memory().unwrap();
        register(&connection, &Trouble::default()).unwrap();
        let ask = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0));
        assert_eq!(ask("SELECT flag_names(5)").unwrap(), "low_snr+bad_pixels");
        let refusal = ask("SELECT has_flag(5, 'poor')").unwrap_err().to_string();
        assert!(refusal.contains("no flag poor") && refusal.contains("poor_fit"), "{refusal}");
    }
}
