//! Arguments of `backfill`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args, Subcommand, ValueEnum, ValueHint};

use super::{DeviceArgs, SubmitArgs};
use crate::backfill::{Cone, Cut, Range, Template};

/// What to do for a release of many spectra.
#[derive(Debug, Subcommand)]
pub enum BackfillCommand {
    /// List the files of a release and cut them into shards.
    ///
    /// Files come from trees, patterns and lists, or from the release's catalogue, of which rows can
    /// be selected. Only names and sizes are looked at. Interrupted, the same command goes on where it
    /// was. Exit codes: 0 the plan is written, 1 it is written, but names lead nowhere, 2 it could not
    /// be, 75 interrupted.
    Plan(Box<PlanArgs>),
    /// Process the shards of a plan, or one of them.
    ///
    /// A shard that is done is skipped, one that was interrupted goes on. Exit codes: 0 the shards
    /// are done, 75 try again, 2 it could not be done and trying again will not help, 78 bad
    /// configuration.
    Run(BackfillRunArgs),
    /// Submit the shards that are not done to a Slurm cluster, and their merge behind them.
    ///
    /// An array of jobs does one shard a task; a last job merges them, or submits those that are still
    /// missing once more. Exit codes: 0 submitted, or nothing is left to be done, 2 it could not be, 75
    /// the controller does not answer, 78 bad configuration or site file.
    Submit(SubmitArgs),
    /// Say which shards are done, running, failed and missing.
    ///
    /// It reads the shared folder alone. Exit codes: 0 all are done, 1 some are not, 2 it could not be
    /// told.
    Status(StatusArgs),
    /// Merge the shards into one release: partitioned by place on the sky, in Parquet and FITS.
    ///
    /// All shards must be done. The folder appears when the release is whole. Exit codes: 0 it is
    /// made, 2 it could not be, 75 interrupted or shards are missing.
    Merge(MergeArgs),
}

/// Arguments of `backfill plan`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(["paths", "list", "catalogue"])))]
pub struct PlanArgs {
    /// Folder of the plan.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Files, directories and patterns; `-` reads a list from standard input.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// A list of files: one name a line, or CSV with a column path.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub list: Option<PathBuf>,
    /// The release's catalogue: FITS, CSV or Parquet; needs --root and --survey or --name.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "root")]
    pub catalogue: Option<PathBuf>,
    /// The folder of the release, in which the files of the catalogue's rows are.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "catalogue")]
    pub root: Option<PathBuf>,
    /// The survey whose names of files are meant.
    #[arg(long, value_name = "SURVEY", required_unless_present_any = ["name", "paths", "list"])]
    pub survey: Option<NamedSurvey>,
    /// The name of a row's file below --root, such as "{planid}/spec-{lmjd:05}.fits.gz".
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "survey")]
    pub name: Option<Template>,
    /// Rows with a S/N from so much on, by --snr.
    #[arg(long, value_name = "RATIO", requires = "catalogue")]
    pub min_snr: Option<f64>,
    /// Rows with a S/N up to so much, by --snr.
    #[arg(long, value_name = "RATIO", requires = "catalogue")]
    pub max_snr: Option<f64>,
    /// The column of the S/N.
    #[arg(long, value_name = "COLUMN", default_value = "snrg")]
    pub snr: String,
    /// Rows of this class, by the column class.
    #[arg(long, value_name = "CLASS", requires = "catalogue")]
    pub class: Option<String>,
    /// Rows with a column in a range: COLUMN=LOW:HIGH; once for each.
    #[arg(long, value_name = "RANGE", requires = "catalogue")]
    pub range: Vec<Range>,
    /// Rows within a cone: RA,DEC,RADIUS in degrees, by the columns ra and dec.
    #[arg(long, value_name = "CONE", requires = "catalogue", allow_hyphen_values = true)]
    pub cone: Option<Cone>,
    /// Rows that a multi-order coverage map covers: FITS, JSON or ASCII.
    #[arg(long, value_name = "FILE", requires = "catalogue", conflicts_with = "cone", value_hint = ValueHint::FilePath)]
    pub moc: Option<PathBuf>,
    /// Columns of right ascension and declination in degrees.
    #[arg(long, value_name = "RA,DEC", default_value = "ra,dec")]
    pub position: ColumnPair,
    /// Leave out files that this sealed catalogue accounts for; once for each.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub not_in: Vec<PathBuf>,
    /// Cut into so many shards.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub shards: Option<u64>,
    /// Cut into shards of about so many bytes, with a suffix such as MiB or GB.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", conflicts_with = "shards")]
    pub shard_bytes: Bytes,
    /// Folder on a disk of this machine for the list in the making [default: backfill.scratch].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub scratch: Option<PathBuf>,
    /// Threads that ask for the sizes of files.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
}

