//! `starmill explain`: a spectrum replayed is the spectrum of the run, and what is told of it is true.

#![expect(clippy::print_stdout, reason = "a skipped test says so")]

mod magnesium;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use support::lrs::{self, Lrs, gzip};
use support::mrs::{Layout, Mrs};
use support::starmill;

/// Explains a file as JSON; gives the exit code and the object.
#[track_caller]
fn explain(file: &Path, more: &[&str]) -> (Option<i32>, Value) {
    let output = command(file, &[&["--json"], more].concat());
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout);
    (output.status.code(), json.unwrap_or_else(|error| panic!("{error}: {log}")))
}

fn command(file: &Path, more: &[&str]) -> Output {
    starmill(&["explain"]).arg(file).args(more).output().expect("the program starts")
}

#[track_caller]
fn step<'a>(told: &'a Value, name: &str) -> &'a Value {
    let steps = told["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no {name}: {told}"))
}

/// Whether the model of medium resolution is there; if not, says that the test is skipped.
fn has_rrnet(test: &str) -> bool {
    let found = support::root().join("onnx/models/rrnet/manifest.toml").is_file();
    if !found {
        println!("skipped: {test} needs onnx/models/rrnet; onnx/export/train-rrnet.sh makes it");
    }
    found
}

#[test]
fn rows_and_rejects_of_a_catalogue_are_repeated_to_the_last_bit() {
    if !support::has_library("explanations of a catalogue") {
        return;
    }
    let desk = tempfile::tempdir().unwrap();
    let path = |name: &str| desk.path().join(name);
    let mut files = Vec::new();
    for seed in 0..3 {
        files.push(path(&format!("star-{seed}.fits.gz")));
        fs::write(&files[seed as usize], Lrs::star(seed).to_gzip(lrs::Layout::Table)).unwrap();
    }
    let (flat, broken) = (path("flat.fits.gz"), path("broken.fits.gz"));
    let mut star = Lrs::star(7);
    star.flux.fill(5.0);
    fs::write(&flat, star.to_gzip(lrs::Layout::Image)).unwrap();
    fs::write(&broken, b"no FITS file").unwrap();
    files.extend([flat.clone(), broken.clone()]);
    let given: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let out = path("catalogue");
    support::assert_ended(&support::run(&out, &given), 1, "rows=3 rejects=2 files=5");
    let catalogue = ["--catalogue", out.to_str().unwrap()];
    for file in &files[..3] {
        // The model is that of the catalogue.
        let (code, told) = explain(file, &catalogue);
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(told["catalogue"]["verdict"], "equal", "{told}");
        assert_eq!(told["catalogue"]["table"], "catalogue");
        assert!(told["catalogue"]["columns"].as_u64().unwrap() > 30);
        assert!(told["model"].as_str().unwrap().starts_with("fcresnet "));
        assert_eq!(told["row"]["labels"][0]["name"], "teff");
        assert_eq!(told["no_template"], "the model has no templates");
        assert_eq!(step(&told, "degrade")["figures"]["bins"], 143);
    }
    let (code, told) = explain(&flat, &catalogue);
    assert_eq!((code, &told["catalogue"]["verdict"]), (Some(1), &"equal".into()), "{told}");
    assert_eq!(told["catalogue"]["table"], "rejects");
    assert_eq!(told["reject"]["reason"], "flat_spectrum");
    assert_eq!(told["reject"]["stage"], "prepare");
    assert_eq!(told["reject"]["step"], "zscore");
    assert_eq!(step(&told, "zscore")["refused"], true);
    let (code, told) = explain(&broken, &catalogue);
    assert_eq!((code, &told["reject"]["stage"]), (Some(1), &"read".into()), "{told}");
    assert_eq!(told["catalogue"]["verdict"], "equal", "{told}");

    // A file that the catalogue does not have, and one that has changed since.
    fs::write(&files[0], Lrs::star(99).to_gzip(lrs::Layout::Table)).unwrap();
    let (code, told) = explain(&files[0], &catalogue);
    assert_eq!((code, &told["catalogue"]["verdict"]), (Some(1), &"absent".into()));
    let (_, told) = explain(&files[1], &["--model", "fcresnet"]);
    assert_eq!(told["catalogue"], Value::Null);
}

