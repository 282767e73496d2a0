//! Bins that are the same every time, so that two evaluations can be laid side by side.

use serde::Serialize;

/// A range of values: its lower end belongs to it, its upper end does not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Range {
    /// Lower end; `None` if everything below belongs to it.
    pub low: Option<f64>,
    /// Upper end; `None` if everything above belongs to it.
    pub high: Option<f64>,
}

impl Range {
    /// Whether the value lies in it; what is not finite lies nowhere.
    pub fn contains(&self, value: f64) -> bool {
        value.is_finite()
            && self.low.is_none_or(|low| value >= low)
            && self.high.is_none_or(|high| value < high)
    }

    /// The middle, or the one end that there is.
    pub fn middle(&self) -> f64 {
        match (self.low, self.high) {
            (Some(low), Some(high)) => f64::midpoint(low, high),
            (low, high) => low.or(high).unwrap_or(0.0),
        }
    }

    /// `20-30`, `<4000`, `>150`.
    pub fn name(&self) -> String {
        match (self.low, self.high) {
            (Some(low), Some(high)) if low < 0.0 || high < 0.0 => format!("{low}..{high}"),
            (Some(low), Some(high)) => format!("{low}-{high}"),
            (Some(low), None) => format!(">{low}"),
            (None, Some(high)) => format!("<{high}"),
            (None, None) => "all".into(),
        }
    }
}

/// What residuals are binned by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The S/N of the spectrum.
    Snr,
    /// The effective temperature of the reference.
    Teff,
    /// Its surface gravity.
    Logg,
    /// Its metallicity.
    FeH,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Snr, Self::Teff, Self::Logg, Self::FeH];

    /// The name of the column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Snr => "snr",
            Self::Teff => "teff",
            Self::Logg => "logg",
            Self::FeH => "fe_h",
        }
    }

    fn edges(self) -> &'static [f64] {
        match self {
            Self::Snr => &[10.0, 20.0, 30.0, 40.0, 50.0, 75.0, 100.0, 150.0],
            Self::Teff => &[4000.0, 4500.0, 5000.0, 5500.0, 6000.0, 6500.0, 7000.0],
            Self::Logg => &[1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5],
            Self::FeH => &[-2.0, -1.5, -1.0, -0.75, -0.5, -0.25, 0.0, 0.25],
        }
    }

    /// The bins: they adjoin and hold every number.
    pub fn ranges(self) -> Vec<Range> {
        let edges = || self.edges().iter().copied().map(Some);
        let lows = std::iter::once(None).chain(edges());
        lows.zip(edges().chain([None])).map(|(low, high)| Range { low, high }).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_lies_in_one_bin(value in proptest::num::f64::ANY) {
            for by in By::ALL {
                let holding = by.ranges().iter().filter(|range| range.contains(value)).count();
                prop_assert_eq!(holding, usize::from(value.is_finite()));
            }
        }
    }

    #[test]
    fn bins_are_named_by_their_ends() {
        let names: Vec<String> = By::FeH.ranges().iter().map(Range::name).collect();
        assert_eq!(names[..3], ["<-2", "-2..-1.5", "-1.5..-1"]);
        let names: Vec<String> = By::Snr.ranges().iter().map(Range::name).collect();
        assert_eq!(
            (names[0].as_str(), names[1].as_str(), names[8].as_str()),
            ("<10", "10-20", ">150")
        );
    }
}
