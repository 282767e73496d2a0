//! Merging segments changes nothing of what is published, whatever happens in between.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::tests::{commit, open, published, seal};
use super::*;
use crate::catalogue::CommitTimes;

/// Merges until nothing is left to do.
fn compact(store: &mut Store, below: usize) -> usize {
    let mut merges = 0;
    while store.compact(below).unwrap() {
        merges += 1;
    }
    merges
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join(SEGMENTS)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn lose_ledger(folder: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(crate::catalogue::beside(&folder.join(LEDGER), ending));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Commit { path: u8, content: u8, spectra: usize },
    Promote { path: u8, content: u8 },
    Compact,
    Open,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..9_u8, 0..3_u8, 1..4_usize)
            .prop_map(|(path, content, spectra)| Step::Commit { path, content, spectra }),
        1 => (0..9_u8, 0..3_u8).prop_map(|(path, content)| Step::Promote { path, content }),
        6 => Just(Step::Compact),
        1 => Just(Step::Open),
    ]
}

/// Does a step to a catalogue that is merged, or to one that is not.
fn take(step: &Step, store: &mut Store, folder: &Path, merging: Option<usize>) -> Option<Store> {
    match step {
        Step::Commit { path, content, spectra } => {
            let (path, content) = (path.to_string(), [*path, *content]);
            if !store.ledger().is_done(Digest::of(&content), &path, 0).unwrap() {
                commit(store, &path, &content, *spectra);
            }
        }
        Step::Promote { path, content } => {
            store.promote(Digest::of(&[*path, *content]), &path.to_string()).unwrap();
        }
        Step::Compact => {
            merging.map(|below| store.compact(below).unwrap());
        }
        Step::Open => {
            // The lock belongs to one at a time.
            let other = tempfile::tempdir().unwrap();
            drop(std::mem::replace(store, open(other.path())));
            return Some(open(folder));
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn merged_segments_give_the_same_bytes(
        steps in prop::collection::vec(step(), 1..60),
        below in prop_oneof![Just(5_usize), Just(64), Just(96)],
    ) {
        let (plain, merged) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut one, mut other) = (open(plain.path()), open(merged.path()));
        for step in &steps {
            one = take(step, &mut one, plain.path(), None).unwrap_or(one);
            other = take(step, &mut other, merged.path(), Some(below)).unwrap_or(other);
            prop_assert_eq!(other.ledger().totals().unwrap(), one.ledger().totals().unwrap());
        }
        seal(&one);
        seal(&other);
        prop_assert_eq!(published(plain.path()), published(merged.path()));
        // A rebuilt ledger does not know what was promoted, unless a merged segment does.
        if steps.iter().all(|step| !matches!(step, Step::Promote { .. })) {
            drop(other);
            lose_ledger(merged.path());
            let mut other = open(merged.path());
            prop_assert_eq!(other.recovered().orphans, 0);
            compact(&mut other, below);
            seal(&other);
            prop_assert_eq!(published(plain.path()), published(merged.path()));
        }
    }
}

#[test]
fn small_segments_that_are_still_there_do_not_count_again_when_the_ledger_is_lost() {
    let (folder, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut store = open(folder.path());
    for number in 0..70 {
        commit(&mut store, &format!("{number}"), &[number], 1);
        if number % 2 == 1 {
            for name in names(folder.path()) {
                let from = folder.path().join(SEGMENTS).join(&name);
                std::fs::copy(from, kept.path().join(&name)).unwrap();
            }
            compact(&mut store, 64);
        }
    }
    seal(&store);
    let before = published(folder.path());
    let merged = names(folder.path());
    assert_eq!(merged.len(), 4, "{merged:?}");
    drop(store);
    // Every segment that ever was: single ones, pairs, pairs of pairs.
    for entry in std::fs::read_dir(kept.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(SEGMENTS).join(entry.file_name())).unwrap();
    }
    // The last pair of the 64 was merged at once.
    assert_eq!(names(folder.path()).len(), 70 + 34 + 1);
    lose_ledger(folder.path());
    let store = open(folder.path());
    let rebuilt = store.recovered().ledger.clone().unwrap();
    assert_eq!((rebuilt.inputs, rebuilt.refused), (70, 0));
    assert_eq!(names(folder.path()), merged);
    seal(&store);
    assert_eq!(published(folder.path()), before);
}

#[test]
fn the_newest_content_counts_when_both_are_in_one_segment_and_the_ledger_is_lost() {
    for contents in [[b"A", b"B"], [b"B", b"A"]] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        commit(&mut store, "x", contents[0], 1);
        commit(&mut store, "x", contents[1], 2);
        assert_eq!(compact(&mut store, 3), 1);
        drop(store);
        lose_ledger(folder.path());
        let store = open(folder.path());
        assert_eq!(seal(&store), Counts { rows: 2, rejects: 0 });
        let newest = store.ledger().newest_content("x").unwrap();
        assert_eq!(newest, Some(Digest::of(contents[1])));
    }
}

#[test]
fn a_damaged_segment_does_not_get_a_new_digest() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    for number in 0..3 {
        commit(&mut store, &format!("{number}"), &[number], 1);
    }
    let before = names(folder.path());
    let path = folder.path().join(SEGMENTS).join(&before[1]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[9] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = store.compact(3).unwrap_err();
    assert!(matches!(error, StoreError::Catalogue(CatalogueError::Damaged { .. })), "{error}");
    assert_eq!(names(folder.path()), before);
    drop(store);
    assert_eq!(open(folder.path()).recovered().inputs_forgotten, 1);
}

#[test]
fn what_could_not_be_removed_is_removed_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    for number in 0..3 {
        commit(&mut store, &format!("{number}"), &[number], 1);
    }
    // A folder in the place of the last segment cannot be removed as a file is.
    let mut stuck = store.segments[0].0.clone();
    stuck.name = "stuck".into();
    std::fs::create_dir(folder.path().join(SEGMENTS).join(&stuck.name)).unwrap();
    store.replaced.push(stuck);
    assert!(store.compact(3).is_err());
    std::fs::remove_dir(folder.path().join(SEGMENTS).join("stuck")).unwrap();
    assert_eq!(compact(&mut store, 3), 1);
    assert_eq!(names(folder.path()).len(), 1);
    assert_eq!(seal(&store), Counts { rows: 3, rejects: 0 });
}

#[test]
fn a_merged_segment_knows_when_its_outcomes_were_committed() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds);
    // One by one, so that each file can be given its time; two merges, one of them of merged ones.
    for number in 0..6_u8 {
        let before = names(folder.path());
        commit(&mut store, &format!("{number}"), &[number], 1 + usize::from(number % 2));
        let after = names(folder.path());
        let new = after.iter().find(|name| !before.contains(name)).unwrap();
        let file = File::options().append(true).open(folder.path().join(SEGMENTS).join(new));
        file.unwrap().set_modified(at(20 * u64::from(number) + 3)).unwrap();
        compact(&mut store, 4);
    }
    assert_eq!(compact(&mut store, 9), 1);
    let [name] = names(folder.path()).try_into().unwrap();
    let times = CommitTimes::of(&folder.path().join(SEGMENTS).join(name)).unwrap();
    let expected = [(0, 1), (20, 2), (40, 1), (60, 2), (80, 1), (100, 2)];
    let expected = expected.into_iter().flat_map(|(after, count)| vec![at(after); count]);
    assert_eq!(times.each().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}
