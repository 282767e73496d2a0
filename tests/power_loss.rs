//! The power goes: whatever a disk may then hold, what was committed is there, nothing is there
//! twice, and the next run ends with the same bytes.
//!
//! A real run is recorded call by call, and the model in `support/disk/model.rs` makes from every
//! point of the record folders as a loss of power may leave them.

mod support;

#[path = "support/disk/mod.rs"]
#[expect(dead_code, reason = "faults/ uses the rest of the layer")]
mod disk;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use disk::Layer;
use disk::model::{Chance, Disk, Image, NamesKept, image_of, lay_out};
use disk::night::{Night, PUBLISHED, assert_publishes, published};
use disk::record::{self, Change, Step};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};
use starmill::catalogue::Store;
use starmill::config::Config;
use starmill::setup::Ready;

/// A recorded run over a night, and what it promised when.
struct Recorded {
    night: Night,
    /// What the recorded folder held before.
    before: Image,
    steps: Vec<Step>,
    /// Inputs whose commit had returned after so many steps.
    promises: BTreeMap<usize, BTreeSet<String>>,
    expected: BTreeMap<&'static str, Vec<u8>>,
}

/// Whether a sync did what it said.
type Honesty = fn(&Step) -> bool;

/// The recorded folder is the parent of the catalogue's, so that the catalogue's own name counts.
const CATALOGUE: &str = "disk/out";

impl Recorded {
    fn new(before: Image, stars: u32) -> Self {
        let night = Night::of(stars);
        let expected = night.expected();
        Self::over(night, before, expected)
    }

    fn over(night: Night, before: Image, expected: BTreeMap<&'static str, Vec<u8>>) -> Self {
        let (root, log) = (night.at("disk"), night.at("record"));
        for path in [&root, &log] {
            let _ = fs::remove_dir_all(path).or_else(|_| fs::remove_file(path));
        }
        fs::create_dir(&root).unwrap();
        lay_out(&before, &root);
        let layer = Layer::new().recording(&root, &log);
        night.assert_whole(&night.run_above(&layer, &night.at(CATALOGUE)));
        assert_publishes(&night.at(CATALOGUE), &expected);
        let steps = record::read(&log);
        let promises = promises(&before, &steps);
        Self { night, before, steps, promises, expected }
    }

    /// The inputs that are certain after so many steps.
    fn promised(&self, steps: usize) -> BTreeSet<String> {
        self.promises
            .range(..=steps)
            .next_back()
            .map(|(_, inputs)| inputs.clone())
            .unwrap_or_default()
    }

    /// Lets the power go `cases` times, evenly over the record, and gives what breaks.
    fn broken(&self, cases: usize, honest: Honesty) -> Vec<String> {
        let mut disk = Disk::holding(&self.before);
        let mut broken = Vec::new();
        let mut case = 0;
        for done in 0..=self.steps.len() {
            while case < cases && case * self.steps.len() / (cases - 1) == done {
                let kept = [NamesKept::InOrder, NamesKept::Any][case % 2];
                let image = disk.after_power_loss(kept, &mut Chance(case as u64));
                if let Err(what) = self.check(&image, &self.promised(done)) {
                    broken.push(format!("case {case}, after step {done}, names {kept:?}: {what}"));
                }
                case += 1;
            }
            if let Some(step) = self.steps.get(done) {
                disk.step(step, honest);
            }
        }
        assert_eq!(case, cases);
        broken
    }

    /// Opens a catalogue as the power left it and holds it to what was promised.
    fn check(&self, image: &Image, promised: &BTreeSet<String>) -> Result<(), String> {
        let folder = scratch();
        lay_out(image, folder.path());
        let out = folder.path().join("out");
        for name in PUBLISHED {
            let Ok(found) = fs::read(out.join(name)) else { continue };
            let before = self.before.get(&format!("out/{name}")).and_then(Option::as_ref);
            if before != Some(&found) && self.expected[name] != found {
                return Err(format!("{name} is published but neither the old one nor the new"));
            }
        }
        vouched(&out)?;
        let model = model();
        let store = Store::open(&out, &model.id_with_hash(), model.schema())
            .map_err(|error| format!("recovery fails: {error}"))?;
        drop(store);
        let done = done(&out).map_err(|error| format!("the ledger cannot be read: {error}"))?;
        if let Some(first) = promised.difference(&done).next() {
            let lost = promised.difference(&done).count();
            return Err(format!("{lost} committed inputs are lost, {first} the first"));
        }
        let outcomes = outcomes(&out.join("segments"))?;
        let files: BTreeSet<String> = outcomes.iter().map(|(file, _)| file.clone()).collect();
        if files.len() != outcomes.len() {
            return Err("an outcome is there twice".into());
        }
        if files != done {
            return Err("segments and ledger do not hold the same inputs".into());
        }
        Ok(())
    }
}

