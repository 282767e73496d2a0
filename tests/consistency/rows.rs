//! The columns that a run writes.

use std::fs;

use super::support::{self, lrs};

#[test]
fn a_run_writes_chi_square_beside_the_labels_and_repeats_its_bytes() {
    if !support::has_library("a run with chi-square") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::create_dir(&input).unwrap();
    for seed in 0..12 {
        let bytes = lrs::Lrs::star(seed).to_fits(lrs::Layout::Table);
        fs::write(input.join(format!("{seed}.fits")), bytes).unwrap();
    }
    let config = folder.path().join("other.toml");
    fs::write(&config, "[infer]\nbatch = 5\nworkers = 2\n").unwrap();
    let without = folder.path().join("without.toml");
    fs::write(&without, "[models]\nconsistency = false\n").unwrap();
    let run = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let output = support::run_with(&out, &[&input], more);
        support::assert_ended(&output, 0, "rows=12 rejects=0 files=12");
        out
    };
    let plain = run("plain", &[]);
    let other = run("other", &["--config", config.to_str().unwrap()]);
    support::night::assert_same(&plain, &other, "other batches");
    let manifest = fs::read_to_string(plain.join("run.json")).unwrap();
    assert!(manifest.contains("payne/model.onnx"), "{manifest}");
    let (code, said) = support::night::verify(&plain, &["--rebuild"]);
    assert_eq!(code, Some(0), "{said}");
    let bare = run("bare", &["--config", without.to_str().unwrap()]);
    let manifest = fs::read_to_string(bare.join("run.json")).unwrap();
    assert!(!manifest.contains("payne"), "{manifest}");
    let (code, said) = support::night::verify(&bare, &["--rebuild"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn model_spectra_stand_beside_the_rows_when_they_are_asked_for() {
    if !support::has_library("model spectra") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::create_dir(&input).unwrap();
    for seed in 0..5 {
        let bytes = lrs::Lrs::star(seed).to_fits(lrs::Layout::Table);
        fs::write(input.join(format!("{seed}.fits")), bytes).unwrap();
    }
    for model in ["fcresnet", "payne"] {
        let out = folder.path().join(model);
        let run = |more: &[&str]| {
            let run = ["run", "--model", model, "--out"];
            support::starmill(&run).arg(&out).arg(&input).args(more).output().unwrap()
        };
        let output = run(&["--model-spectra"]);
        support::assert_ended(&output, 0, "rows=5 rejects=0 files=5");
        let bytes = fs::read(out.join("catalogue.fits")).unwrap();
        let header = String::from_utf8_lossy(&bytes[..40_000]);
        assert!(header.contains("'model_flux'") && header.contains("2956E"), "{model}");
        let (code, said) = support::night::verify(&out, &["--rebuild"]);
        assert_eq!(code, Some(0), "{said}");
        // Without them it is another kind of catalogue.
        assert_eq!(run(&[]).status.code(), Some(2), "{model}");
        let explained = folder.path().join(format!("{model}-why"));
        let output = support::starmill(&["explain", "--model", model, "--catalogue"])
            .args([&out, &input.join("1.fits")])
            .arg("--out")
            .arg(&explained)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("equal to the last bit"), "{said}");
        assert!(said.contains("\nchi2      "), "{said}");
        let is_drawn = explained.join("model.png").is_file();
        assert!(is_drawn || (model == "fcresnet" && said.contains("chi2      none")), "{said}");
    }
}
