//! The shared folder of a backfill: which shards are done, who works on the others, and what is kept
//! of unfinished ones. There is no server and no database in it, since several machines write there
//! over a network: every file is written by one process and given its name at once.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{BackfillError, Plan};
use crate::catalogue::{Origin, ShardNote, beside, create_folders, link_once, replace};
use crate::stage::Tally;

const DONE: &str = "shards";
const ATTEMPTS: &str = "attempts";
const CHECKPOINTS: &str = "checkpoints";
const ORIGIN: &str = "backfill.json";

/// How often a try says that it is alive.
pub const BEAT: Duration = Duration::from_secs(10);
/// A try that was silent for so long is taken for dead by who looks. Nothing else depends on it.
pub const SILENCE: Duration = Duration::from_mins(2);

/// The folder of a backfill, with its plan.
#[derive(Debug, Clone)]
pub struct Campaign {
    folder: PathBuf,
    plan: Plan,
}

/// How a try goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It works.
    Running,
    /// It was asked to stop, and what it has is kept.
    Stopped,
    /// It could not go on.
    Failed,
    /// It gave the shard's file its name.
    Done,
    /// Another try had done so before.
    Late,
}

/// What a try says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The shard.
    pub shard: u64,
    /// Its own name.
    pub name: String,
    /// The machine.
    pub host: String,
    /// Seconds since 1970 when it began.
    pub began: u64,
    /// Seconds since 1970 when it said this.
    pub seen: u64,
    /// How it goes on.
    pub state: State,
    /// Why it failed.
    pub error: Option<String>,
    /// What it counted.
    pub files: u64,
    /// Rows so far.
    pub rows: u64,
    /// Rejects so far, by code.
    pub rejects: std::collections::BTreeMap<String, u64>,
}

impl Attempt {
    /// A try that begins now.
    pub fn begin(shard: u64, name: &str) -> Self {
        let now = seconds_now();
        Self {
            shard,
            name: name.to_owned(),
            host: crate::catalogue::history::host(),
            began: now,
            seen: now,
            state: State::Running,
            error: None,
            files: 0,
            rows: 0,
            rejects: std::collections::BTreeMap::new(),
        }
    }

    /// Takes over what was counted.
    pub fn count(&mut self, tally: &Tally) {
        self.seen = seconds_now();
        self.files = tally.files_done + tally.files_skipped;
        self.rows = tally.rows;
        let rejects = tally.rejects_by_code.iter();
        self.rejects = rejects.map(|(code, count)| ((*code).to_owned(), *count)).collect();
    }

    /// Whether it says that it works, but has not said so for long.
    pub fn is_silent(&self, now: u64) -> bool {
        self.state == State::Running && now.saturating_sub(self.seen) > SILENCE.as_secs()
    }
}

/// Seconds since 1970.
pub fn seconds_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The name of this try: which job of Slurm, which of its elements and how often it was begun again,
/// since both copies of a job that Slurm started twice have the same number; elsewhere this machine
/// and process.
pub fn attempt_name() -> String {
    let variable = |name| std::env::var(name).ok().filter(|value: &String| is_plain(value));
    if let Some(job) = variable("SLURM_JOB_ID") {
        let restart = variable("SLURM_RESTART_COUNT").unwrap_or_else(|| "0".to_owned());
        return format!("job{job}-{restart}-{}", std::process::id());
    }
    let host = crate::catalogue::history::host();
    let host: String =
        host.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '_' }).collect();
    format!("{host}-{}-{}", std::process::id(), seconds_now())
}

fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Campaign {
    /// Opens or creates the folder of a backfill by this plan.
    ///
    /// # Errors
    /// [`BackfillError::Catalogue`] if folders cannot be made.
    pub fn open(folder: &Path, plan: Plan) -> Result<Self, BackfillError> {
        for name in [DONE, ATTEMPTS, CHECKPOINTS] {
            create_folders(&folder.join(name))?;
        }
        Ok(Self { folder: folder.to_owned(), plan })
    }

    /// The folder as it is, or is not yet, to be looked at alone.
    pub fn look(folder: &Path, plan: Plan) -> Self {
        Self { folder: folder.to_owned(), plan }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The file of a shard that is done.
    pub fn shard_file(&self, number: u64) -> PathBuf {
        self.folder.join(DONE).join(format!("shard-{number:05}.parquet"))
    }

    /// Whether a shard is done.
    ///
    /// # Errors
    /// [`BackfillError::Io`] when it cannot be told.
    pub fn is_done(&self, number: u64) -> Result<bool, BackfillError> {
        let path = self.shard_file(number);
        path.try_exists().map_err(BackfillError::io(&path))
    }

    /// The shards that are not done.
    ///
    /// # Errors
    /// [`BackfillError::Io`] when it cannot be told.
    pub fn missing(&self) -> Result<Vec<u64>, BackfillError> {
        let mut missing = Vec::new();
        for number in 0..self.plan.shards.len() as u64 {
            if !self.is_done(number)? {
                missing.push(number);
            }
        }
        Ok(missing)
    }

    /// Notes what makes the rows, or compares it with what was noted: shards of two models or settings
    /// are no catalogue.
    ///
    /// # Errors
    /// [`BackfillError::OtherOrigin`].
    pub fn claim(&self, origin: &Origin, attempt: &str) -> Result<(), BackfillError> {
        let path = self.folder.join(ORIGIN);
        let json = serde_json::to_string_pretty(origin)
            .map_err(|error| BackfillError::io(&path)(error.into()))?;
        if !path.try_exists().map_err(BackfillError::io(&path))? {
            let temporary = beside(&path, &format!(".{attempt}.tmp"));
            std::fs::write(&temporary, json + "\n").map_err(BackfillError::io(&temporary))?;
            if link_once(&temporary, &path)? {
                return Ok(());
            }
        }
        let found = self.origin()?;
        if found.as_ref() == Some(origin) {
            return Ok(());
        }
        let difference = found.map_or_else(String::new, |found| difference(&found, origin));
        Err(BackfillError::OtherOrigin { folder: self.folder.clone(), difference })
    }

    /// What makes the rows; `None` before the first shard was begun.
    ///
    /// # Errors
    /// [`BackfillError`] if the note cannot be read.
    pub fn origin(&self) -> Result<Option<Origin>, BackfillError> {
        let path = self.folder.join(ORIGIN);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| BackfillError::damaged(&path, error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BackfillError::io(&path)(error)),
        }
    }

    /// A name beside the final one of a shard's file, for this try alone.
    pub fn temporary(&self, number: u64, attempt: &str) -> PathBuf {
        self.folder.join(DONE).join(format!(".shard-{number:05}.{attempt}.tmp"))
    }

    /// Gives a whole file of a shard its name, unless another try has done so; says whether it did.
    ///
    /// # Errors
    /// [`BackfillError::Catalogue`].
    pub fn commit(&self, number: u64, attempt: &str) -> Result<bool, BackfillError> {
        fail::fail_point!("shard-written");
        let (temporary, path) = (self.temporary(number, attempt), self.shard_file(number));
        let first = match link_once(&temporary, &path) {
            // Whoever was first has tidied up.
            Err(_) if !temporary.exists() && self.is_done(number)? => false,
            linked => linked?,
        };
        crate::failpoint::crash_point!("shard-linked");
        self.tidy(number)?;
        Ok(first)
    }

    /// Removes what other tries of a shard that is done have written so far. One of them that still
    /// lives finds the shard done.
    fn tidy(&self, number: u64) -> Result<(), BackfillError> {
        let (folder, begin) = (self.folder.join(DONE), format!(".shard-{number:05}."));
        for entry in std::fs::read_dir(&folder).map_err(BackfillError::io(&folder))? {
            let entry = entry.map_err(BackfillError::io(&folder))?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(&begin)) {
                // Another try may be doing the same.
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// What a shard that is done says of itself.
    ///
    /// # Errors
    /// [`BackfillError::Damaged`] if it is not that shard of this backfill.
    pub fn note(&self, number: u64, origin: &Origin) -> Result<ShardNote, BackfillError> {
        let path = self.shard_file(number);
        let note = ShardNote::read(&path)?;
        if note.number == number && note.origin == *origin {
            return Ok(note);
        }
        let problem = format!(
            "it is shard {} of another backfill ({}); remove it and run the shard again",
            note.number,
            difference(&note.origin, origin)
        );
        Err(BackfillError::damaged(&path, problem))
    }

    /// The folder that keeps what an unfinished shard has.
    pub fn checkpoint(&self, number: u64) -> PathBuf {
        self.folder.join(CHECKPOINTS).join(format!("shard-{number:05}"))
    }

    /// Says how a try goes on. Who looks finds the last whole word of it.
    ///
    /// # Errors
    /// [`BackfillError::Catalogue`].
    pub fn say(&self, attempt: &Attempt) -> Result<(), BackfillError> {
        let name = format!("shard-{:05}.{}.json", attempt.shard, attempt.name);
        let path = self.folder.join(ATTEMPTS).join(name);
        let json = serde_json::to_string(attempt)
            .map_err(|error| BackfillError::io(&path)(error.into()))?;
        Ok(replace(&path, (json + "\n").as_bytes())?)
    }

    /// All tries, in the order of their shards and beginnings. What is no word of a try is left out.
    ///
    /// # Errors
    /// [`BackfillError::Io`].
    pub fn attempts(&self) -> Result<Vec<Attempt>, BackfillError> {
        let folder = self.folder.join(ATTEMPTS);
        let mut attempts: Vec<Attempt> = Vec::new();
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(attempts),
            entries => entries.map_err(BackfillError::io(&folder))?,
        };
        for entry in entries {
            let path = entry.map_err(BackfillError::io(&folder))?.path();
            if path.extension().is_some_and(|ending| ending == "json") {
                let bytes = std::fs::read(&path).map_err(BackfillError::io(&path))?;
                attempts.extend(serde_json::from_slice::<Attempt>(&bytes));
            }
        }
        attempts.sort_by_cached_key(|it| (it.shard, it.began, it.name.clone()));
        Ok(attempts)
    }
}

/// What differs between two origins, in a few words.
fn difference(found: &Origin, wanted: &Origin) -> String {
    let mut words = Vec::new();
    if (&found.plan, found.shards) != (&wanted.plan, wanted.shards) {
        words.push("another plan".to_owned());
    }
    if found.model != wanted.model || found.model_files != wanted.model_files {
        words.push(format!("model {} and {}", found.model, wanted.model));
    }
    for (key, value) in &wanted.settings {
        let other = found.settings.get(key);
        if other != Some(value) {
            words.push(format!("{key} = {} and {value}", other.map_or("none", |it| it)));
        }
    }
    for entry in &wanted.provenance {
        if let Some(other) = found.provenance.iter().find(|other| other.0 == entry.0)
            && other.1 != entry.1
        {
            words.push(format!("{} {} and {}", entry.0, other.1, entry.1));
        }
    }
    words.join(", ")
}
