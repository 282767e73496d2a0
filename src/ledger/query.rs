//! What the ledger is asked.

use rusqlite::{OptionalExtension, Row, params};

use super::{Ledger, LedgerError};
use crate::catalogue::Segment;
use crate::input::Digest;

/// Whether a part of an input is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It is not.
    No,
    /// It is, and it counts.
    Current,
    /// It is, but its path had another content since, which counts instead until this one is
    /// [promoted](Ledger::promote).
    Superseded,
}

/// How far a ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The id of the newest segment; 0 if there is none.
    pub last: i64,
    /// Contents of files whose outcomes are all committed, those that a newer one replaces included.
    pub files: u64,
}

/// Selects inputs whose path has no newer content.
const CURRENT: &str = "inputs.digest = (SELECT newest.digest FROM inputs AS newest
    WHERE newest.path = inputs.path ORDER BY newest.id DESC LIMIT 1)";

impl Ledger {
    /// All segments in the order of their commits.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn segments(&self) -> Result<Vec<Segment>, LedgerError> {
        let read = || -> rusqlite::Result<Vec<Segment>> {
            let mut select =
                self.connection.prepare("SELECT name, digest FROM segments ORDER BY id")?;
            let rows = select.query_map([], |row| {
                Ok(Segment { name: row.get(0)?, digest: Digest(row.get(1)?) })
            })?;
            rows.collect()
        };
        read().map_err(self.error())
    }

    /// All segments in the order of their commits, each with its number of spectra.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn sizes(&self) -> Result<Vec<(Segment, u64)>, LedgerError> {
        let read = || -> rusqlite::Result<Vec<(Segment, u64)>> {
            let mut select = self.connection.prepare(
                "SELECT name, digest, (SELECT coalesce(sum(spectra), 0) FROM inputs
                 WHERE segment = segments.id) FROM segments ORDER BY id",
            )?;
            let rows = select.query_map([], |row| {
                Ok((Segment { name: row.get(0)?, digest: Digest(row.get(1)?) }, row.get(2)?))
            })?;
            rows.collect()
        };
        read().map_err(self.error())
    }

    /// How far it is.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn extent(&self) -> Result<Extent, LedgerError> {
        let query = "SELECT (SELECT coalesce(max(id), 0) FROM segments), (SELECT count(*) FROM
                     (SELECT 1 FROM inputs GROUP BY path, digest HAVING sum(spectra) = max(total)))";
        let extent = |row: &Row<'_>| Ok(Extent { last: row.get(0)?, files: row.get(1)? });
        self.connection.query_row(query, [], extent).map_err(self.error())
    }

    /// At most `most` segments with their ids in the order of their commits: those behind `after`
    /// and up to `last`.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn segments_between(
        &self,
        after: i64,
        last: i64,
        most: usize,
    ) -> Result<Vec<(i64, Segment)>, LedgerError> {
        let read = || -> rusqlite::Result<Vec<(i64, Segment)>> {
            let mut select = self.connection.prepare_cached(
                "SELECT id, name, digest FROM segments WHERE id > ?1 AND id <= ?2
                 ORDER BY id LIMIT ?3",
            )?;
            let rows = select.query_map(params![after, last, most as u64], |row| {
                Ok((row.get(0)?, Segment { name: row.get(1)?, digest: Digest(row.get(2)?) }))
            })?;
            rows.collect()
        };
        read().map_err(self.error())
    }

    /// Whether the part of this content of this path that begins at `first` is done, and counts.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn state(&self, digest: Digest, path: &str, first: usize) -> Result<Done, LedgerError> {
        let query =
            format!("SELECT {CURRENT} FROM inputs WHERE path = ?1 AND digest = ?2 AND first = ?3");
        let current: Option<bool> = self
            .connection
            .prepare_cached(&query)
            .and_then(|mut select| {
                let part = params![path, digest.0, first as u64];
                select.query_row(part, |row| row.get(0)).optional()
            })
            .map_err(self.error())?;
        Ok(match current {
            None => Done::No,
            Some(true) => Done::Current,
            Some(false) => Done::Superseded,
        })
    }

    /// Whether the part of this content of this path that begins at `first` is done.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn is_done(&self, digest: Digest, path: &str, first: usize) -> Result<bool, LedgerError> {
        Ok(self.state(digest, path, first)? != Done::No)
    }

    /// Whether all parts of this content of this path are done, and count.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn whole(&self, digest: Digest, path: &str) -> Result<Done, LedgerError> {
        let query = format!(
            "SELECT sum(spectra) = max(total), {CURRENT} FROM inputs WHERE path = ?1 AND digest = ?2"
        );
        let (whole, current): (Option<bool>, Option<bool>) = self
            .connection
            .prepare_cached(&query)
            .and_then(|mut select| {
                select.query_row(params![path, digest.0], |row| Ok((row.get(0)?, row.get(1)?)))
            })
            .map_err(self.error())?;
        Ok(match (whole, current) {
            (Some(true), Some(true)) => Done::Current,
            (Some(true), Some(false)) => Done::Superseded,
            _ => Done::No,
        })
    }

    /// How many outcomes this content of this path gives in all; `None` while no part of it is done.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn outcomes_of(&self, digest: Digest, path: &str) -> Result<Option<usize>, LedgerError> {
        let total: Option<u64> = self
            .connection
            .prepare_cached("SELECT total FROM inputs WHERE path = ?1 AND digest = ?2 LIMIT 1")
            .and_then(|mut select| {
                select.query_row(params![path, digest.0], |row| row.get(0)).optional()
            })
            .map_err(self.error())?;
        Ok(total.and_then(|total| usize::try_from(total).ok()))
    }

    /// Whether nothing is done yet.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn is_empty(&self) -> Result<bool, LedgerError> {
        self.connection
            .query_row("SELECT NOT EXISTS (SELECT 1 FROM inputs)", [], |row| row.get(0))
            .map_err(self.error())
    }

    /// Inputs and spectra of the catalogue. Where the content of a path changed, the newest counts.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn totals(&self) -> Result<(u64, u64), LedgerError> {
        // Every path has a content that counts. To ask for each row whether it is that one takes
        // ten times as long as to add them all up.
        let which = if self.has_superseded()? { CURRENT } else { "true" };
        let query = format!(
            "SELECT (SELECT count(DISTINCT path) FROM inputs),
             (SELECT coalesce(sum(spectra), 0) FROM inputs WHERE {which})"
        );
        self.connection
            .query_row(&query, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(self.error())
    }

    /// Whether any path had more than one content.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn has_superseded(&self) -> Result<bool, LedgerError> {
        let query = "SELECT EXISTS (SELECT 1 FROM inputs GROUP BY path
                     HAVING min(digest) <> max(digest))";
        self.connection.query_row(query, [], |row| row.get(0)).map_err(self.error())
    }

    /// The content of a path that counts; `None` if the path is not known.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn newest_content(&self, path: &str) -> Result<Option<Digest>, LedgerError> {
        self.connection
            .prepare_cached("SELECT digest FROM inputs WHERE path = ?1 ORDER BY id DESC LIMIT 1")
            .and_then(|mut select| {
                select.query_row([path], |row| Ok(Digest(row.get(0)?))).optional()
            })
            .map_err(self.error())
    }

    /// Shows every input that counts and could be read to `see`, by path.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses, or the error of `see`.
    pub fn for_each_current<E: From<LedgerError>>(
        &self,
        mut see: impl FnMut(&str, Digest) -> Result<(), E>,
    ) -> Result<(), E> {
        // In the order of the index by path, so that nothing is sorted in memory. Of a table the first
        // part need not be there.
        let query = format!(
            "SELECT path, digest FROM inputs WHERE digest <> zeroblob(32)
             AND first = (SELECT min(part.first) FROM inputs AS part
                          WHERE part.path = inputs.path AND part.digest = inputs.digest)
             AND {CURRENT} ORDER BY path"
        );
        let error = |source| E::from(LedgerError::sqlite(&self.path)(source));
        let mut select = self.connection.prepare(&query).map_err(error)?;
        let mut rows = select.query([]).map_err(error)?;
        while let Some(row) = rows.next().map_err(error)? {
            let path: String = row.get(0).map_err(error)?;
            see(&path, Digest(row.get(1).map_err(error)?))?;
        }
        Ok(())
    }
}
