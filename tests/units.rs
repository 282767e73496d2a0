//! What is installed: the units for systemd and the Debian package, as far as a machine without a
//! running systemd can tell.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use starmill::memory::{Bound, Measured};

fn has(program: &str, test: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        println!("skipped: {test} needs {program}");
    }
    found
}

fn text_of(command: &mut Command) -> (bool, String) {
    let output = command.current_dir(support::root()).output().expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

const UNIT: &str = "ops/systemd/starmill.service";

#[test]
fn the_unit_is_sound() {
    if !has("systemd-analyze", "the unit") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("starmill.service");
    // The program is not installed here; any that is stands for it.
    let unit = std::fs::read_to_string(support::root().join(UNIT)).unwrap();
    std::fs::write(&copy, unit.replace("/usr/bin/starmill", "/bin/true")).unwrap();
    let mut verify = Command::new("systemd-analyze");
    let (_, said) = text_of(verify.args(["verify", "--man=no"]).arg(copy));
    // Backing off came with systemd 254, and an older one ignores both keys.
    let later = ["RestartSteps", "RestartMaxDelaySec"];
    let unknown = |line: &&str| !later.iter().any(|key| line.contains(key));
    let ours = said.lines().filter(|line| line.contains("starmill")).filter(unknown);
    assert_eq!(ours.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn the_unit_exposes_little() {
    if !has("systemd-analyze", "the unit's exposure") {
        return;
    }
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--threshold=20", "--no-pager", UNIT]);
    let (small, said) = text_of(&mut security);
    assert!(small, "{said}");
    assert!(said.contains("Overall exposure level"), "{said}");
}

#[test]
fn the_limits_of_the_unit_lie_around_those_of_the_configuration() {
    let unit = std::fs::read_to_string(support::root().join(UNIT)).unwrap();
    let seconds = |key: &str| -> f64 {
        let value = unit.lines().find_map(|line| line.strip_prefix(&format!("{key}="))).unwrap();
        value.parse().unwrap()
    };
    let config = starmill::config::Config::load(None).unwrap();
    assert!(seconds("WatchdogSec") > config.serve.progress_limit);
    assert!(seconds("TimeoutStopSec") > config.supervision.drain_limit);
}

#[test]
fn the_memory_of_the_unit_is_enough_for_the_defaults() {
    /// Readers of a machine for a telescope; more of them need a larger limit.
    const CORES: usize = 16;
    let unit = std::fs::read_to_string(support::root().join(UNIT)).unwrap();
    let limit = unit.lines().find_map(|line| line.strip_prefix("MemoryMax=")).unwrap();
    let limit = limit.strip_suffix('G').unwrap().parse::<u64>().unwrap() << 30;
    let inbox = "inbox = [{ name = \"live\", folder = \"/in\", priority = \"live\" }]";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, format!("{inbox}\nread.workers = {CORES}\n")).unwrap();
    let config = starmill::config::Config::load(Some(&path)).unwrap();
    // What `check` measures with FCResNet, rounded up, its pixels, and the most native ones beside them.
    let measured = Measured { process: 100 << 20, session: 20 << 20 };
    let bound = Bound::of_service(&config, 143 + 12 * 2956, measured);
    assert!(bound.total() <= limit, "{bound:?} above {limit}");
}

#[test]
fn a_bad_configuration_is_reported_and_not_tried_again() {
    let unit = std::fs::read_to_string(support::root().join(UNIT)).unwrap();
    assert!(unit.contains("\nRestartPreventExitStatus=78\n"));
    // systemd restarts a unit whose ExecStartPre fails, whatever its code, unless it is to be ignored.
    assert!(unit.contains("\nExecStartPre=-/usr/bin/starmill check\n"));
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("starmill.toml");
    std::fs::write(&config, "nonsense = 1\n").unwrap();
    let mut serve = support::starmill(&["serve", "--config"]);
    assert_eq!(serve.arg(config).output().unwrap().status.code(), Some(78));
}

/// The package, made from the program under test.
fn package(folder: &Path) -> Option<PathBuf> {
    let programs = ["cargo-deb", "dpkg-deb"];
    if !programs.into_iter().all(|program| has(program, "the package")) {
        return None;
    }
    let program = Path::new(env!("CARGO_BIN_EXE_starmill"));
    let target = program.parent().and_then(Path::parent).unwrap();
    let mut pack = Command::new("ops/package.sh");
    pack.args(["--built", "dev"]).arg(folder).env("CARGO_TARGET_DIR", target);
    let (packed, said) = text_of(&mut pack);
    assert!(packed, "{said}");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "deb"))
}

#[test]
fn the_package_runs_from_where_it_is_unpacked() {
    if !support::has_library("the package") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(package) = package(folder.path()) else { return };
    let root = folder.path().join("root");
    let mut unpack = Command::new("dpkg-deb");
    let (unpacked, said) = text_of(unpack.arg("--extract").arg(package).arg(&root));
    assert!(unpacked, "{said}");
    for file in [
        "etc/starmill/starmill.toml",
        "usr/lib/systemd/system/starmill.service",
        "usr/lib/sysusers.d/starmill.conf",
        "usr/lib/tmpfiles.d/starmill.conf",
        "usr/share/doc/starmill/copyright",
        "usr/share/bash-completion/completions/starmill",
    ] {
        assert!(root.join(file).is_file(), "{file}");
    }
    let copyright = |path: &str| {
        let text = std::fs::read_to_string(root.join("usr/share/doc/starmill").join(path));
        text.unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let licence = copyright("onnxruntime/LICENSE");
    assert!(licence.contains("Copyright (c) Microsoft Corporation"), "{licence}");
    assert!(copyright("onnxruntime/ThirdPartyNotices.txt").contains("THIRD PARTY SOFTWARE"));
    // Debian's file gives the same grant, word for word.
    let words = |text: &str| -> Vec<String> {
        text.split_whitespace().filter(|word| *word != ".").map(str::to_owned).collect()
    };
    let (all, grant) = (words(&copyright("copyright")), words(&licence));
    let grant = &grant[grant.iter().position(|word| word == "Permission").unwrap()..];
    assert!(all.windows(grant.len()).any(|part| part == grant), "{all:?}");
    let page = root.join("usr/share/man/man1/starmill-serve.1");
    assert!(page.is_file() || page.with_extension("1.gz").is_file());
    // As the unit starts it, with nothing of the repository at hand.
    let check = Command::new(root.join("usr/bin/starmill"))
        .arg("check")
        .env_clear()
        .env("STARMILL_CONFIG", root.join("etc/starmill/starmill.toml"))
        .env("STATE_DIRECTORY", folder.path())
        .current_dir(&root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&check.stdout);
    assert_eq!(check.status.code(), Some(0), "{said}");
    assert!(said.contains(root.join("usr/lib/starmill").to_str().unwrap()), "{said}");
    assert!(said.contains("model fcresnet ok"), "{said}");
    assert!(said.contains("service        not set up"), "{said}");
}
