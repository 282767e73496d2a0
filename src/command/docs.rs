//! `starmill config`, `completions` and `man`.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::Exit;
use crate::cli::Cli;

pub(super) fn config() -> Exit {
    print!("{}", crate::config::DEFAULT);
    Exit::Success
}

pub(super) fn completions(shell: Shell) -> Exit {
    clap_complete::generate(shell, &mut Cli::command(), "starmill", &mut std::io::stdout());
    Exit::Success
}

pub(super) fn man(folder: &Path) -> anyhow::Result<Exit> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("{}", folder.display()))?;
    println!("{}", folder.join("starmill.1").display());
    Ok(Exit::Success)
}
