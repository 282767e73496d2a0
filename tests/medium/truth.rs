//! The public files against what astropy reads from them (`make_golden.py`).

use std::path::Path;

use serde_json::Value;

use crate::support::{self, night::config};

fn inspect(path: &Path, config: &str) -> Value {
    let output = support::starmill(&["inspect", "--json", "--config", config])
        .arg(path)
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Asserts that `found` has all that `expected` has, numbers to twelve digits: sums are added in
/// another order.
#[track_caller]
fn assert_holds(found: &Value, expected: &Value, place: &str) {
    match expected {
        Value::Object(fields) => {
            for (name, value) in fields {
                assert_holds(&found[name], value, &format!("{place}.{name}"));
            }
        }
        Value::Array(values) => {
            assert_eq!(found.as_array().map(Vec::len), Some(values.len()), "{place}");
            for (number, value) in values.iter().enumerate() {
                assert_holds(&found[number], value, &format!("{place}[{number}]"));
            }
        }
        Value::Number(number) => {
            let (found, number) = (found.as_f64().unwrap_or(f64::NAN), number.as_f64().unwrap());
            // A S/N of two decimals is stored in single precision.
            let slack = if place.contains("snr") { 1e-7 } else { 1e-12 };
            let near = (found - number).abs() <= slack * number.abs();
            assert!(near, "{place}: {found} instead of {number}");
        }
        other => assert_eq!(found, other, "{place}"),
    }
}

#[test]
fn public_files_give_what_astropy_reads() {
    let golden = support::root().join("tests/medium/golden.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let both = config(folder.path(), "[input]\nspectra = \"both\"\n");
    let early = folder.path().join("early.toml");
    std::fs::write(&early, "[input]\nwhole_file = false\n").unwrap();
    let files = support::real_files("reading medium-resolution files", "med-");
    let mut compared = 0;
    for path in &files {
        let name = path.file_name().unwrap().to_string_lossy();
        let Some(expected) = golden.get(&*name) else { continue };
        assert_holds(&inspect(path, &both), expected, &name);
        let found = inspect(path, early.to_str().unwrap());
        assert_eq!(found["hdus"], 3, "{name}");
        assert_eq!(found["spectra"].as_array().unwrap().len(), 1);
        assert_holds(&found["spectra"][0], &expected["spectra"][0], &name);
        compared += 1;
    }
    assert!(files.is_empty() || compared > 0, "none of {files:?} is in golden.json");
    println!("compared {compared} files");
}
