//! `starmill run`.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use super::Exit;
use crate::catalogue::{CATALOGUE, REJECTS};
use crate::cli::RunArgs;
use crate::config::Config;
use crate::pipeline::{self, Job, RunReport};
use crate::setup::Ready;
use crate::telemetry::{Progress, statistics};

pub(super) fn run(config: &Config, args: RunArgs, progress: &Progress) -> anyhow::Result<Exit> {
    let RunArgs { model, out, stats, paths, .. } = args;
    let job = Job { model: Ready::open(config, &model)?, paths, out: out.clone() };
    let report = pipeline::run(config, job, |_, counters| {
        progress.start(Arc::clone(&counters));
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

fn conclude(report: &RunReport, out: &Path) -> Exit {
    let counts = &report.counts;
    for stem in [CATALOGUE, REJECTS] {
        for ending in ["fits", "parquet"] {
            println!("{}", out.join(format!("{stem}.{ending}")).display());
        }
    }
    println!("rows={} rejects={} files={}", counts.rows, counts.rejects, report.files);
    if counts.rejects > 0 { Exit::Rejects } else { Exit::Success }
}
