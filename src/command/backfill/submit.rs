//! `starmill backfill submit`.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::super::Exit;
use crate::backfill::{Campaign, Plan};
use crate::cli::SubmitArgs;
use crate::config::Config;
use crate::interrupt::Interrupt;
use crate::slurm::{
    DEFAULT_MAX_ARRAY, Next, Queue, Round, Site, SlurmError, Submission, Work, ranges,
};

pub(super) fn submit(
    config: &Config,
    config_file: Option<&Path>,
    args: &SubmitArgs,
) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen().context("signals cannot be heard")?;
    let give_up = || interrupt.is_asked();
    let queue = Queue { give_up: &give_up };
    match begin(config, config_file, args, &queue) {
        Err(error) => match error.downcast_ref() {
            Some(SlurmError::Silent { .. } | SlurmError::Stopped) => {
                tracing::error!(%error, "not submitted");
                Ok(Exit::TryAgain)
            }
            Some(SlurmError::Site { .. } | SlurmError::SiteFile { .. }) => {
                tracing::error!(%error, "not submitted");
                Ok(Exit::Config)
            }
            _ => Err(error),
        },
        ended => ended,
    }
}

fn begin(
    config: &Config,
    config_file: Option<&Path>,
    args: &SubmitArgs,
    queue: &Queue<'_>,
) -> anyhow::Result<Exit> {
    let site = Site::load(args.site.as_deref())?;
    let plan = Plan::read(&args.plan)?;
    let campaign = if args.dry_run {
        Campaign::look(&args.out, plan)
    } else {
        Campaign::open(&args.out, plan)?
    };
    let work = work(config, config_file, args, &site, &campaign)?;
    let submission = Submission::new(site, work, &campaign, args.run.clone())?;
    let next = match args.round {
        Some(round) => submission.next(&campaign, round)?,
        None => submission.first(&campaign, (!args.dry_run).then_some(queue))?,
    };
    let Next::Jobs(round) = next else {
        println!("all shards are done and {} is there", args.release.display());
        return Ok(Exit::Success);
    };
    if args.dry_run {
        // Looked at where there is no cluster, the usual limit stands for its own.
        let limit = queue.max_array_size().unwrap_or_else(|error| {
            tracing::warn!(%error, "the cluster's MaxArraySize is not known, taking {DEFAULT_MAX_ARRAY}");
            DEFAULT_MAX_ARRAY
        });
        print!("{}", submission.describe(&round, limit)?);
        return Ok(Exit::Success);
    }
    let text = args.site.as_deref().map_or_else(|| Ok(String::new()), std::fs::read_to_string);
    let round = submission.submit(round, &text.context("the site's file")?, queue)?;
    println!("{}", submission.folder().display());
    let Round { round, missing, jobs, .. } = round;
    let jobs: Vec<String> = jobs.iter().map(u64::to_string).collect();
    println!("round={round} shards={} jobs={}", missing.len(), jobs.join(","));
    // The last job first: it would submit what the others have not done.
    let backwards: Vec<&str> = jobs.iter().rev().map(String::as_str).collect();
    println!("to end all of it: scancel {}", backwards.join(" "));
    tracing::info!(round, shards = ranges(&missing), "submitted");
    Ok(Exit::Success)
}

fn work(
    config: &Config,
    config_file: Option<&Path>,
    args: &SubmitArgs,
    site: &Site,
    campaign: &Campaign,
) -> anyhow::Result<Work> {
    let program = match site.program.as_str() {
        "" => std::env::current_exe().context("the program's own name is not known")?,
        program => PathBuf::from(program),
    };
    let scratch = Some(&config.backfill.scratch).filter(|folder| !folder.as_os_str().is_empty());
    let absolute = |path: &Path| {
        std::path::absolute(path).with_context(|| format!("{}: no folder is named", path.display()))
    };
    Ok(Work {
        program,
        home: std::env::current_dir().context("there is no current folder; change to one")?,
        config: config_file.map(absolute).transpose()?,
        plan: absolute(&args.plan)?,
        shards: campaign.plan().shards.len() as u64,
        model: args.model.clone(),
        out: absolute(&args.out)?,
        release: absolute(&args.release)?,
        scratch: scratch.map(|folder| absolute(folder)).transpose()?,
        merge: args.merge.clone(),
    })
}
