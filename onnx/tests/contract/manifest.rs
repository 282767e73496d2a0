//! A model folder is used only when its manifest holds together and its files are the right ones.

use std::fs;

use starmill_onnx::{AnyModel, Model, ModelError, TrainedOn, list};

use crate::fixture::Folder;

#[test]
#[expect(clippy::float_cmp, reason = "read or computed alike, not approximated")]
fn a_good_folder_opens_with_every_field() {
    let folder = Folder::with(&[]);
    let model = folder.model();
    model.check_files().unwrap();
    let manifest = &model.manifest;
    assert_eq!(manifest.name, "tiny");
    assert_eq!(manifest.trained_on, TrainedOn::Synthetic);
    assert_eq!(manifest.recipe[0]["step"].as_str(), Some("zscore"));
    assert_eq!(manifest.labels[2].valid, [-2.5, 0.5]);
    assert_eq!(manifest.derived[0].sum, ["logg", "fe_h"]);
    assert_eq!(manifest.tolerances().labels, [635.0 * 1e-4, 0.75 * 1e-4, 0.45 * 1e-4]);
    assert_eq!(model.onnx_sha256(), manifest.files.onnx.sha256);
    assert_eq!(model.golden().unwrap().cases.len(), 5);
}

#[test]
fn variants_that_are_allowed_open() {
    let check = |edits: &[(&str, &str)]| assert!(Model::open(Folder::with(edits).path()).is_ok());
    check(&[("novelty = \"novelty\"\nnovelty_false_alarm = 0.01", "")]);
    check(&[("[[recipe]]\nstep = \"zscore\"", "")]);
    check(&[("trained_on = \"synthetic\"", "trained_on = \"real\"")]);
    let more = "[files]\nrecipe_golden = { path = \"CARD.md\", sha256 = \"<CARD.md>\" }";
    check(&[("[files]", more)]);
}

/// Opens the manifest with `from` replaced by `to`, and expects the complaint.
#[track_caller]
fn check(from: &str, to: &str, expected: &str) {
    let error = Model::open(Folder::with(&[(from, to)]).path()).unwrap_err().to_string();
    assert!(error.contains("manifest.toml"), "no file in: {error}");
    assert!(error.contains(expected), "{expected} is not in: {error}");
}

#[test]
fn a_manifest_of_another_form_is_refused() {
    check("schema = 1", "schema = 2", "schema is 2, this program reads 1; export");
    check("schema = 1", "schema = 1\nextra = 1", "unknown field `extra`");
    check("pixels = 33", "pixels = 33\nstep = 2", "unknown field `step`");
    check("title = ", "titel = ", "unknown field `titel`");
    check("paper = \"none\"", "", "missing field `paper`");
    check("\"synthetic\"", "\"guessed\"", "unknown variant `guessed`");
    check("[\"lamost-lrs\"]", "[]", "surveys is empty");
    check("[files]", "[files", "is not a manifest");
}

#[test]
fn a_name_that_is_none_or_taken_is_refused() {
    check("\"tiny\"", "\"Tiny\"", "name \"Tiny\" is not a name; use");
    for bad in ["1eff", "te ff", "teff\u{e9}", "_teff", "te-ff", ""] {
        let expected = format!("label {bad:?} is not a name");
        check("name = \"teff\"", &format!("name = \"{bad}\""), &expected);
    }
    check("\"sum_h\"", "\"[x]\"", "derived \"[x]\" is not a name");
    check("\"teff\"", "\"logg\"", "label \"logg\" is named twice");
    check("\"sum_h\"", "\"teff\"", "derived \"teff\" is named twice");
    check("[\"logg\", \"fe_h\"]", "[\"logg\", \"x\"]", "sum of sum_h adds \"x\"");
    check("[\"logg\", \"fe_h\"]", "[\"sum_h\"]", "sum of sum_h adds \"sum_h\"");
    check("[\"logg\", \"fe_h\"]", "[]", "sum of sum_h is empty");
}