#[test]
fn what_decides_at_the_seal_is_told_apart_from_what_differs() {
    if !support::has_library("explanations of duplicates") {
        return;
    }
    let desk = tempfile::tempdir().unwrap();
    let path = |name: &str| desk.path().join(name);
    // The same observation, reduced twice.
    let mut older = Lrs::star(4);
    older.flux[100] += 1.0;
    let (first, second) = (path("first.fits.gz"), path("second.fits.gz"));
    fs::write(&first, older.to_gzip(lrs::Layout::Table)).unwrap();
    fs::write(&second, Lrs::star(4).to_gzip(lrs::Layout::Table)).unwrap();
    let out = path("catalogue");
    support::assert_ended(&support::run(&out, &[&first, &second]), 1, "rows=1 rejects=1 files=2");
    let told =
        [&first, &second].map(|file| explain(file, &["--catalogue", out.to_str().unwrap()]).1);
    let verdicts = told.each_ref().map(|told| told["catalogue"]["verdict"].as_str().unwrap());
    assert!(verdicts.contains(&"equal") && verdicts.contains(&"otherwise"), "{verdicts:?}");
    let other = told.iter().find(|told| told["catalogue"]["verdict"] == "otherwise").unwrap();
    assert_eq!(other["catalogue"]["catalogue"], "duplicate_spectrum");
    assert_eq!(other["catalogue"]["now"], Value::Null);
    assert!(other["row"].is_object());
}

#[test]
fn steps_of_two_arms_are_counted_on_a_star_whose_faults_are_known() {
    let title = "the steps of two arms";
    if !support::has_library(title) || !has_rrnet(title) {
        return;
    }
    let desk = tempfile::tempdir().unwrap();
    let path = |name: &str| desk.path().join(name);
    let file = path("med.fits.gz");
    let mut star = Mrs::star(3);
    // A spike well inside the blue window, and nine bad pixels in a row.
    let blue = star.arm("COADD_B");
    blue.flux[1500] *= 3.0;
    blue.ivar[1700..1709].fill(0.0);
    fs::write(&file, gzip(&star.to_fits(Layout::Rows))).unwrap();
    let config = path("config.toml");
    let velocities = path("rv.csv");
    let rows = "obsid,lmjd,spid,fiberid,lmjm,coadd,rv_b0,rv_b0_err\n\
                589000003,58025,2,4,83555758,1,12.5,0.5\n";
    fs::write(&velocities, rows).unwrap();
    let settings = format!("[rv]\ncatalogue = '{}'\n", velocities.display());
    fs::write(&config, settings).unwrap();
    let rrnet = ["--config", config.to_str().unwrap(), "--model", "rrnet"];
    let (_, told) = explain(&file, &rrnet);
    assert_eq!(told["spectrum"]["rv"], 12.5, "{told}");
    assert_eq!(step(&told, "rest_frame")["figures"]["rv"], 12.5);
    let bad = &step(&told, "bad_pixels")["figures"];
    assert_eq!((&bad["bad_pixels"], &bad["longest_run"]), (&9.into(), &9.into()));
    let replaced = step(&told, "despike")["figures"]["replaced"].as_array().unwrap().clone();
    assert!(replaced[0].as_u64() > Some(0) && replaced.len() == 2, "{replaced:?}");
    let fits = &step(&told, "continuum")["figures"];
    assert!(fits["fits"][0].as_u64() > Some(1) && fits["outliers"][0].as_u64() > Some(0));
    assert_eq!(step(&told, "resample")["figures"]["pixels"], serde_json::json!([3600, 3600]));
    assert_eq!(step(&told, "scale")["refused"], false);

    // An exposure by its minute, though coadds are what is taken.
    let minute = support::mrs::MINUTES[1];
    let (_, told) = explain(&file, &[&rrnet[..], &["--exposure", &minute.to_string()]].concat());
    assert_eq!((&told["spectrum"]["lmjm"], &told["index"]), (&minute.into(), &2.into()));
    let output = command(&file, &[&rrnet[..], &["--exposure", "1"]].concat());
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{log}");
    assert!(log.contains(&minute.to_string()), "{log}");

    // Too many in a row: the step that refuses is named, and what it saw.
    star.arm("COADD_B").ivar[1700..1740].fill(0.0);
    fs::write(&file, gzip(&star.to_fits(Layout::Rows))).unwrap();
    let (code, told) = explain(&file, &rrnet);
    assert_eq!((code, &told["reject"]["step"]), (Some(1), &"bad_pixels".into()), "{told}");
    assert_eq!(step(&told, "bad_pixels")["figures"]["longest_run"], 40);
    assert!(told["steps"].as_array().unwrap().iter().all(|step| step["name"] != "scale"));
}

