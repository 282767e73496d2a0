//! Fits of a model that is known in closed form.

use std::convert::Infallible;
use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayView2};
use proptest::prelude::*;

use super::*;
use crate::prep::Pixels;

const LABELS: usize = 4;

/// Lines of four elements whose strengths grow exponentially with their label, and shrink with the
/// first, as with a temperature.
struct Lines {
    wave: Vec<f64>,
    /// Centre, strength, label of each line.
    list: Vec<(f64, f64, usize)>,
    batch: usize,
}

/// Even numbers between 0 and 1.
struct Random(u64);

impl Random {
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}

impl Lines {
    fn new(batch: usize) -> Self {
        let wave = (0..1300).map(|i| 10f64.powf(3.6 + 1e-4 * f64::from(i))).collect();
        let mut random = Random(7);
        let lines = (0..120)
            .map(|n| (3990.0 + 1350.0 * random.even(), 0.05 + 0.25 * random.even(), n % LABELS));
        Self { wave, list: lines.collect(), batch }
    }

    fn at(&self, labels: &[f64], wave: f64) -> (f64, [f64; LABELS]) {
        let (mut depth, mut slopes) = (0.0, [0.0; LABELS]);
        for &(centre, strength, label) in &self.list {
            let x = (wave / centre - 1.0) * 299_792.458 / 120.0;
            if x.abs() > 6.0 {
                continue;
            }
            let tau =
                strength * (0.6 * labels[label] - 0.3 * labels[0]).exp() * (-0.5 * x * x).exp();
            depth += tau;
            slopes[label] += 0.6 * tau;
            slopes[0] -= 0.3 * tau;
        }
        let flux = (-depth).exp();
        (flux, slopes.map(|slope| -flux * slope))
    }
}

impl Forward for Lines {
    type Error = Infallible;

    fn wave(&self) -> &[f64] {
        &self.wave
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn flux(&mut self, labels: ArrayView2<'_, f32>) -> Result<Array2<f32>, Infallible> {
        Ok(self.gradient(labels)?.0)
    }

    fn gradient(
        &mut self,
        labels: ArrayView2<'_, f32>,
    ) -> Result<(Array2<f32>, Array3<f32>), Infallible> {
        let (rows, pixels) = (labels.nrows(), self.wave.len());
        assert!(rows <= self.batch, "more rows than a batch");
        let mut flux = Array2::zeros((rows, pixels));
        let mut gradient = Array3::zeros((rows, LABELS, pixels));
        for (row, labels) in labels.rows().into_iter().enumerate() {
            let labels: Vec<f64> = labels.iter().map(|&label| f64::from(label)).collect();
            assert!(labels.iter().all(|label| (-1.0..=1.0).contains(label)), "outside the box");
            for (pixel, &wave) in self.wave.iter().enumerate() {
                let (value, slopes) = self.at(&labels, wave);
                flux[[row, pixel]] = value as f32;
                for (label, slope) in slopes.into_iter().enumerate() {
                    gradient[[row, label, pixel]] = slope as f32;
                }
            }
        }
        Ok((flux, gradient))
    }
}

fn plan(model_error: f32) -> Arc<Plan> {
    let label = |name: usize| Parameter { name: name.to_string(), valid: [-1.0, 1.0], step: 0.1 };
    Arc::new(Plan {
        labels: (0..LABELS).map(label).collect(),
        starts: vec![vec![0.0; LABELS], vec![0.7; LABELS], vec![-0.7; LABELS]],
        max_iterations: 30,
        smoothing_fwhm: 50.0,
        model_error: vec![model_error; 1300],
        limits: limits(),
        max_rv_kms: 600.0,
    })
}

fn fitter(batch: usize) -> Fitter<Lines> {
    let Ok(fitter) = Fitter::new(Lines::new(batch), plan(0.0));
    fitter
}

/// A spectrum as observed.
#[derive(Clone)]
struct Star {
    wave: Vec<f64>,
    flux: Vec<f32>,
    ivar: Vec<f32>,
    rv_kms: Option<f64>,
}

impl Star {
    /// On pixels of its own, under a continuum that changes by a factor of some, with noise if the
    /// S/N is not infinite.
    fn new(labels: &[f64], rv: f64, snr: f64, seed: u64) -> Self {
        let model = Lines::new(1);
        let wave: Vec<f64> =
            (0..1300).map(|i| 10f64.powf(3.600_04 + 1e-4 * f64::from(i))).collect();
        let mut random = Random(seed);
        let (noise, sigma) = if snr.is_finite() { (1.0, 1.0 / snr) } else { (0.0, 0.01) };
        let flux = wave.iter().map(|wave| {
            let continuum = 1000.0 * (wave / 4600.0).powi(3);
            let flux = model.at(labels, wave / (1.0 + rv / 299_792.458)).0;
            (continuum * (flux + noise * sigma * random.normal())) as f32
        });
        let ivar = wave.iter().map(|wave| {
            let continuum = 1000.0 * (wave / 4600.0).powi(3);
            (continuum * sigma).powi(-2) as f32
        });
        Self { flux: flux.collect(), ivar: ivar.collect(), wave, rv_kms: None }
    }

