//! `plan.json`: what a release holds and how it is cut.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::shards::{self, Cut, ShardList};
use super::{BackfillError, Collected, Roll};
use crate::catalogue::replace;

/// Name of the file within the plan's folder.
pub const PLAN: &str = "plan.json";

/// One shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Files, or parts of large ones.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// BLAKE3 of its list, inflated.
    pub blake3: String,
}

/// A release that is listed and cut. It holds no time and no machine: the same files give the same
/// plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this form.
    pub format: u32,
    /// What the files were found by.
    pub request: String,
    /// Files, or parts of large ones.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was found beside them.
    pub collected: Collected,
    /// BLAKE3 of the shards' digests, a line each.
    pub blake3: String,
    /// The shards.
    pub shards: Vec<Shard>,
    #[serde(skip)]
    folder: PathBuf,
}

const FORMAT: u32 = 1;

/// Cuts what is on the roll into shards and writes the plan; the roll is removed.
///
/// # Errors
/// [`BackfillError::Nothing`] if nothing is on it, and those of writing.
pub fn plan_of(
    roll: Roll,
    folder: &Path,
    request: &str,
    collected: Collected,
    cut: Cut,
) -> Result<Plan, BackfillError> {
    let collected = Collected { excluded: roll.excluded()?, ..collected };
    let shards = shards::write(&roll, folder, cut)?;
    if shards.is_empty() {
        let what = format!("nothing is left to be done: {collected}; check what is asked for");
        return Err(BackfillError::Nothing(what));
    }
    let plan = Plan {
        format: FORMAT,
        request: request.to_owned(),
        entries: shards.iter().map(|shard| shard.entries).sum(),
        bytes: shards.iter().map(|shard| shard.bytes).sum(),
        collected,
        blake3: digest(&shards),
        shards,
        folder: folder.to_owned(),
    };
    let path = folder.join(PLAN);
    let json = serde_json::to_string_pretty(&plan)
        .map_err(|error| BackfillError::io(&path)(error.into()))?;
    replace(&path, (json + "\n").as_bytes())?;
    roll.remove()?;
    Ok(plan)
}

fn digest(shards: &[Shard]) -> String {
    let mut hasher = blake3::Hasher::new();
    for shard in shards {
        hasher.update(shard.blake3.as_bytes()).update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}

impl Plan {
    /// Reads the plan in a folder.
    ///
    /// # Errors
    /// [`BackfillError::NoPlan`], and [`BackfillError::Damaged`] if it is not as it was written.
    pub fn read(folder: &Path) -> Result<Self, BackfillError> {
        let path = folder.join(PLAN);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(BackfillError::NoPlan(folder.to_owned()));
            }
            Err(error) => return Err(BackfillError::io(&path)(error)),
        };
        let plan: Self = serde_json::from_slice(&bytes)
            .map_err(|error| BackfillError::damaged(&path, error.to_string()))?;
        if plan.format != FORMAT {
            let problem = format!("its format is {}, this version reads {FORMAT}", plan.format);
            return Err(BackfillError::damaged(&path, problem));
        }
        if digest(&plan.shards) != plan.blake3 {
            return Err(BackfillError::damaged(&path, "its digest is not that of its shards"));
        }
        Ok(Self { folder: folder.to_owned(), ..plan })
    }

    /// The list of a shard.
    ///
    /// # Errors
    /// [`BackfillError::Request`] if there is none of this number.
    pub fn list(&self, number: u64) -> Result<ShardList, BackfillError> {
        let shard = usize::try_from(number).ok().and_then(|number| self.shards.get(number));
        shard.map(|shard| ShardList::of(&self.folder, number, shard)).ok_or_else(|| {
            let last = self.shards.len().saturating_sub(1);
            BackfillError::Request(format!(
                "there is no shard {number}; the shards of this plan are 0 to {last}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Entry;
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_was_written_and_not_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let mut roll = Roll::open(&folder.path().join("roll.sqlite"), "request").unwrap();
        let entry = |path: &str| Entry { path: path.into(), bytes: 9, first: 0, rows: None };
        roll.add(&[entry("a"), entry("b"), entry("c")]).unwrap();
        let cut = Cut::Shards(2);
        let plan = plan_of(roll, folder.path(), "request", Collected::default(), cut).unwrap();
        assert_eq!((plan.entries, plan.bytes, plan.shards.len()), (3, 27, 2));
        assert_eq!(Plan::read(folder.path()).unwrap(), plan);
        plan.list(1).unwrap().verify().unwrap();
        assert!(matches!(plan.list(2), Err(BackfillError::Request(_))));
        let path = folder.path().join(PLAN);
        let text = std::fs::read_to_string(&path).unwrap();
        let other = text.replace(&plan.shards[0].blake3, &plan.shards[1].blake3);
        std::fs::write(&path, other).unwrap();
        assert!(matches!(Plan::read(folder.path()), Err(BackfillError::Damaged { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Plan::read(folder.path()), Err(BackfillError::NoPlan(_))));
    }

    #[test]
    fn there_is_no_plan_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let roll = Roll::open(&folder.path().join("roll.sqlite"), "request").unwrap();
        let plan = plan_of(roll, folder.path(), "request", Collected::default(), Cut::Bytes(1));
        assert!(matches!(plan, Err(BackfillError::Nothing(_))));
    }
}
