//! A laboratory for the disk: the real program runs above a small library that records what it
//! does to a folder and fails calls on demand (`layer.c`), and a model says what a disk may hold
//! when the power goes at any point of such a record.

pub mod model;
pub mod night;
pub mod record;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What the layer is to do to one process.
#[derive(Clone, Default)]
pub struct Layer {
    variables: Vec<(&'static str, OsString)>,
}

impl Layer {
    /// A layer that only passes calls on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records every change below `root` in `log`.
    pub fn recording(self, root: &Path, log: &Path) -> Self {
        self.with("DISK_ROOT", root).with("DISK_RECORD", log)
    }

    /// Fails calls: `op:path-part:errno:skip:count`, several separated by `;`.
    pub fn failing(self, rules: &str) -> Self {
        self.with("DISK_FAULT", rules)
    }

    /// Faults hold only while `path` exists.
    pub fn only_while(self, path: &Path) -> Self {
        self.with("DISK_FAULT_WHILE", path)
    }

    /// Runs shell commands before calls: `op:path-part:command:skip:count`.
    pub fn running(self, rules: &str) -> Self {
        self.with("DISK_HOOK", rules)
    }

    /// Writes a line to `path` for every rule that acted.
    pub fn telling(self, path: &Path) -> Self {
        self.with("DISK_FIRED", path)
    }

    /// Sets the wall clock back once it has been asked `after` times.
    pub fn clock_back(self, seconds: u32, after: u32) -> Self {
        self.with("DISK_CLOCK_BACK", format!("{seconds}@{after}"))
    }

    /// What [`Layer::telling`] writes last of every rule that acts.
    pub fn rules(&self) -> Vec<String> {
        let rules = |(variable, value): &(&str, OsString)| -> Vec<String> {
            match *variable {
                "DISK_FAULT" | "DISK_HOOK" => {
                    value.to_str().unwrap().split(';').map(str::to_owned).collect()
                }
                "DISK_CLOCK_BACK" => vec!["clock".into()],
                _ => Vec::new(),
            }
        };
        self.variables.iter().flat_map(rules).collect()
    }

    /// Puts the layer under a command.
    pub fn under<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("LD_PRELOAD", library()).envs(self.variables.iter().cloned())
    }

    fn with(mut self, variable: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((variable, value.into()));
        self
    }
}

/// Compiles the layer once for each test program; the C compiler is one that SQLite needs anyway.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(folder).unwrap();
        let library = folder.join("disk-layer.so");
        // Another test program may be about to load the library: it is replaced in one step.
        let temporary = folder.join(format!("disk-layer-{}.so", std::process::id()));
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        // It may be a name with options.
        let mut words = compiler.split_whitespace();
        let status = Command::new(words.next().unwrap_or("cc"))
            .args(words)
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&temporary)
            .args(["layer.c", "calls.c", "streams.c"])
            .current_dir(crate::support::root().join("tests/support/disk"))
            .args(["-ldl", "-lpthread"])
            .status()
            .expect("a C compiler");
        assert!(status.success(), "the layer does not compile");
        fs::rename(temporary, &library).unwrap();
        library
    })
}
