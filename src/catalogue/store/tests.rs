use std::cell::Cell;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::catalogue::testing::{outcomes, schema, wide_schema};
use crate::catalogue::{INPUTS, MANIFEST, Manifest, NAMES};
use crate::fits::Fits;
use crate::ledger::Done;

pub(super) fn open(folder: &Path) -> Store {
    Store::open(folder, "m 1", schema()).unwrap()
}

/// Commits a file whose content gives so many rows.
pub(super) fn commit(store: &mut Store, path: &str, content: &[u8], spectra: usize) {
    let outcomes = outcomes(path, content, 0, spectra, spectra);
    let encoded = store.encode(&outcomes).unwrap();
    let inputs = encoded.inputs().to_vec();
    store.commit_encoded(&encoded, &inputs).unwrap();
}

pub(super) fn seal(store: &Store) -> Counts {
    store.seal(&Made::default(), &|| false).unwrap()
}

pub(super) fn published(folder: &Path) -> Vec<Vec<u8>> {
    let names = NAMES.into_iter().chain([MANIFEST]);
    names.map(|name| std::fs::read(folder.join(name)).unwrap()).collect()
}

#[test]
fn a_content_that_was_replaced_and_restored_counts_again() {
    let (folder, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut store = open(plain.path());
    commit(&mut store, "x", b"A", 3);
    seal(&store);
    let mut store = open(folder.path());
    commit(&mut store, "x", b"A", 3);
    commit(&mut store, "x", b"B", 2);
    assert_eq!(seal(&store), Counts { rows: 2, rejects: 0 });
    let (a, b) = (Digest::of(b"A"), Digest::of(b"B"));
    assert_eq!(store.ledger().state(a, "x", 0).unwrap(), Done::Superseded);
    store.promote(a, "x").unwrap();
    assert_eq!(store.ledger().state(a, "x", 0).unwrap(), Done::Current);
    assert_eq!(store.ledger().state(b, "x", 0).unwrap(), Done::Superseded);
    assert_eq!(seal(&store), Counts { rows: 3, rejects: 0 });
    assert_eq!(published(folder.path()), published(plain.path()));
    store.promote(b, "x").unwrap();
    assert_eq!(seal(&store), Counts { rows: 2, rejects: 0 });
}

#[test]
fn a_seal_that_is_given_up_leaves_what_was_published() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    // More segments than are merged at once, so that each kind of loop is asked.
    for number in 0..40 {
        commit(&mut store, &format!("{number}"), &[number], 1);
    }
    seal(&store);
    let before = published(folder.path());
    commit(&mut store, "new", b"new", 1);
    let asked = Cell::new(0);
    let mut given_up = 0;
    for patience in 0..100 {
        asked.set(0);
        let tired = || asked.replace(asked.get() + 1) == patience;
        match store.seal(&Made::default(), &tired) {
            Err(StoreError::Catalogue(CatalogueError::GivenUp)) => given_up += 1,
            other => {
                assert_eq!(other.unwrap(), Counts { rows: 41, rejects: 0 });
                break;
            }
        }
        assert_eq!(published(folder.path()), before);
        let left = std::fs::read_dir(folder.path()).unwrap();
        let tmp = left.filter(|e| e.as_ref().unwrap().path().extension() == Some("tmp".as_ref()));
        assert_eq!(tmp.count(), 0, "scratch is removed");
    }
    assert!(given_up >= 4, "asked {given_up} times");
    assert_ne!(published(folder.path()), before);
}

#[test]
fn an_orphan_is_adopted_by_a_rebuild_and_a_second_copy_of_an_input_is_refused() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut store = open(folder.path());
    commit(&mut store, "a", b"a", 2);
    commit(&mut store, "b", b"b", 1);
    // Orphans, as two runs could have left them: one new, one with an input that is done.
    for (number, outcomes) in [
        (3, outcomes("c", b"c", 0, 1, 1)),
        (4, [outcomes("a", b"a", 0, 2, 2), outcomes("d", b"d", 0, 1, 1)].concat()),
    ] {
        let encoded = store.encode(&outcomes).unwrap();
        let segment = encoded.segment(number);
        segment::write(&folder.path().join(SEGMENTS), &segment, &encoded).unwrap();
    }
    drop(store);
    std::fs::remove_file(folder.path().join(LEDGER)).unwrap();
    let mut store = open(folder.path());
    let rebuilt = store.recovered().ledger.clone().unwrap();
    assert_eq!((rebuilt.segments, rebuilt.inputs, rebuilt.refused), (3, 3, 1));
    assert_eq!(store.recovered().orphans, 1, "the refused one is removed");
    assert!(!store.ledger().is_done(Digest::of(b"d"), "d", 0).unwrap());
    commit(&mut store, "d", b"d", 1);
    assert_eq!(seal(&store), Counts { rows: 5, rejects: 0 });
    let mut plain = open(other.path());
    for (path, spectra) in [("d", 1), ("c", 1), ("b", 1), ("a", 2)] {
        commit(&mut plain, path, path.as_bytes(), spectra);
    }
    seal(&plain);
    assert_eq!(published(folder.path()), published(other.path()));
}

#[test]
fn a_rebuilt_ledger_knows_its_model() {
    let folder = tempfile::tempdir().unwrap();
    commit(&mut open(folder.path()), "a", b"a", 1);
    std::fs::write(folder.path().join(LEDGER), b"").unwrap();
    let error = Store::open(folder.path(), "m 2", schema()).err().unwrap();
    assert!(matches!(error, StoreError::OtherModel { ref found, .. } if found == "m 1"), "{error}");
    assert_eq!(open(folder.path()).ledger().totals().unwrap(), (1, 1));
}

