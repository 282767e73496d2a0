//! `starmill backfill run`.

use std::path::PathBuf;

use anyhow::{Context, bail};

use super::super::{Exit, choose_device};
use super::scratch_folder;
use crate::backfill::{BackfillError, Campaign, Ended, Plan, Worker, attempt_name};
use crate::catalogue::{CatalogueError, StoreError, Trouble, create_folders};
use crate::cli::BackfillRunArgs;
use crate::config::{Config, seconds};
use crate::interrupt::Interrupt;
use crate::setup::Ready;
use crate::telemetry::Progress;

pub(super) fn run(
    mut config: Config,
    args: &BackfillRunArgs,
    progress: &Progress,
) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen().context("signals cannot be heard")?;
    choose_device(&mut config, args.device.device.clone());
    let plan = Plan::read(&args.plan)?;
    let numbers = numbers(&plan, args)?;
    let scratch = scratch(&config, args, &plan);
    let campaign = Campaign::open(&args.out, plan)?;
    create_folders(&scratch)?;
    give_way(config.backfill.nice);
    let model = Ready::open(&config, &args.model)?;
    let attempt = attempt_name();
    let worker = Worker {
        campaign: &campaign,
        config: &config,
        model: &model,
        scratch: &scratch,
        keep_every: seconds(config.backfill.checkpoint),
        attempt: &attempt,
        interrupt: &interrupt,
        progress,
    };
    let (mut done, mut failed) = (0_u64, None);
    for &number in &numbers {
        if campaign.is_done(number)? {
            tracing::info!(shard = number, "is done");
            done += 1;
            continue;
        }
        match worker.work(number) {
            Ok(Ended::Done(note)) => {
                done += 1;
                println!(
                    "shard={number} rows={} rejects={} files={}",
                    note.rows, note.rejects, note.inputs
                );
            }
            Ok(Ended::Late) => {
                done += 1;
                println!("shard={number} was done by another try");
            }
            Ok(Ended::Stopped) => return Ok(Exit::TryAgain),
            // Of many shards the others may still be done.
            Err(error) if numbers.len() > 1 && !is_general(&error) => {
                tracing::error!(shard = number, error = %format!("{error:#}"), "shard failed");
                failed = Some(error);
            }
            Err(error) => failed = Some(error),
        }
        if failed.as_ref().is_some_and(is_general) {
            break;
        }
    }
    println!("done={done} of={}", numbers.len());
    match failed {
        None => Ok(Exit::Success),
        Some(error) if may_pass(&error) => {
            tracing::error!(error = %format!("{error:#}"), "may pass, try again");
            Ok(Exit::TryAgain)
        }
        Some(error) => Err(error),
    }
}

fn numbers(plan: &Plan, args: &BackfillRunArgs) -> anyhow::Result<Vec<u64>> {
    let count = plan.shards.len() as u64;
    let Some(choice) = args.shard else { return Ok((0..count).collect()) };
    if let Some(of) = choice.of.filter(|of| *of != count) {
        bail!("the plan has {count} shards, not {of}; check --shard");
    }
    plan.list(choice.number)?;
    Ok(vec![choice.number])
}

/// A folder of this plan alone, so that two backfills of one user do not meet.
fn scratch(config: &Config, args: &BackfillRunArgs, plan: &Plan) -> PathBuf {
    let folder = scratch_folder(config, args.scratch.as_deref());
    let digest: String = plan.blake3.chars().take(16).collect();
    folder.join(format!("starmill-backfill-{digest}"))
}

/// A live night on the same machine goes first.
fn give_way(nice: i32) {
    if nice > 0
        && let Err(error) = rustix::process::nice(nice)
    {
        tracing::warn!(%error, "the priority could not be lowered");
    }
}

/// Whether no other shard would fare better.
fn is_general(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(BackfillError::OtherOrigin { .. }))
        || error.is::<crate::setup::SetupError>()
        || matches!(trouble(error), Some(Trouble::NoSpace))
}

/// Whether another try may succeed where this one did not.
fn may_pass(error: &anyhow::Error) -> bool {
    matches!(trouble(error), Some(Trouble::NoSpace | Trouble::Transient))
}

fn trouble(error: &anyhow::Error) -> Option<Trouble> {
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return Some(error.trouble());
    }
    if let Some(error) = error.downcast_ref::<CatalogueError>() {
        return Some(error.trouble());
    }
    match error.downcast_ref::<BackfillError>()? {
        BackfillError::Catalogue(error) => Some(error.trouble()),
        BackfillError::Io { source, .. } => Some(Trouble::of_io(source)),
        _ => None,
    }
}
