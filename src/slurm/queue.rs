//! What Slurm is asked and told, by its commands.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use backon::BackoffBuilder;

use super::SlurmError;
use crate::backoff::delays;

/// What Slurm takes for the limit where nothing is configured.
pub const DEFAULT_MAX_ARRAY: u64 = 1001;

/// The first delay before a controller is asked again, and the longest. A controller that starts again
/// is back within minutes.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
const RETRIES: usize = 10;

/// Parts of what the commands say when the controller may answer a later question.
const PASSING: [&str; 8] = [
    "Unable to contact slurm controller",
    "Unable to establish controller machine",
    "Socket timed out",
    "Zero Bytes were transmitted",
    "Connection refused",
    "Connection reset",
    "Communication connection failure",
    "temporarily unable",
];

/// A job to submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name, which no other job has: whether it was submitted is found out by it.
    pub name: String,
    /// The options of `sbatch`.
    pub options: Vec<String>,
    /// The jobs that must have ended, however they did.
    pub after: Vec<u64>,
    /// Where it starts.
    pub home: PathBuf,
    /// Where its output goes, with Slurm's `%a`.
    pub output: String,
    /// The script.
    pub script: PathBuf,
    /// Its argument.
    pub argument: u64,
}

impl Job {
    /// The arguments of `sbatch`. They stand on the command line and not in the script, since there
    /// they go before the variables `SBATCH_...` of the environment and nothing reads them a second
    /// time.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["--parsable".into()];
        words.push(format!("--job-name={}", self.name).into());
        words.extend(self.options.iter().map(OsString::from));
        if !self.after.is_empty() {
            let jobs: Vec<String> = self.after.iter().map(u64::to_string).collect();
            words.push(format!("--dependency=afterany:{}", jobs.join(":")).into());
        }
        let mut home = OsString::from("--chdir=");
        home.push(&self.home);
        words.push(home);
        words.push("--open-mode=append".into());
        words.push(format!("--output={}", self.output).into());
        words.push(self.script.clone().into());
        words.push(self.argument.to_string().into());
        words
    }
}

/// The queue of a cluster.
pub struct Queue<'a> {
    /// Whether to stop.
    pub give_up: &'a dyn Fn() -> bool,
}

/// Why a command gave no answer.
enum Failure {
    /// It may give one later.
    Passing(String),
    /// It will not.
    Final(SlurmError),
}

