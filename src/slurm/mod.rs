//! A backfill on a Slurm cluster: an array of jobs, one for each shard that is not done, and a last job
//! behind them that merges the shards or submits what is missing.
//!
//! Whether a shard is done is asked of the shards' own files alone. Slurm forgets jobs after minutes,
//! accounting is not everywhere, and a job that Slurm calls completed may have been its second copy.
//! What is asked of Slurm is little: `sbatch`, `squeue` in a format of our own, `scontrol`.

mod array;
mod queue;
mod script;
mod site;
mod submission;

use std::path::PathBuf;

use thiserror::Error;

use crate::backfill::BackfillError;
use crate::catalogue::CatalogueError;

pub use array::{Part, cut, ranges};
pub use queue::{DEFAULT_MAX_ARRAY, Job, Queue};
pub use script::{Scripts, Work};
pub use site::Site;
pub use submission::{Next, Round, Submission};

/// Something that could not be submitted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SlurmError {
    /// The operating system refused.
    #[error("{path}: {source}; check space and permissions, then submit again")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The site's file is no TOML, or has keys that there are not.
    #[error("{path}: {problem}; ops/slurm/site.toml has every key")]
    SiteFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A value of the site's file cannot be used.
    #[error("{key} = {value:?} in the site's file: {needs}")]
    Site {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is needed.
        needs: &'static str,
    },
    /// A name that Slurm would read otherwise.
    #[error("{path:?} cannot be given to Slurm: {problem}; choose another name")]
    Name {
        /// The name.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Slurm's commands are not here.
    #[error("there is no {0} here; submit from a login node of the cluster, or look at --dry-run")]
    NoSlurm(String),
    /// Slurm refused for good.
    #[error("{command} refused: {said}; correct the site's file, or ask those who run the cluster")]
    Refused {
        /// The command.
        command: String,
        /// What it said.
        said: String,
    },
    /// The controller did not answer.
    #[error(
        "{command} got no answer in {tries} tries: {said}; submit again when the controller is back, \
         what it has by then is not submitted twice"
    )]
    Silent {
        /// The command.
        command: String,
        /// How often it was tried.
        tries: usize,
        /// What it said last.
        said: String,
    },
    /// An answer of Slurm has another form.
    #[error("{command} said {said:?}, which is not understood; report this with `{command} -V`")]
    Odd {
        /// The command.
        command: String,
        /// What it said.
        said: String,
    },
    /// There are no arrays on this cluster.
    #[error(
        "this cluster takes no arrays of jobs (MaxArraySize is 0); run `starmill backfill run` in jobs \
         of your own"
    )]
    NoArrays,
    /// An earlier submission of this backfill is at work.
    #[error(
        "jobs {0} of this backfill are in the queue; wait for them or end them with scancel, then \
         submit again"
    )]
    Busy(String),
    /// What is missing does not become less.
    #[error(
        "shards {missing} are still not done after {rounds} rounds in which no shard was; see `starmill \
         backfill status`, then submit again"
    )]
    NoProgress {
        /// The shards.
        missing: String,
        /// How many rounds it was tried.
        rounds: u32,
    },
    /// The note of an earlier round is lost or damaged.
    #[error("{path}: {problem}; submit again without --round")]
    Note {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The backfill's folder cannot be used.
    #[error(transparent)]
    Backfill(#[from] BackfillError),
    /// A file cannot be written.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A stop was asked for.
    #[error("stopped; what was submitted stays in the queue, see squeue")]
    Stopped,
}

impl SlurmError {
    fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
