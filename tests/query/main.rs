//! `starmill catalogue query`: rows, files and refusals, through the program and its library.

mod files;
mod program;
mod refusals;
mod release;
mod rows;
mod speed;

#[path = "../support/mod.rs"]
mod support;
