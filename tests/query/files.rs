//! Answers as files: what is a column of the catalogue keeps its type and what is said of it.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::program::printed;
use crate::release::{self, Star};

fn read(path: &Path) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let mut reader = builder.with_batch_size(1 << 20).build().unwrap();
    reader.next().unwrap().unwrap()
}

fn kind(batch: &RecordBatch, name: &str) -> DataType {
    batch.schema().field_with_name(name).unwrap().data_type().clone()
}

#[test]
fn columns_keep_their_types_units_and_bits() {
    let folder = tempfile::tempdir().unwrap();
    let stars = release::write(folder.path(), &release::stars(500, 9), 100, 20);
    let out = folder.path().join("out.parquet");
    let sql = "SELECT obsid, teff AS t, pair, flag_bad, ra, class, teff * 2 AS twice,
                      CASE WHEN obsid % 2 THEN 1 ELSE 0.5 END AS mixed, obsid + 1, NULL AS empty,
                      upper(class) AS loud, ra
               FROM catalogue";
    let said = printed(folder.path(), &[sql, "--out", out.to_str().unwrap()]);
    assert_eq!(said, format!("{}\nrows=500\n", out.display()));
    let batch = read(&out);
    let single = DataType::Float32;
    assert_eq!(kind(&batch, "t"), single);
    let schema = batch.schema();
    let notes = schema.field_with_name("t").unwrap().metadata();
    assert_eq!((notes["unit"].as_str(), notes["description"].as_str()), ("K", "Teff"));
    assert_eq!(kind(&batch, "flag_bad"), DataType::Boolean);
    assert!(
        matches!(kind(&batch, "pair"), DataType::FixedSizeList(item, 2) if *item.data_type() == single)
    );
    let expressions = [
        ("twice", DataType::Float64),
        ("mixed", DataType::Float64),
        ("obsid + 1", DataType::Int64),
        ("empty", DataType::Float64),
        ("loud", DataType::Utf8),
        ("ra_2", DataType::Float64),
    ];
    for (name, expected) in expressions {
        assert_eq!(kind(&batch, name), expected, "{name}");
    }
    let column = |name| batch.column_by_name(name).unwrap();
    let bits = |value: f32| value.to_bits();
    for (row, star) in stars.iter().enumerate() {
        assert_eq!(column("obsid").as_primitive::<Int64Type>().value(row), star.obsid);
        let teff = column("t").as_primitive::<Float32Type>();
        assert_eq!(teff.is_null(row), star.teff.is_nan());
        assert!(star.teff.is_nan() || bits(teff.value(row)) == bits(star.teff));
        let pair = column("pair").as_fixed_size_list().value(row);
        let pair = pair.as_primitive::<Float32Type>();
        assert_eq!(bits(pair.value(0)), bits(star.pair[0]));
        assert_eq!(pair.value(1).is_nan(), star.pair[1].is_nan());
        let mixed = column("mixed").as_primitive::<Float64Type>().value(row);
        assert_eq!(mixed.to_bits(), if star.obsid % 2 == 1 { 1.0_f64 } else { 0.5 }.to_bits());
        assert!(column("empty").is_null(row));
    }
    // A whole answer is a table that can be asked.
    let again = printed(&out, &["SELECT count(*), sum(t IS NULL) FROM catalogue", "--csv"]);
    let missing = stars.iter().filter(|star| star.teff.is_nan()).count();
    assert_eq!(again, format!("count(*),sum(t IS NULL)\n500,{missing}\n"));
    let names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains(".tmp"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn all_columns_in_all_formats_are_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let stars = release::write(folder.path(), &release::stars(300, 11), 100, 20);
    let path = |name: &str| folder.path().join(name);
    for name in ["a.parquet", "a.csv", "a.fits"] {
        let said = printed(folder.path(), &["--out", path(name).to_str().unwrap()]);
        assert!(said.ends_with("rows=300\n"), "{said}");
    }
    let batch = read(&path("a.parquet"));
    let texts = batch.column_by_name("spectrum_id").unwrap().as_string::<i32>().iter();
    assert!(texts.eq(stars.iter().map(|star: &Star| Some(star.name.as_str()))));
    let lines = std::fs::read_to_string(path("a.csv")).unwrap();
    assert_eq!(lines.lines().count(), 301);
    // By CFITSIO, and fitsverify where it is installed.
    let mut file = fitsio::FitsFile::edit(path("a.fits")).unwrap();
    let hdu = file.hdu("CATALOGUE").unwrap();
    let obsids: Vec<i64> = hdu.read_col(&mut file, "obsid").unwrap();
    assert!(obsids.iter().eq(stars.iter().map(|star| &star.obsid)));
    let pairs: Vec<f32> = hdu.read_col(&mut file, "pair").unwrap();
    assert_eq!(pairs.len(), 600);
    assert_eq!(pairs[2].to_bits(), stars[1].pair[0].to_bits());
    let unit: String = hdu.read_key(&mut file, "TUNIT7").unwrap();
    assert_eq!(unit, "K");
    let query: String = file.primary_hdu().unwrap().read_key(&mut file, "QUERY").unwrap();
    assert_eq!(query, "SELECT * FROM catalogue");
    if let Ok(verified) =
        std::process::Command::new("fitsverify").arg("-q").arg(path("a.fits")).output()
    {
        let said = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert!(said.contains("verification OK"), "{said}");
    }
}

#[test]
fn names_and_texts_that_fits_lacks_are_written_as_it_can() {
    let folder = tempfile::tempdir().unwrap();
    release::write(folder.path(), &release::stars(30, 11), 100, 20);
    let out = folder.path().join("out.fits");
    let sql = "SELECT count(*), 'caf\u{e9}' AS \"caf\u{e9}\",\n avg(teff) FROM catalogue";
    printed(folder.path(), &[sql, "--out", out.to_str().unwrap()]);
    let mut file = fitsio::FitsFile::edit(&out).unwrap();
    let hdu = file.hdu("CATALOGUE").unwrap();
    let counts: Vec<i64> = hdu.read_col(&mut file, "count").unwrap();
    assert_eq!(counts, [30]);
    let texts: Vec<String> = hdu.read_col(&mut file, "caf").unwrap();
    assert_eq!(texts, ["caf%C3%A9"]);
}

#[test]
fn a_failed_answer_leaves_the_old_file_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    release::write(folder.path(), &release::stars(30, 11), 100, 20);
    for name in ["old.parquet", "old.fits", "old.csv"] {
        let out = folder.path().join(name);
        std::fs::write(&out, "old").unwrap();
        let sql = "SELECT x'00' FROM catalogue";
        let output = crate::program::query(folder.path(), &[sql, "--out", out.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(std::fs::read(&out).unwrap(), b"old");
    }
    let left = std::fs::read_dir(folder.path()).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    assert!(!left.into_iter().any(|name| name.contains(".tmp")));
}
