//! Folders that come, go and lead elsewhere.

use std::collections::HashSet;
use std::fs;

use starmill::watch::Watch;

use super::{Place, QUIET, drain, expect};

#[test]
fn files_in_folders_that_have_just_been_made_are_not_missed() {
    let place = Place::new();
    let watch = place.start_quiet();
    let mut expected = HashSet::new();
    for plan in 0..30 {
        // The file may be there before anybody watches its folder.
        let name = format!("live/night{}/plan{plan}/sp01/a.fits", plan % 3);
        expected.insert(place.put(&place.whole, &name));
    }
    // A whole tree that is renamed into place, and moved once more.
    place.put_many("making/tree/deep/deeper", 20);
    fs::rename(place.path("making/tree"), place.path("live/tree")).unwrap();
    fs::rename(place.path("live/tree"), place.path("live/moved")).unwrap();
    let given = drain(&watch, QUIET);
    let moved = given.iter().filter(|path| path.starts_with(place.path("live/moved"))).count();
    assert_eq!(moved, 20);
    let given: HashSet<_> = given.into_iter().collect();
    assert!(expected.is_subset(&given), "{:?} are missing", expected.difference(&given));
    assert_eq!(given.len(), expected.len() + 20);
    // The moved folder is watched by its new name.
    let late = place.put(&place.whole, "live/moved/deep/late.fits");
    expect(&watch, &late);
}

#[test]
fn an_inbox_may_appear_vanish_and_come_back() {
    let place = Place::new();
    let live = place.path("live");
    fs::remove_dir(&live).unwrap();
    let watch = place.start();
    let first = place.put(&place.whole, "live/night/a.fits");
    watch.done(&expect(&watch, &first).path);
    fs::rename(&live, place.path("away")).unwrap();
    fs::write(place.path("away/night/unseen.fits"), &place.whole).unwrap();
    assert_eq!(watch.next(QUIET * 2), None);
    // Another folder of the same name.
    let second = place.put(&place.whole, "live/b.fits");
    watch.done(&expect(&watch, &second).path);
    fs::remove_dir_all(&live).unwrap();
    assert_eq!(watch.next(QUIET * 2), None);
    fs::rename(place.path("away"), &live).unwrap();
    let given = drain(&watch, QUIET * 2);
    assert_eq!(given, [place.path("live/night/unseen.fits")], "and not what was done");
}

#[cfg(feature = "failpoints")]
#[test]
fn a_thread_that_dies_is_noticed_and_the_other_inboxes_go_on() {
    use std::time::{Duration, Instant};

    let place = Place::new();
    let watch = place.start_quiet();
    fail::cfg("watch-look", "return(poisoned-by-a-test)").unwrap();
    place.put(&place.whole, "old/poisoned-by-a-test.fits");
    let deadline = Instant::now() + super::LONG;
    while !watch.has_failed() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    fail::remove("watch-look");
    assert!(watch.has_failed());
    let path = place.put(&place.whole, "live/a.fits");
    expect(&watch, &path);
}

#[test]
fn links_lead_to_a_file_once() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    place.put_many("live/night", 3);
    symlink(place.path("live"), place.path("live/loop")).unwrap();
    symlink(place.path("live/night"), place.path("live/again")).unwrap();
    let watch = place.start();
    assert_eq!(drain(&watch, QUIET).len(), 3);
    fs::create_dir(place.path("making/new")).unwrap();
    symlink(place.path("live"), place.path("making/new/loop")).unwrap();
    fs::rename(place.path("making/new"), place.path("live/new")).unwrap();
    let path = place.put(&place.whole, "live/new/a.fits");
    expect(&watch, &path);
    assert_eq!(watch.next(QUIET), None);
}

#[test]
fn settings_that_would_give_a_file_two_names_are_refused() {
    let mut place = Place::new();
    place.settings.inboxes[0].folder = place.path("live/within");
    let error = Watch::start(&place.settings, &place.path("state")).err().unwrap().to_string();
    assert!(error.contains("inbox old lies within inbox live"), "{error}");
    place.settings.inboxes.clear();
    assert!(Watch::start(&place.settings, &place.path("state")).is_err());
}
