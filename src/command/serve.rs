//! `starmill serve`.

use std::path::PathBuf;

use anyhow::Context;

use super::Exit;
use crate::config::Config;
use crate::interrupt::Interrupt;

pub(super) fn serve(path: Option<PathBuf>, config: Config) -> anyhow::Result<Exit> {
    // Before anything else, so that a stop while the model loads is an orderly end too.
    let interrupt = Interrupt::listen().context("signals cannot be heard")?;
    crate::serve::serve(path, config, &interrupt)?;
    Ok(Exit::Success)
}
