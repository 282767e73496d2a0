//! A table over several shards of a backfill.

use std::collections::BTreeMap;
use std::fs;

use starmill::backfill::Plan;

use crate::runs::{ROWS, table};
use crate::support::xp::{stars, to_fits};
use crate::support::{self, assert_ended};
use crate::{Desk, log};

/// What the shards of a plan read: first rows and numbers of rows.
fn pieces(desk: &Desk, plan: &str) -> Vec<Vec<(u64, Option<u64>)>> {
    let plan = Plan::read(&desk.path(plan)).unwrap();
    let pieces = |number: u64| {
        let mut pieces = Vec::new();
        let each = plan.list(number).unwrap().each(&mut |entry| {
            pieces.push((entry.first, entry.rows));
            Ok(())
        });
        each.unwrap();
        pieces
    };
    (0..plan.shards.len() as u64).map(pieces).collect()
}

#[test]
fn a_large_table_is_split_by_rows() {
    let desk = Desk::new();
    let rows = 12_500;
    let table = to_fits(&stars(rows));
    assert!(table.len() > 32 << 20);
    desk.write("large.fits", &table);
    let plan = |name: &str, shards: &str| {
        let command = desk.command(&["backfill", "plan", "--shards", shards, "--out"]);
        let output = { command }.arg(desk.path(name)).arg(desk.path("large.fits")).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", log(&output));
        pieces(&desk, name)
    };
    let shards = plan("three", "3");
    assert_eq!(shards.len(), 3);
    let all: Vec<_> = shards.concat();
    assert_eq!(all, plan("one", "1").concat(), "what is read does not depend on the shards");
    let mut next = 0;
    for (first, count) in all {
        assert_eq!((first, first % 256), (next, 0));
        next = first + count.unwrap();
    }
    assert_eq!(next, u64::from(rows));
}

#[test]
fn a_release_of_a_table_in_shards_has_the_rows_of_one_run() {
    if !support::has_library("a table in shards") {
        return;
    }
    let desk = Desk::new();
    desk.write("t.fits", &to_fits(&table()));
    // A table that no shard can read is one reject, not one for each.
    desk.write("u.fits", b"SIMPLE  = nonsense");
    let name = |table: &str, rows: &str| format!("{}{rows}\n", desk.path(table).display());
    let parts = ["[0:256]", "[256:512]", "[512:600]"];
    let list = parts.map(|rows| name("t.fits", rows) + &name("u.fits", rows)).concat();
    desk.write("list.txt", list.as_bytes());
    let release = |shards: &str| {
        let place = |name: &str| desk.path(&format!("{name}-{shards}"));
        let run = |arguments: &[&str], places: &[std::path::PathBuf]| {
            let output = desk.command(arguments).args(places).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{arguments:?} {}", log(&output));
        };
        let list = desk.path("list.txt");
        run(
            &["backfill", "plan", "--shards", shards, "--list"],
            &[list, "--out".into(), place("plan")],
        );
        let (plan, out) = (place("plan"), place("shards"));
        let scratch = ["--scratch".into(), place("disk")];
        let run_it = [&[plan.clone(), "--out".into(), out.clone()][..], &scratch].concat();
        run(&["backfill", "run", "--model", "xp"], &run_it);
        run(
            &["backfill", "merge", "--name", "r"],
            &[plan, "--shards".into(), out, "--out".into(), place("release")],
        );
        let files = walkdir::WalkDir::new(place("release")).into_iter().map(Result::unwrap);
        let files = files.filter(|file| file.file_type().is_file());
        let read =
            |file: walkdir::DirEntry| (file.file_name().to_owned(), fs::read(file.path()).unwrap());
        files.map(read).collect::<BTreeMap<_, _>>()
    };
    let (one, three) = (release("1"), release("6"));
    assert!(one == three);
    let rejects = "release-6/fits/rejects/rejects-00000.fits";
    assert_eq!(desk.texts(rejects, "reason"), ["corrupt_fits", "too_many_bad_pixels"]);
    assert_ended(&desk.run("out", &["t.fits"], ""), 1, "rows=599 rejects=1 files=1");
    let rows = |table: &str| {
        let ids = desk.texts(table, "spectrum_id");
        let teff = desk.numbers(table, "teff").into_iter();
        let mut rows: Vec<_> =
            ids.into_iter().zip(teff.map(|teff| teff.unwrap().to_bits())).collect();
        rows.sort();
        rows
    };
    // The table has no positions.
    let merged = rows("release-6/fits/unplaced/rows-00000.fits");
    assert_eq!(merged.len(), ROWS as usize - 1);
    assert_eq!(merged, rows("out/catalogue.fits"));
}
