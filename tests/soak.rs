//! A night without end: memory must not grow. `ops/soak.sh` runs it for an hour.

#![allow(clippy::print_stdout, reason = "the long run reports its figures")]

mod support;

use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::lrs::{Layout, Lrs, gzip};

/// Files that lie around before the oldest is removed; far more than a run has in hand.
const KEPT: usize = 5_000;

fn variable(name: &str, default: f64) -> f64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Resident bytes of a process.
fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

fn median(values: &[u64]) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values[values.len() / 2]
}

#[test]
fn memory_does_not_grow_over_a_long_night() {
    if !support::has_library("a long night") {
        return;
    }
    let length = Duration::from_secs_f64(60.0 * variable("STARMILL_SOAK_MINUTES", 0.25));
    let rate = variable("STARMILL_SOAK_RATE", 50.0);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut child = support::starmill(&["run", "--model", "fcresnet", "--out"])
        .arg(&out)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // A pipe that nobody reads would fill up.
        .stderr(fs::File::create(folder.path().join("log")).unwrap())
        .spawn()
        .unwrap();
    // Inflated once, so that a new observation costs this test a patch and a compression.
    // Without a plan it is named by its OBSID alone.
    let fits = Lrs::star(1).without("PLANID").to_fits(Layout::Image);
    let card = fits.windows(8).position(|bytes| bytes == b"OBSID   ").unwrap();
    let mut names = child.stdin.take().unwrap();
    let mut lying: VecDeque<std::path::PathBuf> = VecDeque::new();
    let mut samples = Vec::new();
    let begin = Instant::now();
    let (mut files, mut broken) = (0u32, 0u32);
    while begin.elapsed() < length {
        let due = begin.elapsed().as_secs_f64() * rate;
        while f64::from(files) < due {
            let mut fits = fits.clone();
            let obsid = format!("{:>20}", 200_000_000 + files);
            fits[card + 10..card + 30].copy_from_slice(obsid.as_bytes());
            // One file in a hundred is broken: rejects must not gather either.
            if files % 100 == 99 {
                fits.truncate(3_000);
                broken += 1;
            }
            let path = folder.path().join(format!("spec-{files:09}.fits.gz"));
            fs::write(&path, gzip(&fits)).unwrap();
            writeln!(names, "{}", path.display()).unwrap();
            lying.push_back(path);
            if lying.len() > KEPT {
                fs::remove_file(lying.pop_front().unwrap()).unwrap();
            }
            files += 1;
        }
        samples.extend(resident(child.id()));
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(names);
    let output = child.wait_with_output().unwrap();
    let rows = files - broken;
    support::assert_ended(&output, 1, &format!("rows={rows} rejects={broken} files={files}"));

    // The first third may still fill buffers and caches.
    let third = samples.len() / 3;
    let (early, late) = (median(&samples[third..2 * third]), median(&samples[2 * third..]));
    let growth = late as f64 / early as f64 - 1.0;
    println!(
        "{:.1} minutes, {files} files of which {broken} broken, {:.0} MB in the second third and \
         {:.0} MB in the last, {:+.2} %",
        begin.elapsed().as_secs_f64() / 60.0,
        early as f64 / 1e6,
        late as f64 / 1e6,
        100.0 * growth
    );
    // A short night is still filling caches in its last third.
    let limit = if length > Duration::from_mins(10) { 0.03 } else { 0.15 };
    assert!(growth < limit, "memory grows: {samples:?}");
}
