//! What a run does when the world breaks: disks, inputs, workers and the library fail under the
//! real program, which mends it, says what to do, or both, and the next run ends with the same
//! bytes as one that nothing befell.

#![allow(clippy::print_stdout, reason = "a failing test says which of its rules it is")]

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/disk/mod.rs"]
#[expect(dead_code, reason = "power_loss.rs uses the record and the model")]
mod disk;

mod damage;
mod input;
mod night;
mod output;
mod room;
#[cfg(feature = "failpoints")]
mod worker;

use std::fs;
use std::process::Output;

use disk::Layer;
use disk::night::{Night, assert_publishes, published};
use serde_json::Value;

/// Stars in a night: four segments and a bit.
const STARS: u32 = 30;

/// A run under faults and what it left.
struct Trial {
    output: Output,
    stats: Value,
    /// What the layer was to do, and the calls at which it did.
    rules: Vec<String>,
    fired: Vec<String>,
}

impl Trial {
    /// Runs over the night into `out` above a layer, with failpoints set.
    fn run(night: &Night, layer: Layer, failpoints: &str) -> Self {
        let (fired, stats) = (night.at("fired"), night.at("stats.json"));
        for path in [&fired, &stats] {
            let _ = fs::remove_file(path);
        }
        let mut command = night.command(&night.at("out"));
        command.arg("--stats").arg(&stats);
        if !failpoints.is_empty() {
            command.env("FAILPOINTS", failpoints);
        }
        let layer = layer.telling(&fired);
        Self::of(layer.under(&mut command).output().unwrap(), night, &layer)
    }

    /// What a run left whose statistics and whose layer's doings are in the usual places.
    fn of(output: Output, night: &Night, layer: &Layer) -> Self {
        let stats = fs::read(night.at("stats.json")).unwrap_or_default();
        let fired = fs::read_to_string(night.at("fired")).unwrap_or_default();
        Self {
            output,
            stats: serde_json::from_slice(&stats).unwrap_or_default(),
            rules: layer.rules(),
            fired: fired.lines().map(str::to_owned).collect(),
        }
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// How often the run says that something happened.
    fn count(&self, fault: &str) -> u64 {
        self.stats["faults"][fault].as_u64().unwrap_or(0)
    }

    /// Asserts that every rule of the layer acted.
    #[track_caller]
    fn assert_fired(&self) -> &Self {
        for rule in &self.rules {
            let acted = self.fired.iter().any(|line| line.ends_with(rule));
            assert!(acted, "no call met {rule}: {}", self.log());
        }
        self
    }

    /// Asserts that the program gave up, once, and said `words`.
    #[track_caller]
    fn assert_gave_up(&self, words: &[&str]) {
        let log = self.log();
        assert_eq!(self.output.status.code(), Some(2), "{log}");
        for word in words {
            assert!(log.contains(word), "{word:?} should be in: {log}");
        }
    }

    /// Asserts that all but `lost` stars gave rows, and these a reject of this code.
    #[track_caller]
    fn assert_rejected(&self, lost: u32, code: &str) {
        let (rows, rejects, files) = (STARS - lost, lost + 1, STARS + 1);
        let line = format!("rows={rows} rejects={rejects} files={files}");
        support::assert_ended(&self.output, 1, &line);
        assert_eq!(self.stats["rejects_by_code"][code], lost, "{}", self.log());
    }

    /// Asserts that the run ended as if nothing had happened.
    #[track_caller]
    fn assert_mended(&self, night: &Night) {
        night.assert_whole(&self.output);
        assert_publishes(&night.at("out"), &night.expected());
    }
}

/// Asserts that the next run, under no faults, ends as if nothing had ever happened.
#[track_caller]
fn assert_next_run_finishes(night: &Night) {
    night.assert_whole(&night.run(&night.at("out")));
    assert_publishes(&night.at("out"), &night.expected());
}

/// Asserts that `out` publishes what a run over the input as it is now publishes.
#[track_caller]
fn assert_as_a_new_run(night: &Night) {
    let fresh = night.at("fresh");
    night.run(&fresh);
    assert_publishes(&night.at("out"), &published(&fresh));
}