/// Holds the published files to the digests in `run.json`, if there is one.
fn vouched(out: &Path) -> Result<(), String> {
    let Ok(manifest) = fs::read(out.join("run.json")) else { return Ok(()) };
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let digests = manifest["sha256"].as_object().expect("run.json lists digests");
    assert!(digests.len() >= 4, "run.json lists {} files", digests.len());
    for (name, digest) in digests {
        let bytes = fs::read(out.join(name)).map_err(|error| format!("{name}: {error}"))?;
        let digest = digest.as_str().unwrap();
        let found = Sha256::digest(&bytes);
        let listed = digest.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
        if !listed.map(|pair| u8::from_str_radix(pair, 16).unwrap()).eq(found) {
            return Err(format!("run.json vouches for another {name}"));
        }
    }
    Ok(())
}

fn model() -> &'static Ready {
    static MODEL: OnceLock<Ready> = OnceLock::new();
    MODEL.get_or_init(|| Ready::open(&Config::load(None).unwrap(), "fcresnet").unwrap())
}

/// The inputs that the ledger in `out` names; every input of the night has one spectrum, so a
/// second entry of one would be a second row.
fn done(out: &Path) -> rusqlite::Result<BTreeSet<String>> {
    let ledger = rusqlite::Connection::open(out.join("ledger.sqlite"))?;
    let mut select = ledger.prepare("SELECT path FROM inputs")?;
    let paths: Vec<String> = select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let inputs: BTreeSet<String> = paths.iter().cloned().collect();
    assert_eq!(inputs.len(), paths.len(), "the ledger names an input twice");
    Ok(inputs)
}

/// File and position of every outcome in the segments.
fn outcomes(segments: &Path) -> Result<Vec<(String, i32)>, String> {
    let mut outcomes = Vec::new();
    for entry in fs::read_dir(segments).unwrap() {
        let file = fs::File::open(entry.unwrap().path()).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|error| format!("a segment cannot be read: {error}"))?;
        for batch in reader {
            let batch = batch.map_err(|error| format!("a segment cannot be read: {error}"))?;
            let files = batch.column_by_name("file").unwrap().as_string::<i32>();
            let positions = batch.column_by_name("file_index").unwrap().as_primitive::<Int32Type>();
            for row in 0..batch.num_rows() {
                outcomes.push((files.value(row).to_owned(), positions.value(row)));
            }
        }
    }
    Ok(outcomes)
}

/// What is promised after which step: a commit has returned once the sync of the ledger's log that
/// ends it has, and SQLite itself says which commits are in the ledger then.
fn promises(before: &Image, steps: &[Step]) -> BTreeMap<usize, BTreeSet<String>> {
    let mut disk = Disk::holding(before);
    let mut promises = BTreeMap::new();
    let mut read = |disk: &Disk, after: usize| {
        let folder = scratch();
        lay_out(&disk.seen(), folder.path());
        // Before its first transaction the ledger has no table.
        if let Ok(inputs) = done(&folder.path().join("out")) {
            promises.insert(after, inputs);
        }
    };
    read(&disk, 0);
    for (number, step) in steps.iter().enumerate() {
        disk.step(step, |_| true);
        if step.change == Change::Sync && step.path.ends_with("ledger.sqlite-wal") {
            read(&disk, number + 1);
        }
    }
    promises
}

/// A folder in memory where there is one, for syncs need not be waited for here.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn honest(_: &Step) -> bool {
    true
}