impl Queue<'_> {
    /// `MaxArraySize` of the cluster.
    ///
    /// # Errors
    /// [`SlurmError`] if it cannot be told.
    pub fn max_array_size(&self) -> Result<u64, SlurmError> {
        let said = self.persist("scontrol", || call("scontrol", ["show", "config"]))?;
        let key = |line: &str| {
            line.split_once('=')
                .map(|(key, value)| (key.trim() == "MaxArraySize", value.trim().parse().ok()))
        };
        let value = said.lines().filter_map(key).find(|(found, _)| *found);
        value.and_then(|(_, value)| value).ok_or_else(|| odd("scontrol", &said))
    }

    /// The jobs of this user, waiting or running, whose names begin so.
    ///
    /// # Errors
    /// [`SlurmError`] if they cannot be told.
    pub fn waiting(&self, beginning: &str) -> Result<Vec<u64>, SlurmError> {
        let user = format!("--user={}", rustix::process::geteuid().as_raw());
        let options = ["--noheader", "--format=%F %j", &user];
        let said = self.persist("squeue", || call("squeue", options))?;
        let mut jobs = Vec::new();
        for line in said.lines() {
            let (job, name) = line.split_once(' ').ok_or_else(|| odd("squeue", line))?;
            if name.trim().starts_with(beginning) {
                jobs.push(job.parse().map_err(|_| odd("squeue", line))?);
            }
        }
        jobs.sort_unstable();
        jobs.dedup();
        Ok(jobs)
    }

    /// Submits a job unless there is one of its name; returns its number. An answer that was lost is
    /// found by the name, so that the job is there once.
    ///
    /// # Errors
    /// [`SlurmError::Refused`], [`SlurmError::Silent`] if the controller stays away.
    pub fn submit(&self, job: &Job) -> Result<u64, SlurmError> {
        self.persist("sbatch", || {
            if let Some(number) = number_of(&job.name)? {
                tracing::info!(job = number, name = job.name, "was submitted before");
                return Ok(number);
            }
            let said = call("sbatch", job.arguments())?;
            // The number, and behind a semicolon the cluster.
            let number = said.trim().split(';').next().and_then(|number| number.parse().ok());
            number.ok_or_else(|| Failure::Final(odd("sbatch", &said)))
        })
    }

    /// Ends jobs.
    ///
    /// # Errors
    /// [`SlurmError`] if it cannot be asked for.
    pub fn cancel(&self, jobs: &[u64]) -> Result<(), SlurmError> {
        let numbers: Vec<String> = jobs.iter().map(u64::to_string).collect();
        tracing::warn!(jobs = numbers.join(" "), "ending the jobs that were submitted");
        self.persist("scancel", || call("scancel", &numbers)).map(|_| ())
    }

    /// Asks until there is an answer, a refusal or no more patience.
    fn persist<T>(
        &self,
        command: &str,
        mut ask: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, SlurmError> {
        let mut delays = delays(FIRST, RETRIES).with_max_delay(LONGEST).build();
        loop {
            let said = match ask() {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(said)) => said,
            };
            let Some(delay) = delays.next() else {
                let command = command.to_owned();
                return Err(SlurmError::Silent { command, tries: RETRIES + 1, said });
            };
            tracing::warn!(command, said, delay_s = delay.as_secs(), "no answer, asking again");
            let begin = Instant::now();
            while begin.elapsed() < delay {
                if (self.give_up)() {
                    return Err(SlurmError::Stopped);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// The job of this name, in whatever state; Slurm forgets those that ended some minutes ago.
fn number_of(name: &str) -> Result<Option<u64>, Failure> {
    let name = format!("--name={name}");
    let said = call("squeue", ["--noheader", "--states=all", "--format=%F", &name])?;
    let Some(line) = said.lines().next() else { return Ok(None) };
    line.trim().parse().map(Some).map_err(|_| Failure::Final(odd("squeue", line)))
}

/// Runs a command of Slurm to its end and gives what it printed.
fn call(
    program: &str,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<String, Failure> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C");
    for (name, _) in std::env::vars_os() {
        if is_of_a_job(&name) {
            command.env_remove(name);
        }
    }
    let output = command.output().map_err(|source| {
        Failure::Final(if source.kind() == ErrorKind::NotFound {
            SlurmError::NoSlurm(program.to_owned())
        } else {
            SlurmError::io(Path::new(program))(source)
        })
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    if PASSING.iter().any(|part| said.contains(part)) {
        return Err(Failure::Passing(said));
    }
    Err(Failure::Final(SlurmError::Refused { command: program.to_owned(), said }))
}

/// Whether a variable describes the job that this process runs in. `sbatch` hands the environment on,
/// and another job would take the number of restarts or the memory of this one for its own.
fn is_of_a_job(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let of_the_cluster = ["SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_CLUSTERS"];
    name.starts_with("SLURM_") && !of_the_cluster.contains(&name.as_ref())
}

fn odd(command: &str, said: &str) -> SlurmError {
    let said = said.chars().take(200).collect();
    SlurmError::Odd { command: command.to_owned(), said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_words_and_come_before_the_script() {
        let job = Job {
            name: "starmill-1-r0-p0".to_owned(),
            options: vec!["--account=a b; reboot".to_owned(), "--array=3,17,42-50".to_owned()],
            after: vec![5, 6],
            home: "/home/it's".into(),
            output: "/logs/%a.log".to_owned(),
            script: "/folder/shard.sh".into(),
            argument: 1000,
        };
        let words = job.arguments();
        assert_eq!(
            words,
            [
                "--parsable",
                "--job-name=starmill-1-r0-p0",
                "--account=a b; reboot",
                "--array=3,17,42-50",
                "--dependency=afterany:5:6",
                "--chdir=/home/it's",
                "--open-mode=append",
                "--output=/logs/%a.log",
                "/folder/shard.sh",
                "1000",
            ]
        );
    }

    #[test]
    fn a_question_is_asked_again_unless_the_answer_is_no() {
        let queue = Queue { give_up: &|| false };
        let asked = std::cell::Cell::new(0);
        let ask = |answer: fn() -> Failure| {
            asked.set(asked.get() + 1);
            if asked.get() == 1 { Err(answer()) } else { Ok(asked.get()) }
        };
        assert_eq!(queue.persist("x", || ask(|| Failure::Passing("away".to_owned()))).unwrap(), 2);
        asked.set(0);
        let no = || Failure::Final(SlurmError::NoSlurm("x".to_owned()));
        assert!(matches!(queue.persist("x", || ask(no)), Err(SlurmError::NoSlurm(_))));
        assert_eq!(asked.get(), 1);
        let stopped = Queue { give_up: &|| true };
        let away = || Err::<(), _>(Failure::Passing("away".to_owned()));
        assert!(matches!(stopped.persist("x", away), Err(SlurmError::Stopped)));
    }

    #[test]
    fn what_a_controller_that_is_away_makes_of_a_command_passes() {
        let say = |text: &str| call("bash", ["-c", &format!("echo {text:?} >&2; exit 1")]);
        let away = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)";
        assert!(matches!(say(away), Err(Failure::Passing(_))));
        let no = "sbatch: error: invalid partition specified: nowhere";
        assert!(matches!(say(no), Err(Failure::Final(SlurmError::Refused { .. }))));
        let none = call("no-such-program", ["x"]);
        assert!(matches!(none, Err(Failure::Final(SlurmError::NoSlurm(_)))));
    }

    #[test]
    fn a_job_does_not_take_over_what_another_one_is() {
        for (name, is) in [
            ("SLURM_RESTART_COUNT", true),
            ("SLURM_MEM_PER_NODE", true),
            ("SLURM_CONF", false),
            ("SBATCH_ACCOUNT", false),
            ("PATH", false),
        ] {
            assert_eq!(is_of_a_job(OsStr::new(name)), is, "{name}");
        }
    }
}
