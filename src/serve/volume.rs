//! The catalogues of nights on disk: `nights/2026-11-21`, then its supplements `2026-11-21+1`, ...

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::catalogue::{CatalogueError, MANIFEST};
use crate::night::Night;

/// The file that is written last when a night closes.
pub const CLOSED: &str = "closed.json";

/// One catalogue of a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Volume {
    /// The night.
    pub night: Night,
    /// 0 for the night's own, above for supplements.
    pub number: u32,
}

/// How far a catalogue on disk is. It follows from the files alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Takes outcomes.
    Open,
    /// Published and vouched for; its report may be missing.
    Sealed,
    /// Finished.
    Closed,
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => write!(f, "{}", self.night),
            number => write!(f, "{}+{number}", self.night),
        }
    }
}

impl Volume {
    /// The volume of a folder's name.
    fn of_name(name: &str) -> Option<Self> {
        let (night, number) = name.split_once('+').map_or((name, None), |(n, s)| (n, Some(s)));
        let number = number.map_or(Some(0), |number| number.parse().ok())?;
        let volume = Self { night: Night::of_date(night)?, number };
        // `2026-11-21+01` is not what this program writes.
        (volume.to_string() == name).then_some(volume)
    }

    /// The supplement after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }

    /// Its folder.
    pub fn folder(self, nights: &Path) -> PathBuf {
        nights.join(self.to_string())
    }

    /// How far it is.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn stage(self, nights: &Path) -> Result<Stage, CatalogueError> {
        let folder = self.folder(nights);
        let has = |name: &str| {
            let path = folder.join(name);
            path.try_exists().map_err(|source| CatalogueError::Io { path, source })
        };
        Ok(match (has(CLOSED)?, has(MANIFEST)?) {
            (true, _) => Stage::Closed,
            (false, true) => Stage::Sealed,
            (false, false) => Stage::Open,
        })
    }
}

/// The volumes below a folder, in order; of one night, if one is named.
///
/// # Errors
/// When the folder cannot be read. One that is not there has none.
pub fn volumes(nights: &Path, night: Option<Night>) -> Result<Vec<Volume>, CatalogueError> {
    let failed = |source| CatalogueError::Io { path: nights.to_owned(), source };
    let entries = match std::fs::read_dir(nights) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut volumes = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let volume = name.to_str().and_then(Volume::of_name);
        volumes.extend(volume.filter(|volume| night.is_none_or(|night| volume.night == night)));
    }
    volumes.sort_unstable();
    Ok(volumes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_are_volumes_in_order_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["2026-11-21+10", "2026-11-21", "2026-11-20", "2026-11-21+2"];
        let others = ["2026-11-21+02", "2026-11-21+0", "notes", "2026-11-21.old", "2026-11-21+-1"];
        for name in names.iter().chain(&others) {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let found = |night| {
            let volumes = volumes(folder.path(), night).unwrap();
            volumes.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let all = ["2026-11-20", "2026-11-21", "2026-11-21+2", "2026-11-21+10"];
        assert_eq!(found(None), all);
        assert_eq!(found(Night::of_date("2026-11-21")), all[1..]);
        assert!(volumes(&folder.path().join("none"), None).unwrap().is_empty());
    }

    #[test]
    fn how_far_a_volume_is_follows_from_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let volume = Volume { night: Night::of_date("2026-11-21").unwrap(), number: 1 };
        let stage = || volume.stage(folder.path()).unwrap();
        assert_eq!(stage(), Stage::Open);
        std::fs::create_dir(volume.folder(folder.path())).unwrap();
        std::fs::write(volume.folder(folder.path()).join(MANIFEST), "").unwrap();
        assert_eq!(stage(), Stage::Sealed);
        std::fs::write(volume.folder(folder.path()).join(CLOSED), "").unwrap();
        assert_eq!(stage(), Stage::Closed);
    }
}