    fn observation(&self) -> Observation<'_> {
        let Self { wave, flux, ivar, rv_kms } = self;
        Observation { wave, flux, ivar, rv_kms: *rv_kms }
    }
}

fn fit_one(star: &Star) -> Fitted {
    let Ok(mut results) = fitter(1).fit(&[star.observation()]);
    results.pop().unwrap().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn without_noise_labels_and_velocity_come_back(
        labels in prop::collection::vec(-0.95..0.95, LABELS),
        rv in -400.0..400.0,
    ) {
        let fitted = fit_one(&Star::new(&labels, rv, f64::INFINITY, 1));
        prop_assert!(fitted.converged && fitted.at_end.iter().all(|at_end| !at_end));
        let errors = fitted.errors();
        for (label, (found, true_value)) in fitted.labels.iter().zip(&labels).enumerate() {
            // Against the errors of S/N 100: what splines leave of lines that are less than two
            // pixels wide, and the normalisation of a continuum that changes by half of itself.
            let off = (found - true_value).abs() / errors[label];
            prop_assert!(off < 0.2, "label {label}: {found} for {true_value}, off by {off} sigma");
        }
        prop_assert!((fitted.rv_kms - rv).abs() < 0.2 * errors[LABELS], "{}", fitted.rv_kms);
        prop_assert!(fitted.chi2 < 0.1 * fitted.freedom && fitted.chi2 < fitted.chi2_continuum);
    }
}

#[test]
fn errors_and_chi_square_are_those_of_the_noise() {
    let labels = [0.3, -0.2, 0.1, 0.4];
    let stars: Vec<Star> = (0..120).map(|seed| Star::new(&labels, 33.0, 60.0, seed)).collect();
    let observations: Vec<_> = stars.iter().map(Star::observation).collect();
    let Ok(results) = fitter(8).fit(&observations);
    let fits: Vec<Fitted> = results.into_iter().map(Result::unwrap).collect();
    let mean = |values: &dyn Fn(&Fitted) -> f64| fits.iter().map(values).sum::<f64>() / 120.0;
    let reduced = mean(&Fitted::reduced_chi2);
    // 120 spectra of 1,250 pixels: the mean is known to 0.0037.
    assert!((reduced - 1.0).abs() < 0.015, "reduced chi-square {reduced}");
    for (label, truth) in labels.iter().enumerate() {
        let pull = |fit: &Fitted| (fit.labels[label] - truth) / fit.errors()[label];
        let (bias, spread) = (mean(&pull), mean(&|fit| pull(fit).powi(2)).sqrt());
        assert!(bias.abs() < 0.4 && (spread - 1.0).abs() < 0.25, "{label}: {bias} {spread}");
        assert!(fits.iter().all(|fit| (fit.bound[label] / fit.errors()[label] - 1.0).abs() < 1e-6));
    }
    assert!(fits.iter().all(|fit| fit.converged && fit.iterations < 15));
    assert!(fits.iter().all(|fit| fit.factor().is_some_and(|factor| {
        let difference = factor.transpose() * &factor - &fit.covariance;
        difference.norm() < 1e-9 * fit.covariance.norm()
    })));
}

#[test]
fn what_a_spectrum_gives_does_not_depend_on_its_neighbours() {
    let star = |n: u32| {
        let x = f64::from(n);
        let labels = [0.9 * x.sin(), 0.9 * x.cos(), 0.5 * (2.0 * x).sin(), 0.1];
        Star::new(&labels, 20.0 * x - 200.0, 10.0 + 5.0 * x, u64::from(n))
    };
    let stars: Vec<Star> = (0..21).map(star).collect();
    let observations: Vec<_> = stars.iter().map(Star::observation).collect();
    let Ok(together) = fitter(8).fit(&observations);
    for (star, together) in stars.iter().zip(together) {
        assert_eq!(fit_one(star), together.unwrap());
    }
}

