use super::*;

fn input(content: &[u8], path: &str, spectra: usize) -> Input {
    Input { digest: Digest::of(content), path: path.into(), first: 0, spectra, total: spectra }
}

fn segment(number: u64) -> Segment {
    Segment::named(number, Digest::of(&number.to_le_bytes()))
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    (folder, path)
}

#[test]
fn what_is_committed_is_there_after_opening_again() {
    let (_folder, path) = scratch();
    let mut ledger = Ledger::open(&path).unwrap();
    assert!(ledger.is_empty().unwrap());
    let inputs = [input(b"a", "a.fits", 1), input(b"b", "b.fits", 40)];
    ledger.commit(&segment(1), &inputs).unwrap();
    drop(ledger);
    let mut ledger = Ledger::open(&path).unwrap();
    assert_eq!(ledger.totals().unwrap(), (2, 41));
    assert!(ledger.is_done(Digest::of(b"a"), "a.fits", 0).unwrap());
    assert!(!ledger.is_done(Digest::of(b"a"), "other.fits", 0).unwrap());
    assert_eq!(ledger.segments().unwrap(), [segment(1)]);
    assert_eq!(ledger.forget(&segment(1)).unwrap(), 2);
    assert!(ledger.is_empty().unwrap());
}

#[test]
fn a_ledger_at_rest_is_read_whatever_its_name_and_nothing_is_left_beside_it() {
    let (folder, _) = scratch();
    let odd = folder.path().join("50% of #1?\u{e9}");
    std::fs::create_dir(&odd).unwrap();
    let path = odd.join("ledger.sqlite");
    let mut ledger = Ledger::open(&path).unwrap();
    ledger.commit(&segment(1), &[input(b"a", "a.fits", 1)]).unwrap();
    // While the log is not folded in, as after a crash, what it holds counts.
    assert_eq!(Ledger::open_at_rest(&path).unwrap().totals().unwrap(), (1, 1));
    drop(ledger);
    let reader = Ledger::open_at_rest(&path).unwrap();
    assert_eq!(reader.totals().unwrap(), (1, 1));
    assert_eq!(std::fs::read_dir(&odd).unwrap().count(), 1);
    drop(reader);
    assert_eq!(std::fs::read_dir(&odd).unwrap().count(), 1);
}

#[test]
fn the_newest_content_of_a_path_counts() {
    let (_folder, path) = scratch();
    let mut ledger = Ledger::open(&path).unwrap();
    ledger.commit(&segment(1), &[input(b"old", "a.fits", 3)]).unwrap();
    assert!(!ledger.has_superseded().unwrap());
    ledger.commit(&segment(2), &[input(b"new", "a.fits", 5)]).unwrap();
    assert_eq!(ledger.totals().unwrap(), (1, 5));
    assert!(ledger.has_superseded().unwrap());
    assert_eq!(ledger.newest_content("a.fits").unwrap(), Some(Digest::of(b"new")));
    assert_eq!(ledger.newest_content("b.fits").unwrap(), None);
}

#[test]
fn a_content_that_comes_back_counts_once_it_is_promoted() {
    let (_folder, path) = scratch();
    let mut ledger = Ledger::open(&path).unwrap();
    let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
    let part = |first| Input { first, spectra: 2, total: 4, ..input(b"old", "a.fits", 4) };
    ledger.commit(&segment(1), &[part(0), part(2)]).unwrap();
    ledger.commit(&segment(2), &[input(b"new", "a.fits", 5)]).unwrap();
    assert_eq!(ledger.state(old, "a.fits", 2).unwrap(), Done::Superseded);
    assert_eq!(ledger.promote(old, "a.fits").unwrap(), 2);
    assert_eq!(ledger.state(old, "a.fits", 0).unwrap(), Done::Current);
    assert_eq!(ledger.state(old, "a.fits", 2).unwrap(), Done::Current);
    assert_eq!(ledger.state(new, "a.fits", 0).unwrap(), Done::Superseded);
    assert_eq!(ledger.state(new, "b.fits", 0).unwrap(), Done::No);
    assert_eq!(ledger.totals().unwrap(), (1, 4));
    drop(ledger);
    assert_eq!(Ledger::open(&path).unwrap().totals().unwrap(), (1, 4));
}

#[test]
fn an_input_cannot_be_committed_twice() {
    let (_folder, path) = scratch();
    let mut ledger = Ledger::open(&path).unwrap();
    ledger.commit(&segment(1), &[input(b"a", "a.fits", 1)]).unwrap();
    assert!(ledger.commit(&segment(2), &[input(b"a", "a.fits", 1)]).is_err());
    // The same commit again, after a failure whose outcome was not known, is no second one.
    ledger.commit(&segment(1), &[input(b"a", "a.fits", 1)]).unwrap();
    assert_eq!(ledger.segments().unwrap(), [segment(1)]);
}

#[test]
fn the_digest_of_inputs_does_not_depend_on_their_order_but_on_every_field() {
    let (a, b) = (input(b"a", "a.fits", 1), input(b"b", "b.fits", 2));
    let digest = Input::digest_of([&a, &b]);
    assert_eq!(digest, Input::digest_of([&b, &a]));
    let changed = [
        Input { path: "c.fits".into(), ..a.clone() },
        Input { digest: Digest::of(b"c"), ..a.clone() },
        Input { first: 1, ..a.clone() },
        Input { spectra: 2, ..a.clone() },
        Input { total: 2, ..a.clone() },
    ];
    for other in changed {
        assert_ne!(digest, Input::digest_of([&other, &b]), "{other:?}");
    }
}

/// Changes the ledger behind the back of its digests, as a flipped bit would.
#[track_caller]
fn assert_found(change: &str, says: &str) {
    let (_folder, path) = scratch();
    let mut ledger = Ledger::open(&path).unwrap();
    ledger.set_note("model", "m 1").unwrap();
    ledger.commit(&segment(1), &[input(b"a", "a.fits", 1), input(b"b", "b.fits", 1)]).unwrap();
    drop(ledger);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; {change}")).unwrap();
    drop(connection);
    let error = Ledger::open(&path).err().expect("the change is found");
    assert!(error.is_damage(), "{change}: {error}");
    assert!(error.to_string().contains(says), "{change}: {error}");
}

#[test]
fn a_change_that_sqlite_does_not_notice_is_found() {
    assert_found("UPDATE inputs SET spectra = 2 WHERE path = 'a.fits'", "inputs of segment");
    assert_found("UPDATE inputs SET path = 'c.fits' WHERE path = 'a.fits'", "inputs of segment");
    assert_found("DELETE FROM inputs WHERE path = 'a.fits'", "inputs of segment");
    assert_found("UPDATE inputs SET segment = 9 WHERE path = 'a.fits'", "in no segment");
    assert_found("UPDATE segments SET digest = zeroblob(32)", "named after its digest");
    assert_found("UPDATE segments SET inputs_digest = x'00'", "1 byte");
    assert_found("UPDATE meta SET value = 'm 2'", "the note model");
    assert_found("DROP INDEX inputs_by_segment; ALTER TABLE inputs RENAME TO x", "inputs of");
}
