//! Whatever a file holds, it ends as one coded reject that says what and where; the run goes on.

#[path = "../support/mod.rs"]
mod support;

mod compression;
mod names;
mod places;
mod structure;
mod tables;
mod values;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use starmill::fits::Fits;
use starmill::input::{Limits, Reader};
use starmill::prep::Recipe;
use starmill::reject::{Code, Reject};
use starmill::survey;
use support::lrs::{Layout, Lrs, gzip_well as gzip};

/// Limits small enough that a bomb is quickly made.
const FILE_LIMIT: usize = 2 << 20;
const INFLATED_LIMIT: usize = 24 << 20;

/// A broken file and the code that it must get.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    code: Code,
    /// A word that the detail must hold.
    says: &'static str,
}

fn case(name: &'static str, bytes: Vec<u8>, code: Code, says: &'static str) -> Case {
    Case { name, bytes, code, says }
}

fn cases() -> Vec<Case> {
    let lists = [compression::cases(), structure::cases(), tables::cases(), values::cases()];
    lists.into_iter().flatten().collect()
}

/// The bytes with the first `from` in them written over by `to`, within its card.
fn edited(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes());
    let at = at.unwrap_or_else(|| panic!("{from:?} is not in the file"));
    let mut bytes = bytes.to_vec();
    let length = from.len().max(to.len());
    assert!(at % 80 + length <= 80, "{to:?} does not fit into its card");
    assert!(bytes[at + from.len()..at + length].iter().all(|byte| *byte == b' '), "{to:?}");
    bytes[at..at + length].copy_from_slice(format!("{to:<length$}").as_bytes());
    bytes
}

/// A header of these cards and data, each filled up to whole blocks.
fn hdu(cards: &[&str], data: &[u8]) -> Vec<u8> {
    let cards = cards.iter().chain(&["END"]);
    let mut bytes: Vec<u8> = cards.flat_map(|card| format!("{card:<80}").into_bytes()).collect();
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    bytes
}

/// Reads and prepares the spectrum of a file as a run does.
fn judge(path: &Path, recipe: &Recipe) -> Result<(), Reject> {
    let limits = Limits { file_bytes: FILE_LIMIT as u64, inflated_bytes: INFLATED_LIMIT as u64 };
    let mut reader = Reader::new(limits);
    reader.read(path, &mut std::thread::sleep)?;
    let fits = Fits::parse(reader.inflate(&mut std::thread::sleep)?)?;
    let layout = survey::detect(&fits)?;
    recipe.prepare(&layout.read(&fits, 0)?).map(drop)
}

/// A text column of a table that a run has written.
fn column(table: &Path, name: &str) -> Vec<String> {
    let file = File::open(table).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut texts = Vec::new();
    for batch in batches {
        let batch = batch.unwrap();
        let column = batch.column_by_name(name).unwrap().as_string::<i32>();
        texts.extend((0..column.len()).map(|row| column.value(row).to_owned()));
    }
    texts
}

fn small_limits(folder: &Path) -> PathBuf {
    let path = folder.join("limits.toml");
    let (file, inflated) = (FILE_LIMIT, INFLATED_LIMIT);
    let text = format!("[input]\nmax_file_bytes = {file}\nmax_decompressed_bytes = {inflated}\n");
    fs::write(&path, text).unwrap();
    path
}

/// What is wrong with how a case ended, if anything is.
fn mismatch(case: &Case, found: Option<(&str, &str)>) -> Option<String> {
    let expected = case.code.entry().name;
    match found {
        Some((code, detail)) if code == expected && detail.contains(case.says) => None,
        found => Some(format!(
            "{}: expected {expected} with {:?}, found {found:?}",
            case.name, case.says
        )),
    }
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let cases = cases();
    let names: std::collections::BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len());
    assert!(names.iter().all(|name| name.ends_with("fits") || name.contains(".fits.")));
}

