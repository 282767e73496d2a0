//! The command line.

mod backfill;
mod evaluate;
mod query;
mod simulate_night;
mod submit;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use crate::config::LogFormat;
use crate::generate::{Axis, Fixed};
pub use backfill::{
    BackfillCommand, BackfillRunArgs, MergeArgs, PlanArgs, ShardChoice, StatusArgs,
};
pub use evaluate::EvaluateArgs;
pub use query::QueryArgs;
pub use simulate_night::{SimulateNightArgs, SimulatedLabels, SimulatedLayout, SimulatedSurvey};
pub use submit::SubmitArgs;

/// Turn survey spectra of stars into a catalogue of stellar parameters.
///
/// Reads FITS files (plain, .gz, .zst), prepares each spectrum exactly as the model was trained,
/// runs the model through ONNX Runtime, and writes one row or one coded reject for each spectrum.
#[derive(Debug, Parser)]
#[command(name = "starmill", version, max_term_width = 100)]
pub struct Cli {
    /// Configuration file that overlays the defaults.
    #[arg(long, global = true, value_name = "FILE", env = "STARMILL_CONFIG", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Log lines for people or for a collector [default: log.format].
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Process spectra into a catalogue.
    ///
    /// Running again with the same --out does what is left and skips what is done. Exit codes:
    /// 0 every spectrum gave a row, or a stop was asked for, 1 finished with rejects, 2 could not
    /// run, 78 bad configuration.
    Run(RunArgs),
    /// Process a release of millions of spectra in shards, on one machine or on many.
    Backfill {
        /// What to do.
        #[command(subcommand)]
        command: BackfillCommand,
    },
    /// Make spectra from labels with a forward model.
    ///
    /// Labels come from a table (--labels), from every combination of ranges (--grid) or from a
    /// Sobol sequence that fills them (--sobol). A label of which nothing is said has the model's
    /// default, which is stated. Exit codes: 0 every row gave a spectrum, 1 rows were left out with
    /// --skip-outside, 2 could not run or labels lie outside the trained box, 78 bad configuration.
    Generate(Box<GenerateArgs>),
    /// Write a night of LAMOST-layout files with a truth table, through the forward models.
    ///
    /// Files lie as the survey delivers them, beside truth.csv, which says of each what it holds and
    /// what is expected of it: a row or the code of a reject. Equal arguments give equal bytes. Exit
    /// codes: 0 the night is written, 2 it could not be, 78 bad configuration.
    SimulateNight(Box<SimulateNightArgs>),
    /// Process spectra as they arrive, with a catalogue for each night, until told to stop.
    ///
    /// Meant for systemd: see `systemctl cat starmill`. SIGTERM ends it in order, SIGHUP loads
    /// configuration and model anew. Exit codes: 0 stopped when asked to, 2 could not go on,
    /// 78 bad configuration.
    Serve,
    /// Check configuration, library, models and device, and say what is wrong.
    Check(DeviceArgs),
    /// Show the models.
    Models {
        /// What to show.
        #[command(subcommand)]
        command: ModelsCommand,
    },
    /// Say what is in a file, which reader takes it and why.
    Inspect(InspectArgs),
    /// Run a model over one spectrum and show what each step does to it.
    ///
    /// The reader, the recipe, the network and the rules are those of a run, so that a row is
    /// repeated to the last bit. Exit codes: 0 it gives a row, 1 it gives a reject, or a catalogue
    /// says otherwise, 2 it could not be run.
    Explain(ExplainArgs),
    /// Show, ask or verify a catalogue, or explain its columns.
    Catalogue {
        /// What to do with it.
        #[command(subcommand)]
        command: CatalogueCommand,
    },
    /// Say how precise the labels of a catalogue are.
    ///
    /// Against a reference, matched by a key or by position: residuals, also by S/N and by the stars'
    /// parameters, and the coverage of the quoted errors. With --repeats by visits of the same star,
    /// which needs no reference: the scatter of pairs against their S/N and their quoted errors.
    /// Exit codes: 0 done, 2 it could not be told.
    Evaluate(Box<EvaluateArgs>),
    /// Look at nights.
    Night {
        /// What to do.
        #[command(subcommand)]
        command: NightCommand,
    },
    /// Show what a running service does, in the terminal; q quits.
    Top(TopArgs),
    /// Print the configuration with every key, its default and its reason.
    Config,
    /// Time one stage alone over some files; prints one JSON object.
    Bench(BenchArgs),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the man pages into a folder.
    Man {
        /// The folder.
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
}

/// Where models run.
#[derive(Debug, Args, Default)]
pub struct DeviceArgs {
    /// cpu, cuda or cuda:N [default: onnx.device].
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The model; see `starmill models list`.
    #[arg(long)]
    pub model: String,
    /// Folder of the catalogue.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Where the model runs.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Write the model spectrum of each row beside it, as the columns `model_wave` and `model_flux`.
    #[arg(long)]
    pub model_spectra: bool,
    /// Write counts, rates, queue waits and stage times as JSON.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub stats: Option<PathBuf>,
    /// Files, directories and patterns; `-` reads a list from standard input, one name a line.
    #[arg(required_unless_present = "list", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// A list of files: one name a line, or CSV with a column path and, if it has radial velocities,
    /// rv and `rv_err` in km/s.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub list: Option<PathBuf>,
}

/// Arguments of `generate`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["labels", "grid", "sobol"])))]
pub struct GenerateArgs {
    /// The forward model; see `starmill models list`.
    #[arg(long)]
    pub model: String,
    /// The file to write, .fits or .parquet; one that is there is replaced when the new one is whole.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: PathBuf,
    /// CSV or Parquet table with a column for each label; others are ignored, missing ones have
    /// the value of --set or the model's default.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "range")]
    pub labels: Option<PathBuf>,
    /// Range of a label: LABEL=LOW:HIGH:STEP for --grid, LABEL=LOW:HIGH for --sobol; once for each.
    #[arg(long, value_name = "RANGE")]
    pub range: Vec<Axis>,
    /// One value of a label for all spectra: LABEL=VALUE; once for each.
    #[arg(long, value_name = "VALUE")]
    pub set: Vec<Fixed>,
    /// Every combination of the values of the ranges, the last range changing fastest.
    #[arg(long)]
    pub grid: bool,
    /// So many points that fill the ranges evenly, or the whole trained box without ranges.
    #[arg(long, value_name = "N")]
    pub sobol: Option<u64>,
    /// Which Sobol points and which noise.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
    /// Add Gaussian noise of this signal to noise a pixel, at flux 1, and write its inverse variance.
    #[arg(long, value_name = "RATIO", value_parser = parse_snr)]
    pub snr: Option<f64>,
    /// Radial velocity of all spectra, km/s: the wavelengths are moved.
    #[arg(long, value_name = "VELOCITY", default_value_t = 0.0, value_parser = parse_velocity, allow_negative_numbers = true)]
    pub rv: f64,
    /// Leave rows outside the trained box out, and list them in FILE.left-out.csv.
    #[arg(long)]
    pub skip_outside: bool,
    /// Where the model runs.
    #[command(flatten)]
    pub device: DeviceArgs,
}

fn parse_snr(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(snr) if (1e-3..=1e6).contains(&snr) => Ok(snr),
        _ => Err("a number from 0.001 to 1000000 is needed".into()),
    }
}