#[test]
fn a_log_without_its_database_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    commit(&mut store, "a", b"a", 1);
    let log = crate::catalogue::beside(&folder.path().join(LEDGER), "-wal");
    let bytes = std::fs::read(&log).unwrap();
    assert!(!bytes.is_empty(), "the commit is still in the log");
    drop(store);
    assert!(!log.exists(), "closing folds the log into the database");
    std::fs::write(&log, bytes).unwrap();
    std::fs::remove_file(folder.path().join(LEDGER)).unwrap();
    let store = open(folder.path());
    assert_eq!(store.recovered().ledger.as_ref().unwrap().inputs, 1);
    assert_eq!(store.ledger().totals().unwrap(), (1, 1));
    assert!(folder.path().join("ledger.sqlite.damaged-wal").exists());
}

#[test]
fn outcomes_are_committed_only_as_those_of_their_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let encoded = store.encode(&outcomes("a", b"a", 0, 2, 2)).unwrap();
    let short = Input { spectra: 1, ..encoded.inputs()[0].clone() };
    for inputs in [vec![], vec![short]] {
        let error = store.commit_encoded(&encoded, &inputs).unwrap_err();
        assert!(matches!(error, StoreError::OtherInputs { .. }), "{error}");
    }
    assert!(store.ledger().is_empty().unwrap());
}

#[test]
fn files_of_others_stay_and_our_own_scratch_goes() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let ours = ["catalogue.fits.tmp", "merge-0-3.parquet.tmp", "ledger.sqlite.tmp", "run.json.tmp"];
    let others = ["notes.tmp", "merge.txt"];
    for name in ours.iter().chain(&others) {
        std::fs::write(folder.path().join(name), b"x").unwrap();
    }
    drop(open(folder.path()));
    assert!(ours.iter().all(|name| !folder.path().join(name).exists()));
    assert!(others.iter().all(|name| folder.path().join(name).exists()));
}

#[test]
fn the_manifest_lists_inputs_and_settings() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    commit(&mut store, "b", b"b", 1);
    commit(&mut store, "a", b"a", 2);
    let settings = [("input.max_file_bytes".to_owned(), "9".to_owned())].into();
    let made = Made { settings, ..Made::default() };
    store.seal(&made, &|| false).unwrap();
    let list = std::fs::read_to_string(folder.path().join(INPUTS)).unwrap();
    assert_eq!(list, format!("{}  a\n{}  b\n", Digest::of(b"a"), Digest::of(b"b")));
    let manifest = Manifest::read(folder.path()).unwrap().unwrap();
    assert_eq!((manifest.inputs, manifest.inputs_read), (2, 2));
    assert_eq!(manifest.model, "m 1");
    // printf 'input.max_file_bytes = 9\n' | sha256sum
    assert_eq!(manifest.settings_sha256, SETTINGS);
}

const SETTINGS: &str = "752931bdb5ad131a503da4abf3b5b48374ca3f241acd29088eca67dae42f1cc9";

#[test]
fn errors_and_columns_of_several_values_are_in_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), "m 1", wide_schema()).unwrap();
    // More segments than are merged at once, so that every kind of writer sees the columns.
    for number in 0..40_u8 {
        let mut outcomes = outcomes(&format!("{number:02}"), &[number], 0, 1, 1);
        let Ok(estimate) = &mut outcomes[0].content else { panic!("a row") };
        let value = f32::from(number);
        estimate.errors = vec![value + 0.5];
        estimate.vectors = vec![value, -value, 0.25, f32::MAX, 3.0, -4.0];
        if number == 7 {
            outcomes[0].content = Err(crate::reject::Code::POISON.because("for this test"));
        }
        let encoded = store.encode(&outcomes).unwrap();
        let inputs = encoded.inputs().to_vec();
        store.commit_encoded(&encoded, &inputs).unwrap();
    }
    assert_eq!(seal(&store), Counts { rows: 39, rejects: 1 });

    let file = std::fs::File::open(folder.path().join("catalogue.parquet")).unwrap();
    let rows = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let rows: Vec<_> = rows.map(Result::unwrap).collect();
    let [batch] = rows.as_slice() else { panic!("one batch") };
    let bytes = std::fs::read(folder.path().join("catalogue.fits")).unwrap();
    let fits = Fits::parse(&bytes).unwrap();
    let hdu = fits.named("CATALOGUE").unwrap();
    let table = hdu.table().unwrap();
    let named = |name: &str| wide_schema().rows().position(|column| column.name == name).unwrap();
    let card =
        |keyword: &str, name: &str| hdu.header.text(&format!("{keyword}{}", named(name) + 1));
    assert_eq!(card("TALI", "teff"), Some("Teff[K]".into()));
    assert_eq!(card("TALI", "teff_err"), Some("Teff[K]_err".into()));
    assert_eq!(card("TDIM", "votes"), Some("(2,2)".into()));
    let floats = |name: &str, row| table.floats(table.column(name).unwrap(), row).unwrap();
    for row in 0..batch.num_rows() {
        let list = |name: &str| batch.column_by_name(name).unwrap().as_fixed_size_list().value(row);
        let votes = list("votes").as_primitive::<Float32Type>().values().to_vec();
        let winner = list("winner").as_primitive::<Int32Type>().values().to_vec();
        let error = batch.column_by_name("teff_err").unwrap();
        let error = error.as_primitive::<Float32Type>().value(row);
        let value = votes[0];
        assert_eq!(votes, [value, -value, 0.25, f32::MAX]);
        assert_eq!((error, winner), (value + 0.5, vec![3, -4]));
        assert_eq!(floats("votes", row), votes);
        assert_eq!(floats("teff_err", row), [error]);
    }
}
