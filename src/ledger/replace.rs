//! Putting one segment in the place of several.

use rusqlite::params;

use super::{Input, Ledger, LedgerError};
use crate::catalogue::Segment;
use crate::failpoint::crash_point;

impl Ledger {
    /// The inputs of some segments in the order in which they were committed or promoted.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn inputs_in(&self, segments: &[Segment]) -> Result<Vec<Input>, LedgerError> {
        let mut inputs = Vec::new();
        for segment in segments {
            inputs.extend(self.inputs_of(segment)?);
        }
        inputs.sort_unstable_by_key(|(id, _)| *id);
        Ok(inputs.into_iter().map(|(_, input)| input).collect())
    }

    /// Puts a segment that holds the same inputs in the place of several neighbours, in one
    /// transaction. It takes the place of the first in the order of commits, and the inputs keep
    /// theirs.
    ///
    /// # Errors
    /// [`LedgerError`]. Then nothing is changed in this process, but when syncing failed the next one
    /// may find either; [`Ledger::settle`] makes it certain.
    pub fn replace(&mut self, old: &[Segment], new: &Segment) -> Result<(), LedgerError> {
        let path = self.path.clone();
        let inputs_digest = Input::digest_of(&self.inputs_in(old)?);
        let mut replace = || {
            let transaction = self.connection.transaction()?;
            let mut ids = Vec::with_capacity(old.len());
            for segment in old {
                let query = "SELECT id FROM segments WHERE name = ?1";
                let id: i64 = transaction.query_row(query, [&segment.name], |row| row.get(0))?;
                ids.push(id);
            }
            let Some((first, others)) = ids.split_first() else {
                return Ok(());
            };
            for id in others {
                let mut move_inputs = transaction
                    .prepare_cached("UPDATE inputs SET segment = ?1 WHERE segment = ?2")?;
                move_inputs.execute([first, id])?;
                transaction.execute("DELETE FROM segments WHERE id = ?1", [id])?;
            }
            transaction.execute(
                "UPDATE segments SET name = ?1, digest = ?2, inputs_digest = ?3 WHERE id = ?4",
                params![new.name, new.digest.0, inputs_digest.0, first],
            )?;
            crash_point!("compact-recorded");
            fail::fail_point!("compact-ledger", |_| Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
                None
            )));
            transaction.commit()
        };
        replace().map_err(LedgerError::sqlite(&path))
    }

    /// Folds the log into the database and empties it. A transaction that failed while it was synced
    /// is certainly undone then: what it left in the log cannot be found by a later process. Returns
    /// whether no reader stood in the way.
    ///
    /// # Errors
    /// [`LedgerError`] when SQLite refuses.
    pub fn settle(&self) -> Result<bool, LedgerError> {
        let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
        let blocked: bool =
            self.connection.query_row(fold, [], |row| row.get(0)).map_err(self.error())?;
        Ok(!blocked)
    }
}
