//! The lists of the shards: which files, or which rows of a large table, each of them does.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use super::plan::Shard;
use super::{BackfillError, Roll};
use crate::catalogue::{create_folders, path_of_text, path_text, publish_file};
use crate::input::Digest;
use crate::records::{RecordError, Records};

/// The folder of the lists within that of the plan.
const SHARDS: &str = "shards";

/// What reading one more file costs, in bytes of another one that is read on.
const FILE_COST: u64 = 16 << 10;

const HEADER: &[u8] = b"path,bytes,first,rows\n";

/// A file of a plan, or some rows of a large one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// Its size, or that of these rows.
    pub bytes: u64,
    /// The first row.
    pub first: u64,
    /// How many rows; `None` for the whole file.
    pub rows: Option<u64>,
}

impl Entry {
    fn weight(&self) -> u128 {
        u128::from(self.bytes) + u128::from(FILE_COST)
    }

    fn line(&self) -> String {
        let Self { path, bytes, first, rows } = self;
        // Quotation marks protect commas, and a mark within them is written twice.
        let path = path_text(path).replace('"', "\"\"");
        let rows = rows.map(|rows| rows.to_string()).unwrap_or_default();
        format!("\"{path}\",{bytes},{first},{rows}\n")
    }

    fn of(fields: &[&[u8]]) -> Option<Self> {
        let [path, bytes, first, rows] = fields else { return None };
        let text = |field| std::str::from_utf8(field).ok();
        let number = |field| text(field)?.parse().ok();
        let rows = match *rows {
            b"" => None,
            rows => Some(number(rows)?),
        };
        let path = path_of_text(text(path)?)?;
        Some(Self { path, bytes: number(bytes)?, first: number(first)?, rows })
    }
}

/// Into how many shards a plan is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// So many, or fewer if there are fewer files.
    Shards(u64),
    /// Of about so many bytes each.
    Bytes(u64),
}

impl Cut {
    fn count(self, entries: u64, weight: u128) -> u64 {
        let wanted = match self {
            Self::Shards(count) => count,
            Self::Bytes(bytes) => {
                u64::try_from(weight.div_ceil(u128::from(bytes.max(1)))).unwrap_or(u64::MAX)
            }
        };
        wanted.clamp(1, entries.max(1))
    }
}

/// Writes the lists of all shards into the folder of the plan.
///
/// The list is cut where the running sum of sizes passes the next n-th of the whole, so that a
/// shard is larger or smaller than the others by one file at most.
pub(super) fn write(roll: &Roll, folder: &Path, cut: Cut) -> Result<Vec<Shard>, BackfillError> {
    let (mut entries, mut whole) = (0_u64, 0_u128);
    roll.each(&mut |entry| {
        entries += 1;
        whole += entry.weight();
        Ok(())
    })?;
    create_folders(&folder.join(SHARDS))?;
    let count = cut.count(entries, whole);
    let (mut shards, mut list, mut before) = (Vec::new(), None::<(u128, Writing)>, 0_u128);
    roll.each(&mut |entry| {
        // The middle of the entry decides. One that is larger than a shard leaves places empty.
        let place = (before + entry.weight() / 2) * u128::from(count) / whole.max(1);
        before += entry.weight();
        if let Some((_, done)) = list.take_if(|(open, _)| *open != place) {
            shards.push(done.finish()?);
        }
        let (_, writing) = match &mut list {
            Some(open) => open,
            None => list.insert((place, Writing::begin(list_path(folder, shards.len() as u64))?)),
        };
        writing.put(&entry)
    })?;
    if let Some((_, last)) = list {
        shards.push(last.finish()?);
    }
    Ok(shards)
}

fn list_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(SHARDS).join(format!("shard-{number:05}.csv.zst"))
}

/// The list of one shard on its way to disk.
struct Writing {
    path: PathBuf,
    temporary: PathBuf,
    encoder: zstd::Encoder<'static, File>,
    hasher: blake3::Hasher,
    shard: Shard,
}

impl Writing {
    fn begin(path: PathBuf) -> Result<Self, BackfillError> {
        let temporary = crate::catalogue::beside(&path, ".tmp");
        let file = File::create(&temporary).map_err(BackfillError::io(&temporary))?;
        let encoder = zstd::Encoder::new(file, 3).map_err(BackfillError::io(&temporary))?;
        let (hasher, shard) = (blake3::Hasher::new(), Shard::default());
        let mut list = Self { path, temporary, encoder, hasher, shard };
        list.write(HEADER)?;
        Ok(list)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BackfillError> {
        self.hasher.update(bytes);
        self.encoder.write_all(bytes).map_err(BackfillError::io(&self.temporary))
    }

    fn put(&mut self, entry: &Entry) -> Result<(), BackfillError> {
        self.shard.entries += 1;
        self.shard.bytes += entry.bytes;
        self.write(entry.line().as_bytes())
    }

    fn finish(self) -> Result<Shard, BackfillError> {
        let Self { path, temporary, encoder, hasher, shard } = self;
        encoder.finish().map_err(BackfillError::io(&temporary))?;
        publish_file(&temporary, &path)?;
        Ok(Shard { blake3: hasher.finalize().to_hex().to_string(), ..shard })
    }
}

/// The list of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardList {
    path: PathBuf,
    shard: Shard,
}

