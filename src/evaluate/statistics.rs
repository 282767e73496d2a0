//! Statistics of residuals, of pulls and of differences between repeats; pure.

use serde::Serialize;

use crate::report::statistics::median;

/// The standard deviation of normal values whose median absolute deviation is 1.
const OF_DEVIATION: f64 = 1.482_602_218_505_602;
/// What is further from the median than so many robust sigma is an outlier.
pub const OUTLIER: f64 = 3.0;
/// 95 % of normal values lie within so many standard deviations of their mean.
const WITHIN_95: f64 = 1.959_963_984_540_054;

/// Residuals in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many.
    pub count: usize,
    /// Their mean (Li et al. 2025, equation 8).
    pub mean: f64,
    /// Their standard deviation about the mean, with `count` below the root (equation 9).
    pub std: f64,
    /// Mean of their absolute values.
    pub mae: f64,
    /// Their median.
    pub median: f64,
    /// 1.4826 times the median absolute deviation from the median.
    pub robust_sigma: f64,
    /// Which part lies further than [`OUTLIER`] robust sigma from the median.
    pub outliers: f64,
}

impl Summary {
    /// The statistics of what is finite; `None` if nothing is.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        let centre = median(values.iter().copied())?;
        let deviations = values.iter().map(|value| (value - centre).abs());
        let robust_sigma = OF_DEVIATION * median(deviations.clone())?;
        let limit = OUTLIER * robust_sigma;
        let (mean, std) = moments(&values);
        Some(Self {
            count: values.len(),
            mean,
            std,
            mae: mean_of(values.iter().map(|value| value.abs())),
            median: centre,
            robust_sigma,
            outliers: part(deviations, |deviation| deviation > limit),
        })
    }
}

/// Residuals in units of the errors that were quoted for them. Where these are right, mean and median
/// are 0, both sigma 1 and the coverage is what it is named after.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pulls {
    /// How many.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub std: f64,
    /// Their median.
    pub median: f64,
    /// 1.4826 times the median absolute deviation from the median.
    pub robust_sigma: f64,
    /// Which part lies within one error: 0.683 where errors are right.
    pub coverage_68: f64,
    /// Which part lies within 1.96 errors: 0.95 where errors are right.
    pub coverage_95: f64,
}

impl Pulls {
    /// The statistics of what is finite; `None` if nothing is.
    pub fn of(pulls: impl IntoIterator<Item = f64>) -> Option<Self> {
        let pulls: Vec<f64> = pulls.into_iter().filter(|pull| pull.is_finite()).collect();
        let summary = Summary::of(pulls.iter().copied())?;
        Some(Self {
            count: summary.count,
            mean: summary.mean,
            std: summary.std,
            median: summary.median,
            robust_sigma: summary.robust_sigma,
            coverage_68: part(pulls.iter().copied(), |pull| pull.abs() <= 1.0),
            coverage_95: part(pulls.iter().copied(), |pull| pull.abs() <= WITHIN_95),
        })
    }
}

/// Two visits of a star, in one label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Difference of the two values.
    pub difference: f64,
    /// The errors quoted for them; NaN where there is none.
    pub errors: [f64; 2],
}

impl Pair {
    /// Error of the difference, if the two are independent.
    fn error(&self) -> f64 {
        self.errors[0].hypot(self.errors[1])
    }
}

/// What pairs of visits say of the error of one visit, without any reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scatter {
    /// How many pairs.
    pub pairs: usize,
    /// Root mean square of the differences, by the root of 2.
    pub scatter: f64,
    /// 1.4826 times the median absolute difference, by the root of 2.
    pub robust_scatter: f64,
    /// Root mean square of the quoted errors of the same visits; `None` if none is quoted.
    pub quoted: Option<f64>,
    /// Differences in units of their quoted errors; their sign has no meaning, so 0 is their centre.
    pub pulls: Option<PairPulls>,
}

/// Differences of pairs in units of their quoted errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PairPulls {
    /// How many pairs have errors.
    pub pairs: usize,
    /// 1.4826 times their median absolute value: 1 where errors are right.
    pub robust_sigma: f64,
    /// Which part lies within one error.
    pub coverage_68: f64,
    /// Which part lies within 1.96 errors.
    pub coverage_95: f64,
}

impl Scatter {
    /// The scatter of pairs with a finite difference; `None` if there are none.
    pub fn of(pairs: impl IntoIterator<Item = Pair>) -> Option<Self> {
        let pairs: Vec<Pair> =
            pairs.into_iter().filter(|pair| pair.difference.is_finite()).collect();
        let middle = median(pairs.iter().map(|pair| pair.difference.abs()))?;
        let squares = mean_of(pairs.iter().map(|pair| pair.difference.powi(2)));
        let quoted: Vec<Pair> = pairs.iter().copied().filter(|pair| pair.error() > 0.0).collect();
        let pulls = || quoted.iter().map(|pair| (pair.difference / pair.error()).abs());
        Some(Self {
            pairs: pairs.len(),
            scatter: (squares / 2.0).sqrt(),
            robust_scatter: OF_DEVIATION * middle / 2f64.sqrt(),
            quoted: (!quoted.is_empty())
                .then(|| (mean_of(quoted.iter().map(|pair| pair.error().powi(2))) / 2.0).sqrt()),
            pulls: median(pulls()).map(|middle| PairPulls {
                pairs: quoted.len(),
                robust_sigma: OF_DEVIATION * middle,
                coverage_68: part(pulls(), |pull| pull <= 1.0),
                coverage_95: part(pulls(), |pull| pull <= WITHIN_95),
            }),
        })
    }
}

/// Pearson's correlation of pairs that are finite; `None` where it is not defined.
pub fn correlation(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
    let (x, y): (Vec<f64>, Vec<f64>) =
        pairs.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).unzip();
    if x.len() < 2 {
        return None;
    }
    let ((x_mean, x_std), (y_mean, y_std)) = (moments(&x), moments(&y));
    let products = x.iter().zip(&y).map(|(x, y)| (x - x_mean) * (y - y_mean));
    let correlation = mean_of(products) / (x_std * y_std);
    correlation.is_finite().then(|| correlation.clamp(-1.0, 1.0))
}

/// Mean, and standard deviation about it.
fn moments(values: &[f64]) -> (f64, f64) {
    let mean = mean_of(values.iter().copied());
    (mean, mean_of(values.iter().map(|value| (value - mean).powi(2))).sqrt())
}

fn mean_of(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    sum / count as f64
}

fn part(values: impl Iterator<Item = f64>, is_in: impl Fn(f64) -> bool) -> f64 {
    mean_of(values.map(|value| f64::from(is_in(value))))
}

#[cfg(test)]
#[path = "statistics_tests.rs"]
mod tests;
