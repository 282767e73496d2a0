//! Robust statistics: one bad spectrum must not move a night.

/// A centre with its error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// How many values.
    pub count: usize,
    /// Their median.
    pub median: f64,
    /// Their scatter: 1.4826 times the median absolute deviation, which is the standard deviation
    /// of normal values.
    pub scatter: f64,
    /// Standard error of the median: `sqrt(pi / 2) scatter / sqrt(count)`.
    pub error: f64,
}

/// First quartile, median, third quartile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quartiles {
    /// How many values.
    pub count: usize,
    /// A quarter of the values lies below.
    pub lower: f64,
    /// Half of them.
    pub median: f64,
    /// Three quarters.
    pub upper: f64,
}

/// The value below which this part of the sorted values lies, linear between neighbours as in
/// `numpy.quantile`.
///
/// # Panics
/// Without values.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The median of what is finite; `None` if nothing is.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    quartiles(values).map(|quartiles| quartiles.median)
}

/// The quartiles of what is finite; `None` if nothing is.
pub fn quartiles(values: impl IntoIterator<Item = f64>) -> Option<Quartiles> {
    let sorted = sorted(values);
    (!sorted.is_empty()).then(|| Quartiles {
        count: sorted.len(),
        lower: quantile(&sorted, 0.25),
        median: quantile(&sorted, 0.5),
        upper: quantile(&sorted, 0.75),
    })
}

/// The centre of differences; `None` if there are none.
pub fn shift(values: impl IntoIterator<Item = f64>) -> Option<Shift> {
    let values = sorted(values);
    let centre = median(values.iter().copied())?;
    let deviation = median(values.iter().map(|value| (value - centre).abs()))?;
    let scatter = 1.4826 * deviation;
    let error = std::f64::consts::FRAC_PI_2.sqrt() * scatter / (values.len() as f64).sqrt();
    Some(Shift { count: values.len(), median: centre, scatter, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9, "{value} should be {expected}");
    }

    const VALUES: [f64; 7] = [3.5, -1.25, 8.0, 0.5, 2.75, 100.0, 1.0];

    #[test]
    fn quartiles_are_those_of_numpy() {
        // numpy.quantile(VALUES, [0.25, 0.5, 0.75])
        let found = quartiles(VALUES).unwrap();
        near(found.lower, 0.75);
        near(found.median, 2.75);
        near(found.upper, 5.75);
        // numpy.quantile([1.0, 2.0, 4.0, 8.0], [0.25, 0.5, 0.75])
        let found = quartiles([8.0, 1.0, 4.0, 2.0]).unwrap();
        assert_eq!((found.lower, found.median, found.upper, found.count), (1.75, 3.0, 5.0, 4));
        assert_eq!(quartiles([f64::NAN]), None);
        assert_eq!(median([7.0]), Some(7.0));
        assert_eq!(median([]), None);
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn the_error_of_a_median_is_that_of_numpy_and_forgets_outliers() {
        // d = numpy.array(VALUES); m = numpy.median(d)
        // s = 1.4826 * numpy.median(numpy.abs(d - m)); e = numpy.sqrt(numpy.pi / 2) * s / 7**0.5
        let found = shift(VALUES).unwrap();
        near(found.median, 2.75);
        near(found.scatter, 3.335_85);
        near(found.error, 1.580_219_557_098_744_7);
        assert_eq!(shift([]), None);
        assert_eq!(shift([5.0]).unwrap().error, 0.0);
    }
}
