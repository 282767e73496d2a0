//! A backfill of spectra that were made for it, and what its shared folder tells.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use starmill::backfill::{Campaign, Plan, State};
use starmill::slurm::Round;

use crate::cluster::Cluster;
use crate::support::night::{config, night};
use crate::support::{starmill, text_of};

/// A plan, and the folders of its shards and release.
pub struct Backfill {
    folder: PathBuf,
    config: String,
}

/// A try at a shard.
#[derive(Debug)]
pub struct Try {
    /// The number of restarts of its job.
    pub restart: u32,
    /// Its process.
    pub process: u32,
    /// How it goes on.
    pub state: State,
}

impl Backfill {
    /// Writes so many spectra and plans so many shards.
    pub fn plan(folder: &Path, spectra: u32, shards: u32) -> Self {
        fs::create_dir_all(folder).unwrap();
        let input = night(folder, spectra);
        // One file after the other and many small commits, so that a task that is stopped has done
        // something and leaves something.
        let small = "[list]\nqueue_items = 1\n[read]\nworkers = 1\n[infer]\nbatch = 8\n";
        let config = config(folder, &format!("{small}[write]\nsegment_spectra = 2\n"));
        let backfill = Self { folder: folder.to_owned(), config };
        let mut plan = starmill(&["backfill", "plan", "--shards", &shards.to_string(), "--out"]);
        let planned = plan.arg(folder.join("plan")).arg(input).output().unwrap();
        assert!(planned.status.success(), "{}", text_of(&planned));
        backfill
    }

    /// Says what the cluster is like.
    pub fn write_site(&self, text: &str) {
        fs::write(self.folder.join("site.toml"), text).unwrap();
    }

    /// The folder that the shards share.
    pub fn out(&self) -> PathBuf {
        self.folder.join("shards")
    }

    /// The release.
    pub fn release(&self) -> PathBuf {
        self.folder.join("release")
    }

    /// The arguments of `backfill submit`.
    pub fn arguments(&self, command: &mut Command, more: &[&str]) {
        command.arg(self.folder.join("plan")).args([
            "--model",
            "fcresnet",
            "--config",
            &self.config,
        ]);
        command.arg("--out").arg(self.out()).arg("--release").arg(self.release());
        command.arg("--site").arg(self.folder.join("site.toml")).args(more);
        command.args(["--", "--name", "it's one"]);
    }

    /// The command that submits it.
    pub fn submit(&self, cluster: &Cluster, more: &[&str]) -> Command {
        let mut command = starmill(&["backfill", "submit"]);
        self.arguments(&mut command, more);
        cluster.join(&mut command);
        command
    }

    /// The release of another run over the same plan, without a cluster.
    pub fn on_one_machine(&self) -> PathBuf {
        let (plan, out) = (self.folder.join("plan"), self.folder.join("alone"));
        let mut run =
            starmill(&["backfill", "run", "--model", "fcresnet", "--config", &self.config]);
        run.arg(&plan).arg("--out").arg(&out).arg("--scratch").arg(self.folder.join("scratch"));
        let ran = run.output().unwrap();
        assert!(ran.status.success(), "{}", text_of(&ran));
        let release = self.folder.join("release of one");
        let mut merge =
            starmill(&["backfill", "merge", "--name", "it's one", "--config", &self.config]);
        let merged = merge.arg(plan).arg("--shards").arg(out).arg("--out").arg(&release).output();
        let merged = merged.unwrap();
        assert!(merged.status.success(), "{}", text_of(&merged));
        release
    }

    fn campaign(&self) -> Campaign {
        Campaign::open(&self.out(), Plan::read(&self.folder.join("plan")).unwrap()).unwrap()
    }

    /// The tries at a shard in the order in which they began.
    pub fn tries(&self, shard: u64) -> Vec<Try> {
        let attempts = self.campaign().attempts().unwrap().into_iter();
        let read = |name: &str, state: State| -> Option<Try> {
            let (_, rest) = name.strip_prefix("job")?.split_once('-')?;
            let (restart, process) = rest.split_once('-')?;
            Some(Try { restart: restart.parse().ok()?, process: process.parse().ok()?, state })
        };
        let mut tries: Vec<Try> = attempts
            .filter(|it| it.shard == shard)
            .map(|it| read(&it.name, it.state).expect("the name of a job"))
            .collect();
        tries.sort_by_key(|it| it.restart);
        tries
    }

    /// How many tries at a shard ended so.
    pub fn state(&self, shard: u64, state: State) -> usize {
        self.tries(shard).iter().filter(|it| it.state == state).count()
    }

    /// How many files there are in a folder of the backfill, hidden ones included.
    pub fn files(&self, name: &str) -> usize {
        fs::read_dir(self.out().join(name)).unwrap().count()
    }

    fn submission(&self) -> PathBuf {
        let mut found = fs::read_dir(self.out().join("slurm")).unwrap();
        let folder = found.next().expect("a submission").unwrap().path();
        assert!(found.next().is_none(), "there are two submissions");
        folder
    }

    /// The note of a round.
    pub fn round(&self, number: u32) -> Round {
        let path = self.submission().join(format!("round-{number}.json"));
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// What its jobs printed.
    pub fn logs(&self) -> String {
        let entries = fs::read_dir(self.submission().join("logs")).unwrap();
        let texts = entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
        texts.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Backfill {
    fn drop(&mut self) {
        if std::thread::panicking() && self.out().join("slurm").exists() {
            println!("{}", self.logs());
        }
    }
}

/// Asserts that two folders have the same files with the same bytes.
pub fn assert_same_tree(one: &Path, other: &Path) {
    let files = |folder: &Path| -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
        let files = entries.filter(|entry| entry.file_type().is_file());
        let named = files.map(|entry| {
            let name = entry.path().strip_prefix(folder).unwrap().to_owned();
            (name, fs::read(entry.path()).unwrap())
        });
        named.collect()
    };
    let (one, other) = (files(one), files(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    assert!(one.len() > 5);
    for (name, bytes) in one {
        assert!(bytes == other[&name], "{} differs", name.display());
    }
}
