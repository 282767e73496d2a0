//! How fast our reader is beside CFITSIO, on the same files in turn. Measured, so not run by default:
//!
//! `cargo test --release --test reader_speed -- --ignored --nocapture`
//!
//! prints the table of `docs/benchmarks.md`. CFITSIO is asked for the five arrays alone; our reader
//! also recognises the layout, checks every value and reads the header.

#![allow(clippy::print_stdout, reason = "a measurement is printed")]

#[path = "../support/mod.rs"]
mod support;

mod cfitsio;

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use starmill::fits::Fits;
use starmill::input::{Limits, Reader};
use starmill::spectrum::Spectrum;
use starmill::survey;
use support::lrs::{Layout, Lrs};

/// How often everything is measured; the median counts.
const ROUNDS: usize = 9;
/// The least time of one measurement.
const LEAST: Duration = Duration::from_millis(150);
/// Files of each layout.
const MOST_FILES: usize = 16;
const LIMITS: Limits = Limits { file_bytes: 1 << 24, inflated_bytes: 1 << 24 };

/// Files of one layout, in memory and on disk.
struct Group {
    layout: Layout,
    kind: &'static str,
    plain: Vec<Vec<u8>>,
    plain_paths: Vec<PathBuf>,
    gzip_paths: Vec<PathBuf>,
}

impl Group {
    /// The real files of a layout, or synthetic ones where there are none.
    fn new(layout: Layout, folder: &Path) -> Self {
        let part = match layout {
            Layout::Pilot => "lrs_dr1_image",
            Layout::Image => "lrs_dr8_repeats",
            Layout::Table => "lrs_dr10_table",
        };
        let mut reader = Reader::new(LIMITS);
        let mut inflate = |path: &PathBuf| {
            reader.read(path, &mut std::thread::sleep).expect("a readable file");
            reader.inflate(&mut std::thread::sleep).expect("a sound file").to_vec()
        };
        let real = support::real_files("measuring with real files", part);
        let mut plain: Vec<Vec<u8>> = real.iter().take(MOST_FILES).map(&mut inflate).collect();
        let kind = if plain.is_empty() { "synthetic" } else { "real" };
        if plain.is_empty() {
            plain = (0..16).map(|seed| Lrs::star(seed).to_fits(layout)).collect();
        }
        let write = |ending: &str, bytes: &dyn Fn(&[u8]) -> Vec<u8>| -> Vec<PathBuf> {
            let named = plain.iter().enumerate();
            named
                .map(|(index, fits)| {
                    let path = folder.join(format!("{layout:?}-{index}{ending}"));
                    fs::write(&path, bytes(fits)).expect("a temporary file");
                    path
                })
                .collect()
        };
        let plain_paths = write(".fits", &<[u8]>::to_vec);
        let gzip_paths = write(".fits.gz", &gzip);
        Self { layout, kind, plain, plain_paths, gzip_paths }
    }
}

/// Compresses as archives do; the fixtures' own gzip only stores.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor.gzip_compress(bytes, &mut out).expect("room enough");
    out.truncate(length);
    out
}

fn parse(bytes: &[u8]) -> Spectrum {
    let fits = Fits::parse(bytes).expect("a sound file");
    survey::detect(&fits).expect("a known layout").read(&fits, 0).expect("a spectrum")
}

/// Calls `work` for indices below `count` from some threads, for at least [`LEAST`]; calls a second.
fn rate<S>(
    threads: usize,
    count: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) + Sync,
) -> f64 {
    let calls = AtomicUsize::new(0);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut state = state();
                while begin.elapsed() < LEAST {
                    work(&mut state, calls.fetch_add(1, Relaxed) % count);
                }
            });
        }
    });
    calls.into_inner() as f64 / begin.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Measures both in turn and prints one line of the table.
fn compare(group: &Group, from: &str, threads: usize, both: &dyn Fn(usize) -> (f64, f64)) {
    let (mut ours, mut theirs): (Vec<f64>, Vec<f64>) = (0..ROUNDS).map(|_| both(threads)).unzip();
    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
    let ratio = median(&mut ratios);
    println!(
        "| {}, {} {} | {from} | {threads} | {:.0} | {:.0} | {ratio:.2} | {:.2} to {:.2} |",
        format!("{:?}", group.layout).to_lowercase(),
        group.plain.len(),
        group.kind,
        median(&mut ours),
        median(&mut theirs),
        ratios[0],
        ratios[ROUNDS - 1],
    );
}

#[test]
fn both_read_the_same_flux() {
    let folder = tempfile::tempdir().unwrap();
    for layout in [Layout::Pilot, Layout::Image, Layout::Table] {
        let group = Group::new(layout, folder.path());
        for index in 0..group.plain.len() {
            let ours = parse(&group.plain[index]);
            let flux: Vec<u32> = ours.flux().iter().map(|flux| flux.to_bits()).collect();
            let theirs = [
                cfitsio::from_memory(&group.plain[index], layout),
                cfitsio::from_file(&group.plain_paths[index], layout),
                cfitsio::from_file(&group.gzip_paths[index], layout),
            ];
            for arrays in theirs {
                let found: Vec<u32> = arrays.iter().map(|flux| flux.to_bits()).collect();
                assert_eq!(found[..flux.len()], flux);
            }
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn our_reader_beside_cfitsio() {
    let folder = tempfile::tempdir().unwrap();
    println!(
        "| files | from | threads | ours, files/s | CFITSIO, files/s | ours over CFITSIO | range |"
    );
    println!("|---|---|---|---|---|---|---|");
    for layout in [Layout::Pilot, Layout::Image, Layout::Table] {
        let group = Group::new(layout, folder.path());
        let count = group.plain.len();
        for threads in [1, 2] {
            compare(&group, "memory", threads, &|threads| {
                let ours = rate(
                    threads,
                    count,
                    || (),
                    |(), index| {
                        black_box(parse(&group.plain[index]));
                    },
                );
                let theirs = rate(
                    threads,
                    count,
                    || (),
                    |(), index| {
                        black_box(cfitsio::from_memory(&group.plain[index], layout));
                    },
                );
                (ours, theirs)
            });
            for (from, paths) in [("file", &group.plain_paths), (".gz file", &group.gzip_paths)] {
                compare(&group, from, threads, &|threads| {
                    let ours = rate(
                        threads,
                        count,
                        || Reader::new(LIMITS),
                        |reader, index| {
                            reader
                                .read(&paths[index], &mut std::thread::sleep)
                                .expect("it is there");
                            let bytes =
                                reader.inflate(&mut std::thread::sleep).expect("it is sound");
                            black_box(parse(bytes));
                        },
                    );
                    let theirs = rate(
                        threads,
                        count,
                        || (),
                        |(), index| {
                            black_box(cfitsio::from_file(&paths[index], layout));
                        },
                    );
                    (ours, theirs)
                });
            }
        }
    }
}
