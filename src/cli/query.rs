//! Arguments of `catalogue query`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::backfill::Cone;

/// Arguments of `catalogue query`.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// Folder of a release or of a sealed catalogue, or one Parquet file.
    #[arg(value_name = "WHERE", value_hint = ValueHint::AnyPath)]
    pub place: PathBuf,
    /// The query, such as "SELECT obsid, teff FROM catalogue WHERE teff > 5000".
    #[arg(value_name = "SQL", default_value = "SELECT * FROM catalogue")]
    pub sql: String,
    /// Restrict the table catalogue to a cone: "RA DEC RADIUS" in degrees.
    #[arg(long, value_name = "CONE")]
    pub cone: Option<Cone>,
    /// Restrict it to what a multi-order coverage map covers: FITS, JSON or ASCII.
    #[arg(long, value_name = "FILE", conflicts_with = "cone", value_hint = ValueHint::FilePath)]
    pub moc: Option<PathBuf>,
    /// Write all rows into a file, .csv, .fits or .parquet; one that is there is replaced when the
    /// new one is whole.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Print all rows as CSV.
    #[arg(long, conflicts_with = "out")]
    pub csv: bool,
    /// Show so many rows.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    pub rows: u16,
    /// Give up after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub timeout: Option<u64>,
}
