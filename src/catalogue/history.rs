//! `history.jsonl`: two lines a run, for people. It tells what differs from run to run, so it is no
//! part of the catalogue's identity and nothing reads it back.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::CatalogueError;
use super::durable::replace;

/// Name of the history within the catalogue's folder.
pub const HISTORY: &str = "history.jsonl";

/// Lines kept; the oldest go.
pub const LINES: usize = 1000;
/// What is read of an old history: more than so many lines ever take.
const BYTES: u64 = 16 << 20;

/// Adds a line. What is no line of JSON, such as a torn last one, goes.
///
/// # Errors
/// [`CatalogueError::Io`]; the old history stays then.
pub fn append(folder: &Path, run: &Value) -> Result<(), CatalogueError> {
    let path = folder.join(HISTORY);
    let old = match read_end(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(CatalogueError::io(&path)(error)),
    };
    let new = run.to_string();
    let whole = |line: &&str| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok();
    let mut lines: Vec<&str> = old.lines().filter(whole).collect();
    lines.push(&new);
    let kept = &lines[lines.len().saturating_sub(LINES)..];
    replace(&path, (kept.join("\n") + "\n").as_bytes())
}

fn read_end(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A time as the history writes it: ISO 8601, UTC, to the second.
pub fn utc(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The name of this host.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_lines_are_kept_and_a_torn_one_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(HISTORY);
        append(folder.path(), &json!({ "run": 0 })).unwrap();
        let mut torn = std::fs::read_to_string(&path).unwrap();
        torn += "{\"run\": 1, \"sta";
        std::fs::write(&path, torn).unwrap();
        append(folder.path(), &json!({ "run": 2 })).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"run\":0}\n{\"run\":2}\n");
        let many: Vec<String> = (0..LINES).map(|run| format!("{{\"run\":{run}}}")).collect();
        std::fs::write(&path, many.join("\n")).unwrap();
        append(folder.path(), &json!({ "run": LINES })).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), LINES);
        assert!(text.starts_with("{\"run\":1}\n") && text.ends_with("{\"run\":1000}\n"));
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(utc(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
        assert!(!host().is_empty());
    }
}
