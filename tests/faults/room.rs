//! The disk of the catalogue is full: the run waits for room, and somebody makes it or asks it to
//! end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use crate::disk::Layer;
use crate::disk::night::{Night, assert_publishes};
use crate::{STARS, Trial, assert_next_run_finishes, support};

const WAITING: &str = "no room for the catalogue, waiting";
const GOES_ON: &str = "room again, going on";
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes that find no room, one for each kind of file of a catalogue.
const FULL: [&str; 7] = [
    "write:/segments/:ENOSPC:0:-1",
    "open:/segments/:ENOSPC:0:-1",
    "write:ledger.sqlite-wal:ENOSPC:0:-1",
    "write:catalogue.parquet:ENOSPC:0:-1",
    "write:rejects.fits:ENOSPC:0:-1",
    "write:run.json:ENOSPC:0:-1",
    "write:/segments/:EDQUOT:0:-1",
];

/// A run whose log is followed while it goes.
struct Watched {
    child: Child,
    layer: Layer,
    lines: Receiver<String>,
    seen: String,
}

impl Watched {
    fn start(mut command: Command, layer: Layer) -> Self {
        let command = layer.under(&mut command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = sync_channel(1000);
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, layer, lines, seen: String::new() }
    }

    /// Waits for a line of the log.
    #[track_caller]
    fn until(&mut self, words: &str) {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                let _ = self.child.kill();
                panic!("no line with {words:?} in: {}", self.seen);
            };
            let found = line.contains(words);
            self.seen += &(line + "\n");
            if found {
                return;
            }
        }
    }

    fn end(mut self, night: &Night) -> Trial {
        self.seen.extend(self.lines.iter().map(|line| line + "\n"));
        let mut output = self.child.wait_with_output().unwrap();
        output.stderr = self.seen.into_bytes();
        Trial::of(output, night, &self.layer)
    }
}

/// Starts a run whose disk fills after the second segment, and waits until it says so.
#[track_caller]
fn fill_up(night: &Night, rule: &str) -> Watched {
    night.configure("pause = 0.1\n");
    let full = night.at("full");
    let layer = Layer::new()
        .failing(rule)
        .only_while(&full)
        .running(&format!("sync:/segments/:touch {}:1:1", full.display()))
        .telling(&night.at("fired"));
    let mut command = night.command(&night.at("out"));
    command.arg("--stats").arg(night.at("stats.json"));
    let mut run = Watched::start(command, layer);
    run.until(WAITING);
    let line = run.seen.lines().last().unwrap();
    assert!(line.contains("out") && line.contains("remedy"), "{line}");
    run
}

#[test]
fn a_full_disk_that_gets_room_again_costs_only_time() {
    if !support::has_library("a full disk") {
        return;
    }
    for rule in FULL {
        println!("{rule}");
        let night = Night::of(STARS);
        let mut run = fill_up(&night, rule);
        fs::remove_file(night.at("full")).unwrap();
        run.until(GOES_ON);
        let trial = run.end(&night);
        trial.assert_fired().assert_mended(&night);
        assert!(trial.count("pauses") > 0, "{rule}: {}", trial.stats);
    }
}

#[test]
fn a_run_that_begins_on_a_full_disk_waits_for_room() {
    if !support::has_library("a disk that is full from the start") {
        return;
    }
    for passing in [0, 4] {
        let night = Night::of(STARS);
        night.configure("pause = 0.1\n");
        let full = night.at("full");
        fs::write(&full, b"").unwrap();
        let rule = format!("change:{}:ENOSPC:{passing}:-1", night.at("out").display());
        let layer = Layer::new().failing(&rule).only_while(&full).telling(&night.at("fired"));
        let mut command = night.command(&night.at("out"));
        command.arg("--stats").arg(night.at("stats.json"));
        let mut run = Watched::start(command, layer);
        run.until(WAITING);
        fs::remove_file(&full).unwrap();
        run.until(GOES_ON);
        run.end(&night).assert_fired().assert_mended(&night);
    }
}

#[test]
fn a_stop_while_the_disk_is_full_says_what_to_do() {
    if !support::has_library("a stop on a full disk") {
        return;
    }
    for rule in FULL {
        println!("{rule}");
        let night = Night::of(STARS);
        let run = fill_up(&night, rule);
        let pid = run.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let trial = run.end(&night);
        trial.assert_gave_up(&["space", "run again"]);
        assert_next_run_finishes(&night);
    }
}

/// The same with a small file system of memory in place of the layer.
#[test]
fn a_file_system_that_is_really_full_gets_room_again() {
    if !support::has_library("a full file system") {
        return;
    }
    let night = Night::of(STARS);
    let small = night.at("small");
    fs::create_dir(&small).unwrap();
    let mount = |size: &str| format!("mount -t tmpfs -o size={size} tmpfs '{}'", small.display());
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", script, "sh"]);
        command
    };
    let may = unshare(&mount("1m")).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        println!("skipped: a full file system needs unshare and mount");
        return;
    }
    night.configure("pause = 0.1\n");
    // Enough for the ledger and one segment or two.
    let script = format!(
        "{} || exit 99
         \"$@\" 2>'{log}' & pid=$!
         until grep -q 'no room' '{log}' || ! kill -0 $pid; do sleep 0.05; done
         mount -o remount,size=64m '{small}'
         wait $pid; code=$?
         cp -r '{small}/out' '{out}'; exit $code",
        mount("300k"),
        log = night.at("log").display(),
        small = small.display(),
        out = night.at("out").display(),
    );
    let run = night.command(&small.join("out"));
    let output = unshare(&script)
        .current_dir(support::root())
        .arg(run.get_program())
        .args(run.get_args())
        .output()
        .unwrap();
    let log = fs::read_to_string(night.at("log")).unwrap();
    assert!(log.contains(WAITING) && log.contains(GOES_ON), "{log}");
    night.assert_whole(&output);
    assert_publishes(&night.at("out"), &night.expected());
}