#[test]
fn pictures_and_page_of_real_spectra_are_whole() {
    let title = "explanations of real spectra";
    if !support::has_library(title) {
        return;
    }
    for (part, model) in [("spec-", "fcresnet"), ("med-58625", "rrnet"), ("med-58268", "rrnet")] {
        if model == "rrnet" && !has_rrnet(title) {
            continue;
        }
        let Some(file) = support::real_files(title, part).into_iter().next() else { continue };
        let desk = tempfile::tempdir().unwrap();
        let output = starmill(&["explain", "--model", model, "--out"])
            .arg(desk.path())
            .arg(&file)
            .output()
            .expect("the program starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let png = fs::read(desk.path().join("explain.png")).unwrap();
        let picture = image::load_from_memory(&png).unwrap();
        assert_eq!(picture.width(), 1500);
        let page = fs::read_to_string(desk.path().join("explain.html")).unwrap();
        assert!(page.contains("data:image/png;base64,iVBOR") && !page.contains("http://"));
        let told = fs::read(desk.path().join("explain.json")).unwrap();
        let told: Value = serde_json::from_slice(&told).unwrap();
        // The native flux alone where a step before all others refuses the spectrum.
        let is_row = told["row"].is_object();
        assert_eq!(picture.height() > 600, is_row, "{}", file.display());
        assert_eq!(output.status.code(), Some(i32::from(!is_row)), "{text}");
        let name = told["spectrum_id"].as_str().unwrap();
        assert!(text.contains(name) && page.contains(name), "{text}");
        for step in told["steps"].as_array().unwrap() {
            assert!(text.contains(step["did"][0].as_str().unwrap()), "{text}");
        }
        let has_template = is_row && told["model"].as_str().unwrap().starts_with("rrnet");
        assert!(!told["template"].is_object() || has_template, "{text}");
        if let Some(fit) = told["template"].as_object() {
            let windows = fit["windows"].as_array().unwrap();
            assert_eq!(windows.len(), 2);
            assert!(windows.iter().all(|window| window["rms"].as_f64() > Some(0.0)));
            assert!(text.contains(fit["template"]["name"].as_str().unwrap()), "{text}");
        }
    }
}

#[test]
fn a_spectrum_is_found_by_what_its_catalogue_calls_it() {
    if !support::has_library("explanations by name") {
        return;
    }
    let desk = tempfile::tempdir().unwrap();
    let path = |name: &str| desk.path().join(name);
    let mut files = Vec::new();
    for seed in 1..4 {
        files.push(path(&format!("star {seed}.fits.gz")));
        fs::write(&files[seed as usize - 1], Lrs::star(seed).to_gzip(lrs::Layout::Table)).unwrap();
    }
    // A second reduction of the third, and a star without light.
    let mut newer = Lrs::star(3).with("DATE", "'2022-01-01T00:00:00'");
    newer.flux[100] += 1.0;
    let mut flat = Lrs::star(4);
    flat.flux.fill(5.0);
    for (name, star) in [("newer.fits.gz", newer), ("flat.fits.gz", flat)] {
        files.push(path(name));
        fs::write(path(name), star.to_gzip(lrs::Layout::Table)).unwrap();
    }
    let given: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let out = path("catalogue");
    support::assert_ended(&support::run(&out, &given), 1, "rows=3 rejects=2 files=5");
    let catalogue = ["--catalogue", out.to_str().unwrap()];
    let file_of = |name: &str, exit: i32| {
        let (code, told) = explain(Path::new(name), &catalogue);
        assert_eq!((code, &told["catalogue"]["verdict"]), (Some(exit), &"equal".into()), "{told}");
        let file = told["file"].as_str().unwrap().replace("%20", " ");
        Path::new(&file).file_name().unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(file_of("100000002", 0), "star 2.fits.gz");
    assert_eq!(file_of("lamost-lrs:58069-HD000000N-01-003", 0), "star 2.fits.gz");
    assert_eq!(file_of("100000003", 0), "newer.fits.gz");
    assert_eq!(file_of("lamost-lrs:58069-HD000000N-01-005", 1), "flat.fits.gz");

    let refused = |name: &str, more: &[&str], says: &str| {
        let output = command(Path::new(name), more);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{log}");
        assert!(log.contains(says), "{log:?} should say {says:?}");
    };
    refused("100000002", &["--model", "fcresnet"], "name its catalogue with --catalogue");
    refused("77", &catalogue, "has no spectrum of this spectrum_id or obsid");
    refused("100000002", &[&catalogue[..], &["--index", "0"]].concat(), "leave --index");
    // The file is another one, then none.
    fs::write(&files[1], Lrs::star(9).to_gzip(lrs::Layout::Table)).unwrap();
    refused("100000002", &catalogue, "has other bytes than when the catalogue's lamost-lrs:58069");
    fs::rename(&files[1], path("elsewhere.fits.gz")).unwrap();
    refused("100000002", &catalogue, "is not there any more");
}

#[test]
fn what_cannot_be_explained_says_what_to_do() {
    let desk = tempfile::tempdir().unwrap();
    let file = desk.path().join("star.fits.gz");
    fs::write(&file, Lrs::star(1).to_gzip(lrs::Layout::Table)).unwrap();
    let check = |more: &[&str], says: &str| {
        let output = command(&file, more);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{log}");
        assert!(log.contains(says), "{log:?} should say {says:?}");
    };
    check(&["--model", "absent"], "starmill models list");
    check(&["--index", "3"], "--index 3 is beyond the 1 spectra");
    check(&["--catalogue", desk.path().to_str().unwrap()], "run again with the same --out");
    check(&["--index", "0", "--exposure", "5"], "cannot be used with");
}
