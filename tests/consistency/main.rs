//! The chi-square of rows, calibrated: how often good spectra are flagged, and spoilt ones.
//!
//! Spectra are those of the forward model with noise. Labels and velocities that a row is given are
//! off by the errors that the manifest of the regressor states, so that this is what a night of such
//! rows gives. The limits come of spectra of another model, see `onnx/export/README.md`.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "spectra hold single precision, and the rates that are found are shown"
)]

#[path = "../support/mod.rs"]
mod support;

mod rows;
mod stars;

use starmill::setup::Missing;
use stars::{Population, Star};

/// Fraction of the stars that are flagged.
fn flagged(population: &mut Population, stars: &[Star]) -> f64 {
    let judged = population.judge(stars);
    let flagged = judged.iter().filter(|row| row.poor).count();
    assert!(judged.iter().all(|row| row.verdict.is_ok()));
    flagged as f64 / stars.len() as f64
}

#[test]
fn with_the_true_labels_chi_square_is_that_of_noise() {
    let Some(mut population) = Population::new("chi-square of noise") else { return };
    for snr in [20.0, 60.0] {
        let stars: Vec<Star> = (0..60).map(|seed| population.star(seed, snr)).collect();
        let truth: Vec<Star> = stars.iter().map(Star::with_true_labels).collect();
        let judged = population.judge(&truth);
        let all: Vec<f64> =
            judged.iter().map(|row| row.verdict.as_ref().unwrap().reduced_chi2()).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        // The variance allows for errors of labels that are not there.
        println!("S/N {snr}: mean {mean:.3}");
        assert!(mean < 1.02, "S/N {snr}: {mean}");
        assert!(mean > if snr < 30.0 { 0.85 } else { 0.4 }, "S/N {snr}: {mean}");
    }
}

#[test]
fn good_rows_are_seldom_flagged_and_spoilt_ones_often() {
    let Some(mut population) = Population::new("the rates of poor fits") else { return };
    let mut all = Vec::new();
    println!("| S/N | good | emission | artefact | wrong rv | two stars |");
    for (snr, least) in [
        (20.0, [0.95, 0.05, 0.95, 0.3]),
        (30.0, [0.95, 0.5, 0.95, 0.35]),
        (60.0, [0.95, 0.5, 0.95, 0.7]),
        (120.0, [0.95, 0.5, 0.95, 0.7]),
        (200.0, [0.95, 0.5, 0.95, 0.7]),
    ] {
        let stars: Vec<Star> = (0..500).map(|seed| population.star(seed, snr)).collect();
        let good = flagged(&mut population, &stars);
        let some = &stars[..100];
        let spoilt = [
            some.iter().map(Star::with_emission).collect::<Vec<_>>(),
            some.iter().map(Star::with_artefact).collect(),
            some.iter().map(|star| star.with_wrong_rv(150.0)).collect(),
            (0..100).map(|seed| population.two_stars(seed, snr, 200.0)).collect(),
        ];
        let rates = spoilt.map(|stars| flagged(&mut population, &stars));
        println!("| {snr} | {good:.3} | {} |", rates.map(|rate| format!("{rate:.2}")).join(" | "));
        all.push((snr, good, rates, least));
    }
    for (snr, good, rates, least) in all {
        // One and a half times what the manifest states, and two standard deviations of so few.
        assert!(good <= 0.024, "S/N {snr}: {good} of good rows are flagged");
        for (rate, least) in rates.iter().zip(least) {
            assert!(*rate >= least, "S/N {snr}: {rates:?} of spoilt rows are flagged");
        }
    }
}

#[test]
fn the_region_that_fits_worst_is_the_one_that_was_spoilt() {
    let Some(mut population) = Population::new("the worst region") else { return };
    let stars: Vec<Star> =
        (0..40).map(|seed| population.star(seed, 80.0).with_emission()).collect();
    let judged = population.judge(&stars);
    let right = judged.iter().zip(&stars).filter(|(row, star)| {
        let worst = row.verdict.as_ref().unwrap().worst.unwrap().wave;
        (worst[0]..worst[1]).contains(&star.h_alpha())
    });
    assert!(right.count() >= 38);
}

#[test]
fn rows_do_not_depend_on_their_neighbours_and_say_why_they_have_none() {
    let Some(mut population) = Population::new("rows and their neighbours") else { return };
    let mut stars: Vec<Star> = (0..40).map(|seed| population.star(seed, 50.0)).collect();
    stars[3].labels[0] = 6100.0;
    stars[4].labels[1] = f32::NAN;
    stars[5].native.clear();
    stars[6].rv_kms = None;
    let together = population.judge(&stars);
    assert_eq!(together[3].verdict, Err(Missing::Labels));
    assert_eq!(together[4].verdict, Err(Missing::Labels));
    assert_eq!(together[5].verdict, Err(Missing::Pixels));
    assert!(together[6].fitted_rv && !together[7].fitted_rv);
    let found = together[6].verdict.as_ref().unwrap().rv_kms;
    let known = population.star(6, 50.0).rv_kms.unwrap();
    assert!((found - known).abs() < 15.0, "{found} for {known}");
    for (star, together) in stars.iter().zip(&together).skip(1) {
        let alone = population.judge(std::slice::from_ref(star));
        // What is not a number is not equal to itself.
        assert_eq!(format!("{:?}", alone[0]), format!("{together:?}"));
    }
}
