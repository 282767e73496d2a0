use super::*;

/// Rows of one label at these places, with these S/N.
fn rows(visits: &[(f64, f64, f32)]) -> Rows {
    let label = Label { name: "teff".into(), unit: "K".into(), alias: String::new() };
    let mut rows = Rows::of_label(label);
    for (number, (ra, dec, snr)) in visits.iter().enumerate() {
        rows.push(&format!("star {}", number % 3), (*ra, *dec), *snr, 5000.0 + number as f32, 2.0);
    }
    rows
}

const SECOND: f64 = 1.0 / 3600.0;

#[test]
fn visits_at_one_place_are_one_star_and_a_chain_of_neighbours_is_not() {
    let found = rows(&[
        (10.0, 20.0, 30.0),
        (10.0, 20.0 + 0.8 * SECOND, 30.0),
        (10.0, 20.0 + 1.6 * SECOND, 30.0),
        (200.0, -5.0, 30.0),
        (10.0, 20.0 - 0.8 * SECOND, 30.0),
        (f64::NAN, 20.0, 30.0),
        (f64::NAN, 20.0, 30.0),
    ]);
    assert_eq!(by_place(&found, 1.0)[..3], [vec![0, 1, 4], vec![2], vec![3]]);
    assert_eq!(by_place(&found, 1.0).len(), 5, "what has no place is a star of its own");
}

#[test]
fn a_sum_of_exposures_is_not_paired_with_an_exposure() {
    let mut found = rows(&[(10.0, 20.0, 30.0), (10.0, 20.0, 30.0), (10.0, 20.0, 30.0)]);
    found.coadd[0] = false;
    assert_eq!(by_place(&found, 1.0), [vec![0], vec![1, 2]]);
    found.keys = vec!["a".into(), "a".into(), "a".into()];
    assert_eq!(by_key(&found), [vec![0], vec![1, 2]]);
}

#[test]
fn keys_that_are_empty_are_none() {
    let mut found = rows(&[(0.0, 0.0, 1.0); 4]);
    found.keys = ["a", "", "a", ""].map(String::from).to_vec();
    assert_eq!(by_key(&found), [vec![0, 2]]);
}

#[test]
fn the_snr_of_a_pair_is_that_of_the_mean_variance() {
    let found = rows(&[(0.0, 0.0, 50.0), (0.0, 0.0, 50.0), (0.0, 0.0, 10.0), (0.0, 0.0, -1.0)]);
    assert!((pair_snr(&found, (0, 1)) - 50.0).abs() < 1e-9);
    // Variances of 1/2500 and 1/100: their mean is 0.0052.
    assert!((pair_snr(&found, (0, 2)) - 0.0052f64.powf(-0.5)).abs() < 1e-9);
    assert_eq!(pair_snr(&found, (0, 3)), 0.0);
}

#[test]
fn a_star_of_many_visits_costs_a_bounded_number_of_pairs() {
    let found = rows(&vec![(10.0, 20.0, 30.0); 1000]);
    let repeats = Repeats::of(&found, &Match::Sky { radius: 1.0 }).unwrap();
    assert_eq!((repeats.stars, repeats.visits), (1, 1000));
    assert_eq!((repeats.pairs, repeats.unpaired), (64 * 63 / 2, 1000 - 64));
}

#[test]
fn no_repeats_are_an_error_that_says_what_to_do() {
    let found = rows(&[(10.0, 20.0, 30.0), (20.0, 20.0, 30.0)]);
    let error = Repeats::of(&found, &Match::Sky { radius: 1.0 }).unwrap_err().to_string();
    assert!(error.contains("2 rows") && error.contains("--radius"), "{error}");
}

#[test]
fn scatter_and_quoted_errors_are_found_again_in_each_bin() {
    // Errors that fall as 1 / (S/N) and are quoted as half of what they are.
    let label = Label { name: "teff".into(), unit: "K".into(), alias: String::new() };
    let mut found = Rows::of_label(label);
    let mut state = 7_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    for star in 0..2000 {
        for _ in 0..2 {
            let snr = if star % 2 == 0 { 25.0 } else { 60.0 };
            let normal = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
            let value = 5000.0 + f64::from(star) + normal * 1000.0 / snr;
            let place = (f64::from(star) * 0.1, 0.0);
            found.push("", place, snr as f32, value as f32, 500.0 / snr as f32);
        }
    }
    let repeats = Repeats::of(&found, &Match::Sky { radius: 1.0 }).unwrap();
    assert_eq!((repeats.stars, repeats.pairs, repeats.without_snr), (2000, 2000, 0));
    let teff = &repeats.labels[0];
    for (name, expected) in [("20-30", 40.0), ("50-75", 1000.0 / 60.0)] {
        let bin = teff.by_snr.iter().find(|bin| bin.range.name() == name).unwrap();
        let scatter = bin.scatter.unwrap();
        assert_eq!(scatter.pairs, 1000);
        // The error of a scatter of 1000 pairs is about 2.2 %.
        assert!((scatter.scatter / expected - 1.0).abs() < 0.1, "{name}: {scatter:?}");
        assert!((scatter.quoted.unwrap() / expected - 0.5).abs() < 1e-3, "{name}: {scatter:?}");
        let pulls = scatter.pulls.unwrap();
        assert!((pulls.robust_sigma - 2.0).abs() < 0.2, "{name}: {pulls:?}");
        assert!((pulls.coverage_68 - 0.383).abs() < 0.06, "{name}: {pulls:?}");
    }
    assert!(teff.by_snr.iter().filter(|bin| bin.scatter.is_some()).count() == 2);
}
