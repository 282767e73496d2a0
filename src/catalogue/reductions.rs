//! Several reductions of one observation: what is published of them, and what earlier volumes of a
//! night hold of the same observation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};

use super::batch::{content_in, is_row, name_in, text_column};
use super::columns::{FILE, FILE_BLAKE3};
use super::merge::{KEYS, Merge, keys, merge};
use super::{CatalogueError, SEGMENTS, ledger_in};
use crate::input::Digest;
use crate::ledger::{Ledger, LedgerError};

/// Which reductions of an observation a catalogue publishes. Segments hold all of them whatever is
/// chosen, so sealing anew with the other rule changes the tables and processes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reductions {
    /// The newest has the row; the others are rejects.
    #[default]
    Newest,
    /// Each has a row, with its number and, but for the newest, a quality bit.
    All,
}

impl Reductions {
    /// The setting by which a manifest names the rule.
    pub const SETTING: &'static str = "catalogue.reductions";

    /// As it is configured.
    pub fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::All => "all",
        }
    }

    /// The rule that settings name. A catalogue from before there was a choice names none.
    pub(super) fn of(settings: &BTreeMap<String, String>) -> Self {
        match settings.get(Self::SETTING) {
            Some(name) if name == Self::All.name() => Self::All,
            _ => Self::Newest,
        }
    }
}

/// Inputs that a newer content of the same path replaces, as the ledger knows them.
pub(super) struct Superseded<'a> {
    /// `None` if no path ever had another content, which is the common case.
    ledger: Option<&'a Ledger>,
}

impl<'a> Superseded<'a> {
    pub(super) fn of(ledger: &'a Ledger) -> Result<Self, LedgerError> {
        Ok(Self { ledger: ledger.has_superseded()?.then_some(ledger) })
    }

    /// Where no input was ever replaced.
    pub(super) fn none() -> Self {
        Self { ledger: None }
    }

    pub(super) fn holds(&self, digest: &str, file: &str) -> Result<bool, LedgerError> {
        let Some(ledger) = self.ledger else { return Ok(false) };
        // A digest that is none has no newer content; its row then fails the count.
        let Ok(hash) = blake3::Hash::from_hex(digest) else { return Ok(false) };
        let newest = ledger.newest_content(file)?;
        Ok(newest.is_some_and(|newest| newest != Digest(*hash.as_bytes())))
    }
}

/// A row that an earlier volume of the night has.
pub(super) struct EarlierRow {
    pub(super) digest: String,
    pub(super) file: String,
    /// Whether its path has another content by now.
    pub(super) replaced: bool,
}

/// The rows of the volumes that a catalogue supplements, in the canonical order. Their segments are
/// read, because the published tables lack the date of the reduction.
pub(super) struct Earlier<'a> {
    /// The catalogue's own, then those of the volumes, the newest first.
    ledgers: Vec<LedgerOf<'a>>,
    merge: Merge,
    batch: Option<RecordBatch>,
    row: usize,
}

enum LedgerOf<'a> {
    Catalogue(&'a Ledger),
    Volume(Ledger),
}

impl<'a> Earlier<'a> {
    /// Opens the segments of these volumes, the oldest first; `None` if there are no volumes.
    pub(super) fn open(
        volumes: &[PathBuf],
        own: &'a Ledger,
        scratch: &Path,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Option<Self>, CatalogueError> {
        if volumes.is_empty() {
            return Ok(None);
        }
        let (mut ledgers, mut segments) = (vec![LedgerOf::Catalogue(own)], Vec::new());
        for volume in volumes.iter().rev() {
            let ledger = Ledger::open_at_rest(&ledger_in(volume))?;
            let names = ledger.segments()?.into_iter();
            segments.extend(names.map(|segment| volume.join(SEGMENTS).join(segment.name)));
            ledgers.push(LedgerOf::Volume(ledger));
        }
        let merge = merge(segments, KEYS, scratch, give_up)?;
        let mut earlier = Self { ledgers, merge, batch: None, row: 0 };
        earlier.batch = earlier.merge.next_batch()?;
        Ok(Some(earlier))
    }

    fn key(&self) -> Option<&[u8]> {
        self.batch.as_ref().map(|batch| keys(batch).value(self.row))
    }

    fn advance(&mut self) -> Result<(), CatalogueError> {
        self.row += 1;
        if self.batch.as_ref().is_some_and(|batch| self.row == batch.num_rows()) {
            (self.batch, self.row) = (self.merge.next_batch()?, 0);
        }
        Ok(())
    }

    /// Goes on to an observation; says whether there is a row of it. Observations are asked for in
    /// their order.
    pub(super) fn go_to(&mut self, name: &[u8]) -> Result<bool, CatalogueError> {
        while self.key().is_some_and(|key| name_in(key) < name) {
            self.advance()?;
        }
        Ok(self.key().is_some_and(|key| name_in(key) == name && is_row(key)))
    }

    /// The next row of the observation that comes before a content, or is of the same one.
    pub(super) fn next_until(
        &mut self,
        name: &[u8],
        content: &[u8],
    ) -> Result<Option<EarlierRow>, CatalogueError> {
        let comes = |key: &[u8]| name_in(key) == name && is_row(key) && content_in(key) <= content;
        let Some(batch) = self.batch.as_ref().filter(|_| self.key().is_some_and(comes)) else {
            return Ok(None);
        };
        let text = |column| text_column(batch, column).value(self.row).to_owned();
        let (digest, file) = (text(FILE_BLAKE3), text(FILE));
        let replaced = self.is_replaced(&digest, &file)?;
        self.advance()?;
        Ok(Some(EarlierRow { digest, file, replaced }))
    }

    /// The volume that knew a path last says which content it has.
    fn is_replaced(&self, digest: &str, file: &str) -> Result<bool, LedgerError> {
        for ledger in &self.ledgers {
            let ledger = match ledger {
                LedgerOf::Catalogue(ledger) => ledger,
                LedgerOf::Volume(ledger) => ledger,
            };
            if let Some(newest) = ledger.newest_content(file)? {
                return Ok(newest.to_string() != digest);
            }
        }
        Ok(false)
    }
}
