//! Plans: what is in them, and that the same files give the same plan.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;
use starmill::backfill::Plan;

use crate::support::lrs::{Layout, Lrs};
use crate::{Desk, log, tree};

/// The names of all files of a plan, and how many shards have some.
fn names(desk: &Desk, plan: &str) -> (Vec<String>, usize) {
    let plan = Plan::read(&desk.path(plan)).unwrap();
    let mut names = Vec::new();
    for number in 0..plan.shards.len() as u64 {
        let list = plan.list(number).unwrap();
        list.each(&mut |entry| {
            names.push(entry.path.file_name().unwrap().to_str().unwrap().to_owned());
            Ok(())
        })
        .unwrap();
    }
    names.sort();
    (names, plan.shards.len())
}

#[test]
fn the_same_files_give_the_same_plan_however_they_were_found() {
    let desk = Desk::new(40);
    let plan = |out: &str, paths: &[&str], workers: &str| {
        let more = ["--out", out, "--shards", "6", "--workers", workers];
        desk.done(&[&["plan"], paths, &more].concat());
        let plan = Plan::read(&desk.path(&out[1..])).unwrap();
        let lists = tree(&desk.path(&out[1..]).join("shards"));
        (plan.blake3, plan.shards, lists)
    };
    let first = plan("@one", &["@tree"], "1");
    let parts = ["@tree/201303", "@tree/201300", "@tree/201301", "@tree/201302"];
    assert_eq!(first, plan("@two", &parts, "7"));
    assert_eq!(first, plan("@three", &["@tree", "@tree/201301"], "2"));
    let (found, shards) = names(&desk, "one");
    assert_eq!(shards, 6);
    assert_eq!(found.len(), 42);
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 42);
    // Names, sizes and no contents: a plan does not open what it lists.
    let output = desk.output(&["plan", "@tree", "--out", "@one", "--shards", "2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(log(&output).contains("there is a plan already"), "{}", log(&output));
}

#[test]
fn rows_of_a_catalogue_are_selected_and_missing_files_are_told() {
    let desk = Desk::new(6);
    let mut csv = String::from("month,plan,seed,snrg,class,ra,dec\n");
    for seed in 0..8_u32 {
        let class = if seed == 2 { "GALAXY" } else { "STAR" };
        let (ra, dec) = (f64::from(seed) * 0.5, 40.0);
        csv += &format!(
            "2013{:02},plan{},{seed},{},{class},{ra},{dec}\n",
            seed % 4,
            seed % 3,
            seed * 10
        );
    }
    desk.write("release.csv", csv.as_bytes());
    let select = |out: &str, more: &[&str]| {
        let name = "{month}/{plan}/spec-{seed:05}.fits.gz";
        let from = ["plan", "--catalogue", "@release.csv", "--root", "@tree", "--name", name];
        let output = desk.output(&[&from, &["--out", out][..], more].concat());
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &log(&output);
        (output.status.code(), said)
    };
    // The catalogue names two files that are not there; they stay in the plan, and become rejects.
    let (code, said) = select("@all", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("files=8 ") && said.contains("2 have no size"), "{said}");

    let (code, said) = select("@some", &["--min-snr", "10", "--max-snr", "50", "--class", "STAR"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(names(&desk, "some").0, [1, 3, 4, 5].map(|seed| format!("spec-{seed:05}.fits.gz")));

    let (code, said) = select("@cone", &["--cone", "1.0,40.0,0.45"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(names(&desk, "cone").0, [1, 2, 3].map(|seed| format!("spec-{seed:05}.fits.gz")));

    let (code, said) = select("@none", &["--range", "snrg=900:"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("nothing is left to be done"), "{said}");
    let (code, said) = select("@typo", &["--range", "snr_g=1:"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("there is no column snr_g among month plan seed snrg"), "{said}");
}

#[test]
fn what_an_earlier_catalogue_has_is_left_out() {
    if !crate::support::has_library("a plan without what is done") {
        return;
    }
    let desk = Desk::new(9);
    let old = desk.path("tree/201301");
    crate::support::run(&desk.path("old"), &[&old]);
    desk.done(&["plan", "@tree", "--not-in", "@old", "--out", "@plan", "--shards", "2"]);
    let (names, _) = names(&desk, "plan");
    let done: BTreeSet<String> = walkdir::WalkDir::new(&old)
        .into_iter()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
        .collect();
    assert!(names.iter().all(|name| !done.contains(name)), "{names:?}");
    let plan: Value =
        serde_json::from_slice(&fs::read(desk.path("plan/plan.json")).unwrap()).unwrap();
    assert_eq!(plan["collected"]["excluded"], 2);
    assert_eq!(plan["entries"], 9);
}

#[test]
fn a_plan_that_was_stopped_goes_on() {
    let desk = Desk::new(3);
    for number in 0..3000_u32 {
        desk.write(&format!("tree/many/{:03}/f{number}.fits", number % 7), b"");
    }
    let plan = ["plan", "@tree", "--out", "@plan", "--shards", "3", "--scratch", "@disk"];
    let mut stopped = false;
    for _ in 0..20 {
        let child = desk.command(&plan).spawn().unwrap();
        crate::support::service::wait_until("the list is begun", || {
            desk.path("disk").exists() || desk.path("plan/plan.json").exists()
        });
        let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).output();
        assert!(kill.is_ok());
        let output = child.wait_with_output().unwrap();
        if output.status.code() == Some(0) {
            break;
        }
        assert!(!desk.path("plan/plan.json").exists());
        stopped = true;
        if output.status.code() == Some(75) {
            desk.done(&plan);
            break;
        }
    }
    desk.done(&["plan", "@tree", "--out", "@whole", "--shards", "3"]);
    assert_eq!(tree(&desk.path("plan")), tree(&desk.path("whole")), "stopped: {stopped}");
}

#[test]
fn a_list_names_rows_of_tables() {
    let desk = Desk::new(1);
    desk.write("t.fits", &Lrs::star(1).to_fits(Layout::Image));
    let list = format!("{}[0:256]\n", desk.path("t.fits").display());
    desk.write("list.txt", list.as_bytes());
    desk.done(&["plan", "--list", "@list.txt", "--out", "@plan"]);
    let list = Plan::read(&desk.path("plan")).unwrap().list(0).unwrap();
    let mut entries = Vec::new();
    list.each(&mut |entry| {
        entries.push((entry.first, entry.rows));
        Ok(())
    })
    .unwrap();
    assert_eq!(entries, [(0, Some(256))]);
}
