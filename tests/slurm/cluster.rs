//! A cluster of one's own, which ends with the test however that ends.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support;

/// A Slurm of several nodes on this machine.
pub struct Cluster {
    folder: PathBuf,
    nodes: u32,
}

impl Cluster {
    /// Starts one whose arrays have indexes below `max_array`, or says why the test is skipped.
    pub fn start(folder: &Path, nodes: u32, max_array: u32) -> Option<Self> {
        let cluster = Self { folder: folder.to_owned(), nodes };
        let up = cluster.up().env("STARMILL_MAX_ARRAY", max_array.to_string()).output().unwrap();
        let said = support::text_of(&up);
        if up.status.code() == Some(3) {
            println!("skipped: a backfill on Slurm: {said}");
            return None;
        }
        assert!(up.status.success(), "{said}");
        Some(cluster)
    }

    fn up(&self) -> Command {
        let mut command = Command::new(support::root().join("ops/slurm/cluster-up.sh"));
        command.arg(&self.folder).arg(self.nodes.to_string());
        command.arg(std::process::id().to_string());
        command
    }

    /// Starts the daemons that have ended.
    pub fn start_again(&self) {
        let up = self.up().output().unwrap();
        assert!(up.status.success(), "{}", support::text_of(&up));
    }

    /// Ends a daemon by a signal.
    pub fn end(&self, daemon: &str, by: &str) {
        let path = self.folder.join("run").join(format!("{daemon}.pid"));
        let process: u32 = std::fs::read_to_string(&path).unwrap().trim().parse().unwrap();
        signal(by, process);
        until(&format!("{daemon} has ended"), 60, || {
            // Whoever began it may leave it a zombie for long.
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok();
            stat.is_none_or(|stat| stat.contains(") Z ")).then_some(())
        });
    }

    /// Makes a command talk to this cluster.
    pub fn join(&self, command: &mut Command) {
        command.env("SLURM_CONF", self.folder.join("slurm.conf"));
    }

    /// What a command of Slurm says; asked until it answers.
    pub fn ask(&self, program: &str, arguments: &[&str]) -> String {
        until(&format!("{program} {arguments:?} answers"), 60, || {
            let mut command = Command::new(program);
            self.join(command.args(arguments));
            let output = command.output().unwrap();
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut show = Command::new("tail");
            self.join(show.args(["-n", "30"]).arg(self.folder.join("log/slurmctld.log")));
            println!("{}", support::text_of(&show.output().unwrap()));
        }
        let mut down = Command::new(support::root().join("ops/slurm/cluster-down.sh"));
        let down = down.arg(&self.folder).output().unwrap();
        if !down.status.success() {
            println!("{}", support::text_of(&down));
        }
    }
}

/// Waits until something is there.
#[track_caller]
pub fn until<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            println!("{what} after {:.1} s", begin.elapsed().as_secs_f64());
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(seconds), "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Sends a signal to a process.
#[track_caller]
pub fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap();
    assert!(sent.success(), "{name} to {process}");
}

/// A search path on which `sbatch` submits for real and loses its first answer.
pub fn lose_an_answer(folder: &Path) -> String {
    let folder = folder.join("lossy");
    std::fs::create_dir(&folder).unwrap();
    let script = folder.join("sbatch");
    let lines = [
        "#!/bin/bash",
        "PATH=${PATH#*:}",
        "[ ! -e \"$0.lost\" ] || exec sbatch \"$@\"",
        "touch \"$0.lost\"",
        "sbatch \"$@\" >/dev/null",
        "echo 'sbatch: error: Batch job submission failed: Unable to contact slurm controller' >&2",
        "exit 1",
    ];
    std::fs::write(&script, lines.join("\n")).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

/// What a process says, as it says it.
pub fn hear(source: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let heard = Arc::new(Mutex::new(String::new()));
    let said = Arc::clone(&heard);
    std::thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            *said.lock().unwrap() += &(line + "\n");
        }
    });
    heard
}
