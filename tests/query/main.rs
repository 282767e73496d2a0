//! `starmill catalogue query`: rows, files and refusals, through the program and its library.

#![expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "made-up stars")]

mod files;
mod program;
mod refusals;
mod release;
mod rows;
mod speed;

#[path = "../support/mod.rs"]
mod support;
