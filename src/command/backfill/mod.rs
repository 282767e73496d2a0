//! `starmill backfill`.

mod merge;
mod plan;
mod run;
mod status;
mod submit;

use std::path::{Path, PathBuf};

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
        BackfillCommand::Plan(args) => plan::plan(&config, *args),
        BackfillCommand::Run(args) => run::run(config, &args, progress),
        BackfillCommand::Merge(args) => merge::merge(&config, args),
        BackfillCommand::Submit(args) => submit::submit(&config, config_file, &args),
        BackfillCommand::Status(args) => status::status(&args),
    }
}

/// A folder on a disk of this machine: as asked for, as configured, or that of temporary files.
fn scratch_folder(config: &Config, asked: Option<&Path>) -> PathBuf {
    let configured = Some(config.backfill.scratch.as_path());
    let named = asked.or(configured).filter(|folder| !folder.as_os_str().is_empty());
    named.map_or_else(std::env::temp_dir, Path::to_path_buf)
}
