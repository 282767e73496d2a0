//! Starmill turns survey spectra of stars into a catalogue of stellar parameters.
//!
//! The parts, in the order in which data meet them:
//!
//! 1. [`input`]: from names on the command line to bytes in memory, under limits.
//! 2. [`fits`]: the structure of a FITS file, checked before anything is believed.
//! 3. [`survey`]: one reader for each layout; gives a [`spectrum::Spectrum`].
//!    Where a survey publishes radial velocities apart, [`rv`] adds them.
//! 4. [`prep`]: the model's recipe of pure steps; gives the model's input.
//! 5. `starmill_onnx`: the model itself, run by ONNX Runtime.
//! 6. [`estimate`]: from outputs to labels with quality bits. Where the model goes from labels to
//!    spectra, [`fit`] finds the labels.
//! 7. [`catalogue`]: rows and rejects, committed in segments and sealed in two formats.
//! 8. [`ledger`]: which inputs are done.
//! 9. [`report`]: one page about a sealed catalogue and the nights before it.
//!
//! [`evaluate`] says what the labels are worth: against a reference, or from visit to visit.
//!
//! [`generate`] goes the other way: from labels to spectra, through a forward model, and
//! [`simulate`] writes a whole night of files with them.
//!
//! [`backfill`] does a whole release in shards, [`slurm`] submits them to a cluster, and [`release`]
//! merges them into one catalogue. [`query`] asks it, or that of a night, in SQL.
//!
//! [`watch`] finds the files of a night as they appear, where no command line names them.
//!
//! [`serve`] keeps on doing this night after night, and [`http`] shows what it does.
//!
//! [`stage`] adapts these to the flow of `starmill_actors`, and [`pipeline`] joins them.

#![cfg_attr(test, allow(clippy::cast_possible_truncation, clippy::float_cmp))]

pub mod backfill;
mod backoff;
pub mod catalogue;
pub mod cli;
pub mod command;
pub mod config;
mod diary;
pub mod estimate;
pub mod evaluate;
pub mod explain;
pub mod failpoint;
pub mod fit;
pub mod fits;
pub mod generate;
pub mod http;
pub mod input;
pub mod interrupt;
pub mod ledger;
pub mod memory;
pub mod night;
pub mod outcome;
pub mod pipeline;
pub mod plot;
pub mod prep;
pub mod quality;
pub mod query;
mod records;
pub mod reject;
pub mod release;
pub mod report;
pub mod rv;
pub mod serve;
pub mod setup;
pub mod simulate;
mod sky;
pub mod slurm;
pub mod spectrum;
pub mod stage;
pub mod survey;
mod table;
pub mod telemetry;
pub mod watch;
