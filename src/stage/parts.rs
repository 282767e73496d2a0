//! Which parts of a file are asked for, and which of them are still to be done.

use std::sync::Arc;

use starmill_actors::Halt;

use super::FileTask;
use crate::input::{Digest, PART, RowRange};
use crate::ledger::{self, Ledger};
use crate::night::Night;
use crate::outcome::SourceFile;
use crate::reject::Reject;

/// What earlier runs did. `None` while the ledger is empty: a first run need not ask it for every
/// file.
pub(super) struct Known(pub(super) Option<Ledger>);

/// What is asked for of a file of so many spectra.
pub(super) struct Asked {
    /// The first spectra of its parts, in order.
    firsts: Vec<usize>,
    /// Ranges that cannot be had.
    refused: Vec<(RowRange, Reject)>,
}

/// What a run does of a file.
#[derive(Default)]
pub(super) struct Left {
    /// Ranges that cannot be had, one outcome each.
    pub(super) refused: Vec<(Arc<SourceFile>, Reject)>,
    /// The parts that are to be done.
    pub(super) parts: Vec<Arc<SourceFile>>,
}

impl Left {
    /// All of it, in the order in which it is sent.
    pub(super) fn all(&self) -> Vec<Arc<SourceFile>> {
        self.refused.iter().map(|(file, _)| file).chain(&self.parts).cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.refused.is_empty() && self.parts.is_empty()
    }
}

impl Asked {
    /// The parts of these ranges, of the whole file if there are none.
    pub(super) fn of(rows: &[RowRange], total: usize) -> Self {
        let (mut firsts, mut refused) = (Vec::new(), Vec::new());
        for &range in rows {
            match range.parts(total) {
                Ok(parts) => firsts.extend(parts),
                Err(reject) => refused.push((range, reject)),
            }
        }
        if rows.is_empty() {
            firsts.extend((0..total).step_by(PART));
        }
        Self { firsts, refused }
    }
}

impl Known {
    /// Whether all that a task asks for of this content of this path is done. A range that cannot be
    /// had is never done: only who opens the file can say so.
    pub(super) fn all(
        &self,
        task: &FileTask,
        digest: Digest,
        path: &str,
    ) -> Result<ledger::Done, Halt> {
        let Some(ledger) = &self.0 else { return Ok(ledger::Done::No) };
        if task.rows.is_empty() {
            return Ok(ledger.whole(digest, path)?);
        }
        let Some(total) = ledger.outcomes_of(digest, path)? else { return Ok(ledger::Done::No) };
        let Asked { firsts, refused } = Asked::of(&task.rows, total);
        let mut done = ledger::Done::Current;
        for first in firsts {
            match ledger.state(digest, path, first)? {
                ledger::Done::No => return Ok(ledger::Done::No),
                ledger::Done::Superseded => done = ledger::Done::Superseded,
                ledger::Done::Current => {}
            }
        }
        Ok(if refused.is_empty() { done } else { ledger::Done::No })
    }

    /// What is to be done of a file of `total` spectra.
    pub(super) fn left(
        &self,
        task: &FileTask,
        digest: Digest,
        path: &str,
        (total, night): (usize, Option<Night>),
    ) -> Result<Left, Halt> {
        let Asked { mut firsts, refused } = Asked::of(&task.rows, total);
        // A file in one part was asked for as a whole.
        if let Some(ledger) = self.0.as_ref().filter(|_| total > PART || !task.rows.is_empty()) {
            let mut left = Vec::with_capacity(firsts.len());
            for first in firsts {
                if !ledger.is_done(digest, path, first)? {
                    left.push(first);
                }
            }
            firsts = left;
        }
        let parts = firsts.len() + refused.len();
        let part = SourceFile {
            sequence: task.sequence,
            path: task.path.clone(),
            digest,
            first: 0,
            spectra: 0,
            total,
            parts,
            night,
            arrived: task.arrived,
        };
        let of_range = |(range, reject): (RowRange, Reject)| {
            // It is no content, and its place is no part of this task.
            let (path, digest) = (range.name(&task.path), Digest::default());
            let first = range.first;
            let file = SourceFile { path, digest, first, spectra: 1, total: 1, ..part.clone() };
            (Arc::new(file), reject)
        };
        let of_part = |first| {
            Arc::new(SourceFile { first, spectra: PART.min(total - first), ..part.clone() })
        };
        Ok(Left {
            refused: refused.into_iter().map(of_range).collect(),
            parts: firsts.into_iter().map(of_part).collect(),
        })
    }
}