/// Surveys whose names of files are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NamedSurvey {
    /// LAMOST, low resolution.
    LamostLrs,
    /// LAMOST, medium resolution.
    LamostMrs,
}

impl PlanArgs {
    /// The names of files below the root.
    ///
    /// # Errors
    /// Never for the templates of surveys.
    pub fn template(&self) -> Option<Template> {
        let kind = match self.survey? {
            NamedSurvey::LamostLrs => "spec",
            NamedSurvey::LamostMrs => "med",
        };
        let name = format!(
            "{{obsdate:digits}}/{{planid}}/{kind}-{{lmjd:05}}-{{planid}}_sp{{spid:02}}-{{fiberid:03}}.fits.gz"
        );
        name.parse().ok()
    }

    /// How the plan is cut.
    pub fn cut(&self) -> Cut {
        self.shards.map_or(Cut::Bytes(self.shard_bytes.0), Cut::Shards)
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a size is a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB".to_owned();
        let digits = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
        let factor = match text[digits..].trim() {
            "" | "B" => 1,
            "kB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(wrong()),
        };
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        number.checked_mul(factor).filter(|&bytes| bytes > 0).map(Self).ok_or_else(wrong)
    }
}

/// Two columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnPair(pub String, pub String);

impl FromStr for ColumnPair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(',') {
            Some((one, other)) if !one.is_empty() && !other.is_empty() => {
                Ok(Self(one.trim().to_owned(), other.trim().to_owned()))
            }
            _ => Err("two columns are named, such as ra_obs,dec_obs".into()),
        }
    }
}

/// Arguments of `backfill run`.
#[derive(Debug, Args)]
pub struct BackfillRunArgs {
    /// Folder of the plan.
    #[arg(value_name = "PLAN", value_hint = ValueHint::DirPath)]
    pub plan: PathBuf,
    /// The model; see `starmill models list`.
    #[arg(long)]
    pub model: String,
    /// Folder that all shards share.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Only this shard, from 0; N/M also says how many there must be.
    #[arg(long, value_name = "N[/M]")]
    pub shard: Option<ShardChoice>,
    /// Folder on a disk of this machine for what is being worked on [default: backfill.scratch].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub scratch: Option<PathBuf>,
    /// Where the model runs.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Which shard, and of how many if that is to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardChoice {
    /// The number, from 0.
    pub number: u64,
    /// How many shards there must be.
    pub of: Option<u64>,
}

impl FromStr for ShardChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.parse::<u64>().map_err(|_| "a shard is N or N/M, counted from 0".to_owned())
        };
        Ok(match text.split_once('/') {
            Some((one, of)) => Self { number: number(one)?, of: Some(number(of)?) },
            None => Self { number: number(text)?, of: None },
        })
    }
}

/// Arguments of `backfill status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Folder of the plan.
    #[arg(value_name = "PLAN", value_hint = ValueHint::DirPath)]
    pub plan: PathBuf,
    /// Folder that all shards share.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `backfill merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Folder of the plan.
    #[arg(value_name = "PLAN", value_hint = ValueHint::DirPath)]
    pub plan: PathBuf,
    /// Folder that all shards share.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub shards: PathBuf,
    /// Folder of the release, which must not be there.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// The name of the release [default: that of its folder].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The most rows of a partition.
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub partition_rows: u64,
    /// Write Parquet alone.
    #[arg(long)]
    pub no_fits: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_suffixes() {
        let bytes = |text: &str| text.parse::<Bytes>().ok().map(|bytes| bytes.0);
        assert_eq!(bytes("12"), Some(12));
        assert_eq!(bytes("2kB"), Some(2000));
        assert_eq!(bytes("1 GiB"), Some(1 << 30));
        for wrong in ["", "0", "-1", "1.5GB", "1XB", "99999999999TiB"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_shard_may_say_of_how_many() {
        let choice = |text: &str| text.parse::<ShardChoice>().ok().map(|it| (it.number, it.of));
        assert_eq!(choice("3"), Some((3, None)));
        assert_eq!(choice("3/8"), Some((3, Some(8))));
        assert_eq!(choice("3/"), None);
        assert_eq!(choice("-1"), None);
    }
}
