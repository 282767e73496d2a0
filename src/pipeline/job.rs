//! What a run is asked to do.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::catalogue::Origin;
use crate::input::Finder;
use crate::setup::Ready;

/// What a run is asked to do.
pub struct Job {
    /// The model.
    pub model: Ready,
    /// What is read.
    pub sources: Sources,
    /// The catalogue's folder.
    pub out: PathBuf,
    /// What becomes of its segments in the end.
    pub closing: Closing,
}

/// Where the names of files come from.
pub enum Sources {
    /// A command line.
    Named {
        /// A list of files, the first to be read.
        list: Option<Box<dyn BufRead + Send>>,
        /// Files, directories, patterns, or `-`.
        paths: Vec<PathBuf>,
    },
    /// Something that knows them.
    Found(Finder),
}

/// What becomes of a catalogue's segments when all is read.
pub enum Closing {
    /// They are sealed in two formats.
    Seal,
    /// They become one file of a backfill.
    Shard(Shard),
}

/// A shard of a backfill.
pub struct Shard {
    /// BLAKE3 of the plan.
    pub plan: String,
    /// How many shards it has.
    pub shards: u64,
    /// Which of them this is.
    pub number: u64,
    /// How many entries of its list its source has given; parts of a table are read together.
    pub entries: Arc<AtomicU64>,
    /// The name of this try.
    pub attempt: String,
    /// The file to write.
    pub path: PathBuf,
    /// Compares what makes the rows with what made those of other shards, before the first is made.
    pub claim: Claim,
}

/// What refuses to go on where other shards were made otherwise.
pub type Claim = Box<dyn Fn(&Origin) -> anyhow::Result<()>>;
