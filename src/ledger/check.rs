//! Whether a ledger says what was committed.

use rusqlite::params;

use super::{Input, Ledger, LedgerError, note_digest};
use crate::catalogue::Segment;
use crate::input::Digest;

impl Ledger {
    /// Checks pages and indexes, notes, and the inputs of every segment against their digest.
    ///
    /// SQLite's `quick_check` would not compare indexes with tables; by an index is asked whether an
    /// input is done.
    ///
    /// # Errors
    /// [`LedgerError`] says what is wrong first.
    pub fn check(&self) -> Result<(), LedgerError> {
        let damaged = |what: String| Err(LedgerError::damaged(&self.path, what));
        let ask = |query: &str| {
            self.connection
                .query_row(query, [], |row| row.get::<_, String>(0))
                .map_err(self.error())
        };
        let verdict = ask("PRAGMA integrity_check(1)")?;
        if verdict != "ok" {
            return damaged(verdict);
        }
        self.check_notes()?;
        let strays: bool = self
            .connection
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM inputs
                 WHERE segment NOT IN (SELECT id FROM segments))",
                [],
                |row| row.get(0),
            )
            .map_err(self.error())?;
        if strays {
            return damaged("an input lies in no segment".into());
        }
        for segment in self.segments()? {
            let name = &segment.name;
            if segment.number().is_none() {
                return damaged(format!("{name} is not named after its digest"));
            }
            let inputs = self.inputs_of(&segment)?;
            let inputs = inputs.iter().map(|(_, input)| input);
            if Input::digest_of(inputs) != self.inputs_digest(&segment)? {
                return damaged(format!("the inputs of {name} are not those that were committed"));
            }
        }
        Ok(())
    }

    fn check_notes(&self) -> Result<(), LedgerError> {
        let read = || -> rusqlite::Result<Vec<(String, String, [u8; 32])>> {
            let mut select = self.connection.prepare("SELECT key, value, digest FROM meta")?;
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        };
        for (key, value, digest) in read().map_err(self.error())? {
            if note_digest(&key, &value).0 != digest {
                return Err(LedgerError::damaged(&self.path, format!("the note {key}")));
            }
        }
        Ok(())
    }

    /// The inputs of a segment, each with its place in the order of commits.
    pub(super) fn inputs_of(&self, segment: &Segment) -> Result<Vec<(i64, Input)>, LedgerError> {
        let read = || -> rusqlite::Result<Vec<(i64, Input)>> {
            let mut select = self.connection.prepare_cached(
                "SELECT path, digest, first, spectra, total, id FROM inputs
                 WHERE segment = (SELECT id FROM segments WHERE name = ?1)",
            )?;
            let inputs = select.query_map(params![segment.name], |row| {
                let input = Input {
                    path: row.get(0)?,
                    digest: Digest(row.get(1)?),
                    first: row.get(2)?,
                    spectra: row.get(3)?,
                    total: row.get(4)?,
                };
                Ok((row.get(5)?, input))
            })?;
            inputs.collect()
        };
        read().map_err(self.error())
    }

    fn inputs_digest(&self, segment: &Segment) -> Result<Digest, LedgerError> {
        self.connection
            .query_row(
                "SELECT inputs_digest FROM segments WHERE name = ?1",
                [&segment.name],
                |row| Ok(Digest(row.get(0)?)),
            )
            .map_err(self.error())
    }
}
