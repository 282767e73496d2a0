//! `starmill run`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::Exit;
use crate::catalogue::{CATALOGUE, REJECTS};
use crate::cli::RunArgs;
use crate::config::Config;
use crate::input::{MAX_NAME, PATH_COLUMN};
use crate::interrupt::Interrupt;
use crate::pipeline::{self, Closing, Job, RunReport, Sealed, Sources};
use crate::setup::Ready;
use crate::telemetry::{Progress, statistics};

pub(super) fn run(config: &Config, args: RunArgs, progress: &Progress) -> anyhow::Result<Exit> {
    // Before anything else, so that a stop while the model loads is an orderly end too.
    let interrupt = Interrupt::listen().context("signals cannot be heard")?;
    let RunArgs { model, out, stats, paths, list, model_spectra, .. } = args;
    let mut config = config.clone();
    config.models.spectra |= model_spectra;
    let list = list.map(|path| take_list(&mut config, path)).transpose()?;
    let model = Ready::open(&config, &model)?;
    let sources = Sources::Named { list, paths };
    let job = Job { model, sources, out: out.clone(), closing: Closing::Seal };
    let report = pipeline::run(&config, job, &interrupt, |_, counters| {
        progress.start(Arc::clone(&counters), None);
    })?;
    progress.finish();
    if let Some(path) = stats {
        let text = serde_json::to_string_pretty(&statistics(&report))?;
        std::fs::write(&path, text + "\n").with_context(|| format!("{}", path.display()))?;
    }
    tracing::info!(
        files = report.tally.files_found,
        skipped = report.tally.files_skipped,
        seconds = report.wall.as_secs_f64(),
        stopped = report.stopped,
        "run ends"
    );
    Ok(conclude(&report, &out))
}

/// Opens a list of files, and takes its velocities if it has any.
fn take_list(config: &mut Config, path: PathBuf) -> anyhow::Result<Box<dyn BufRead + Send>> {
    let context = || format!("{}: the list cannot be read; check --list", path.display());
    let open = || File::open(&path).map(BufReader::new);
    let mut first = Vec::new();
    let mut begin = open().with_context(context)?.take(MAX_NAME as u64);
    begin.read_until(b'\n', &mut first).with_context(context)?;
    let first = String::from_utf8_lossy(&first).trim().to_owned();
    let columns: Vec<&str> = first.split(',').collect();
    let list = open().with_context(context)?;
    let has = |name: &str| columns.contains(&name);
    if has(PATH_COLUMN) && config.rv.columns.iter().any(|column| has(column)) {
        config.rv.list = path;
    }
    Ok(Box::new(list))
}

fn conclude(report: &RunReport, out: &Path) -> Exit {
    let Some(Sealed { counts, files }) = report.sealed else {
        return Exit::Success;
    };
    for stem in [CATALOGUE, REJECTS] {
        for ending in ["fits", "parquet"] {
            println!("{}", out.join(format!("{stem}.{ending}")).display());
        }
    }
    println!("rows={} rejects={} files={}", counts.rows, counts.rejects, files);
    // A stop that was asked for is done; whether there are rejects is known at the end.
    if counts.rejects > 0 && !report.stopped { Exit::Rejects } else { Exit::Success }
}
