//! Which labels are taken, from tables, grids and sequences, and which are refused.

use std::fs::{self, File};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

use crate::folder::{Folder, ended, read_fits, said};
use crate::support::has_library;

#[test]
fn a_table_gives_a_spectrum_for_each_row_and_says_what_it_lacks() {
    if !has_library("a_table_gives_a_spectrum_for_each_row_and_says_what_it_lacks") {
        return;
    }
    let folder = Folder::new();
    let table = folder.write("stars.csv", "\u{feff}name,logg,teff\nx,1.5,4000\n\"y, z\",3,5000\n");
    let output = folder.generate("out.fits", &["--labels", table.to_str().unwrap()]);
    ended(
        &output,
        0,
        &[
            "fe_h = 0 dex in all rows, the model's default",
            "columns that are no labels are ignored: name",
            "spectra=2 left_out=0",
            "9 ms",
        ],
    );
    let spectra = read_fits(&folder.path("out.fits"));
    assert_eq!(spectra.rows, [1, 2]);
    assert_eq!(spectra.labels, [[4000.0, 5000.0], [1.5, 3.0], [0.0, 0.0]]);
    assert_eq!(spectra.flux, folder.flux(&[[4000.0, 1.5, 0.0], [5000.0, 3.0, 0.0]]));
    assert_eq!(folder.left(), ["out.fits", "stars.csv"]);

    let fixed = ["--labels", table.to_str().unwrap(), "--set", "fe_h=-1"];
    let output = folder.generate("out.fits", &fixed);
    ended(&output, 0, &["spectra=2"]);
    assert!(!said(&output).contains("default"), "{}", said(&output));
    assert_eq!(read_fits(&folder.path("out.fits")).labels[2], [-1.0, -1.0]);
}

