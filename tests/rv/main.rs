//! Radial velocities that are measured: on shifted syntheses, on noise, on real spectra, through the
//! program.

#![allow(clippy::print_stdout, reason = "figures, and a skipped test says so")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "spectra are single precision, and places are within arrays"
)]

mod real;
mod shifted;
mod speed;
mod stars;
#[path = "../support/mod.rs"]
mod support;
