//! How many spectra a second are measured on one core. Measured, so not run by default:
//!
//! `cargo test --release --test rv -- --ignored --nocapture`

use std::hint::black_box;
use std::time::{Duration, Instant};

use starmill::rv::measure::Measurer;

use crate::stars::{Noise, stars};

#[test]
#[ignore = "a measurement"]
fn spectra_a_second() {
    let measurer = Measurer::shared();
    let mut noise = Noise(1);
    let spectra: Vec<_> =
        stars().iter().map(|star| star.spectrum(20.0, [40.0; 2], &mut noise)).collect();
    let mut rates: Vec<f64> = (0..7)
        .map(|_| {
            let (mut done, begin) = (0, Instant::now());
            while begin.elapsed() < Duration::from_millis(500) {
                for spectrum in &spectra {
                    black_box(measurer.measure(spectrum));
                }
                done += spectra.len();
            }
            done as f64 / begin.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("| radial velocities, one thread | median | range |\n|---|---|---|");
    println!("| measured a second | {:.0} | {:.0} to {:.0} |", rates[3], rates[0], rates[6]);
}
