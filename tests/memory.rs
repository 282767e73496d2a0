//! The bound on memory that `starmill check` prints, held under a limit of the operating system.

#![allow(clippy::print_stdout, reason = "a skipped test says so, and figures are shown")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::lrs::{Layout, Lrs};
use support::night::{config, night};
use support::service::{Place, wait_until};

/// Small limits, so that the bound is near what a run really takes and a leak shows.
const TIGHT: &str = "
[input]
max_file_bytes = 4_000_000
max_decompressed_bytes = 16_000_000
[list]
queue_items = 64
[read]
workers = 4
queue_items = 32
queue_bytes = 4_000_000
[prepare]
queue_items = 64
queue_bytes = 2_000_000
[infer]
batch = 32
queue_items = 64
queue_bytes = 1_000_000
[write]
segment_spectra = 64
";

/// The bound in bytes, as `check` prints it behind these words.
fn bound(config: &str, of: &str) -> u64 {
    let output = support::starmill(&["--config", config, "check"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line =
        text.lines().find_map(|line| line.trim().strip_prefix(of)?.strip_prefix(" at most "));
    let number = line.unwrap_or_else(|| panic!("{text}")).trim_end_matches(" MiB");
    number.parse::<u64>().unwrap() << 20
}

/// Limits address space, which also counts what threads and libraries reserve and never touch.
fn under_address_space_limit(bytes: u64) -> Command {
    let mut command = Command::new("bash");
    let kibibytes = bytes / 1024;
    command.args(["-c", &format!("ulimit -v {kibibytes} && exec \"$@\""), "bash"]);
    command
}

/// A control group with this limit, where this process may make one.
fn memory_group(bytes: u64) -> Option<Group> {
    let name = format!("starmill-test-{}", std::process::id());
    let version_1 = PathBuf::from("/sys/fs/cgroup/memory").join(&name);
    let version_2 = PathBuf::from("/sys/fs/cgroup").join(&name);
    for (folder, limit) in [(version_1, "memory.limit_in_bytes"), (version_2, "memory.max")] {
        if fs::create_dir(&folder).is_err() {
            continue;
        }
        let group = Group(folder);
        if fs::write(group.0.join(limit), bytes.to_string()).is_ok() {
            return Some(group);
        }
    }
    None
}

struct Group(PathBuf);

impl Group {
    fn command(&self) -> Command {
        let mut command = Command::new("sh");
        let join = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.0.display());
        command.args(["-c", &join, "sh"]);
        command
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Fast readers before a slow writer, with a file that is larger than the limits allow in between.
fn run(mut command: Command, config: &str, input: &Path, out: &Path) -> serde_json::Value {
    let stats = out.with_extension("json");
    let output = command
        .arg(env!("CARGO_BIN_EXE_starmill"))
        .args(["--config", config, "run", "--model", "fcresnet", "--stats"])
        .arg(&stats)
        .arg("--out")
        .args([out, input])
        .env("FAILPOINTS", "commit-slow=sleep(150)")
        .current_dir(support::root())
        .output()
        .unwrap();
    support::assert_ended(&output, 1, "rows=612 rejects=3 files=615");
    serde_json::from_slice(&fs::read(stats).unwrap()).unwrap()
}

#[test]
fn a_run_stays_below_the_bound_that_check_prints() {
    if !support::has_library("the bound on memory") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = night(folder.path(), 600);
    let bomb = support::lrs::gzip(&vec![0; 400_000_000]);
    fs::write(input.join("bomb.fits.gz"), &bomb).unwrap();
    // About as many pixels as a spectrum may have, in more files than there are readers.
    for seed in 0..12 {
        let path = input.join(format!("long-{seed}.fits.gz"));
        fs::write(path, Lrs::star(700 + seed).with_pixels(250_000).to_gzip(Layout::Image)).unwrap();
    }
    let zstd = zstd::encode_all(&vec![0; 400_000_000][..], 3).unwrap();
    fs::write(input.join("bomb.fits.zst"), zstd).unwrap();
    let config = config(folder.path(), TIGHT);
    let bound = bound(&config, "memory");

    // Threads reserve stacks and arenas, ONNX Runtime maps its library: none of it is memory.
    let reserved = 1 << 30;
    let command = under_address_space_limit(bound + reserved);
    let stats = run(command, &config, &input, &folder.path().join("space"));
    let peak = stats["peak_rss_bytes"].as_u64().unwrap();
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!("bound {:.0} MB, peak {:.0} MB", megabytes(bound), megabytes(peak));
    assert!(peak <= bound, "{peak} bytes above the bound of {bound}");
    if cfg!(feature = "failpoints") {
        // Otherwise the writer was not slow, and the test shows nothing.
        let queues = stats["queues"].as_array().unwrap();
        let waited: f64 =
            queues.iter().map(|queue| queue["blocked_sending_s"].as_f64().unwrap()).sum();
        assert!(waited > 0.5, "nobody waited for the writer: {stats}");
    }

    match memory_group(bound) {
        Some(group) => {
            run(group.command(), &config, &input, &folder.path().join("group"));
        }
        None => println!("skipped: the limit of a control group needs the right to make one"),
    }
}

#[test]
fn a_service_stays_below_the_bound_that_check_prints() {
    const FILES: u32 = 600;
    if !support::has_library("the bound on memory of a service") {
        return;
    }
    // A service's configuration is a list of keys, and each spectrum gets a segment of its own.
    let mut section = "";
    let mut keys = "write.segment_spectra = 1\nnight.quiet = 2.0\nwatch.waiting = 1000".to_owned();
    for line in TIGHT.lines().filter(|line| !line.is_empty() && !line.starts_with("segment")) {
        match line.strip_prefix('[') {
            Some(name) => section = name.trim_end_matches(']'),
            None => keys += &format!("\n{section}.{line}"),
        }
    }
    let place = Place::new(&keys);
    let bound = bound(place.path("config.toml").to_str().unwrap(), "memory of a service");
    let service = place.start_ready();
    for seed in 0..FILES {
        // Of three nights in turn, which close one beside the flow of the others.
        let date = format!("'2017-11-{:02}T21:00:00'", 10 + seed % 3);
        let star = Lrs::star(seed).with("DATE-OBS", &date).to_gzip(Layout::Image);
        place.put(&format!("{seed}.fits.gz"), &star);
    }
    let closed = |night: &&str| place.night(night).join("closed.json").exists();
    let nights = ["2017-11-10", "2017-11-11", "2017-11-12"];
    wait_until("all nights close", || nights.iter().all(closed));
    let rows: u64 = nights.iter().map(|night| place.closed(night).0).sum();
    assert_eq!(rows, u64::from(FILES), "{}", place.log());
    for night in nights {
        let segments = support::night::segments(&place.night(night)).len();
        assert!(segments < 64, "{night} has {segments} segments");
    }
    let peak = service.peak_bytes();
    println!("a service: bound {:.0} MB, peak {:.0} MB", bound as f64 / 1e6, peak as f64 / 1e6);
    assert!(peak <= bound, "{peak} bytes above the bound of {bound}");
    service.stop();
}

#[test]
fn an_item_larger_than_its_limit_is_refused_before_it_takes_memory() {
    if !support::has_library("refusing a large file") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.fits");
    let mut bytes = Lrs::star(1).to_fits(Layout::Image);
    bytes.resize(4_000_001, 0);
    fs::write(&large, bytes).unwrap();
    let config = config(folder.path(), TIGHT);
    let out = folder.path().join("out");
    let more = ["--config", config.as_str()];
    support::assert_ended(
        &support::run_with(&out, &[&large], &more),
        1,
        "rows=0 rejects=1 files=1",
    );
    // Raising the limit, as the remedy says, makes the next run look again.
    support::assert_ended(&support::run(&out, &[&large]), 0, "rows=1 rejects=0 files=1");
}
