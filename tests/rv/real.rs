//! Real epochs of KIC 8098300, an eclipsing binary, against velocities that Python measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support;

/// A velocity and its error, km/s.
type Velocity = (f64, f64);

/// What the program measures of every spectrum of a file, in the order of `input.spectra = "both"`:
/// its LMJM (none for the sum), velocity and error.
fn measured(path: &Path) -> Vec<(Option<i64>, Option<Velocity>)> {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("both.toml");
    fs::write(&config, "[input]\nspectra = \"both\"\n").unwrap();
    let mut program = support::starmill(&["inspect", "--json", "--config"]);
    let output = program.arg(&config).arg(path).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file: Value = serde_json::from_slice(&output.stdout).unwrap();
    let spectra = file["spectra"].as_array().unwrap().iter();
    let one = |spectrum: &Value| {
        let rv = spectrum["rv"].as_f64().map(|rv| (rv, spectrum["rv_err"].as_f64().unwrap()));
        assert!(rv.is_none() || spectrum["rv_source"] == "measured");
        (spectrum["lmjm"].as_i64().filter(|_| spectrum["exposure"] == true), rv)
    };
    spectra.map(one).collect()
}

#[test]
fn epochs_of_a_binary_agree_within_a_night_and_with_python() {
    let golden = fs::read(support::root().join("tests/rv/golden.json")).unwrap();
    let golden: BTreeMap<String, BTreeMap<String, f64>> = serde_json::from_slice(&golden).unwrap();
    let mut nights = Vec::new();
    for path in support::real_files("velocities of real epochs", "mrs_dr7") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let spectra = measured(&path);
        let Some(python) = golden.get(&name) else {
            if name.starts_with("med-5826") {
                // Nights without light: S/N below 1.1 in every arm.
                assert!(spectra.iter().all(|(_, rv)| rv.is_none()), "{name}: {spectra:?}");
            }
            continue;
        };
        let mut exposures = Vec::new();
        for (lmjm, rv) in spectra {
            let arms = lmjm.map_or(["COADD_B".into(), "COADD_R".into()], |lmjm| {
                [format!("B-{lmjm}"), format!("R-{lmjm}")]
            });
            println!("{name} {lmjm:?}: {rv:?}, Python {:?}", arms.clone().map(|arm| python[&arm]));
            let Some((rv, error)) = rv else { continue };
            let [blue, red] = arms.map(|arm| python[&arm]);
            // Both arms together lie between the two, which differ by the zero points of the arms.
            let (low, high) = (blue.min(red), blue.max(red));
            assert!((low - 3.0 - 3.0 * error..high + 3.0 + 3.0 * error).contains(&rv));
            if lmjm.is_some() {
                exposures.push(rv);
            }
        }
        assert!(exposures.len() >= 2, "{name}: most exposures are measured");
        let mean = exposures.iter().sum::<f64>() / exposures.len() as f64;
        let squares = exposures.iter().map(|rv| (rv - mean) * (rv - mean)).sum::<f64>();
        let scatter = (squares / (exposures.len() - 1) as f64).sqrt();
        println!("{name}: {mean:.2} km/s, scatter of {} exposures {scatter:.2}", exposures.len());
        assert!(scatter < 4.0, "{name}: {exposures:?}");
        nights.push((name, mean));
    }
    let of = |lmjd: &str| nights.iter().find(|(name, _)| name.contains(lmjd)).map(|night| night.1);
    if let (Some(may), Some(june)) = (of("58625"), of("58644")) {
        // The orbit: Python has -4 and -62 km/s. With the wrong sign both would recede.
        assert!((-75.0..-50.0).contains(&june) && (-15.0..8.0).contains(&may), "{may} {june}");
    }
}
