//! Arguments of `evaluate`.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueHint};

use crate::evaluate::{ColumnBins, Map, Match, Selection};

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Folder of a sealed catalogue, or a table: FITS, Parquet or CSV.
    #[arg(value_hint = ValueHint::AnyPath)]
    pub catalogue: PathBuf,
    /// What its labels are compared with: FITS, Parquet or CSV, plain or gzipped.
    #[arg(value_hint = ValueHint::FilePath, required_unless_present = "repeats")]
    pub reference: Option<PathBuf>,
    /// Compare visits of the same star with each other.
    #[arg(long)]
    pub repeats: bool,
    /// Match by equal values of this column, or of two as in file=filename; with `--repeats` the column
    /// that names the star.
    #[arg(long, value_name = "COLUMN")]
    pub key: Option<String>,
    /// LABEL=COLUMN: which column of the reference is meant, where its name does not say it; also for
    /// errors (`teff_err=...`), `ra` and `dec`. Once for each.
    #[arg(long, value_name = "MAP")]
    pub map: Vec<Map>,
    /// Match by position within so many arcseconds [default: `report.match_arcsec`].
    #[arg(long, value_name = "ARCSEC", conflicts_with = "key", value_parser = parse_radius)]
    pub radius: Option<f64>,
    /// Leave rows with `flag_bad` out.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub where_good: bool,
    /// Leave rows of a lower or unknown S/N out.
    #[arg(long, value_name = "RATIO", value_parser = parse_snr)]
    pub min_snr: Option<f64>,
    /// Column of the S/N [default: `snr_g`, else the smaller of `snr_blue` and `snr_red`, else `snr_xp`].
    #[arg(long, value_name = "COLUMN")]
    pub snr: Option<String>,
    /// COLUMN=EDGES: also give residuals in bins of this column of the catalogue, or else of the
    /// reference, as in `phot_g_mean_mag=12,13,14`. Once for each.
    #[arg(long, value_name = "BINS", requires = "reference")]
    pub bin: Vec<ColumnBins>,
    /// Leave rows out that this table does not list, such as all but test stars: FITS, Parquet or
    /// CSV; the first of its columns that the catalogue also has is compared.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub only: Option<PathBuf>,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
    /// Write one self-contained page with pictures.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
}

impl EvaluateArgs {
    /// Which rows are evaluated.
    pub fn selection(&self) -> Selection {
        Selection {
            good: self.where_good,
            min_snr: self.min_snr,
            snr: self.snr.clone(),
            only: self.only.clone(),
        }
    }

    /// How rows are matched, with this radius in arcseconds if nothing is said of it.
    pub fn how(&self, radius: f64) -> Match {
        let Some(key) = &self.key else {
            return Match::Sky { radius: self.radius.unwrap_or(radius) };
        };
        let (catalogue, reference) = key.split_once('=').unwrap_or((key, key));
        Match::Key { catalogue: catalogue.trim().into(), reference: reference.trim().into() }
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
