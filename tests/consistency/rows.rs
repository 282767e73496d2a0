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