#[test]
fn each_broken_file_gets_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let model = starmill_onnx::Model::open(support::root().join("onnx/models/fcresnet")).unwrap();
    let recipe = Recipe::parse(&model.manifest.recipe, model.manifest.input.pixels, None).unwrap();
    let mut wrong = Vec::new();
    for case in cases() {
        let path = folder.path().join(case.name);
        fs::write(&path, &case.bytes).unwrap();
        let found = judge(&path, &recipe).err();
        let found = found.as_ref().map(|reject| (reject.code.entry().name, &*reject.detail));
        wrong.extend(mismatch(&case, found));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_run_over_all_broken_files_gives_the_good_one_its_row() {
    if !support::has_library("broken files") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::create_dir(&input).unwrap();
    let cases = cases();
    for case in &cases {
        fs::write(input.join(case.name), &case.bytes).unwrap();
    }
    fs::write(input.join("good.fits"), Lrs::star(2).to_fits(Layout::Image)).unwrap();
    let config = small_limits(folder.path());
    let out = folder.path().join("out");
    let output = support::run_with(&out, &[&input], &["--config", config.to_str().unwrap()]);
    let (total, rejects) = (cases.len() + 1, cases.len());
    support::assert_ended(&output, 1, &format!("rows=1 rejects={rejects} files={total}"));

    let rejects = out.join("rejects.parquet");
    let [files, codes, details] = ["file", "reason", "detail"].map(|name| column(&rejects, name));
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let name = format!("/{}", case.name);
            let row = files.iter().position(|file| file.ends_with(&name));
            mismatch(case, row.map(|row| (&*codes[row], &*details[row])))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn defects_that_can_be_lived_with_still_give_rows() {
    if !support::has_library("lesser defects") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::create_dir(&input).unwrap();
    let image = |star: Lrs| star.to_fits(Layout::Image);
    let table = |seed| Lrs::star(seed).to_fits(Layout::Table);
    let bare = ["OBSID", "LMJD", "PLANID", "SPID", "FIBERID", "RA", "DEC", "CLASS", "SNRG", "DATE"];
    let bare = bare.iter().fold(Lrs::star(1), |star, keyword| star.without(keyword));
    let numbers = Lrs::star(2).with("SPID", "'7'").with("Z", "'none'").with("SNRG", "'bright'");
    let beyond = Lrs::star(6).with("SNRG", "1E300").with("RA", "1E300").with("LMJD", "1E15");
    let extra =
        compression::with_fields(&gzip(&table(7)), 4 | 8 | 16, b"\x03\0abcname.fits\0a comment\0");
    let skippable =
        [&zstd::encode_all(&table(8)[..], 3).unwrap()[..], &compression::SKIPPABLE_FRAME].concat();
    let halves = table(9);
    let (front, back) = halves.split_at(halves.len() / 3);
    let frames = [front, back].map(|part| zstd::encode_all(part, 3).unwrap()).concat();
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("bare.fits", image(bare)),
        ("text-numbers.fits", image(numbers)),
        ("beyond-single-precision.fits", image(beyond)),
        ("some-nan.fits", {
            let mut star = Lrs::star(3);
            star.flux[1000] = f32::NAN;
            star.ivar[1001] = f32::NEG_INFINITY;
            star.to_fits(Layout::Table)
        }),
        ("odd-card.fits", edited(&image(Lrs::star(4)), "SUBCLASS= 'K3", "SUBCLASS= K3'")),
        ("trailing.fits", [image(Lrs::star(5)), vec![0; 2880]].concat()),
        ("no-padding.fits", table(10)[..table(10).len() - 100].to_vec()),
        ("gzip-fields.fits.gz", extra),
        ("skippable-frame.fits.zst", skippable),
        ("two-frames.fits.zst", frames),
        ("gzip-without-its-ending.fits", gzip(&table(11))),
    ];
    for (name, bytes) in &files {
        fs::write(input.join(name), bytes).unwrap();
    }
    let output = support::run(&folder.path().join("out"), &[&input]);
    let count = files.len();
    support::assert_ended(&output, 0, &format!("rows={count} rejects=0 files={count}"));
}

#[test]
fn the_newest_reduction_of_an_observation_gives_its_row() {
    if !support::has_library("duplicates") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let old = Lrs::star(1).with("DATE", "'2015-01-01T00:00:00'");
    fs::write(path("old.fits"), old.to_fits(Layout::Image)).unwrap();
    let new = Lrs::star(1).with("DATE", "'2022-01-01T00:00:00'").to_fits(Layout::Table);
    fs::write(path("new.fits"), &new).unwrap();
    fs::write(path("same.fits"), &new).unwrap();
    let files = [path("old.fits"), path("same.fits"), path("new.fits")];
    let mut lines = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let paths: Vec<&Path> = order.iter().map(|&index| files[index].as_path()).collect();
        let out = path(&format!("out{order:?}"));
        support::assert_ended(&support::run(&out, &paths), 1, "rows=1 rejects=2 files=3");
        lines.push(fs::read(out.join("catalogue.fits")).unwrap());
        lines.push(fs::read(out.join("rejects.fits")).unwrap());
    }
    assert!(lines[0] == lines[2] && lines[0] == lines[4], "the row depends on the order");
    assert!(lines[1] == lines[3] && lines[1] == lines[5], "the rejects depend on the order");
    let text = String::from_utf8_lossy(&lines[0]).into_owned();
    assert!(text.contains("new.fits") && !text.contains("same.fits") && !text.contains("old.fits"));
    let rejects = String::from_utf8_lossy(&lines[1]).into_owned();
    assert!(rejects.contains("duplicate_content") && rejects.contains("duplicate_spectrum"));
}
