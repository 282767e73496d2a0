//! The subcommands. Each prints what a person asked for and returns how it ended.

#![expect(clippy::print_stdout, reason = "printing is what these commands are for")]

mod backfill;
mod bench;
mod catalogue;
mod check;
mod docs;
mod evaluate;
mod explain;
mod generate;
mod inspect;
mod models;
mod night;
mod run;
mod serve;
mod simulate;
mod top;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::config::{Config, ConfigError};
use crate::setup::SetupError;
use crate::telemetry::{self, Progress};

/// How the program ends; the one place that turns results into exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All done.
    Success = 0,
    /// Finished, with rejects or failed inputs.
    Rejects = 1,
    /// Could not run.
    Failure = 2,
    /// Not done, and trying again may help (`EX_TEMPFAIL` of sysexits.h).
    TryAgain = 75,
    /// Bad configuration (`EX_CONFIG` of sysexits.h).
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs a parsed command line.
pub fn dispatch(cli: Cli) -> Exit {
    let progress = Progress::default();
    let result =
        Config::load(cli.config.as_deref()).map_err(anyhow::Error::from).and_then(|mut config| {
            config.log.format = cli.log_format.unwrap_or(config.log.format);
            telemetry::init(&config.log, &progress).map_err(|error| ConfigError::Value {
                key: "log.level",
                value: format!("{} ({error})", config.log.level),
                needs: "a tracing filter such as \"info\" or \"starmill=debug\" is needed",
            })?;
            execute(config, cli.config, cli.command, &progress)
        });
    progress.finish();
    result.unwrap_or_else(|error| {
        complain(&error);
        exit_of(&error)
    })
}

fn execute(
    mut config: Config,
    path: Option<PathBuf>,
    command: Command,
    progress: &Progress,
) -> anyhow::Result<Exit> {
    match command {
        Command::Run(args) => {
            choose_device(&mut config, args.device.device.clone());
            run::run(&config, args, progress)
        }
        Command::Backfill { command } => {
            backfill::backfill(config, path.as_deref(), command, progress)
        }
        Command::Generate(args) => generate::run(config, *args),
        Command::SimulateNight(args) => simulate::run(config, *args),
        Command::Serve => serve::serve(path, config),
        Command::Check(args) => {
            choose_device(&mut config, args.device);
            check::check(&config)
        }
        Command::Models { command } => models::models(config, command),
        Command::Inspect(args) => inspect::inspect(&config, &args),
        Command::Explain(args) => {
            choose_device(&mut config, args.device.device.clone());
            explain::explain(config, &args)
        }
        Command::Catalogue { command } => catalogue::catalogue(&config, command),
        Command::Evaluate(args) => evaluate::run(&config, &args),
        Command::Night { command } => night::night(&config, command),
        Command::Top(args) => top::top(&args),
        Command::Config => Ok(docs::config()),
        Command::Bench(args) => bench::bench(&config, &args),
        Command::Completions { shell } => Ok(docs::completions(shell)),
        Command::Man { folder } => docs::man(&folder),
    }
}

fn choose_device(config: &mut Config, device: Option<String>) {
    if let Some(device) = device {
        config.onnx.device = device;
    }
}

fn exit_of(error: &anyhow::Error) -> Exit {
    let setup = error.downcast_ref::<SetupError>();
    let bad_config = error.is::<ConfigError>() || matches!(setup, Some(SetupError::Device(_)));
    if bad_config { Exit::Config } else { Exit::Failure }
}

#[expect(clippy::print_stderr, reason = "the last word of a program that could not run")]
fn complain(error: &anyhow::Error) {
    eprintln!("starmill: {error:#}");
}
