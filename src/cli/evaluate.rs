//! Arguments of `evaluate`.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueHint};

use crate::evaluate::{Match, Selection};

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Folder of a sealed catalogue, or a table: FITS, Parquet or CSV.
    #[arg(value_hint = ValueHint::AnyPath)]
    pub catalogue: PathBuf,
    /// Compare visits of the same star with each other.
    #[arg(long, required = true)]
    pub repeats: bool,
    /// Match by equal values of this column: the name of the star for --repeats.
    #[arg(long, value_name = "COLUMN")]
    pub key: Option<String>,
    /// Match by position within so many arcseconds [default: report.match_arcsec].
    #[arg(long, value_name = "ARCSEC", conflicts_with = "key", value_parser = parse_radius)]
    pub radius: Option<f64>,
    /// Leave rows with `flag_bad` out.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub where_good: bool,
    /// Leave rows of a lower or unknown S/N out.
    #[arg(long, value_name = "RATIO", value_parser = parse_snr)]
    pub min_snr: Option<f64>,
    /// Column of the S/N [default: `snr_g`, else the smaller of `snr_blue` and `snr_red`].
    #[arg(long, value_name = "COLUMN")]
    pub snr: Option<String>,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
}

impl EvaluateArgs {
    /// Which rows are evaluated.
    pub fn selection(&self) -> Selection {
        Selection { good: self.where_good, min_snr: self.min_snr, snr: self.snr.clone() }
    }

    /// How rows are matched, with this radius in arcseconds if nothing is said of it.
    pub fn how(&self, radius: f64) -> Match {
        match &self.key {
            None => Match::Sky { radius: self.radius.unwrap_or(radius) },
            Some(key) => Match::Key { catalogue: key.clone(), reference: key.clone() },
        }
    }
}

fn parse_radius(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(radius) if radius > 0.0 && radius <= 60.0 => Ok(radius),
        _ => Err("a number of arcseconds above 0 and up to 60 is needed".into()),
    }
}

fn parse_snr(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(snr) if (0.0..=1e6).contains(&snr) => Ok(snr),
        _ => Err("a number from 0 to 1000000 is needed".into()),
    }
}