#[test]
fn a_masked_pixel_is_as_good_as_none() {
    let mut masked = Star::new(&[0.1, 0.2, -0.3, 0.0], -50.0, 80.0, 5);
    // A bad column, a cosmic ray, and a gap wider than the kernel, all with absurd flux.
    let is_bad =
        |pixel: usize| pixel == 300 || (500..520).contains(&pixel) || (800..960).contains(&pixel);
    for pixel in (0..1300).filter(|&pixel| is_bad(pixel)) {
        masked.ivar[pixel] = 0.0;
        masked.flux[pixel] = if pixel % 2 == 0 { f32::NAN } else { 1e9 };
    }
    let keep = |pixel: &usize| !is_bad(*pixel);
    let kept = || (0..1300).filter(keep);
    let removed = Star {
        wave: kept().map(|pixel| masked.wave[pixel]).collect(),
        flux: kept().map(|pixel| masked.flux[pixel]).collect(),
        ivar: kept().map(|pixel| masked.ivar[pixel]).collect(),
        rv_kms: None,
    };
    let (masked, removed) = (fit_one(&masked), fit_one(&removed));
    for (label, error) in masked.errors().iter().enumerate().take(LABELS) {
        assert!((masked.labels[label] - removed.labels[label]).abs() < 1e-3 * error);
    }
    assert!((masked.chi2 / removed.chi2 - 1.0).abs() < 1e-6);
    assert!((masked.freedom - removed.freedom).abs() < 1e-6);
    assert!((masked.reduced_chi2() - 1.0).abs() < 0.15, "{}", masked.reduced_chi2());
}

#[test]
fn a_star_outside_the_box_ends_at_its_side_and_says_so() {
    let outside = Star::new(&[0.0, 1.6, 0.2, 0.0], 10.0, 100.0, 3);
    let fitted = fit_one(&outside);
    assert!(fitted.at_end[1] && !fitted.at_end[LABELS]);
    assert!(fitted.labels[1] <= 1.0 && fitted.labels[1] > 0.999);
    assert!(fitted.converged && fitted.reduced_chi2() > 1.2, "{}", fitted.reduced_chi2());
}

#[test]
fn a_fit_that_is_cut_short_says_so() {
    let plan = Plan { max_iterations: 1, ..(*plan(0.0)).clone() };
    let Ok(mut short) = Fitter::new(Lines::new(4), Arc::new(plan));
    let star = Star::new(&[0.9, -0.4, 0.9, 0.9], 140.0, 200.0, 3);
    let Ok(mut results) = short.fit(&[star.observation()]);
    let fitted = results.pop().unwrap().unwrap();
    assert!(!fitted.converged && fitted.iterations == 1);
    assert!(fitted.chi2 < fitted.chi2_continuum);
}

#[test]
fn too_little_of_a_spectrum_is_an_error_of_its_own() {
    let good = Star::new(&[0.0; LABELS], 0.0, 50.0, 1);
    let mut masked = good.clone();
    masked.ivar[20..].fill(0.0);
    let mut elsewhere = good.clone();
    elsewhere.wave.iter_mut().for_each(|wave| *wave += 5000.0);
    let observations = [masked.observation(), good.observation(), elsewhere.observation()];
    let Ok(results) = fitter(2).fit(&observations);
    let is_short =
        |result: &Result<Fitted, FitError>| matches!(result, Err(FitError::TooFewPixels { .. }));
    assert!(is_short(&results[0]) && results[1].is_ok() && is_short(&results[2]));
}

#[test]
fn a_model_that_errs_has_less_weight() {
    let star = Star::new(&[0.3, -0.2, 0.1, 0.4], 33.0, 200.0, 9);
    let Ok(mut cautious) = Fitter::new(Lines::new(1), plan(0.01));
    let Ok(mut results) = cautious.fit(&[star.observation()]);
    let fitted = results.pop().unwrap().unwrap();
    for (error, bound) in fitted.errors().iter().zip(&fitted.bound) {
        // The variance is 0.005^2 + 0.01^2 instead of 0.005^2.
        assert!((error / bound - 5f64.sqrt()).abs() < 0.15, "{error} {bound}");
    }
    assert!((fitted.reduced_chi2() - 0.2).abs() < 0.03, "{}", fitted.reduced_chi2());
}

fn limits() -> Limits {
    Limits { whole: Curve(vec![1.2, 2.0]), region: Curve(vec![2.0, 6.0]), factors: vec![] }
}

