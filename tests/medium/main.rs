//! LAMOST medium-resolution files, from bytes to rows.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]

#[path = "../rv/stars.rs"]
#[allow(
    dead_code,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shared with the tests of velocities"
)]
mod stars;
#[path = "../support/mod.rs"]
mod support;

mod epochs;
mod layouts;
mod runs;
mod streaming;
mod truth;
