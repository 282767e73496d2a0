//! `starmill generate`: labels in, spectra out, and nothing from outside the trained box.

#[path = "../support/mod.rs"]
mod support;

mod folder;
mod labels;
mod spectra;