fn parse_velocity(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(velocity) if (-1e5..=1e5).contains(&velocity) => Ok(velocity),
        _ => Err("a velocity from -100000 to 100000 km/s is needed".into()),
    }
}

/// Arguments of `models`.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the models.
    List,
    /// Show a model's labels, recipe and origin.
    Show {
        /// The model.
        name: String,
    },
    /// Check hashes and reproduce the golden rows.
    Verify {
        /// The model; all of them if none is named.
        name: Option<String>,
        /// Where the model runs.
        #[command(flatten)]
        device: DeviceArgs,
    },
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The file.
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Which spectrum of the file, from 0.
    #[arg(long, default_value_t = 0)]
    pub index: usize,
    /// Also run this model on the spectrum.
    #[arg(long)]
    pub model: Option<String>,
    /// Print one JSON object about all spectra that are taken of the file instead.
    #[arg(long, conflicts_with_all = ["index", "model", "plot"])]
    pub json: bool,
    /// Draw the spectrum as a PNG.
    #[arg(long, value_name = "PNG", value_hint = ValueHint::FilePath)]
    pub plot: Option<PathBuf>,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The file; with --catalogue also the obsid or `spectrum_id` of a spectrum that it has.
    #[arg(value_name = "FILE|ID", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The model [default: that of the catalogue, else the only one for the file's survey].
    #[arg(long)]
    pub model: Option<String>,
    /// Compare with what this sealed catalogue says of the spectrum.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub catalogue: Option<PathBuf>,
    /// Which spectrum of those that are taken of the file, from 0: `file_index` of a catalogue
    /// [default: 0].
    #[arg(long)]
    pub index: Option<usize>,
    /// Instead, the single exposure of this local modified Julian minute.
    #[arg(long, value_name = "LMJM", conflicts_with = "index")]
    pub exposure: Option<i64>,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
    /// Write explain.html, explain.json and the pictures into this folder.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Where the model runs.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Arguments of `catalogue`.
