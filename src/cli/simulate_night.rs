//! The command line of `starmill simulate-night`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::{DeviceArgs, parse_snr};
use crate::simulate::MOST_STARS;

/// A survey that `simulate-night` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SimulatedSurvey {
    /// Low resolution.
    Lrs,
    /// Medium resolution.
    Mrs,
}

/// Layouts that `simulate-night` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SimulatedLayout {
    /// Five-row images and tables with a row for each pixel, until DR8.
    Dr7,
    /// Tables of one row with vector cells, since DR9.
    Dr9,
}

/// Distributions of labels that `simulate-night` draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SimulatedLabels {
    /// Giant branch, red clump and, where the model knows them, dwarfs of the Galaxy.
    Survey,
    /// Evenly in the model's trained box.
    Even,
}

/// Arguments of `simulate-night`.
#[derive(Debug, Args)]
pub struct SimulateNightArgs {
    /// The folder to write; it must hold no simulated night.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// The date of the evening, as in 2026-11-21.
    #[arg(long, value_name = "DATE")]
    pub date: chrono::NaiveDate,
    /// Stars of each survey.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_STARS)))]
    pub stars: u32,
    /// Another number makes another night.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
    /// The surveys.
    #[arg(long, value_delimiter = ',', default_values_t = [SimulatedSurvey::Lrs, SimulatedSurvey::Mrs], value_enum)]
    pub survey: Vec<SimulatedSurvey>,
    /// The layouts.
    #[arg(long, default_value = "dr9", value_enum)]
    pub layout: SimulatedLayout,
    /// How the labels of stars are distributed.
    #[arg(long, default_value = "survey", value_enum)]
    pub labels: SimulatedLabels,
    /// Nothing but noise: no residuals of sky lines, cosmic rays or bad pixels.
    #[arg(long)]
    pub clean: bool,
    /// Lowest and highest signal to noise a pixel, at the median flux; even in the logarithm.
    #[arg(long, value_name = "LOW:HIGH", default_value = "12:200", value_parser = parse_snr_range)]
    pub snr: (f64, f64),
    /// The part of the targets that is observed twice.
    #[arg(long, value_name = "PART", default_value_t = 0.1, value_parser = parse_part)]
    pub repeats: f64,
    /// The part of the targets whose file is broken.
    #[arg(long, value_name = "PART", default_value_t = 0.01, value_parser = parse_part)]
    pub broken: f64,
    /// The part of the targets that are galaxies and quasars.
    #[arg(long, value_name = "PART", default_value_t = 0.01, value_parser = parse_part)]
    pub galaxies: f64,
    /// Seconds to wait before each file, for a service that watches.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = parse_delay)]
    pub delay: f64,
    /// Where the models run.
    #[command(flatten)]
    pub device: DeviceArgs,
}

fn parse_snr_range(text: &str) -> Result<(f64, f64), String> {
    let (low, high) = text.split_once(':').ok_or("LOW:HIGH is needed, as in 12:200")?;
    let (low, high) = (parse_snr(low)?, parse_snr(high)?);
    if low <= high { Ok((low, high)) } else { Err("LOW must not be above HIGH".into()) }
}

fn parse_part(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(part) if (0.0..=1.0).contains(&part) => Ok(part),
        _ => Err("a number from 0 to 1 is needed".into()),
    }
}

fn parse_delay(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("0 to 3600 seconds are needed".into()),
    }
}
