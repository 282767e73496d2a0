//! What the history of a catalogue tells of the processes that wrote it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::Value;

use super::ReportError;
use crate::catalogue::history::{HISTORY, LINES};

/// More than a history ever takes.
const MOST_BYTES: u64 = 16 << 20;

/// One process that wrote the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) began: String,
    /// Its number in the system.
    pub(crate) process: u64,
    /// `None`: it died, or it has not ended yet.
    pub(super) ended: Option<String>,
    pub(super) version: String,
    pub(super) stopped: bool,
    /// Files done and skipped, rows and rejects of this process.
    pub(super) files_done: u64,
    pub(super) rows: u64,
    pub(super) rejects: u64,
    /// Faults that it went on after, in words.
    pub(super) faults: String,
    /// What it had to mend when it began.
    pub(super) mended: u64,
}

/// All processes, in the order in which they began.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    pub(crate) runs: Vec<Run>,
    /// Those without an end before the last.
    pub(super) crashes: usize,
}

impl Runs {
    /// Reads the history; a catalogue without one has no runs.
    pub(crate) fn read(folder: &Path) -> Result<Self, ReportError> {
        let path = folder.join(HISTORY);
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(ReportError::Io { path, source }),
        };
        let lines = BufReader::new(file.take(MOST_BYTES)).split(b'\n').take(2 * LINES);
        // A torn line, or one of another event, is no run.
        Ok(Self::of(
            lines.map_while(Result::ok).filter_map(|line| serde_json::from_slice(&line).ok()),
        ))
    }

    fn of(lines: impl Iterator<Item = Value>) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for line in lines {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            match line["event"].as_str() {
                Some("begin") => runs.push(Run {
                    began: text("began"),
                    process: line["process"].as_u64().unwrap_or(0),
                    ended: None,
                    version: text("version"),
                    stopped: false,
                    files_done: 0,
                    rows: 0,
                    rejects: 0,
                    faults: String::new(),
                    mended: ["orphans", "segments_forgotten", "inputs_forgotten"]
                        .iter()
                        .filter_map(|key| line["recovered"][key].as_u64())
                        .sum(),
                }),
                Some("end") => {
                    let began = text("began");
                    let open = |run: &&mut Run| run.ended.is_none() && run.began == began;
                    if let Some(run) = runs.iter_mut().rev().find(open) {
                        let count = |key: &str| line["this_run"][key].as_u64().unwrap_or(0);
                        run.ended = Some(text("ended"));
                        run.stopped = line["stopped"].as_bool().unwrap_or(false);
                        run.files_done = count("files_done");
                        run.rows = count("rows");
                        run.rejects = count("rejects");
                        run.faults = words(&line["this_run"]["faults"]);
                    }
                }
                _ => {}
            }
        }
        // Who writes the report may not have ended.
        let before_the_last = &runs[..runs.len().saturating_sub(1)];
        let crashes = before_the_last.iter().filter(|run| run.ended.is_none()).count();
        Self { runs, crashes }
    }
}

fn words(faults: &Value) -> String {
    let faults = faults.as_object().into_iter().flatten();
    faults.map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_beginning_without_an_end_is_a_crash_unless_it_is_the_last() {
        let begin = |began: &str| json!({ "event": "begin", "began": began, "version": "1" });
        let runs = Runs::of(
            [
                begin("a"),
                json!({ "event": "end", "began": "a", "ended": "b", "stopped": true,
                        "this_run": { "rows": 3, "faults": { "retries_read": 2 } } }),
                begin("c"),
                json!({ "event": "another" }),
                json!("no object"),
                begin("d"),
            ]
            .into_iter(),
        );
        assert_eq!((runs.runs.len(), runs.crashes), (3, 1));
        assert_eq!((runs.runs[0].rows, runs.runs[0].faults.as_str()), (3, "retries_read 2"));
        assert!(runs.runs[0].stopped && runs.runs[1].ended.is_none());
    }
}
