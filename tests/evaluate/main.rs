//! `starmill evaluate`: what it says of labels whose errors are known.

#[path = "../support/mod.rs"]
mod support;

mod page;
mod reference;
mod repeats;

use std::path::Path;
use std::process::Output;

use starmill::quality::Quality;
use support::sealed::{Dice, Star, giants, seal};

/// Noise of the labels of a spectrum with an S/N of 1: teff, logg, `fe_h`.
const NOISE: [f64; 3] = [1500.0, 3.0, 1.5];

/// Visits of made-up giants: the same place within half an arcsecond and the same labels, with noise
/// that falls as 1 / (S/N).
#[expect(clippy::cast_possible_truncation, reason = "labels are single precision")]
fn visits(stars: &[Star], each: usize) -> Vec<Star> {
    let mut dice = Dice(5);
    let mut visits = Vec::new();
    for (number, star) in stars.iter().enumerate() {
        for visit in 0..each {
            let snr = if number % 2 == 0 { 25.0 } else { 60.0 };
            let mut seen = Star { name: format!("{}-{visit}", star.name), snr, ..star.clone() };
            seen.dec += 0.25 / 3600.0 * (dice.uniform() - 0.5);
            for (value, noise) in seen.values.iter_mut().zip(NOISE) {
                *value += (noise / f64::from(snr) * dice.normal()) as f32;
            }
            visits.push(seen);
        }
    }
    visits
}

/// Made-up giants without any warning.
fn clean(count: usize) -> Vec<Star> {
    let mut stars = giants("2026-11-15", count);
    for star in &mut stars {
        star.quality = Quality::NONE;
    }
    stars
}

fn sealed(folder: &Path, stars: &[Star]) {
    seal(folder, stars, &[]);
}

fn evaluate(catalogue: &Path, more: &[&str]) -> Output {
    support::starmill(&["evaluate"]).arg(catalogue).args(more).output().expect("the program starts")
}

/// The object that `--json` prints.
#[track_caller]
fn object(catalogue: &Path, more: &[&str]) -> serde_json::Value {
    let output = evaluate(catalogue, &[more, &["--json"]].concat());
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// What the program says when it cannot do what was asked.
#[track_caller]
fn refusal(catalogue: &Path, more: &[&str]) -> String {
    let output = evaluate(catalogue, more);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}
