//! A backfill on a real Slurm of several nodes on this machine: tasks are killed, requeued, cut off and
//! out of time, the controller goes away, and the release is that of one machine, byte for byte.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]

#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod work;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::process::Stdio;

use cluster::{Cluster, signal, until};
use starmill::backfill::State;
use support::{starmill, text_of};
use work::{Backfill, assert_same_tree};

/// What every cluster of this test is like: tasks are slow at their first try, and each has a node of
/// its own, so that what happens to a node happens to one of them.
fn site(folder: &Path, slow: &str, more: &str) -> String {
    let scratch = folder.join("scratch");
    format!(
        r#"
prologue = ['[ "$try" != 0 ] || export FAILPOINTS="read-slow=sleep({slow})"']
scratch = "{}"
{more}
[shard]
time = "10"
memory = "1G"
cpus = 1
extra = ["--exclusive"]
[merge]
time = "10"
memory = "1G"
cpus = 1
"#,
        scratch.display()
    )
}

#[test]
fn a_backfill_outlives_what_happens_on_a_cluster() {
    if !support::has_library("a backfill on Slurm") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Arrays of five tasks at most, so that eight shards need two.
    let Some(cluster) = Cluster::start(&folder.path().join("cluster"), 9, 6) else { return };

    is_refused_as_a_whole(&cluster, &folder.path().join("refused"));

    // Names that a shell and Slurm would both take for something else.
    let many = Backfill::plan(&folder.path().join("50% of \"it's\" $HOME"), 160, 8);
    many.write_site(&site(folder.path(), "500", "grace = 60"));
    let path = cluster::lose_an_answer(folder.path());
    let submitted = many.submit(&cluster, &[]).env("PATH", path).output().unwrap();
    let said = text_of(&submitted);
    assert!(submitted.status.success(), "{said}");
    assert!(said.contains("round=0 shards=8") && said.contains("was submitted before"), "{said}");
    let jobs = many.round(0).jobs;
    assert_eq!(jobs.len(), 3, "two arrays and a last job: {said}");
    let mut queued: Vec<u64> = cluster
        .ask("squeue", &["-h", "-t", "all", "-o", "%F"])
        .lines()
        .map(|line| line.trim().parse().unwrap())
        .collect();
    queued.sort_unstable();
    queued.dedup();
    // Slurm still knows the array that was refused its last job.
    assert_eq!(queued[1..], jobs, "each is in the queue once");
    let tasks = |shard: u64| format!("{}_{}", jobs[usize::from(shard >= 5)], shard % 5);

    // Three tasks stand still until their fate is there.
    let (killed, cut_off, requeued) = (1, 3, 6);
    let mut victims = BTreeMap::new();
    until("three tasks are begun", 120, || {
        for shard in [killed, cut_off, requeued] {
            if let Entry::Vacant(place) = victims.entry(shard)
                && let Some(begun) = many.tries(shard).pop()
            {
                signal("STOP", begun.process);
                place.insert(begun.process);
            }
        }
        (victims.len() == 3).then_some(())
    });

    let again = many.submit(&cluster, &[]).output().unwrap();
    assert_eq!(again.status.code(), Some(2));
    assert!(text_of(&again).contains("are in the queue"), "{}", text_of(&again));

    // The controller is away while another backfill is submitted, and while tasks end.
    let slow = Backfill::plan(&folder.path().join("slow"), 20, 1);
    slow.write_site(
        &site(folder.path(), "3000", "grace = 90").replace("time = \"10\"", "time = \"2\""),
    );
    // Killed, it would forget which tasks have begun, and begin them twice under other numbers.
    cluster.end("slurmctld", "TERM");
    let mut submitting = slow.submit(&cluster, &[]).stderr(Stdio::piped()).spawn().unwrap();
    let heard = cluster::hear(submitting.stderr.take().unwrap());
    until("the submission waits for the controller", 60, || {
        heard.lock().unwrap().contains("no answer, asking again").then_some(())
    });
    cluster.start_again();
    assert!(submitting.wait().unwrap().success(), "{}", heard.lock().unwrap());

    signal("KILL", victims[&killed]);
    cluster.ask("scontrol", &["requeue", &tasks(requeued)]);
    // Its daemon dies, but the task lives on and nobody can tell it to end.
    let node = cluster.ask("squeue", &["-h", "-j", &tasks(cut_off), "-o", "%N"]);
    cluster.end(&format!("slurmd.{}", node.trim()), "KILL");
    until("the task that was cut off is done elsewhere", 180, || {
        (many.state(cut_off, State::Done) == 1).then_some(())
    });
    signal("CONT", victims[&cut_off]);
    until("its first copy finds that it is too late", 120, || {
        (many.state(cut_off, State::Late) == 1).then_some(())
    });

    for backfill in [&many, &slow] {
        until("the release is there", 300, || backfill.release().exists().then_some(()));
    }
    assert_eq!(many.round(1).missing, [killed], "the others are not submitted again");
    assert_eq!(many.state(requeued, State::Stopped), 1);
    assert_eq!(many.files("shards"), 8, "each shard was committed once, and nothing else");
    for shard in 0..8 {
        assert_eq!(many.state(shard, State::Done), 1, "shard {shard}: {:?}", many.tries(shard));
    }

    // Out of time, it kept what it had and went on from there.
    let tries = slow.tries(0);
    assert_eq!(tries.len(), 2, "{tries:?}");
    assert_eq!((tries[0].state, tries[1].state), (State::Stopped, State::Done));
    assert_eq!((tries[0].restart, tries[1].restart), (0, 1));
    assert!(slow.logs().contains("went on from a checkpoint"), "{}", slow.logs());

    let done = many.submit(&cluster, &[]).output().unwrap();
    assert!(done.status.success() && text_of(&done).contains("all shards are done"));
    for backfill in [many, slow] {
        assert_same_tree(&backfill.release(), &backfill.on_one_machine());
    }
}

/// Where the last job is refused, nothing stays of those before it.
fn is_refused_as_a_whole(cluster: &Cluster, folder: &Path) {
    let refused = Backfill::plan(folder, 2, 2);
    let nowhere = "[merge]\npartition = \"nowhere\"";
    refused.write_site(&site(folder, "500", "grace = 60").replace("[merge]", nowhere));
    let no = refused.submit(cluster, &[]).output().unwrap();
    assert_eq!(no.status.code(), Some(2));
    assert!(text_of(&no).contains("invalid partition"), "{}", text_of(&no));
    until("the array that went before is ended", 60, || {
        cluster.ask("squeue", &["-h", "-o", "%F"]).is_empty().then_some(())
    });
}

#[test]
fn a_dry_run_shows_what_would_be_submitted_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let backfill = Backfill::plan(folder.path(), 4, 2);
    backfill.write_site("at_once = 7\n[shard]\naccount = \"stars'; reboot\"\n");
    let mut command = starmill(&["backfill", "submit"]);
    backfill.arguments(&mut command, &["--dry-run"]);
    let shown = command.output().unwrap();
    let said = text_of(&shown);
    assert!(shown.status.success(), "{said}");
    for part in [
        "--array=0-1%7",
        "--signal=B:USR1@180",
        "--requeue",
        "job0=$(sbatch --parsable",
        "sbatch --dependency=afterany:$job0 --parsable",
        r#""--account=stars'; reboot""#,
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!backfill.out().exists());
    backfill.write_site("[shard]\naccount = \"a\\nb\"\n");
    let refused = command.output().unwrap();
    assert_eq!(refused.status.code(), Some(78), "{}", text_of(&refused));
}
