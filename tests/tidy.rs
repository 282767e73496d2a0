//! The shape of the code: what the architecture says of who may know what.

mod support;

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
            // The table of broken files is one list that grows with every bug.
            let limit = if path.ends_with("tests/bad_input.rs") { 800 } else { 420 };
            assert!(lines <= limit, "{} has {lines} lines, split it", path.display());
        }
    }
}

#[test]
fn each_dependency_has_one_door() {
    let doors = [
        ("src", vec!["actix", "crossbeam", "ort::"]),
        ("actors/src", vec!["ndarray", "fitsio", "spectrum", "spectra"]),
        ("onnx/src", vec!["actix", "crossbeam", "starmill_actors", "fitsio"]),
        // The science reads no clock and keeps no log.
        ("src/prep", vec!["std::fs", "std::time", "tracing", "println"]),
        ("src/estimate", vec!["std::fs", "std::time", "tracing", "println"]),
    ];
    for (folder, names) in doors {
        for (path, text) in sources(folder) {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                for name in &names {
                    assert!(!line.contains(name), "{} names {name}: {line}", path.display());
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
