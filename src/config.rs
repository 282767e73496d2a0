//! What the user chooses. Keys, defaults and reasons stand in `config/default.toml`, which is built
//! in; a file of the user's own overlays it.

mod validate;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::catalogue::{Reductions, hex};
use crate::input::Limits;
use crate::report::ReportSettings;
use crate::rv::RvSettings;
use crate::serve::hooks::HookSettings;
use crate::survey::Take;
use crate::watch::{Inbox, WatchSettings};

/// The built-in defaults as text.
pub const DEFAULT: &str = include_str!("../config/default.toml");

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path}: {source}; check the path given with --config")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is no TOML, or a key is unknown or of the wrong type.
    #[error("{path}: {message}; `starmill config` prints every key with its meaning")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A value makes no sense.
    #[error("{key} = {value}: {needs}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        needs: &'static str,
    },
}

/// The whole configuration. See `config/default.toml` for the meaning of each key.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml documents every key")]
pub struct Config {
    pub input: Input,
    pub rv: RvSettings,
    pub models: Models,
    pub onnx: Onnx,
    pub list: Queue,
    pub read: Stage,
    pub prepare: Stage,
    pub infer: Infer,
    pub write: Write,
    pub catalogue: Catalogue,
    pub supervision: Supervision,
    pub backfill: Backfill,
    pub log: Log,
    pub watch: Watch,
    pub inbox: Vec<Inbox>,
    pub serve: Serve,
    pub night: NightRule,
    pub report: ReportSettings,
    pub hooks: HookSettings,
    pub http: HttpSettings,
}

macro_rules! section {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "config/default.toml documents every key")]
        pub struct $name { $(pub $field: $type),* }
    };
}

section! { Input {
    max_file_bytes: u64, max_decompressed_bytes: u64, retries: usize, spectra: Take,
    whole_file: bool,
} }
section! { Models { dir: PathBuf, columns: Vec<String>, consistency: bool, spectra: bool } }
section! { Onnx { library: PathBuf, device: String } }
section! { Queue { queue_items: usize, queue_bytes: usize } }
section! { Stage { workers: usize, queue_items: usize, queue_bytes: usize } }
section! { Infer {
    workers: usize, threads: usize, batch: usize, max_delay: f64, queue_items: usize,
    queue_bytes: usize,
} }
section! { Write {
    segment_spectra: usize, segment_age: f64, compact_below: usize, retries: usize, pause: f64,
} }
section! { Catalogue { reductions: Reductions } }
section! { Supervision {
    max_restarts: u32, restart_window: f64, stall_limit: f64, drain_limit: f64, beat: f64,
} }
section! { Serve {
    model: String, folder: PathBuf, open_nights: usize, commit_age: f64, progress_limit: f64,
    start_limit: f64,
} }
section! { NightRule {
    longitude: f64, quiet: f64, deadline: f64, complete_marker: String,
} }
section! { Backfill { scratch: PathBuf, checkpoint: f64, nice: i32 } }
section! { Log { format: LogFormat, level: String } }
section! { Watch { settle: f64, give_up: f64, rescan: f64, inotify: bool, waiting: usize } }

/// Inboxes that are watched: each has a thread.
const MAX_INBOXES: usize = 16;
section! { HttpSettings {
    address: String, token_file: PathBuf, hosts: Vec<String>, max_connections: usize,
    max_streams: usize, timeout: f64,
} }

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// The defaults, overlaid with the file at `path` if one is given, and checked.
    ///
    /// # Errors
    /// [`ConfigError`] names the file or the key.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else {
            return Self::parse("", Path::new("built-in defaults"));
        };
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let invalid = |error: toml::de::Error| ConfigError::Invalid {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        };
        let mut table: toml::Table = DEFAULT.parse().map_err(invalid)?;
        overlay(&mut table, text.parse().map_err(invalid)?);
        let config: Self = table.try_into().map_err(invalid)?;
        config.validate()?;
        Ok(config)
    }

    /// How the inboxes are watched.
    pub fn watch_settings(&self) -> WatchSettings {
        let Watch { settle, give_up, rescan, inotify, waiting } = self.watch;
        WatchSettings {
            inboxes: self.inbox.clone(),
            settle: seconds(settle),
            give_up: seconds(give_up),
            rescan: seconds(rescan),
            inotify,
            waiting,
        }
    }

    /// SHA-256 of all keys in effect, whatever file and order they came from.
    pub fn sha256(&self) -> String {
        use sha2::Digest;
        let text = toml::to_string(self).unwrap_or_default();
        hex(&sha2::Sha256::digest(text))
    }

    /// The limits on input sizes.
    pub fn limits(&self) -> Limits {
        Limits {
            file_bytes: self.input.max_file_bytes,
            inflated_bytes: self.input.max_decompressed_bytes,
        }
    }
}