#[test]
fn the_record_misses_nothing() {
    if !support::has_library("the record of a run") {
        return;
    }
    let recorded = Recorded::new(Image::new(), 30);
    let mut disk = Disk::holding(&Image::new());
    recorded.steps.iter().for_each(|step| disk.step(step, honest));
    let (seen, real) = (disk.seen(), image_of(&recorded.night.at("disk")));
    assert_eq!(seen.keys().collect::<Vec<_>>(), real.keys().collect::<Vec<_>>());
    for (path, content) in real {
        assert!(seen[&path] == content, "{path}: the record does not replay to what is there");
    }
    let commits = recorded.promises.values().collect::<BTreeSet<_>>();
    assert!(commits.len() > 4, "{} promises are too few to test", commits.len());
}

#[test]
fn nothing_committed_is_lost_and_nothing_is_doubled() {
    if !support::has_library("loss of power") {
        return;
    }
    let recorded = Recorded::new(Image::new(), 60);
    let broken = recorded.broken(400, honest);
    assert!(broken.is_empty(), "{} of 400 break:\n{}", broken.len(), broken.join("\n"));

    // The test sees what it should: on a disk that does not do its syncs the promise breaks.
    let lies: [(&str, Honesty); 3] = [
        ("segments", |step| !step.path.contains("/segments/")),
        ("folders", |step| step.path.contains('.')),
        ("published files", |step| !step.path.contains(".tmp") || step.path.contains("segment-")),
    ];
    for (what, honest) in lies {
        let broken = recorded.broken(200, honest);
        assert!(!broken.is_empty(), "a disk that lies about {what} goes unnoticed");
    }
    // Of the ledger nothing need survive: it is made anew from segments, which name themselves.
    let broken = recorded.broken(200, |step| !step.path.contains("ledger.sqlite"));
    assert!(broken.is_empty(), "without the ledger {} of 200 break", broken.len());
}

#[test]
fn a_catalogue_that_grows_is_the_old_one_or_the_new() {
    if !support::has_library("loss of power over a sealed catalogue") {
        return;
    }
    let night = Night::of(40);
    let expected = night.expected();
    let later = night.at("later");
    fs::create_dir(&later).unwrap();
    let new: Vec<_> = (20..40).map(|seed| night.file(seed)).collect();
    for file in &new {
        fs::rename(file, later.join(file.file_name().unwrap())).unwrap();
    }
    let root = night.at("disk");
    fs::create_dir(&root).unwrap();
    support::assert_ended(&night.run(&night.at(CATALOGUE)), 1, "rows=20 rejects=1 files=21");
    for file in &new {
        fs::rename(later.join(file.file_name().unwrap()), file).unwrap();
    }
    let recorded = Recorded::over(night, image_of(&root), expected);
    assert_eq!(recorded.promised(0).len(), 21);
    let broken = recorded.broken(300, honest);
    assert!(broken.is_empty(), "{} of 300 break:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn the_next_run_ends_with_the_same_bytes() {
    if !support::has_library("a run after a loss of power") {
        return;
    }
    let recorded = Recorded::new(Image::new(), 60);
    let mut disk = Disk::holding(&recorded.before);
    let length = recorded.steps.len();
    let mut crashed = Vec::new();
    for (done, step) in recorded.steps.iter().enumerate() {
        if done % (length / 16) == length / 32 {
            let image = disk.after_power_loss(NamesKept::Any, &mut Chance(done as u64));
            crashed.push((done, image));
        }
        disk.step(step, honest);
    }
    for (done, image) in &crashed {
        let folder = scratch();
        lay_out(image, folder.path());
        let out = folder.path().join("out");
        recorded.night.assert_whole(&recorded.night.run(&out));
        let same = published(&out) == recorded.expected;
        assert!(same, "other bytes when the power goes after step {done}");
    }

    // The power goes again while the run that recovers is at work.
    let expected = recorded.expected;
    let mut night = recorded.night;
    for (_, image) in crashed.into_iter().step_by(5) {
        let again = Recorded::over(night, image, expected.clone());
        let broken = again.broken(60, honest);
        assert!(broken.is_empty(), "the second time: {}", broken.join("\n"));
        night = again.night;
    }
}
