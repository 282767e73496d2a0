//! The shape of the code: what the architecture says of who may know what.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    walkdir::WalkDir::new(support::root().join(folder))
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "rs"))
        .map(|entry| {
            let text = fs::read_to_string(entry.path()).expect("a source file");
            (entry.into_path(), text)
        })
        .collect()
}

#[test]
fn no_source_file_is_long() {
    for folder in ["src", "actors", "onnx/src", "onnx/tests", "tests"] {
        for (path, text) in sources(folder) {
            let lines = text.lines().count();
            assert!(lines <= 420, "{} has {lines} lines, split it", path.display());
        }
    }
}

/// Whether a line has a name that begins there: `report::` does not name `ort::`.
fn names_in(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| !line[..at].ends_with(is_word))
}

#[test]
fn each_dependency_has_one_door() {
    let doors = [
        ("src", vec!["actix::", "crossbeam", "ort::"]),
        ("actors/src", vec!["ndarray", "fitsio", "spectrum", "spectra"]),
        ("onnx/src", vec!["actix", "crossbeam", "starmill_actors", "fitsio"]),
        // The science reads no clock and keeps no log.
        ("src/rv/measure", vec!["std::fs", "std::time", "tracing", "println", "eprintln"]),
        ("src/prep", vec!["std::fs", "std::time", "tracing", "println", "eprintln"]),
        // A report of equal inputs has equal bytes.
        ("src/report", vec!["SystemTime", "Instant", "Utc::now", "tracing", "println", "eprintln"]),
        (
            "src/evaluate",
            vec!["SystemTime", "Instant", "Utc::now", "tracing", "println", "eprintln"],
        ),
        ("src/estimate", vec!["std::fs", "std::time", "tracing", "println", "eprintln"]),
    ];
    for (folder, names) in doors {
        for (path, text) in sources(folder) {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let is_http = path.starts_with(support::root().join("src/http"));
            for line in code {
                assert!(is_http || !line.contains("actix_web"), "{}: {line}", path.display());
                for name in &names {
                    assert!(!names_in(line, name), "{} names {name}: {line}", path.display());
                }
            }
        }
    }
}

#[test]
fn log_messages_are_lower_case_without_a_final_period() {
    let calls = ["error!(", "warn!(", "info!(", "debug!("];
    for (path, text) in sources("src") {
        for call in text.split("tracing::").skip(1) {
            if !calls.iter().any(|name| call.starts_with(name)) {
                continue;
            }
            let end = call.find(");").unwrap_or(call.len());
            let Some(message) = call[..end].rsplit('"').nth(1) else { continue };
            let first = message.chars().next().unwrap_or('a');
            assert!(!first.is_uppercase(), "{}: {message:?}", path.display());
            assert!(!message.ends_with('.'), "{}: {message:?}", path.display());
        }
    }
}

#[test]
fn the_fuzz_targets_use_the_versions_of_the_program() {
    let packages = |path: &str| -> BTreeSet<String> {
        let text = fs::read_to_string(support::root().join(path)).expect("a lock file");
        let lock: toml::Table = text.parse().expect("a lock file is TOML");
        let packages = lock["package"].as_array().expect("packages").iter();
        packages.map(|package| format!("{} {}", package["name"], package["version"])).collect()
    };
    let own = ["starmill-fuzz", "libfuzzer-sys", "arbitrary", "derive_arbitrary"];
    let (program, fuzz) = (packages("Cargo.lock"), packages("tests/fuzz/Cargo.lock"));
    for package in fuzz.difference(&program) {
        let is_own = own.iter().any(|name| package.starts_with(&format!("\"{name}\"")));
        assert!(
            is_own,
            "{package} differs; copy Cargo.lock to tests/fuzz and build with ops/fuzz.sh"
        );
    }
}
