//! What the command line says of one label: `teff=4000:6000:250`, `teff=4000:6000`, `teff=4800`.

use std::str::FromStr;

use thiserror::Error;

/// A range of a label.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The label.
    pub label: String,
    /// Where it begins.
    pub low: f64,
    /// Where it ends; a grid includes it if a step falls on it.
    pub high: f64,
    /// The step of a grid.
    pub step: Option<f64>,
}

/// One value of a label for all spectra.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixed {
    /// The label.
    pub label: String,
    /// Its value.
    pub value: f64,
}

/// A text that says nothing of a label; the phrase ends with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ParseAxisError(String);

/// The most values of one axis of a grid.
const MOST_VALUES: f64 = 1e9;

impl Axis {
    /// How many values a grid has on it; 1 without a step.
    #[expect(clippy::cast_possible_truncation, reason = "reading an axis bounds its values")]
    #[expect(clippy::cast_sign_loss, reason = "the upper end is not below the lower one")]
    pub fn count(&self) -> u64 {
        self.step.map_or(1, |step| ((self.high - self.low) / step + ROUNDING) as u64 + 1)
    }

    /// Value `index` of a grid.
    pub fn value(&self, index: u64) -> f64 {
        let value = self.low + index as f64 * self.step.unwrap_or(0.0);
        // A step of 0.1 lands a little behind the end; the end is what was meant.
        value.min(self.high)
    }

    /// The value at a fraction of the range.
    pub fn at(&self, fraction: f64) -> f64 {
        (self.low + fraction * (self.high - self.low)).min(self.high)
    }
}

/// The part of a step by which decimal fractions may miss the end of a range.
const ROUNDING: f64 = 1e-6;

impl FromStr for Axis {
    type Err = ParseAxisError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            ParseAxisError(format!(
                "{text:?} is no range; write LABEL=LOW:HIGH or LABEL=LOW:HIGH:STEP with numbers"
            ))
        };
        let (label, range) = split(text).ok_or_else(wrong)?;
        let numbers: Option<Vec<f64>> = range.split(':').map(number).collect();
        let (low, high, step) = match numbers.as_deref() {
            Some(&[low, high]) => (low, high, None),
            Some(&[low, high, step]) => (low, high, Some(step)),
            _ => return Err(wrong()),
        };
        if low > high {
            let what = format!("the range of {label} ends before it begins; write LOW:HIGH");
            return Err(ParseAxisError(what));
        }
        if let Some(step) = step
            && !(step > 0.0 && (high - low) / step <= MOST_VALUES)
        {
            let what = format!("the step of {label} is {step}; give a positive, larger one");
            return Err(ParseAxisError(what));
        }
        Ok(Self { label, low, high, step })
    }
}

impl FromStr for Fixed {
    type Err = ParseAxisError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = split(text).and_then(|(label, value)| Some((label, number(value)?)));
        parts.map(|(label, value)| Self { label, value }).ok_or_else(|| {
            ParseAxisError(format!("{text:?} is no value; write LABEL=VALUE with a number"))
        })
    }
}

fn split(text: &str) -> Option<(String, &str)> {
    let (label, value) = text.split_once('=')?;
    (!label.is_empty()).then(|| (label.to_owned(), value))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_and_values_are_read_as_written() {
        let axis: Axis = "teff=4000:6000:250".parse().unwrap();
        assert_eq!((axis.label.as_str(), axis.count()), ("teff", 9));
        assert_eq!((axis.value(0), axis.value(8)), (4000.0, 6000.0));
        let axis: Axis = "m_h=-0.3:0.3:0.1".parse().unwrap();
        assert_eq!((axis.count(), axis.value(6)), (7, 0.3));
        let axis: Axis = "logg=0:1:0.3".parse().unwrap();
        assert_eq!((axis.count(), axis.step), (4, Some(0.3)));
        let axis: Axis = "logg=1:4".parse().unwrap();
        assert_eq!((axis.at(0.5), axis.step), (2.5, None));
        assert_eq!("logg=2".parse(), Ok(Fixed { label: "logg".into(), value: 2.0 }));
        for text in ["", "teff", "teff=", "=1:2", "teff=1", "teff=1:2:3:4", "teff=a:b", "t=nan:1"] {
            let error = text.parse::<Axis>().unwrap_err().to_string();
            assert!(error.contains("write LABEL=LOW:HIGH"), "{error}");
        }
        for text in ["teff=2:1", "teff=1:2:0", "teff=1:2:-1", "teff=0:1e9:1e-9"] {
            assert!(text.parse::<Axis>().is_err(), "{text}");
        }
        for text in ["teff=4000:6000", "teff=inf", "teff"] {
            assert!(text.parse::<Fixed>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_grid_stays_in_its_range(low in -1e4..1e4f64, width in 0.0..1e4f64, step in 0.01..1e3f64) {
            let axis = Axis { label: "x".into(), low, high: low + width, step: Some(step) };
            let last = axis.count() - 1;
            prop_assert!(axis.value(0) == low && axis.value(last) <= axis.high);
            prop_assert!(axis.high - axis.value(last) < step * (1.0 + 1e-5));
        }
    }
}
