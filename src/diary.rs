//! What each run adds to the history of its catalogue: one line when it begins, one when it ends.
//! A beginning without an end is a crash, or a run that failed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::catalogue::{Recovered, history};
use crate::config::{Config, workers_or_cores};
use crate::pipeline::Sealed;
use crate::stage::Tally;

/// The two lines of one run.
pub(crate) struct Diary {
    folder: PathBuf,
    began: String,
}

impl Diary {
    /// Writes the first line: who, with what, and what opening the catalogue had to mend.
    pub(crate) fn begin(config: &Config, out: &Path, model: &str, recovered: &Recovered) -> Self {
        let diary = Self { folder: out.to_owned(), began: history::utc(SystemTime::now()) };
        let seconds = recovered.took.as_secs_f64();
        if recovered.ledger.is_some() || recovered.orphans + recovered.segments_forgotten > 0 {
            tracing::info!(
                seconds,
                orphans = recovered.orphans,
                segments_forgotten = recovered.segments_forgotten,
                inputs_forgotten = recovered.inputs_forgotten,
                ledger_rebuilt = recovered.ledger.is_some(),
                "recovered from a crash or damage"
            );
        }
        diary.write(&json!({
            "event": "begin",
            "began": diary.began,
            "version": env!("CARGO_PKG_VERSION"),
            "host": history::host(),
            "process": std::process::id(),
            "model": model,
            "config_sha256": config.sha256(),
            "workers": {
                "read": workers_or_cores(config.read.workers),
                "prepare": workers_or_cores(config.prepare.workers),
                "infer": workers_or_cores(config.infer.workers),
            },
            "recovered": {
                "seconds": seconds,
                "orphans": recovered.orphans,
                "segments_forgotten": recovered.segments_forgotten,
                "inputs_forgotten": recovered.inputs_forgotten,
                "ledger": recovered.ledger,
            },
        }));
        diary
    }

    /// Writes the second line.
    pub(crate) fn end(self, tally: &Tally, sealed: Option<&Sealed>, stopped: bool) {
        self.write(&json!({
            "event": "end",
            "began": self.began,
            "ended": history::utc(SystemTime::now()),
            "stopped": stopped,
            "this_run": tally,
            "rows": sealed.map(|sealed| sealed.counts.rows),
            "rejects": sealed.map(|sealed| sealed.counts.rejects),
            "files": sealed.map(|sealed| sealed.files),
        }));
    }

    fn write(&self, line: &Value) {
        // The history is for people: without room for it a run is not worth less.
        if let Err(error) = history::append(&self.folder, line) {
            tracing::warn!(%error, "the history has no line of this run");
        }
    }
}
