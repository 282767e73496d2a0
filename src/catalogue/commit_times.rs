//! When the outcomes of a segment were committed. A segment of one commit says it by the time of its
//! file; one that was merged has a note, for its own time is that of the merge.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};

use super::CatalogueError;

/// Key of the note.
pub(super) const COMMITS: &str = "starmill.commits";

/// Commits this close together, in seconds, are noted as one.
const GRAIN: u64 = 10;

/// So many outcomes at each time, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommitTimes(Vec<(u64, u64)>);

impl CommitTimes {
    /// Reads them off a segment.
    ///
    /// # Errors
    /// [`CatalogueError`] when it cannot be read.
    pub fn of(path: &Path) -> Result<Self, CatalogueError> {
        let file = File::open(path).map_err(CatalogueError::io(path))?;
        let modified = file.metadata().and_then(|file| file.modified());
        let modified = modified.map_err(CatalogueError::io(path))?;
        let read = || -> Result<Self, ParquetError> {
            let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
            let metadata = metadata.metadata().file_metadata();
            let notes = metadata.key_value_metadata().into_iter().flatten();
            let note =
                notes.filter(|note| note.key == COMMITS).find_map(|note| note.value.as_ref());
            // A note that cannot be read costs the exact times and nothing else.
            if let Some(times) = note.and_then(|note| serde_json::from_str(note).ok()) {
                return Ok(times);
            }
            let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
            Ok(Self(vec![(since.as_secs() / GRAIN * GRAIN, rows)]))
        };
        read().map_err(CatalogueError::parquet(path))
    }

    /// The times of several segments.
    pub(super) fn joined(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut times: Vec<(u64, u64)> = parts.into_iter().flat_map(|part| part.0).collect();
        times.sort_unstable();
        times.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
        Self(times)
    }

    pub(super) fn note(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A time for each outcome. How many there are at each time is exact; which of them it is, a
    /// merged segment does not know.
    pub fn each(&self) -> impl Iterator<Item = SystemTime> {
        self.0.iter().flat_map(|&(seconds, count)| {
            let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            std::iter::repeat_n(at.unwrap_or(SystemTime::UNIX_EPOCH), count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_joined_in_their_order() {
        let (a, b) = (CommitTimes(vec![(20, 1), (40, 2)]), CommitTimes(vec![(10, 1), (20, 5)]));
        let joined = CommitTimes::joined([a, b]);
        assert_eq!(joined.0, [(10, 1), (20, 6), (40, 2)]);
        assert_eq!(joined.note(), "[[10,1],[20,6],[40,2]]");
        assert_eq!(serde_json::from_str::<CommitTimes>(&joined.note()).unwrap(), joined);
        assert_eq!(joined.each().count(), 9);
        let hostile = CommitTimes(vec![(u64::MAX, u64::MAX)]);
        assert_eq!(hostile.each().next(), Some(SystemTime::UNIX_EPOCH));
    }
}
