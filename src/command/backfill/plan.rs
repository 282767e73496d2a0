//! `starmill backfill plan`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::super::Exit;
use super::scratch_folder;
use crate::backfill::{
    BackfillError, Collected, Collector, PLAN, Plan, Region, Roll, Selection, plan_of,
};
use crate::catalogue::{Manifest, create_folders};
use crate::cli::PlanArgs;
use crate::config::Config;
use crate::input::{Digest, Listing};
use crate::interrupt::Interrupt;

pub(super) fn plan(config: &Config, args: PlanArgs) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen().context("signals cannot be heard")?;
    create_folders(&args.out)?;
    if args.out.join(PLAN).exists() {
        return Err(BackfillError::Planned(args.out).into());
    }
    let request = request(&args);
    let mut roll = Roll::open(&roll_path(config, &args)?, &request)?;
    let collected = match collect(config, &args, &mut roll, &interrupt) {
        Err(error) if matches!(error.downcast_ref(), Some(BackfillError::Stopped)) => {
            tracing::info!("stopped, the same command goes on where it was");
            return Ok(Exit::TryAgain);
        }
        collected => collected?,
    };
    for catalogue in &args.not_in {
        exclude(catalogue, &mut roll)?;
    }
    let plan = plan_of(roll, &args.out, &request, collected, args.cut())?;
    let Plan { entries, bytes, shards, collected, blake3, .. } = &plan;
    println!("{}", args.out.join(PLAN).display());
    println!("files={entries} bytes={bytes} shards={} blake3={blake3}", shards.len());
    if *collected != Collected::default() {
        println!("{collected}");
    }
    Ok(if collected.is_whole() { Exit::Success } else { Exit::Rejects })
}

/// Where the list of a plan in the making is: on a disk of this machine, since a database does not
/// belong on a network. The same `--out` finds it again.
fn roll_path(config: &Config, args: &PlanArgs) -> anyhow::Result<PathBuf> {
    let scratch = scratch_folder(config, args.scratch.as_deref());
    create_folders(&scratch)?;
    let out = std::path::absolute(&args.out)?;
    let digest = Digest::of(out.as_os_str().as_encoded_bytes()).to_string();
    Ok(scratch.join(format!("starmill-plan-{}.sqlite", &digest[..16])))
}

/// What is asked for, as the plan keeps it: all that decides which files are in it.
fn request(args: &PlanArgs) -> String {
    let mut words = Vec::new();
    let mut say = |key: &str, value: String| words.push(format!("{key} {value}"));
    args.list.iter().for_each(|list| say("list", list.display().to_string()));
    args.paths.iter().for_each(|path| say("path", path.display().to_string()));
    if let Some(catalogue) = &args.catalogue {
        say("catalogue", catalogue.display().to_string());
        args.root.iter().for_each(|root| say("root", root.display().to_string()));
        let name = args.name.clone().or_else(|| args.template());
        if let Some(name) = name {
            say("name", name.text().to_owned());
        }
        let number = |end: Option<f64>| end.map(|end| end.to_string()).unwrap_or_default();
        if args.min_snr.is_some() || args.max_snr.is_some() {
            say("range", format!("{}={}:{}", args.snr, number(args.min_snr), number(args.max_snr)));
        }
        args.range.iter().for_each(|range| say("range", range.to_string()));
        args.class.iter().for_each(|class| say("class", class.clone()));
        args.cone.iter().for_each(|cone| say("cone", cone.to_string()));
        args.moc.iter().for_each(|moc| say("moc", moc.display().to_string()));
    }
    args.not_in.iter().for_each(|folder| say("not-in", folder.display().to_string()));
    words.join("; ")
}

fn collect(
    config: &Config,
    args: &PlanArgs,
    roll: &mut Roll,
    interrupt: &Interrupt,
) -> anyhow::Result<Collected> {
    let mut told = Instant::now();
    let mut observe = |files: u64| {
        if told.elapsed() >= Duration::from_secs(10) {
            told = Instant::now();
            tracing::info!(files, "listing");
        }
    };
    let is_stopped = || interrupt.is_asked();
    let mut collector =
        Collector::new(roll, config.input.max_file_bytes, &mut observe, &is_stopped);
    let workers = usize::from(args.workers);
    if args.list.is_some() || !args.paths.is_empty() {
        let list = args.list.as_deref().map(open).transpose()?;
        let stdin = BufReader::new(std::io::stdin());
        collector.take(Listing::start_with(list, args.paths.clone(), stdin)?, workers)?;
    }
    if let Some(selection) = selection(args)? {
        collector.take_names(workers, |collected, visit| selection.each(collected, visit))?;
    }
    Ok(collector.collected)
}

fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead + Send>> {
    let file = File::open(path);
    let file = file.with_context(|| format!("{}: check --list", path.display()))?;
    Ok(Box::new(BufReader::new(file)))
}

fn selection(args: &PlanArgs) -> anyhow::Result<Option<Selection>> {
    let (Some(catalogue), Some(root)) = (&args.catalogue, &args.root) else { return Ok(None) };
    let Some(template) = args.name.clone().or_else(|| args.template()) else {
        bail!("--catalogue needs --survey, or --name with the names of files");
    };
    let mut ranges = args.range.clone();
    if args.min_snr.is_some() || args.max_snr.is_some() {
        let (low, high) = (args.min_snr, args.max_snr);
        ranges.push(crate::backfill::Range::new(&args.snr, low, high));
    }
    let region = match (&args.cone, &args.moc) {
        (Some(cone), _) => Some(Region::Cone(*cone)),
        (None, Some(path)) => Some(Region::map(path)?),
        (None, None) => None,
    };
    let (ra, dec) = (args.position.0.clone(), args.position.1.clone());
    Ok(Some(Selection {
        catalogue: catalogue.clone(),
        root: root.clone(),
        template,
        ranges,
        values: args.class.iter().map(|class| ("class".to_owned(), class.clone())).collect(),
        region: region.map(|region| (region, ra, dec)),
    }))
}

/// Notes the files that a sealed catalogue accounts for.
fn exclude(folder: &Path, roll: &mut Roll) -> anyhow::Result<()> {
    if Manifest::read(folder)?.is_none() {
        bail!("{}: it is no sealed catalogue; let its run end", folder.display());
    }
    let mut names = Vec::new();
    crate::catalogue::files_of(folder, &mut |name| {
        names.push(name);
        if names.len() < 4096 {
            return Ok(());
        }
        roll.exclude(&std::mem::take(&mut names)).map_err(std::io::Error::other)
    })?;
    Ok(roll.exclude(&names)?)
}
