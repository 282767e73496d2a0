//! Arguments of `backfill submit`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Arguments of `backfill submit`.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// Folder of the plan.
    #[arg(value_name = "PLAN", value_hint = ValueHint::DirPath)]
    pub plan: PathBuf,
    /// The model; see `starmill models list`.
    #[arg(long)]
    pub model: String,
    /// Folder that all shards share, on a disk that all nodes see.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Folder of the release that the last job makes.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub release: PathBuf,
    /// What the cluster is like; ops/slurm/site.toml explains every key.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub site: Option<PathBuf>,
    /// Print the scripts and the commands instead, and write and submit nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// The submission that goes on; the last job of a round names it.
    #[arg(long, value_name = "NAME", hide = true, requires = "round")]
    pub run: Option<String>,
    /// The round that begins.
    #[arg(long, value_name = "N", hide = true, requires = "run", value_parser = clap::value_parser!(u32).range(1..))]
    pub round: Option<u32>,
    /// Further arguments of `starmill backfill merge`, such as --name DR1 --no-fits.
    #[arg(last = true, value_name = "MERGE")]
    pub merge: Vec<String>,
}
