//! Bins that are the same every time, so that two evaluations can be laid side by side.

use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;

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
        between(self.edges())
    }
}

/// The ranges below, between and above these edges.
fn between(edges: &[f64]) -> Vec<Range> {
    let edges = || edges.iter().copied().map(Some);
    let lows = std::iter::once(None).chain(edges());
    lows.zip(edges().chain([None])).map(|(low, high)| Range { low, high }).collect()
}

/// The most edges of a column's bins.
const MOST_EDGES: usize = 32;

/// `phot_g_mean_mag=12,13,14`: bins of any column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnBins {
    /// The column.
    pub column: String,
    /// Increasing.
    edges: Vec<f64>,
}

/// Bins that could not be read.
#[derive(Debug, Error)]
#[error(
    "write COLUMN=EDGES with at most {MOST_EDGES} increasing numbers, as in phot_g_mean_mag=12,13,14"
)]
pub struct ParseBinsError;

impl FromStr for ColumnBins {
    type Err = ParseBinsError;

    fn from_str(text: &str) -> Result<Self, ParseBinsError> {
        let (column, edges) = text.split_once('=').ok_or(ParseBinsError)?;
        let edges: Result<Vec<f64>, _> =
            edges.split(',').map(|edge| edge.trim().parse::<f64>()).collect();
        let edges = edges.map_err(|_| ParseBinsError)?;
        let increase = edges.windows(2).all(|pair| pair[0] < pair[1]);
        let are_finite = edges.iter().all(|edge| edge.is_finite());
        if column.trim().is_empty() || edges.len() > MOST_EDGES || !increase || !are_finite {
            return Err(ParseBinsError);
        }
        Ok(Self { column: column.trim().to_owned(), edges })
    }
}

impl ColumnBins {
    /// The bins: they adjoin and hold every number.
    pub fn ranges(&self) -> Vec<Range> {
        between(&self.edges)
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
    fn bins_of_a_column_are_given_by_their_edges() {
        let bins: ColumnBins = "G = 12, 13.5".parse().unwrap();
        let names: Vec<String> = bins.ranges().iter().map(Range::name).collect();
        assert_eq!(
            (bins.column.as_str(), names),
            ("G", ["<12", "12-13.5", ">13.5"].map(String::from).to_vec())
        );
        let many =
            format!("G={}", (0..=MOST_EDGES).map(|e| e.to_string()).collect::<Vec<_>>().join(","));
        for text in ["G", "G=", "=1", "G=2,1", "G=1,1", "G=a", "G=1,inf", &many] {
            assert!(text.parse::<ColumnBins>().is_err(), "{text}");
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
