//! What is written says what is built.

mod support;

use std::fs;

fn stdout(arguments: &[&str]) -> String {
    let output = support::starmill(arguments).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints text")
}

#[test]
fn the_page_of_columns_is_the_one_that_the_program_prints() {
    let printed = stdout(&["catalogue", "columns", "--markdown"]);
    let page = fs::read_to_string(support::root().join("docs/catalogue.md")).unwrap_or_default();
    assert!(page == printed, "docs/catalogue.md is old; write it again with ops/update-docs.sh");
}

#[test]
fn the_default_configuration_is_printed_and_accepted_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.toml");
    fs::write(&path, stdout(&["config"])).unwrap();
    let output =
        support::starmill(&["--config", path.to_str().unwrap(), "models", "list"]).output();
    assert!(output.unwrap().status.success());
}

#[test]
fn there_are_man_pages_and_completions() {
    let folder = tempfile::tempdir().unwrap();
    stdout(&["man", folder.path().to_str().unwrap()]);
    for page in ["starmill.1", "starmill-run.1", "starmill-inspect.1", "starmill-models-verify.1"] {
        let text = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".SH"), "{page} has no sections");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&["completions", shell]).contains("starmill"));
    }
}

#[test]
fn every_model_says_what_it_is_and_reproduces_its_golden_rows() {
    if !support::has_library("golden rows") {
        return;
    }
    assert!(stdout(&["models", "list"]).contains("fcresnet"));
    assert!(stdout(&["models", "show", "fcresnet"]).contains("teff"));
    assert!(stdout(&["models", "verify"]).contains("golden rows reproduced"));
    assert!(stdout(&["check"]).contains("model fcresnet ok"));
}

#[test]
fn inspect_says_what_takes_a_file_and_draws_it() {
    use support::lrs::{Layout, Lrs};
    let folder = tempfile::tempdir().unwrap();
    let (file, plot) = (folder.path().join("a.fits"), folder.path().join("a.png"));
    fs::write(&file, Lrs::star(1).to_fits(Layout::Table)).unwrap();
    let (file, plot) = (file.to_str().unwrap(), plot.to_str().unwrap());
    let said = stdout(&["inspect", file, "--plot", plot]);
    assert!(said.contains("lamost-lrs-table takes it"), "{said}");
    assert!(said.contains("not lamost-lrs-image: "), "{said}");
    assert!(said.contains("1 rows of FLUX 3909E"), "{said}");
    let image = fs::read(plot).unwrap();
    assert!(image.starts_with(b"\x89PNG") && image.len() > 10_000);
}
