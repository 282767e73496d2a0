//! The source: names of files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use starmill_actors::{BoxError, Next, Payload, Source};

use super::Counters;
use crate::input::{Found, Listing, Pending, RowRange};
use crate::night::Night;
use crate::outcome::SourceFile;
use crate::reject::Reject;

/// A file to read.
#[derive(Debug)]
pub struct FileTask {
    /// Number in listing order.
    pub sequence: u64,
    /// Its name.
    pub path: PathBuf,
    /// The rows that are asked for; empty for all that there are.
    pub rows: Vec<RowRange>,
    /// Why there is nothing to read, if the name leads nowhere.
    pub missing: Option<Reject>,
    /// What is to be sent of it, set once the file is open, so that its spectra can be accounted
    /// for if reading it panics.
    pub opened: Vec<Arc<SourceFile>>,
    /// The night in which it appeared in an inbox: that of a file that does not tell its own.
    pub night: Option<Night>,
    /// When it appeared there.
    pub arrived: Option<SystemTime>,
}

impl Payload for FileTask {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.path.as_os_str().len() + size_of_val(&*self.rows)
    }
}

/// Numbers the files of a listing.
pub struct List {
    listing: Listing,
    sequence: u64,
    counters: Arc<Counters>,
}

impl List {
    /// Takes over a listing.
    pub fn new(listing: Listing, counters: Arc<Counters>) -> Self {
        Self { listing, sequence: 0, counters }
    }
}

impl Source for List {
    type Out = FileTask;

    fn next(&mut self, patience: Duration) -> Result<Next<FileTask>, BoxError> {
        let (path, rows, missing) = match self.listing.next(patience) {
            Ok(Found::File(path)) => (path, Vec::new(), None),
            Ok(Found::Rows(path, rows)) => (path, rows, None),
            Ok(Found::Missing(path, reject)) => (path, Vec::new(), Some(reject)),
            Err(Pending::NotYet) => return Ok(Next::NotYet),
            Err(Pending::End) => return Ok(Next::End),
        };
        Counters::count(&self.counters.files_found);
        let sequence = self.sequence;
        self.sequence += 1;
        let (opened, night, arrived) = (Vec::new(), None, None);
        Ok(Next::Item(FileTask { sequence, path, rows, missing, opened, night, arrived }))
    }
}
