//! Repeat visits, through the program.

use starmill::quality::Quality;

use super::{NOISE, clean, evaluate, object, refusal, sealed, visits};

#[test]
fn the_scatter_of_repeats_is_the_noise_that_was_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = folder.path().join("catalogue");
    sealed(&catalogue, &visits(&clean(900), 2));
    let found = object(&catalogue, &["--repeats"]);
    let repeats = &found["repeats"];
    assert_eq!(repeats["stars"], 900);
    assert_eq!((&repeats["visits"], &repeats["pairs"]), (&1800.into(), &900.into()));
    assert_eq!(repeats["matched_by"], "position within 1 arcsec");
    assert_eq!(found["catalogue"]["snr"], "snr_g");
    let quoted = [50.0, 0.1, 0.05];
    for (number, (label, noise)) in ["teff", "logg", "fe_h"].into_iter().zip(NOISE).enumerate() {
        let label_found = &repeats["labels"][number];
        assert_eq!(label_found["name"], label);
        for (low, snr) in [(20.0, 25.0), (50.0, 60.0)] {
            let bins = label_found["by_snr"].as_array().unwrap();
            let bin = bins.iter().find(|bin| bin["low"] == low).unwrap();
            let number_of = |name: &str| bin["scatter"][name].as_f64().unwrap();
            assert_eq!(bin["scatter"]["pairs"], 450);
            // 450 pairs give a scatter to 3.3 %.
            let expected = noise / snr;
            assert!((number_of("scatter") / expected - 1.0).abs() < 0.15, "{label}: {bin}");
            assert!((number_of("robust_scatter") / expected - 1.0).abs() < 0.2, "{label}: {bin}");
            assert!((number_of("quoted") - quoted[number]).abs() < 1e-6, "{bin}");
        }
    }
}

#[test]
fn the_text_says_what_was_compared_and_what_was_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut stars = visits(&clean(40), 3);
    for star in stars.iter_mut().take(6) {
        star.quality = Quality::EXTRAPOLATION;
    }
    sealed(folder.path(), &stars);
    let run = |more: &[&str]| {
        let output = evaluate(folder.path(), &[&["--repeats"], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = run(&[]);
    assert!(text.contains("114 of 120 rows evaluated, model made-up 1"), "{text}");
    assert!(text.contains("left out: 6 rows with flag_bad"), "{text}");
    assert!(text.contains("38 stars, 114 visits, 114 pairs"), "{text}");
    let line = text.lines().find(|line| line.starts_with("teff")).unwrap();
    assert_eq!(line.split_whitespace().nth(2), Some("114"), "{text}");
    assert_eq!(text, run(&[]), "equal inputs give equal bytes");
    assert!(run(&["--where-good", "false"]).contains("40 stars, 120 visits, 120 pairs"));
    let bright = run(&["--min-snr", "40"]);
    assert!(bright.contains("57 rows with S/N below 40 or unknown"), "{bright}");
    assert!(bright.contains("19 stars, 57 visits, 57 pairs"), "{bright}");
}

#[test]
fn stars_may_be_told_by_a_column_of_any_format() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table.csv");
    let rows =
        "star,snr,teff,teff_err\na,30,5000,10\nb,30,4000,10\na,30,5020,10\n,30,1,1\n,30,2,1\n";
    std::fs::write(&table, rows).unwrap();
    let found = object(&table, &["--repeats", "--key", "star"]);
    assert_eq!((&found["repeats"]["stars"], &found["repeats"]["pairs"]), (&1.into(), &1.into()));
    let all = &found["repeats"]["labels"][0]["all"];
    assert!((all["scatter"].as_f64().unwrap() - 20.0 / 2f64.sqrt()).abs() < 1e-9, "{all}");
    assert!((all["quoted"].as_f64().unwrap() - 10.0).abs() < 1e-9, "{all}");
    // The FITS catalogue of a folder says the same as its Parquet.
    let catalogue = folder.path().join("catalogue");
    sealed(&catalogue, &visits(&clean(20), 2));
    let of = |name: &str| object(&catalogue.join(name), &["--repeats"])["repeats"].clone();
    assert_eq!(of("catalogue.fits"), of("catalogue.parquet"));
}

#[test]
fn what_cannot_be_evaluated_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let said = refusal(folder.path(), &["--repeats"]);
    assert!(said.contains("no sealed catalogue; let its run end"), "{said}");
    let catalogue = folder.path().join("catalogue");
    sealed(&catalogue, &clean(5));
    let said = refusal(&catalogue, &["--repeats"]);
    assert!(said.contains("no two of 5 rows") && said.contains("--radius"), "{said}");
    let said = refusal(&catalogue, &["--repeats", "--key", "star"]);
    assert!(said.contains("no column star among spectrum_id"), "{said}");
    let said = refusal(&catalogue, &["--repeats", "--min-snr", "1e5"]);
    assert!(said.contains("none of 5 rows is left") && said.contains("lower --min-snr"), "{said}");
    let table = folder.path().join("table.csv");
    std::fs::write(&table, "a,b\n1,2\n").unwrap();
    let said = refusal(&table, &["--repeats"]);
    assert!(said.contains("no column label, such as teff among a, b"), "{said}");
    std::fs::write(&table, [0_u8; 40]).unwrap();
    let said = refusal(&table, &["--repeats"]);
    assert!(said.contains("neither FITS nor Parquet"), "{said}");
}
