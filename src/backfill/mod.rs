//! Backfill: a release of millions of spectra, cut into shards that are done anywhere, in any order,
//! and merged into one catalogue.
//!
//! A [`Plan`] lists the files of the release once and cuts the list into shards of even size. It
//! knows names and sizes and never looks into a file. Each shard is run like any other list of
//! files, on a disk of its own, and its outcomes are committed as one file under an exclusive name.

mod campaign;
mod checkpoint;
mod collect;
mod plan;
mod region;
mod roll;
mod select;
mod shards;
mod split;
mod template;
mod work;

pub use campaign::{Attempt, BEAT, Campaign, SILENCE, State, attempt_name, seconds_now};
pub use collect::{Collected, Collector};
pub use plan::{PLAN, Plan, Shard, plan_of};
pub use region::{Cone, Region};
pub use roll::Roll;
pub use select::{Range, Selection};
pub use shards::{Cut, Entry, ShardList};
pub use template::Template;
pub use work::{Ended, Worker};

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::catalogue::CatalogueError;
use crate::table::TableError;

/// A backfill that cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackfillError {
    /// The operating system refused.
    #[error("{path}: {source}; check space and permissions, then run again")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The list of a plan in the making could not be read or written.
    #[error("{path}: {source}; remove the folder of the plan and make it again")]
    Roll {
        /// The database.
        path: PathBuf,
        /// The cause.
        source: rusqlite::Error,
    },
    /// The folder holds a plan already.
    #[error("{0}: there is a plan already; use it, or choose another --out")]
    Planned(PathBuf),
    /// A plan was begun there with another command line.
    #[error(
        "{folder}: another plan was begun there, of {found}; go on with the same command line, or \
         choose another --out"
    )]
    OtherRequest {
        /// The folder.
        folder: PathBuf,
        /// What was asked for then.
        found: String,
    },
    /// There is no plan.
    #[error("{0}: there is no plan; make one with `starmill backfill plan`")]
    NoPlan(PathBuf),
    /// The plan was changed or damaged.
    #[error("{path}: {problem}; make the plan again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The folder holds shards that something else made.
    #[error(
        "{folder}: its shards were made otherwise ({difference}); go on with what they were made \
         with, or choose another --out"
    )]
    OtherOrigin {
        /// The folder.
        folder: PathBuf,
        /// What differs.
        difference: String,
    },
    /// Nothing was found to be done.
    #[error("{0}")]
    Nothing(String),
    /// What was asked for is no such thing.
    #[error("{0}")]
    Request(String),
    /// The release's catalogue cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A catalogue cannot be read or written.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A stop was asked for.
    #[error("stopped; the same command goes on where it was")]
    Stopped,
}

impl BackfillError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), problem: problem.into() }
    }
}
