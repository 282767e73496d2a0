//! `starmill backfill`.

mod merge;
mod plan;
mod run;
mod status;
mod submit;

use std::path::Path;

use super::Exit;
use crate::cli::BackfillCommand;
use crate::config::Config;
use crate::telemetry::Progress;

pub(super) fn backfill(
    config: Config,
    config_file: Option<&Path>,
    command: BackfillCommand,
    progress: &Progress,
) -> anyhow::Result<Exit> {
    match command {
        BackfillCommand::Plan(args) => plan::plan(*args),
        BackfillCommand::Run(args) => run::run(config, args, progress),
        BackfillCommand::Merge(args) => merge::merge(&config, args),
        BackfillCommand::Submit(args) => submit::submit(&config, config_file, &args),
        BackfillCommand::Status(args) => status::status(&args),
    }
}