#[test]
fn parquet_and_csv_give_the_same_spectra() {
    if !has_library("parquet_and_csv_give_the_same_spectra") {
        return;
    }
    let folder = Folder::new();
    let columns: [(&str, ArrayRef); 4] = [
        ("fe_h", Arc::new(Float64Array::from(vec![-0.5, 0.25, -2.0]))),
        ("id", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
        ("teff", Arc::new(Int32Array::from(vec![4000, 5000, 5900]))),
        ("logg", Arc::new(Float64Array::from(vec![1.0, 2.0, 4.75]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let path = folder.path("stars.parquet");
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    ended(&folder.generate("a.fits", &["--labels", path.to_str().unwrap()]), 0, &["spectra=3"]);
    let text = "teff,logg,fe_h\n4000,1,-0.5\n5000,2,0.25\n5900,4.75,-2\n";
    let table = folder.write("stars.csv", text);
    ended(&folder.generate("b.fits", &["--labels", table.to_str().unwrap()]), 0, &["spectra=3"]);
    let (a, b) = (read_fits(&folder.path("a.fits")), read_fits(&folder.path("b.fits")));
    assert_eq!((a.labels, a.flux), (b.labels, b.flux));
}

#[test]
fn labels_outside_the_box_are_refused_all_counted_before_anything_is_written() {
    if !has_library("labels_outside_the_box_are_refused_all_counted_before_anything_is_written") {
        return;
    }
    let folder = Folder::new();
    let text = "teff,logg\n4000,1\n3699.9,1\n4000,\n9000,5.5\n5900,5\n";
    let table = folder.write("stars.csv", text);
    let labels = ["--labels", table.to_str().unwrap()];
    let says = [
        "3 of 5 rows lie outside the trained box",
        "row 2: teff = 3699.9 is outside 3700 to 5900",
        "row 3: logg has no value",
        "row 4: teff = 9000",
        "row 4: logg = 5.5 is outside 0 to 5",
        "--skip-outside",
    ];
    ended(&folder.generate("out.fits", &labels), 2, &says);
    assert_eq!(folder.left(), ["stars.csv"]);

    let output = folder.generate("out.fits", &[&labels[..], &["--skip-outside"]].concat());
    ended(&output, 1, &["spectra=2 left_out=3", says[1], "out.fits.left-out.csv"]);
    assert_eq!(read_fits(&folder.path("out.fits")).rows, [1, 5]);
    let list = fs::read_to_string(folder.path("out.fits.left-out.csv")).unwrap();
    let expected = "row,label,value,low,high\n2,teff,3699.9,3700,5900\n3,logg,,0,5\n\
                    4,teff,9000,3700,5900\n4,logg,5.5,0,5\n";
    assert_eq!(list, expected);

    // A run that leaves nothing out takes the list of the former one away.
    let good = folder.write("good.csv", "teff\n4000\n");
    ended(&folder.generate("out.fits", &["--labels", good.to_str().unwrap()]), 0, &["spectra=1"]);
    assert_eq!(folder.left(), ["good.csv", "out.fits", "stars.csv"]);

    let corner = ["--grid", "--range", "teff=3600:3800:100", "--set", "logg=1"];
    ended(&folder.generate("grid.fits", &corner), 2, &["1 of 3 rows", "row 1: teff = 3600"]);
    let fixed = ["--sobol", "4", "--range", "teff=4000:5000", "--set", "logg=7"];
    ended(&folder.generate("sobol.fits", &fixed), 2, &["4 of 4 rows", "row 1: logg = 7"]);
}

#[test]
fn a_grid_has_every_combination() {
    if !has_library("a_grid_has_every_combination") {
        return;
    }
    let folder = Folder::new();
    let grid = ["--grid", "--range", "teff=4000:4500:250", "--range", "fe_h=-0.1:0.1:0.1"];
    ended(&folder.generate("out.fits", &grid), 0, &["spectra=9", "logg = 2.5 dex in all rows"]);
    let [teff, logg, fe_h]: [Vec<f64>; 3] =
        read_fits(&folder.path("out.fits")).labels.try_into().unwrap();
    assert_eq!(teff, [4000.0, 4000.0, 4000.0, 4250.0, 4250.0, 4250.0, 4500.0, 4500.0, 4500.0]);
    assert_eq!(logg, [2.5; 9]);
    assert!(fe_h.chunks(3).all(|values| values == [-0.1, 0.0, 0.1]), "{fe_h:?}");
}

#[test]
fn a_sequence_fills_its_ranges_and_its_seed_chooses_it() {
    if !has_library("a_sequence_fills_its_ranges_and_its_seed_chooses_it") {
        return;
    }
    let folder = Folder::new();
    let labels = |more: &[&str]| {
        let output = folder.generate("out.fits", &[&["--sobol", "64"], more].concat());
        ended(&output, 0, &["spectra=64 left_out=0"]);
        read_fits(&folder.path("out.fits")).labels
    };
    let ranges = ["--range", "teff=4000:6000", "--range", "logg=1:2"];
    let refused = folder.generate("out.fits", &[&["--sobol", "64"], &ranges[..]].concat());
    ended(&refused, 2, &["outside 3700 to 5900"]);
    let ranges = ["--range", "teff=4000:5600", "--range", "logg=1:2"];
    let first = labels(&[&ranges[..], &["--seed", "1"]].concat());
    // Each of eight equal parts of a range has eight of 64 points.
    for (values, (low, high)) in first.iter().zip([(4000.0, 5600.0), (1.0, 2.0)]) {
        let width = (high - low) / 8.0;
        for part in 0..8 {
            let begin = low + f64::from(part) * width;
            let inside = values.iter().filter(|value| (begin..begin + width).contains(*value));
            assert_eq!(inside.count(), 8, "{part} of {low} to {high}");
        }
    }
    assert_eq!(labels(&[&ranges[..], &["--seed", "1"]].concat()), first);
    assert_ne!(labels(&[&ranges[..], &["--seed", "2"]].concat()), first);
    // Without ranges the whole box is filled, but for what is fixed.
    let whole = labels(&["--set", "logg=3"]);
    let spread = |values: &[f64]| {
        values.iter().copied().fold(f64::MIN, f64::max)
            - values.iter().copied().fold(f64::MAX, f64::min)
    };
    assert!(spread(&whole[0]) > 2000.0 && spread(&whole[2]) > 2.7, "{whole:?}");
    assert_eq!(whole[1], [3.0; 64]);
}

#[test]
fn what_makes_no_labels_is_refused_with_the_remedy() {
    if !has_library("what_makes_no_labels_is_refused_with_the_remedy") {
        return;
    }
    let folder = Folder::new();
    let check = |more: &[&str], code: i32, says: &str| {
        ended(&folder.generate("out.fits", more), code, &[says]);
        assert!(!folder.left().iter().any(|name| name.contains("out.fits")), "{more:?}");
    };
    check(&[], 2, "--labels");
    check(&["--grid", "--sobol", "3"], 2, "cannot be used with");
    check(&["--grid"], 2, "a grid of no ranges");
    check(&["--grid", "--range", "teff=4000:5000"], 2, "write teff=LOW:HIGH:STEP");
    check(&["--sobol", "3", "--range", "teff=4000:5000:1"], 2, "write teff=LOW:HIGH");
    check(&["--sobol", "0"], 2, "give 1 to 4294967296");
    check(&["--grid", "--range", "vsini=0:9:3"], 2, "has no label vsini; it has teff, logg, fe_h");
    let twice = ["--sobol", "3", "--range", "teff=4000:5000", "--set", "teff=4100"];
    check(&twice, 2, "the label teff is given twice");
    check(&["--grid", "--range", "teff=x"], 2, "write LABEL=LOW:HIGH");
    check(&["--sobol", "3", "--snr", "0"], 2, "0.001 to 1000000");
    let table = |content: &str, says: &str| {
        let path = folder.write("stars.csv", content);
        check(&["--labels", path.to_str().unwrap()], 2, says);
    };
    table("", "it is empty");
    table("a,b\n1,2\n", "none of its columns is a label of the model");
    table("teff\n4000\n4000,1\n", "row 2 has 2 fields, the first line has 1");
    table("teff\nhot\n", "\"hot\" in row 1 is no number");
    check(&["--labels", "/nowhere.csv"], 2, "/nowhere.csv: No such file");
    ended(&folder.generate("out.txt", &["--sobol", "1"]), 2, &["ends neither with .fits"]);
    ended(&folder.generate("no/out.fits", &["--sobol", "1"]), 2, &["no/out.fits"]);
}

#[test]
fn a_model_of_the_other_kind_is_refused() {
    let arguments = ["generate", "--model", "fcresnet", "--out", "x.fits", "--sobol", "1"];
    let output = crate::support::starmill(&arguments).output().unwrap();
    ended(&output, 2, &["estimates labels; name a forward model"]);
    let folder = Folder::new();
    let out = folder.path("catalogue");
    let output =
        folder.starmill(&["run", "--model", "tiny_forward", "--out", out.to_str().unwrap(), "x"]);
    ended(&output, 2, &["the forward model tiny_forward cannot be fitted to spectra"]);
}

#[test]
fn the_commands_about_models_know_forward_models() {
    if !has_library("the_commands_about_models_know_forward_models") {
        return;
    }
    let folder = Folder::new();
    ended(&folder.starmill(&["models", "list"]), 0, &["tiny_forward 1.0.0  (forward)"]);
    let says = ["33 values, 6532.0 to 6596.0 A", "3700 to 5900, else 4800", "derivatives  given"];
    ended(&folder.starmill(&["models", "show", "tiny_forward"]), 0, &says);
    ended(&folder.starmill(&["models", "verify"]), 0, &["3 golden spectra reproduced"]);
    ended(&folder.starmill(&["check"]), 0, &["tiny_forward 1.0.0 runs on CPUExecutionProvider"]);
}
