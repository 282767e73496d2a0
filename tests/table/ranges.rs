//! Rows of a table as inputs of their own: what shards of a backfill do of it.

use std::fmt::Write as _;

use crate::support::xp::to_fits;
use crate::support::{self, assert_ended};
use crate::{Desk, assert_same, assert_verified, log, runs};

#[test]
fn shards_of_a_table_do_each_row_once() {
    if !support::has_library("shards of a table") {
        return;
    }
    let desk = Desk::new();
    desk.write("t.fits", &to_fits(&runs::table()));
    let mut seen = Vec::new();
    for (out, names, line) in [
        ("one", ["t.fits[0:256]"].as_slice(), "rows=256 rejects=0 files=1"),
        ("two", &["t.fits[256:512]", "t.fits[512:600]"], "rows=343 rejects=1 files=1"),
    ] {
        let output = desk.run(out, names, "");
        assert_ended(&output, i32::from(out == "two"), line);
        assert_verified(&desk, out);
        for table in ["catalogue.fits", "rejects.fits"] {
            seen.extend(desk.rows(&format!("{out}/{table}")));
        }
        // The digest of the whole file is in the list of inputs, whichever rows are done.
        let listed = std::fs::read_to_string(desk.path(&format!("{out}/inputs.b3"))).unwrap();
        assert!(listed.lines().count() == 1 && listed.ends_with("t.fits\n"), "{listed}");
        let again = desk.run(out, names, "");
        assert_ended(&again, i32::from(out == "two"), line);
        assert!(log(&again).contains("skipped=1"), "{}", log(&again));
    }
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..runs::ROWS as usize));
}

#[test]
fn a_table_done_in_ranges_is_the_table_done_at_once() {
    if !support::has_library("a table in ranges") {
        return;
    }
    let desk = Desk::new();
    desk.write("t.fits", &to_fits(&runs::table()));
    let line = "rows=599 rejects=1 files=1";
    assert_ended(&desk.run("whole", &["t.fits"], ""), 1, line);
    // Out of order, overlapping and twice, then all of it.
    for names in
        [["t.fits[512:600]", "t.fits[0:512]"].as_slice(), &["t.fits[256:600]"], &["t.fits"]]
    {
        let output = desk.run("ranges", names, "");
        assert!(output.status.code().is_some_and(|code| code < 2), "{}", log(&output));
    }
    assert_same(&desk, "ranges", "whole");
    let both = desk.run("both", &["t.fits[256:512]", "t.fits", "t.fits[0:256]"], "");
    assert_ended(&both, 1, line);
    assert_same(&desk, "both", "whole");
    // As a list, in which ranges behind each other are read together.
    let mut list = String::new();
    for rows in ["[0:256]", "[256:512]", "[512:600]"] {
        writeln!(list, "{}{rows}", desk.path("t.fits").display()).unwrap();
    }
    let list = desk.write("list.txt", list.as_bytes());
    let listed = desk
        .command(&["run", "--model", "xp", "--list", list.to_str().unwrap(), "--out"])
        .arg(desk.path("listed"))
        .output()
        .unwrap();
    assert_ended(&listed, 1, line);
    assert!(log(&listed).contains("run ends files=1 "), "{}", log(&listed));
    assert_same(&desk, "listed", "whole");
}

#[test]
fn rows_that_are_no_whole_parts_are_refused_and_the_others_are_done() {
    if !support::has_library("ranges that cannot be had") {
        return;
    }
    let desk = Desk::new();
    desk.write("t.fits", &to_fits(&runs::table()));
    let names =
        ["t.fits[0:256]", "t.fits[256:300]", "t.fits[300:512]", "t.fits[512:601]", "t.fits[5:5]"];
    let output = desk.run("out", &names, "");
    assert_ended(&output, 1, "rows=256 rejects=4 files=5");
    let files = desk.texts("out/rejects.fits", "file");
    let mut refused: Vec<&str> =
        files.iter().map(|file| file.rsplit('/').next().unwrap()).collect();
    refused.sort_unstable();
    assert_eq!(refused, ["t.fits[256:300]", "t.fits[300:512]", "t.fits[512:601]", "t.fits[5:5]"]);
    assert!(desk.texts("out/rejects.fits", "reason").iter().all(|reason| reason == "row_range"));
    let details = desk.texts("out/rejects.fits", "detail");
    assert!(
        details.iter().any(|detail| detail.contains("[256:512] are whole parts")),
        "{details:?}"
    );
    assert_verified(&desk, "out");
    // With the ranges put right the catalogue is that of the whole table.
    assert_ended(&desk.run("out", &["t.fits[256:600]"], ""), 1, "rows=599 rejects=5 files=5");
}
