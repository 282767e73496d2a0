//! The real medium-resolution epochs through the shipped models, from files to rows. What is asserted
//! holds for any weights; what these weights give is printed by
//!
//! `cargo test --release --test medium -- --ignored --nocapture`
//!
//! from which `ops/bench.sh epochs` takes a section of the benchmarks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type};
use arrow_array::{Array, RecordBatch};
use starmill::catalogue::NAMES;
use starmill::config::Config;
use starmill::fits::Fits;
use starmill::quality::Quality;
use starmill::setup::Ready;

use crate::runs::{numbers, table, texts};
use crate::support::lrs::gzip;
use crate::support::mrs::{Layout, Mrs};
use crate::support::night::config;
use crate::support::{self, starmill};

/// In the names of the files of KIC 8098300: seven nights.
const STAR: [&str; 3] = ["HIP95119KP01", "TD192102N424113K01", "TD193637N444141K01"];
/// Two of these nights, of which no spectrum has a S/N of 2.
const WITHOUT_SIGNAL: [&str; 2] = ["58268", "58269"];
/// The lowest S/N that the models take.
const LEAST_SNR: f32 = 10.0;
const ALL: &str = "[input]\nspectra = \"both\"\n";

/// Whether the model is shipped; if not, says that the test is skipped.
fn has(model: &str, test: &str) -> bool {
    let folder = support::root().join("onnx/models").join(model);
    let is_there = folder.join("manifest.toml").is_file();
    if !is_there {
        println!("skipped: {test} needs onnx/models/{model}; onnx/export/train-rrnet.sh makes it");
    }
    is_there && support::has_library(test)
}

/// The real files, each once, though it be in two folders.
fn real_files(test: &str) -> Vec<PathBuf> {
    let mut files = support::real_files(test, "med-");
    files.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
    files.dedup_by(|one, other| one.file_name() == other.file_name());
    files
}

fn run(model: &str, out: &Path, settings: &str, inputs: &[PathBuf]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), settings);
    starmill(&["run", "--model", model, "--config", &config, "--out"])
        .arg(out)
        .args(inputs)
        .output()
        .expect("the program starts")
}

/// Runs and asserts the exit code; gives rows and rejects.
#[track_caller]
fn tables(
    model: &str,
    out: &Path,
    settings: &str,
    inputs: &[PathBuf],
) -> (RecordBatch, RecordBatch) {
    let output = run(model, out, settings, inputs);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    (table(out, "catalogue.parquet"), table(out, "rejects.parquet"))
}

fn labels(model: &str) -> Vec<String> {
    let model = Ready::open(&Config::load(None).unwrap(), model).unwrap().model;
    model.manifest.labels.into_iter().map(|label| label.name).collect()
}

fn floats<'a>(batch: &'a RecordBatch, name: &str) -> &'a [f32] {
    batch.column_by_name(name).unwrap().as_primitive::<Float32Type>().values()
}

/// The values of a column of several in one row.
fn vector(batch: &RecordBatch, name: &str, row: usize) -> Vec<f32> {
    let values = batch.column_by_name(name).unwrap().as_fixed_size_list().value(row);
    values.as_primitive::<Float32Type>().values().to_vec()
}

fn flags(batch: &RecordBatch) -> Vec<Quality> {
    let flags = batch.column_by_name("flags").unwrap().as_primitive::<Int32Type>();
    flags.values().iter().map(|&value| Quality::from_value(value)).collect()
}

/// Labels are finite, errors positive, and what the members of the ensemble share is within them.
#[track_caller]
fn assert_errors(rows: &RecordBatch, labels: &[String]) {
    for row in 0..rows.num_rows() {
        let factor = vector(rows, "cov_factor", row);
        assert!(factor.len() >= labels.len() && factor.len().is_multiple_of(labels.len()));
        for (position, label) in labels.iter().enumerate() {
            let value = floats(rows, label)[row];
            let error = floats(rows, &format!("{label}_err"))[row];
            assert!(value.is_finite() && error > 0.0, "{label} of row {row}: {value}, {error}");
            let shared = factor[position..].iter().step_by(labels.len()).map(|f| f * f);
            assert!(shared.sum::<f32>() <= error * error * 1.0001, "{label} of row {row}");
        }
    }
}