/// `workers` as given, or one for each core.
pub fn workers_or_cores(workers: usize) -> usize {
    match workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => workers,
    }
}

/// A checked number of seconds.
pub fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::MAX)
}

pub(crate) fn overlay(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => overlay(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("test.toml"))
    }

    #[test]
    fn the_default_file_names_every_key() {
        // Nothing has a default but the file, so parsing it alone proves that no key is missing.
        assert!(Config::load(None).is_ok());
    }

    #[test]
    fn every_key_of_the_default_file_has_a_reason_above_it() {
        let mut explained = false;
        for line in DEFAULT.lines() {
            let is_comment = line.starts_with('#');
            let is_key = line.contains(" = ") && !is_comment;
            // `workers` and the two bounds of a queue are explained once for all stages.
            let common = ["workers", "queue_items", "queue_bytes", "restart_window", "threads"];
            let common = common.iter().any(|key| line.starts_with(key));
            assert!(!is_key || explained || common, "{line} has no reason");
            explained = is_comment || (explained && is_key && line.starts_with("queue"));
        }
    }

    #[test]
    fn a_file_overlays_single_keys() {
        let config = parse("[infer]\nbatch = 32\n").unwrap();
        assert_eq!(config.infer.batch, 32);
        assert_eq!(config.infer.threads, parse("").unwrap().infer.threads);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let check = |text: &str, says: &str| {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error:?} should say {says:?}");
        };
        check("[infer]\nbatsh = 32\n", "batsh");
        check("[nothing]\n", "nothing");
        check("[infer]\nbatch = 0\n", "infer.batch");
        check("[infer]\nbatch = \"many\"\n", "test.toml");
        check("[infer]\nmax_delay = nan\n", "infer.max_delay");
        check("[log]\nformat = \"xml\"\n", "xml");
        check("[read]\nworkers = 100000\n", "read.workers");
        check("not toml", "test.toml");
        check("[report]\nmatch_arcsec = 0.0\n", "report.match_arcsec");
        check(
            "[[report.standards]]\nname = \"x\"\nra = 1.0\ndec = 91.0\nlabels = {}\n",
            "report.standards",
        );
        check("[hooks]\nwebhook = \"https://observatory/\"\n", "hooks.webhook");
        check("[watch]\nwaiting = 0\n", "watch.waiting");
        check("[catalogue]\nreductions = \"oldest\"\n", "newest");
        let inbox = "[[inbox]]\nname = \"live\"\nfolder = \"/in\"\npriority = \"live\"\n";
        check(&format!("{inbox}{inbox}"), "inbox.name");
        check(&inbox.replace("/in", ""), "inbox.folder");
        check(&inbox.replace("\"live\"\n", "\"soon\"\n"), "catch-up");
        check(&inbox.repeat(17), "16");
    }

    #[test]
    fn inboxes_are_part_of_the_configuration_and_of_its_digest() {
        let inbox = "[[inbox]]\nname = \"old\"\nfolder = \"/in\"\npriority = \"catch-up\"\n";
        let config = parse(inbox).unwrap();
        assert_eq!(config.watch_settings().inboxes[0].priority, crate::watch::Priority::CatchUp);
        assert_ne!(config.sha256(), parse("").unwrap().sha256());
        // A table that could not be written would have the digest of no text.
        assert!(!toml::to_string(&config).unwrap().is_empty());
    }
}