/// Holds labels against a star, at a velocity or at the one that suits best.
fn compare(labels: &[f64], star: &Star, rv: Option<f64>) -> Consistency {
    let mut model = Lines::new(1);
    let row = Array2::from_shape_fn((1, LABELS), |(_, label)| labels[label] as f32);
    let Ok(flux) = model.flux(row.view());
    let flux = flux.row(0).to_vec();
    let wave: Vec<f32> = star.wave.iter().map(|&wave| wave as f32).collect();
    let pixels = Pixels { wave: &wave, flux: &star.flux, ivar: &star.ivar };
    let expected = Expected { flux: &flux, variance: &vec![0.0; flux.len()] };
    Checker::new(&model.wave, 50.0, limits()).compare(pixels, expected, rv).unwrap()
}

#[test]
fn labels_from_elsewhere_are_held_against_the_spectrum() {
    let labels = [0.3, -0.2, 0.1, 0.4];
    let good = Star::new(&labels, 33.0, 60.0, 4);
    let right = compare(&labels, &good, Some(33.0));
    assert!((right.reduced_chi2() - 1.0).abs() < 0.12, "{}", right.reduced_chi2());
    let fitted = compare(&labels, &good, None);
    assert!((fitted.rv_kms - 33.0).abs() < 4.0 && fitted.chi2 <= right.chi2 + 1.0, "{fitted:?}");
    let shifted = compare(&labels, &good, Some(13.0));
    assert!(shifted.rv_kms == 13.0 && shifted.chi2 > right.chi2 + 20.0);
    let wrong = compare(&[0.3, 0.5, 0.1, 0.4], &good, None);
    assert!(wrong.reduced_chi2() > 1.5, "{}", wrong.reduced_chi2());
    let mut spoilt = good.clone();
    spoilt.flux[700..730].iter_mut().for_each(|flux| *flux *= 1.15);
    let worst = compare(&labels, &spoilt, Some(33.0)).worst.unwrap();
    // The artefact lies across the end of a region.
    let (first, last) = (spoilt.wave[695], spoilt.wave[735]);
    assert!(worst.wave[0] <= last && first <= worst.wave[1], "{worst:?}");
    assert!(worst.reduced_chi2 > 2.0, "{worst:?}");
    assert!(!right.poor && wrong.poor && compare(&labels, &spoilt, Some(33.0)).poor);
}

#[test]
fn the_chi_square_of_right_labels_has_the_degrees_of_freedom_that_it_says() {
    let labels = [0.3, -0.2, 0.1, 0.4];
    let all =
        (0..120).map(|seed| compare(&labels, &Star::new(&labels, 33.0, 60.0, seed), Some(33.0)));
    let mean = all.map(|found| found.reduced_chi2()).sum::<f64>() / 120.0;
    // 120 spectra of 1,250 pixels: the mean is known to 0.0037; splines and kernels are no part of it.
    assert!((mean - 1.0).abs() < 0.02, "{mean}");
}

#[test]
fn the_spectrum_that_should_be_lies_on_the_data() {
    let labels = [0.3, -0.2, 0.1, 0.4];
    let star = Star::new(&labels, 33.0, 500.0, 4);
    let mut model = Lines::new(1);
    let row = Array2::from_shape_fn((1, LABELS), |(_, label)| labels[label] as f32);
    let Ok(flux) = model.flux(row.view());
    let flux = flux.row(0).to_vec();
    let wave: Vec<f32> = star.wave.iter().map(|&wave| wave as f32).collect();
    let pixels = Pixels { wave: &wave, flux: &star.flux, ivar: &star.ivar };
    let expected = Expected { flux: &flux, variance: &vec![0.0; flux.len()] };
    let mut checker = Checker::new(&model.wave, 50.0, limits());
    checker.compare(pixels, expected, Some(33.0)).unwrap();
    let spectrum = checker.spectrum(&flux, 33.0);
    let mut compared = 0;
    for &[wave, flux, _] in &spectrum[100..1200] {
        let right = star.wave.partition_point(|&at| at < f64::from(wave));
        let (a, b) = (f64::from(star.flux[right - 1]), f64::from(star.flux[right]));
        // Where the data are nearly straight between two pixels.
        if (a / b - 1.0).abs() < 0.01 {
            assert!((f64::from(flux) / (0.5 * (a + b)) - 1.0).abs() < 0.03, "{wave}");
            compared += 1;
        }
    }
    assert!(compared > 200, "{compared}");
}
