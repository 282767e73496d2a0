//! What a backfill costs as it grows: measurements, run by `ops/scale.sh`.
//! `cargo test --release --test backfill -- --ignored --nocapture --test-threads 1 scale`

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use starmill::backfill::{Campaign, Collected, Cut, Entry, Roll, plan_of};
use starmill::catalogue::{Made, Origin, Provenance, Store, Written};
use starmill::outcome::Outcome;
use starmill::release::{self, Request};

use crate::Desk;
use crate::support::sealed::{commit, giants, row, schema};

const MODEL: &str = "made-up 1";
/// Stars of a shard.
const SHARD: usize = 50_000;

/// The sizes to measure: `STARMILL_SCALE`, or the smallest two.
fn sizes() -> Vec<usize> {
    let named = std::env::var("STARMILL_SCALE").unwrap_or_else(|_| "10000 100000".into());
    named.split_whitespace().map(|size| size.parse().expect("STARMILL_SCALE has numbers")).collect()
}

/// The most memory of a process so far, or since [`forget_peak`], MB.
fn peak_mb(process: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1e3)
}

fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// Bytes and files below a folder.
fn size_of(folder: &Path) -> (u64, u64) {
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    let sizes = files.filter(|it| it.file_type().is_file()).map(|it| it.metadata().unwrap().len());
    sizes.fold((0, 0), |(bytes, files), size| (bytes + size, files + 1))
}

#[test]
#[ignore = "a measurement"]
fn scale_of_listing() {
    println!("| files | seconds | files a second | peak memory (MB) | bytes a file |");
    println!("|---|---|---|---|---|");
    for size in sizes() {
        let desk = Desk::new(1);
        for plan in 0..size.div_ceil(2500) {
            let folder = desk.path(&format!("tree/{:04}/plan{plan:05}", plan / 10));
            fs::create_dir_all(&folder).unwrap();
            for fiber in 0..2500.min(size - plan * 2500) {
                fs::File::create(
                    folder.join(format!("spec-56000-plan{plan:05}-{fiber:04}.fits.gz")),
                )
                .unwrap();
            }
        }
        let command = ["plan", "@tree", "--out", "@plan", "--shards", "100", "--scratch", "@disk"];
        let mut command = desk.command(&command);
        let begin = Instant::now();
        let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        let mut peak = 0.0_f64;
        let status = loop {
            peak = peak.max(peak_mb(&child.id().to_string()).unwrap_or(0.0));
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let seconds = begin.elapsed().as_secs_f64();
        assert!(status.success());
        let (bytes, _) = size_of(&desk.path("plan"));
        println!(
            "| {size} | {seconds:.1} | {:.0} | {:.0} | {:.1} |",
            size as f64 / seconds,
            peak,
            bytes as f64 / size as f64
        );
    }
}

/// Shards of made-up stars, as runs leave them; gives the seconds of a commit of all of them.
fn shards(desk: &Desk, size: usize) -> (Campaign, f64) {
    let mut roll = Roll::open(&desk.path("roll.sqlite"), "made up").unwrap();
    let entry = |number: usize| Entry {
        path: format!("/made-up/{number:09}.fits").into(),
        bytes: 30_000,
        first: 0,
        rows: None,
    };
    for begin in (0..size).step_by(10_000) {
        let entries: Vec<Entry> = (begin..size.min(begin + 10_000)).map(entry).collect();
        roll.add(&entries).unwrap();
    }
    fs::create_dir_all(desk.path("plan")).unwrap();
    let cut = Cut::Shards(size.div_ceil(SHARD) as u64);
    let plan = plan_of(roll, &desk.path("plan"), "made up", Collected::default(), cut).unwrap();
    let campaign = Campaign::open(&desk.path("shards"), plan).unwrap();
    let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned(), String::new());
    let provenance = Provenance { entries: vec![entry("MODEL", MODEL)] };
    let made = Made { provenance, ..Made::default() };
    let count = campaign.plan().shards.len() as u64;
    let origin = Origin::of(&campaign.plan().blake3, count, MODEL, &made);
    campaign.claim(&origin, "made").unwrap();
    let mut seconds = 0.0;
    for number in 0..count {
        let entries = campaign.plan().shards[usize::try_from(number).unwrap()].entries;
        let stars = giants(&format!("shard-{number:05}"), usize::try_from(entries).unwrap());
        let outcomes: Vec<Outcome> = stars.iter().map(row).collect();
        let begin = Instant::now();
        let folder = desk.path("store");
        let mut store = Store::open(&folder, MODEL, schema(MODEL)).unwrap();
        commit(&mut store, &outcomes);
        let written = Written { origin: &origin, number, entries, attempt: "made" };
        let path = campaign.temporary(number, "made");
        store.export(&path, &written, &|| false).unwrap();
        assert!(campaign.commit(number, "made").unwrap());
        seconds += begin.elapsed().as_secs_f64();
        drop(store);
        fs::remove_dir_all(&folder).unwrap();
    }
    (campaign, seconds)
}

#[test]
#[ignore = "a measurement"]
fn scale_of_merging() {
    println!(
        "| rows | shards | commit (s) | shards (B a row) | merge (s) | rows a second | \
         peak memory (MB) | release (B a row) | files |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for size in sizes() {
        let desk = Desk::new(1);
        let (campaign, commits) = shards(&desk, size);
        let (shard_bytes, _) = size_of(&desk.path("shards"));
        forget_peak();
        let begin = Instant::now();
        let made = release::make(&Request {
            campaign: &campaign,
            schema: &schema(MODEL),
            model: MODEL,
            out: &desk.path("release"),
            name: "made-up",
            partition_rows: 500_000,
            fits: true,
            give_up: &|| false,
        })
        .unwrap();
        let seconds = begin.elapsed().as_secs_f64();
        let peak = peak_mb("self").unwrap();
        let (bytes, files) = size_of(&desk.path("release"));
        assert_eq!(made.rows, size as u64);
        println!(
            "| {size} | {} | {commits:.1} | {:.0} | {seconds:.1} | {:.0} | {peak:.0} | {:.0} | {files} |",
            campaign.plan().shards.len(),
            shard_bytes as f64 / size as f64,
            size as f64 / seconds,
            bytes as f64 / size as f64,
        );
    }
}
