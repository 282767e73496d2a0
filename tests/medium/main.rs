//! LAMOST medium-resolution files, from bytes to rows.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]

#[path = "../support/mod.rs"]
mod support;

mod epochs;
mod layouts;
mod runs;
mod streaming;
mod truth;
