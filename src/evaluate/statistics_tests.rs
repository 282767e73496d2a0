//! Reference values are from numpy and scipy, by the commands in the comments; and what holds of any
//! values.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn near(value: f64, expected: f64) {
    let size = expected.abs().max(1.0);
    assert!((value - expected).abs() < 1e-12 * size, "{value} should be {expected}");
}

const VALUES: [f64; 8] = [3.5, -1.25, 8.0, 0.5, 2.75, 100.0, 1.0, -2.5];

#[test]
fn a_summary_is_that_of_numpy_and_scipy() {
    // v.mean(), v.std(), abs(v).mean(), numpy.median(v),
    // scipy.stats.median_abs_deviation(v, scale="normal")
    let found = Summary::of(VALUES.into_iter().chain([f64::NAN])).unwrap();
    assert_eq!(found.count, 8);
    near(found.mean, 14.0);
    near(found.std, 32.643_672_817_255_11);
    near(found.mae, 14.9375);
    near(found.median, 1.875);
    near(found.robust_sigma, 3.521_180_268_950_804_5);
    near(found.outliers, 0.125);
    assert_eq!(Summary::of([f64::INFINITY]), None);
    let one = Summary::of([2.0]).unwrap();
    assert_eq!((one.mean, one.std, one.robust_sigma, one.outliers), (2.0, 0.0, 0.0, 0.0));
}

#[test]
fn pulls_are_those_of_numpy_and_scipy() {
    // (abs(p) <= 1).mean(), (abs(p) <= scipy.stats.norm.ppf(0.975)).mean(), others as above
    let found = Pulls::of([0.2, -1.0, 1.5, -0.4, 2.5, 0.0, -1.96, 0.9]).unwrap();
    near(found.mean, 0.2175);
    near(found.std, 1.321_606_503_464_628);
    near(found.median, 0.1);
    near(found.robust_sigma, 1.408_472_107_580_322);
    assert_eq!((found.count, found.coverage_68, found.coverage_95), (8, 0.625, 0.75));
}

#[test]
fn the_scatter_of_pairs_is_that_of_numpy_and_scipy() {
    // numpy.sqrt((d**2).mean() / 2), numpy.median(abs(d)) / scipy.stats.norm.ppf(0.75) / 2**0.5
    // q = numpy.hypot(*e.T); numpy.sqrt((q**2).mean() / 2); u = abs(d / q)
    let pair = |difference, errors| Pair { difference, errors };
    let found = Scatter::of([
        pair(1.0, [1.0, 1.0]),
        pair(-3.0, [2.0, 1.5]),
        pair(2.0, [0.3, 0.4]),
        pair(0.5, [f64::NAN, 1.0]),
        pair(f64::NAN, [1.0, 1.0]),
    ])
    .unwrap();
    assert_eq!(found.pairs, 4);
    near(found.scatter, 1.334_634_781_503_914);
    near(found.robust_scatter, 1.572_537_123_761_296);
    near(found.quoted.unwrap(), 1.190_238_071_423_808_3);
    let pulls = found.pulls.unwrap();
    assert_eq!(pulls.pairs, 3);
    near(pulls.robust_sigma, 1.779_122_662_206_722_4);
    near(pulls.coverage_68, 1.0 / 3.0);
    near(pulls.coverage_95, 2.0 / 3.0);
    let bare = Scatter::of([pair(1.0, [f64::NAN; 2])]).unwrap();
    assert_eq!((bare.quoted, bare.pulls), (None, None));
}

#[test]
fn the_correlation_is_that_of_scipy() {
    // scipy.stats.pearsonr(x, y)[0]
    let pairs = [(1.0, 2.0), (2.0, 1.0), (4.0, 5.0), (8.0, 6.0), (-3.0, 0.5), (f64::NAN, 9.0)];
    near(correlation(pairs).unwrap(), 0.898_745_513_167_958_9);
    assert_eq!(correlation([(1.0, 2.0)]), None);
    assert_eq!(correlation([(1.0, 2.0), (1.0, 3.0)]), None);
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec(-1e4..1e4, 1..60)
}

fn alike(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0)
}

proptest! {
    #[test]
    fn a_shift_moves_the_centres_and_nothing_else(values in values(), shift in -1e3..1e3) {
        let (before, after) = (
            Summary::of(values.iter().copied()).unwrap(),
            Summary::of(values.iter().map(|value| value + shift)).unwrap(),
        );
        prop_assert!(alike(after.mean, before.mean + shift));
        prop_assert!(alike(after.median, before.median + shift));
        prop_assert!(alike(after.std, before.std) && alike(after.robust_sigma, before.robust_sigma));
    }

    #[test]
    fn a_scale_scales_sigmas_and_leaves_parts(values in values(), scale in 0.01..100.0) {
        let (before, after) = (
            Summary::of(values.iter().copied()).unwrap(),
            Summary::of(values.iter().map(|value| value * scale)).unwrap(),
        );
        prop_assert!(alike(after.std, before.std * scale) && alike(after.mae, before.mae * scale));
        prop_assert!(alike(after.robust_sigma, before.robust_sigma * scale));
        prop_assert!((0.0..=0.5).contains(&before.outliers));
    }

    #[test]
    fn the_order_of_values_and_the_sign_of_pairs_have_no_meaning(values in values()) {
        let summary = |values: &[f64]| Summary::of(values.iter().copied()).unwrap();
        let mut reversed = values.clone();
        reversed.reverse();
        let (a, b) = (summary(&values), summary(&reversed));
        prop_assert!(alike(a.mean, b.mean) && alike(a.std, b.std) && a.median == b.median);
        let scatter = |sign: f64| {
            Scatter::of(values.iter().map(|value| Pair { difference: sign * value, errors: [1.0; 2] }))
        };
        prop_assert_eq!(scatter(1.0), scatter(-1.0));
    }

    #[test]
    fn coverage_grows_with_the_errors(values in values(), errors in 0.1..1e4, factor in 1.0..10.0) {
        let coverage = |errors: f64| Pulls::of(values.iter().map(|value| value / errors)).unwrap();
        let (narrow, wide) = (coverage(errors), coverage(errors * factor));
        prop_assert!(narrow.coverage_68 <= wide.coverage_68);
        prop_assert!(narrow.coverage_68 <= narrow.coverage_95);
    }

    #[test]
    fn a_correlation_is_between_minus_one_and_one(values in values(), slope in 0.1..10.0) {
        let line = |sign: f64| correlation(values.iter().map(|x| (*x, sign * slope * x + 1.0)));
        if let Some(up) = line(1.0) {
            prop_assert!((up - 1.0).abs() < 1e-9 && line(-1.0).unwrap() < -0.999_999);
        }
    }
}
