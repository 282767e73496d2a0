//! Syntheses at known velocities.

use proptest::prelude::*;
use starmill::rv::measure::{Measured, Measurer, Trust};
use starmill::spectrum::{Arrays, Meta, Spectrum};

use crate::stars::{Noise, SPEED_OF_LIGHT, Star, stars};

struct Figures {
    /// Share that is believed.
    trusted: f64,
    /// Median error of those, km/s.
    bias: f64,
    /// Robust standard deviation of error over stated error.
    width: f64,
    /// Share of the believed that are wrong by more than ten errors and 20 km/s.
    wrong: f64,
    /// Median stated error.
    error: f64,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// True velocity and what was measured, of every star so many times.
fn measured(snr: f64, rounds: u32, seed: u64) -> Vec<(f64, Measured)> {
    let (measurer, mut noise) = (Measurer::shared(), Noise(seed));
    let mut all = Vec::new();
    for _ in 0..rounds {
        for star in &stars() {
            let velocity = 800.0 * noise.uniform() - 400.0;
            // As in the survey, the red arm has more light.
            let spectrum = star.spectrum(velocity, [snr, 1.5 * snr], &mut noise);
            all.push((velocity, measurer.measure(&spectrum).expect("both arms")));
        }
    }
    all
}

fn figures(all: &[(f64, Measured)]) -> Figures {
    let trusted: Vec<_> = all.iter().filter(|(_, it)| it.trust == Trust::Yes).collect();
    let errors = || trusted.iter().map(|(truth, it)| it.velocity - truth);
    let pulls = trusted.iter().map(|(truth, it)| ((it.velocity - truth) / it.error).abs());
    let wrong = trusted.iter().filter(|(truth, it)| {
        let off = (it.velocity - truth).abs();
        off > 10.0 * it.error && off > 20.0
    });
    Figures {
        trusted: trusted.len() as f64 / all.len() as f64,
        bias: median(errors().collect()),
        width: median(pulls.collect()) / 0.6745,
        wrong: wrong.count() as f64 / trusted.len() as f64,
        error: median(trusted.iter().map(|(_, it)| it.error).collect()),
    }
}

#[test]
fn velocities_of_syntheses_are_unbiased_and_their_errors_are_honest() {
    println!("S/N  trusted  bias    width  wrong   error");
    for (snr, rounds) in [(5.0, 8), (10.0, 8), (20.0, 8), (50.0, 8), (100.0, 8)] {
        let it = figures(&measured(snr, rounds, snr as u64));
        let Figures { trusted, bias, width, wrong, error } = it;
        println!("{snr:4} {trusted:.3} {bias:+.3} {width:.3} {wrong:.4} {error:.3}");
        assert!(trusted > 0.95 && wrong == 0.0, "{trusted} trusted, {wrong} of them wrong");
        assert!(bias.abs() < if snr < 20.0 { 0.6 } else { 0.3 }, "a bias of {bias} km/s");
        assert!((0.8..1.2).contains(&width), "pulls are {width} wide");
    }
}

#[test]
fn noise_is_not_believed() {
    let (measurer, mut noise) = (Measurer::shared(), Noise(7));
    let (mut believed, mut most, mut count) = (0, 0.0_f64, 0);
    for round in 0..150 {
        // A continuum without lines, and with lines that vanish in the noise.
        let star = if round % 2 == 0 { Star::flat() } else { stars().swap_remove(round % 24) };
        let snr = if round % 2 == 0 { 30.0 } else { 0.3 };
        let spectrum = star.spectrum(0.0, [snr; 2], &mut noise);
        // Where the continuum is lost nothing is measured.
        if let Some(it) = measurer.measure(&spectrum) {
            count += 1;
            believed += usize::from(!matches!(it.trust, Trust::No(_)));
            most = most.max(it.gain);
        }
    }
    println!(
        "{believed} of {count} spectra of noise were believed, the highest gain was {most:.1}"
    );
    assert!(count >= 75);
    assert_eq!(believed, 0);
}

#[test]
fn two_stars_in_one_spectrum_are_doubtful() {
    let all = stars();
    let star = all.iter().find(|star| (5300.0..5900.0).contains(&star.teff)).unwrap();
    let (mut noise, measurer) = (Noise(3), Measurer::shared());
    let double = star.and(star, 150.0).spectrum(-60.0, [60.0, 60.0], &mut noise);
    let it = measurer.measure(&double).unwrap();
    assert!(matches!(it.trust, Trust::Doubtful(_)), "{it:?}");
}

#[test]
fn one_arm_is_enough_and_none_is_not() {
    let (mut noise, measurer) = (Noise(4), Measurer::shared());
    let star = &stars()[0];
    for (arm, lost) in [(0, 6000.0..7000.0), (1, 4000.0..6000.0)] {
        let one = star.spectrum(35.0, [60.0; 2], &mut noise);
        let it = measurer.measure(&without(&one, &lost)).expect("an arm");
        assert_eq!(it.trust, Trust::Yes);
        assert!((it.velocity - 35.0).abs() < 5.0 * it.error, "{it:?}");
        assert_eq!(it.arms.map(|arm| arm.is_some()), [arm == 0, arm == 1]);
    }
    let none = without(&star.spectrum(35.0, [60.0; 2], &mut noise), &(4000.0..7000.0));
    assert_eq!(measurer.measure(&none), None);
}

/// The spectrum with zero ivar in a range of wavelengths.
fn without(spectrum: &Spectrum, lost: &std::ops::Range<f64>) -> Spectrum {
    let mut arrays = arrays(spectrum);
    for (ivar, wave) in arrays.ivar.iter_mut().zip(&arrays.wave) {
        if lost.contains(wave) {
            *ivar = 0.0;
        }
    }
    Spectrum::new("lamost-mrs", arrays, Meta::default()).unwrap()
}

fn arrays(spectrum: &Spectrum) -> Arrays {
    Arrays {
        wave: spectrum.wave().to_vec(),
        flux: spectrum.flux().to_vec(),
        ivar: spectrum.ivar().to_vec(),
        andmask: spectrum.andmask().to_vec(),
        ormask: spectrum.ormask().to_vec(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_shift_of_the_wavelengths_is_a_shift_of_the_velocity(
        star in 0_usize..24, seed: u64, first in -200.0..200.0, then in -300.0..300.0,
    ) {
        let star = &stars()[star];
        let spectrum = star.spectrum(first, [80.0; 2], &mut Noise(seed));
        let mut shifted = arrays(&spectrum);
        shifted.wave.iter_mut().for_each(|wave| *wave *= 1.0 + then / SPEED_OF_LIGHT);
        let shifted = Spectrum::new("lamost-mrs", shifted, Meta::default()).unwrap();
        let measure = |spectrum: &Spectrum| Measurer::shared().measure(spectrum).unwrap();
        let (before, after) = (measure(&spectrum), measure(&shifted));
        let expected = before.velocity + then + before.velocity * then / SPEED_OF_LIGHT;
        // Other pixels are lost at the ends, and bins cut them elsewhere.
        let off: f64 = after.velocity - expected;
        prop_assert!(off.abs() < 0.2 + 2.0 * before.error, "{off} {before:?} {after:?}");
        prop_assert!(after.trust == Trust::Yes);
    }
}