#[test]
fn the_real_epochs_become_rows_with_errors_and_flags_or_rejects() {
    let test = "real epochs through RRNet";
    let files = real_files(test);
    if files.is_empty() || !has("rrnet", test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("both");
    let (rows, rejects) = tables("rrnet", &out, ALL, &files);
    assert!(texts(&rejects, "reason").iter().all(|reason| reason == "low_snr"));
    let is_of = |name: &String, night: &str| name.starts_with(&format!("lamost-mrs:{night}-"));
    for night in WITHOUT_SIGNAL {
        assert!(texts(&rows, "spectrum_id").iter().all(|name| !is_of(name, night)));
        assert!(texts(&rejects, "spectrum_id").iter().any(|name| is_of(name, night)));
    }
    for arm in ["snr_blue", "snr_red"] {
        assert!(floats(&rows, arm).iter().all(|&snr| snr >= LEAST_SNR));
    }
    assert_errors(&rows, &labels("rrnet"));

    let velocities = numbers(&rows, "rv");
    let arms = [texts(&rows, "extname_blue"), texts(&rows, "extname_red")];
    let names = texts(&rows, "spectrum_id");
    let coadd = rows.column_by_name("coadd").unwrap().as_boolean();
    for (row, flags) in flags(&rows).into_iter().enumerate() {
        assert_eq!(flags.contains(Quality::NO_RV), velocities[row].is_none(), "{flags}");
        assert!(!flags.contains(Quality::LOW_SNR) && !flags.contains(Quality::SNR_UNKNOWN));
        let found = [arms[0][row].as_str(), arms[1][row].as_str()];
        if coadd.value(row) {
            assert_eq!(found, ["COADD_B", "COADD_R"]);
        } else {
            let minute = names[row].rsplit('-').next().unwrap();
            assert_eq!(found, [format!("B-{minute}"), format!("R-{minute}")]);
        }
    }
    let exposures = coadd.false_count();
    assert!(coadd.true_count() > 0 && exposures > 0, "{names:?}");

    // The same again, and in another order: the same bytes.
    let (again, turned) = (folder.path().join("again"), files.iter().rev().cloned());
    tables("rrnet", &again, ALL, &turned.collect::<Vec<_>>());
    for name in NAMES {
        let read = |out: &Path| fs::read(out.join(name)).unwrap();
        assert!(read(&out) == read(&again), "{name} differs");
    }

    // Sums alone and exposures alone are the parts of the whole.
    let rows_of = |rows: &RecordBatch| -> Vec<(String, f32)> {
        texts(rows, "spectrum_id").into_iter().zip(floats(rows, "teff").iter().copied()).collect()
    };
    let mut parts = Vec::new();
    for kind in ["coadd", "exposures"] {
        let settings = format!("[input]\nspectra = \"{kind}\"\n");
        parts.extend(rows_of(&tables("rrnet", &folder.path().join(kind), &settings, &files).0));
    }
    parts.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(parts, rows_of(&rows));
}

#[test]
fn a_missing_arm_is_a_reject_that_names_the_other() {
    let test = "a missing arm through RRNet";
    if !has("rrnet", test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = Vec::new();
    let cases: [(&str, &[&str]); 3] =
        [("whole", &[]), ("red", &["COADD_B"]), ("blue", &["COADD_R"])];
    for (name, without) in cases {
        let path = folder.path().join(format!("{name}.fits.gz"));
        let star = Mrs::star(u32::try_from(inputs.len()).unwrap()).without(without);
        fs::write(&path, gzip(&star.to_fits(Layout::Rows))).unwrap();
        inputs.push(path);
    }
    let (rows, rejects) = tables("rrnet", &folder.path().join("out"), "", &inputs);
    assert_eq!((rows.num_rows(), rejects.num_rows()), (1, 2));
    assert_eq!(texts(&rejects, "reason"), ["missing_arm"; 2]);
    let arms = ["extname_blue", "extname_red"].map(|arm| texts(&rejects, arm));
    assert_eq!(arms, [["-", "COADD_B"], ["COADD_R", "-"]]);
}

#[test]
fn published_names_are_in_both_formats_and_in_what_the_program_prints() {
    let test = "published names of columns";
    if !has("rrnet", test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("star.fits");
    fs::write(&input, Mrs::star(1).to_fits(Layout::Cells)).unwrap();
    let out = folder.path().join("out");
    support::assert_ended(&run("rrnet", &out, "", &[input]), 0, "rows=1 rejects=0 files=1");
    let bytes = fs::read(out.join("catalogue.fits")).unwrap();
    let fits = Fits::parse(&bytes).unwrap();
    let header = &fits.hdus[1].header;
    let rows = table(&out, "catalogue.parquet");
    let printed = starmill(&["catalogue", "columns", "--model", "rrnet"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let mut published = 0;
    for (number, field) in (1..).zip(rows.schema().fields()) {
        let alias = field.metadata().get("alias");
        assert_eq!(header.text(&format!("TALI{number}")).as_ref(), alias, "{}", field.name());
        let mut lines = printed.lines();
        let line =
            lines.find(|line| line.split(' ').next() == Some(field.name().as_str())).unwrap();
        match alias {
            Some(alias) => assert!(line.ends_with(&format!("(published as {alias})")), "{line}"),
            None => assert!(!line.contains("published as"), "{line}"),
        }
        published += usize::from(alias.is_some());
    }
    // Table 3 of Xiong et al. 2022.
    assert_eq!(published, 43);
}

#[test]
fn a_region_wins_each_label_and_the_votes_say_why() {
    let test = "votes of SPEMR";
    let files = real_files(test);
    if files.is_empty() || !has("spemr", test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let with = format!("{ALL}[models]\ncolumns = [\"votes\"]\n");
    let (rows, _) = tables("spemr", &folder.path().join("with"), &with, &files);
    let labels = labels("spemr");
    assert_errors(&rows, &labels);
    for row in 0..rows.num_rows() {
        let winners = rows.column_by_name("region").unwrap().as_fixed_size_list().value(row);
        let votes = vector(&rows, "votes", row);
        let count = labels.len();
        assert_eq!((winners.len(), votes.len() % (2 * count)), (count, 0));
        let regions = votes.chunks_exact(2 * count);
        for (position, label) in labels.iter().enumerate() {
            let winner = winners.as_primitive::<Int32Type>().value(position);
            let winner = &votes[2 * count * usize::try_from(winner - 1).unwrap()..];
            let label_has = floats(&rows, label)[row].to_bits();
            assert_eq!(winner[position].to_bits(), label_has, "{label}");
            // By equation 3; the column of errors is calibrated behind the fusion.
            let errors = regions.clone().map(|vote| vote[count + position]);
            let least = errors.fold(f32::INFINITY, f32::min);
            assert!(least >= winner[count + position], "{label}");
        }
    }
    let (rows, _) = tables("spemr", &folder.path().join("without"), ALL, &files);
    assert!(rows.column_by_name("votes").is_none() && rows.column_by_name("region").is_some());
}

/// What the exposures of one star give of a label.
struct Epochs {
    mean: f64,
    scatter: f64,
    /// The median of the quoted errors.
    quoted: f64,
    coadds: Vec<f64>,
}

impl Epochs {
    fn of(rows: &RecordBatch, label: &str) -> Self {
        let coadd = rows.column_by_name("coadd").unwrap().as_boolean();
        let part = |name: &str, of_coadds: bool| -> Vec<f64> {
            let values = floats(rows, name).iter().zip(coadd.iter());
            let values = values.filter(|(_, coadd)| *coadd == Some(of_coadds));
            values.map(|(&value, _)| f64::from(value)).collect()
        };
        let values = part(label, false);
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let mut errors = part(&format!("{label}_err"), false);
        errors.sort_by(f64::total_cmp);
        let middle = errors.len() / 2;
        let quoted = f64::midpoint(errors[middle], errors[(errors.len() - 1) / 2]);
        let scatter = (squares / (count - 1.0)).sqrt();
        Self { mean, scatter, quoted, coadds: part(label, true) }
    }
}

#[test]
#[ignore = "a measurement"]
fn the_scatter_over_the_epochs_of_one_star() {
    let test = "the scatter over epochs";
    let mut files = real_files(test);
    files.retain(|path| STAR.iter().any(|name| path.to_string_lossy().contains(name)));
    for model in ["rrnet", "spemr"] {
        if files.is_empty() || !has(model, test) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let (rows, rejects) = tables(model, &folder.path().join("out"), ALL, &files);
        let ready = Ready::open(&Config::load(None).unwrap(), model).unwrap();
        let (id, hash) = (ready.id(), &ready.model.onnx_sha256()[..16]);
        let shared = Quality::from_value(flags(&rows).iter().fold(!0, |all, f| all & f.value()));
        println!("\n| {id} ({hash}) | mean | scatter | quoted error | scatter / error | coadds |");
        println!("|---|---|---|---|---|---|");
        for label in labels(model) {
            let Epochs { mean, scatter, quoted, coadds } = Epochs::of(&rows, &label);
            let digits = if label == "teff" { 0 } else { 3 };
            let coadds: Vec<_> = coadds.iter().map(|value| format!("{value:.digits$}")).collect();
            println!(
                "| {label} | {mean:.digits$} | {scatter:.digits$} | {quoted:.digits$} | {:.2} | {} |",
                scatter / quoted,
                coadds.join(", ")
            );
        }
        let exposures = rows.column_by_name("coadd").unwrap().as_boolean().false_count();
        let (count, rejected) = (rows.num_rows(), rejects.num_rows());
        println!(
            "| rows | {exposures} exposures, {} coadds, {rejected} rejects; all flagged {shared} |||||",
            count - exposures
        );
    }
}
