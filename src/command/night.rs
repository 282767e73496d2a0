//! `starmill night`.

use super::Exit;
use crate::cli::NightCommand;
use crate::config::Config;
use crate::report::{self, ReportContext};

pub(super) fn night(config: &Config, command: NightCommand) -> anyhow::Result<Exit> {
    let NightCommand::Report { folder } = command;
    let summary = report::write(&folder, &ReportContext::of(config))?;
    println!("{}\n{}", summary.line(), summary.report.display());
    Ok(Exit::Success)
}