impl ShardList {
    /// The list of a shard of the plan in `folder`.
    pub(super) fn of(folder: &Path, number: u64, shard: &Shard) -> Self {
        Self { path: list_path(folder, number), shard: shard.clone() }
    }

    /// Compares the list with what the plan says of it.
    ///
    /// # Errors
    /// [`BackfillError::Damaged`] if they differ, [`BackfillError::Io`] if it cannot be read.
    pub fn verify(&self) -> Result<(), BackfillError> {
        let mut hasher = blake3::Hasher::new();
        std::io::copy(&mut self.open()?, &mut hasher).map_err(BackfillError::io(&self.path))?;
        if Digest(*hasher.finalize().as_bytes()).to_string() == self.shard.blake3 {
            return Ok(());
        }
        Err(BackfillError::damaged(&self.path, "it is not the list that the plan names"))
    }

    fn open(&self) -> Result<zstd::Decoder<'static, BufReader<File>>, BackfillError> {
        let file = File::open(&self.path).map_err(BackfillError::io(&self.path))?;
        zstd::Decoder::new(file).map_err(BackfillError::io(&self.path))
    }

    /// Calls `visit` for every entry.
    ///
    /// # Errors
    /// [`BackfillError`], and those of `visit`.
    pub fn each(
        &self,
        visit: &mut dyn FnMut(Entry) -> Result<(), BackfillError>,
    ) -> Result<(), BackfillError> {
        let mut source = BufReader::new(self.open()?);
        let mut line = 0_u64;
        let read = Records::new(b',').read(&mut source, &mut |fields| {
            line += 1;
            if line == 1 {
                return Ok(());
            }
            let entry = Entry::of(fields).ok_or(Ended::Line(line))?;
            visit(entry).map_err(Ended::Visit)
        });
        read.map_err(|ended| match ended {
            Ended::Visit(error) => error,
            Ended::Line(line) => {
                BackfillError::damaged(&self.path, format!("line {line} is no entry"))
            }
            Ended::Record(error) => BackfillError::damaged(&self.path, error.to_string()),
        })
    }
}

/// Why a reading ended.
enum Ended {
    Record(RecordError),
    Line(u64),
    Visit(BackfillError),
}

impl From<RecordError> for Ended {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use proptest::prelude::*;

    use super::*;

    fn roll(folder: &Path, entries: &[Entry]) -> Roll {
        let mut roll = Roll::open(&folder.join("roll.sqlite"), "request").unwrap();
        roll.add(entries).unwrap();
        roll
    }

    fn read(folder: &Path, shards: &[Shard]) -> Vec<Vec<Entry>> {
        let list = |(number, shard): (usize, &Shard)| {
            let list = ShardList::of(folder, number as u64, shard);
            list.verify().unwrap();
            let mut entries = Vec::new();
            list.each(&mut |entry| {
                entries.push(entry);
                Ok(())
            })
            .unwrap();
            assert_eq!(entries.len() as u64, shard.entries);
            assert_eq!(entries.iter().map(|entry| entry.bytes).sum::<u64>(), shard.bytes);
            entries
        };
        shards.iter().enumerate().map(list).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn every_entry_is_in_one_shard_and_the_shards_are_even(
            sizes in prop::collection::vec(0_u64..1_000_000, 1..80),
            count in 1_u64..20,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let entry = |(number, &bytes): (usize, &u64)| {
                // Names that need escaping and quoting.
                let name = format!("a,\"%{number:03}\n").into_bytes();
                let path = OsString::from_vec([name.as_slice(), b"\xff"].concat()).into();
                let rows = (number % 2 == 0).then_some(9);
                Entry { path, bytes, first: 3, rows }
            };
            let entries: Vec<Entry> = sizes.iter().enumerate().map(entry).collect();
            let shards = write(&roll(folder.path(), &entries), folder.path(), Cut::Shards(count));
            let lists = read(folder.path(), &shards.unwrap());
            prop_assert!(lists.len() as u64 <= count);
            prop_assert!(lists.iter().all(|list| !list.is_empty()));
            let weight = |list: &Vec<Entry>| list.iter().map(Entry::weight).sum::<u128>();
            let largest = entries.iter().map(Entry::weight).max().unwrap();
            let mean = lists.iter().map(weight).sum::<u128>() / u128::from(count);
            prop_assert!(lists.iter().all(|list| weight(list) <= mean + largest + 1));
            prop_assert_eq!(lists.concat(), entries);
        }
    }

    #[test]
    fn a_cut_by_size_counts_what_opening_a_file_costs() {
        assert_eq!(Cut::Bytes(1000).count(50, 10_000), 10);
        assert_eq!(Cut::Bytes(1000).count(3, 10_000), 3);
        assert_eq!(Cut::Bytes(1 << 40).count(3, 10_000), 1);
        assert_eq!(Cut::Shards(5).count(0, 0), 1);
    }

    #[test]
    fn a_list_that_was_changed_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let entry = Entry { path: "a".into(), bytes: 1, first: 0, rows: None };
        let shards = write(&roll(folder.path(), &[entry]), folder.path(), Cut::Shards(1)).unwrap();
        let list = ShardList::of(folder.path(), 0, &shards[0]);
        list.verify().unwrap();
        let other = zstd::encode_all(&b"path,bytes,first,rows\nb,1,0,\n"[..], 3).unwrap();
        std::fs::write(list_path(folder.path(), 0), other).unwrap();
        assert!(matches!(list.verify(), Err(BackfillError::Damaged { .. })));
    }
}