#[derive(Debug, Subcommand)]
pub enum CatalogueCommand {
    /// Show the first rows.
    Show {
        /// The catalogue's folder.
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
        /// How many.
        #[arg(long, default_value_t = 10)]
        rows: usize,
    },
    /// Verify digests, counts and identifiers; exit codes: 0 all is well, 1 something differs,
    /// 2 it could not be told.
    Verify {
        /// The catalogue's folder.
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
        /// Also hash the inputs again; relative names are looked up from the current folder.
        #[arg(long)]
        inputs: bool,
        /// Also seal again, in the folder for temporary files, and compare the bytes.
        #[arg(long)]
        rebuild: bool,
    },
    /// Answer a query in SQL over a release or a sealed catalogue.
    ///
    /// The tables are catalogue and rejects. See docs/querying.md for functions and examples. Exit
    /// codes: 0 answered, 2 it could not be.
    Query(Box<QueryArgs>),
    /// Explain columns, quality bits and reject codes.
    Columns {
        /// The model whose labels are shown.
        #[arg(long, default_value = "fcresnet")]
        model: String,
        /// As the Markdown page of the docs.
        #[arg(long)]
        markdown: bool,
    },
}

/// Arguments of `night`.
#[derive(Debug, Subcommand)]
pub enum NightCommand {
    /// Write report.html beside a sealed catalogue: the night in numbers and plots, its rejects with
    /// what to do, repeats and standards against earlier nights beside it.
    Report {
        /// The catalogue's folder: a night's, or that of a run.
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
}

/// Arguments of `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// The service.
    #[arg(long, value_name = "ADDRESS", default_value = "http://127.0.0.1:8765")]
    pub url: String,
    /// File with the token of a service that asks for one.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token: Option<PathBuf>,
    /// Print one screen as text and end.
    #[arg(long)]
    pub once: bool,
    /// Seconds between looks.
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", value_parser = parse_interval)]
    pub every: f64,
}

fn parse_interval(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("0.1 to 3600 seconds are needed".into()),
    }
}

/// A stage to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchStage {
    /// Inflating with libdeflate alone, the floor for compressed files.
    Inflate,
    /// Reading, hashing, inflating and parsing.
    Read,
    /// Preparing spectra that are in memory.
    Prepare,
    /// Running the model on prepared spectra.
    Infer,
    /// Committing and sealing outcomes.
    Write,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The stage.
    pub stage: BenchStage,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// The model.
    #[arg(long, default_value = "fcresnet")]
    pub model: String,
    /// Files, directories and patterns.
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
