//! Several reductions of one observation: which of them have a row in a catalogue, and in the volumes
//! of a night.

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use starmill::catalogue::Manifest;
use support::lrs::{Layout, Lrs};
use support::night::{assert_same, config, segments, verify};
use support::reductions::{Row, rejects, rows};

/// The same observation, reduced in this year.
fn reduced(seed: u32, year: u32) -> Vec<u8> {
    Lrs::star(seed).with("DATE", &format!("'{year}-01-01T00:00:00'")).to_fits(Layout::Table)
}

/// Runs over these files and checks how many rows, rejects and files there are.
#[track_caller]
fn run(out: &Path, files: &[PathBuf], config: &str, counts: [u64; 3]) {
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let output = support::run_with(out, &files, &["--config", config]);
    let [rows, rejects, files] = counts;
    let line = format!("rows={rows} rejects={rejects} files={files}");
    support::assert_ended(&output, i32::from(rejects > 0), &line);
    let (code, said) = verify(out, &["--rebuild"]);
    assert_eq!(code, Some(0), "{said}");
}

/// Year of the reduction by its file's name, number, older and bad, of each row.
fn told(out: &Path) -> Vec<(String, i32, bool, bool)> {
    let year = |row: &Row| row.file.rsplit('/').next().unwrap()[..4].to_owned();
    rows(out).iter().map(|row| (year(row), row.reduction, row.is_older(), row.bad)).collect()
}

#[test]
fn all_reductions_have_a_row_if_that_is_chosen_whatever_their_order() {
    if !support::has_library("reductions") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let files = [
        put("2015.fits", &reduced(1, 2015)),
        put("2022.fits", &reduced(1, 2022)),
        put("2018.fits", &reduced(1, 2018)),
        put("2018-again.fits", &reduced(1, 2018)),
        put("2020-another-star.fits", &reduced(2, 2020)),
    ];
    let out = |name: &str| folder.path().join(name);
    let text = "[catalogue]\nreductions = \"all\"\n[infer]\nbatch = 4\n";
    let all = config(folder.path(), text);
    run(&out("all"), &files, &all, [4, 1, 5]);
    let row = |year: &str, number, older| (year.to_owned(), number, older, older);
    let whole =
        [row("2022", 1, false), row("2018", 2, true), row("2015", 3, true), row("2020", 1, false)];
    assert_eq!(told(&out("all")), whole);
    assert_eq!(rejects(&out("all")), ["duplicate_content"]);
    // Segments are those of versions that knew no reductions: such a catalogue needs sealing alone.
    assert!(!segments(&out("all")).is_empty());
    for segment in segments(&out("all")) {
        let schema =
            ParquetRecordBatchReaderBuilder::try_new(File::open(segment).unwrap()).unwrap();
        let schema = schema.schema().clone();
        assert!(schema.index_of("flags").is_ok() && schema.index_of("reduction").is_err());
    }

    // In another order, file by file, with other workers.
    fs::create_dir(out("slow")).unwrap();
    let slow = config(&out("slow"), &format!("{text}[read]\nworkers = 1\n"));
    for file in files.iter().rev() {
        let output = support::run_with(&out("one by one"), &[file], &["--config", &slow]);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", file.display());
    }
    assert_same(&out("all"), &out("one by one"), "another order");

    // The choice can be changed later: nothing is processed again.
    let newest = config(&out("slow"), "");
    run(&out("all"), &files, &newest, [2, 3, 5]);
    assert_eq!(told(&out("all")), [row("2022", 1, false), row("2020", 1, false)]);
    assert_eq!(rejects(&out("all")), ["duplicate_spectrum"; 3]);
    run(&out("all"), &files, &all, [4, 1, 5]);
    assert_same(&out("all"), &out("one by one"), "a change of the rule and back");
}

#[test]
fn a_file_that_is_rewritten_counts_with_what_it_holds_now() {
    if !support::has_library("rewritten files") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "[catalogue]\nreductions = \"all\"\n[infer]\nbatch = 4\n");
    let (path, out) = (folder.path().join("star.fits"), folder.path().join("out"));
    let numbers = || rows(&out).iter().map(|row| row.reduction).collect::<Vec<_>>();
    fs::write(&path, reduced(1, 2018)).unwrap();
    run(&out, std::slice::from_ref(&path), &config, [1, 0, 1]);
    fs::write(&path, reduced(1, 2022)).unwrap();
    run(&out, std::slice::from_ref(&path), &config, [2, 0, 1]);
    assert_eq!(numbers(), [1, 2]);
    // Back to an older one than both, on purpose.
    fs::write(&path, reduced(1, 2015)).unwrap();
    run(&out, std::slice::from_ref(&path), &config, [3, 0, 1]);
    assert_eq!(numbers(), [2, 3, 1]);
    assert_eq!(Manifest::read(&out).unwrap().unwrap().replaced, 2);
    // A content that was broken is no reduction.
    fs::write(&path, b"broken").unwrap();
    let files: Vec<&Path> = vec![&path];
    let output = support::run_with(&out, &files, &["--config", &config]);
    support::assert_ended(&output, 1, "rows=3 rejects=1 files=1");
    fs::write(&path, reduced(1, 2015)).unwrap();
    run(&out, std::slice::from_ref(&path), &config, [3, 0, 1]);
    assert_eq!(numbers(), [2, 3, 1]);
}