#[test]
fn a_number_out_of_range_is_refused() {
    check("pixels = 33", "pixels = 0", "input.pixels is 0");
    check("pixels = 33", "pixels = -1", "invalid value");
    for bad in ["[5900.0, 3700.0]", "[nan, 3700.0]", "[3700.0, inf]", "[1.0, 1.0]"] {
        check("[3700.0, 5900.0]", bad, "valid of label teff is [");
    }
    check("novelty_false_alarm = 0.01", "", "belong together");
    check("novelty_false_alarm = 0.01", "novelty_false_alarm = 1.5", "between 0 and 1");
    check("novelty = \"novelty\"\n", "", "belong together");
    check("min_snr = 20.0", "min_snr = -1.0", "quality.min_snr");
    check("min_snr = 20.0", "min_snr_g = -1.0", "quality.min_snr");
    check("[635.0, 0.75, 0.45]", "[635.0, 0.75]", "golden.scale has 2 values for 3 labels");
    check("[635.0, 0.75, 0.45]", "[635.0, 0.75, 0.0]", "must be positive");
    check("tolerance = 1e-4", "tolerance = nan", "must be positive");
}

#[test]
fn a_file_outside_the_folder_or_without_a_hash_is_refused() {
    for bad in ["../CARD.md", "a/../../b", "/etc/passwd", "./../x", "..", ""] {
        let expected = format!("file {bad} leaves the model folder");
        check("path = \"CARD.md\"", &format!("path = \"{bad}\""), &expected);
    }
    for bad in ["abc", &"A".repeat(64), &"g".repeat(64)] {
        check("<golden.json>", bad, "sha256 of golden.json is not 64");
    }
}

#[test]
fn a_changed_file_is_refused_wherever_it_is_used() {
    let folder = Folder::with(&[]);
    let model = folder.model();
    fs::write(folder.path().join("golden.json"), "{\"cases\":[]}").unwrap();
    for error in [model.check_files().unwrap_err(), model.golden().unwrap_err()] {
        assert!(matches!(error, ModelError::Hash { .. }));
        let message = error.to_string();
        assert!(message.contains("golden.json") && message.contains("copy the model folder"));
    }
}

#[test]
fn the_files_of_a_recipe_are_checked_as_well() {
    for file in ["recipe_golden", "scale", "templates"] {
        let entry =
            |hash: &str| format!("[files]\n{file} = {{ path = \"CARD.md\", sha256 = \"{hash}\" }}");
        let folder = |hash: &str| Folder::with(&[("[files]", &entry(hash))]);
        folder("<CARD.md>").model().check_files().unwrap();
        let error = folder(&"0".repeat(64)).model().check_files().unwrap_err();
        assert!(matches!(error, ModelError::Hash { .. }), "{file}: {error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let folder = Folder::with(&[]);
    fs::remove_file(folder.path().join("CARD.md")).unwrap();
    let message = folder.model().check_files().unwrap_err().to_string();
    assert!(message.contains("CARD.md"), "{message}");
    assert!(matches!(Model::open("/absent/model"), Err(ModelError::Read { .. })));
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_refused() {
    let (folder, elsewhere) = (Folder::with(&[]), tempfile::tempdir().unwrap());
    let (inside, outside) = (folder.path().join("CARD.md"), elsewhere.path().join("CARD.md"));
    fs::rename(&inside, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &inside).unwrap();
    let error = folder.model().check_files().unwrap_err();
    assert!(matches!(error, ModelError::Escape { .. }), "{error}");
}

#[test]
fn a_list_is_sorted_and_a_broken_folder_does_not_hide_the_others() {
    let parent = tempfile::tempdir().unwrap();
    for name in ["zeta", "alpha"] {
        let folder = Folder::with(&[("name = \"tiny\"", &format!("name = \"{name}\""))]);
        fs::create_dir(parent.path().join(name)).unwrap();
        let manifest = "manifest.toml";
        fs::copy(folder.path().join(manifest), parent.path().join(name).join(manifest)).unwrap();
    }
    for (name, file) in [("broken", "manifest.toml"), ("unrelated", "notes.txt")] {
        fs::create_dir(parent.path().join(name)).unwrap();
        fs::write(parent.path().join(name).join(file), "schema = ").unwrap();
    }
    let models = list(parent.path()).unwrap();
    let models = models.into_iter().map(|model| model.ok().and_then(AnyModel::regressor));
    let names: Vec<_> = models.map(|model| model.map(|model| model.manifest.name)).collect();
    assert_eq!(names, [Some("alpha".into()), None, Some("zeta".into())]);
    assert!(matches!(list(&parent.path().join("absent")), Err(ModelError::Read { .. })));
}
