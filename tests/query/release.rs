//! Releases of made-up stars, in the layout of `starmill backfill merge`, with small row groups.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float32Builder, Float64Builder, StringBuilder};
use arrow_array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int32Array, Int64Array, RecordBatch,
};
use arrow_schema::{DataType, Field, Schema};
use cdshealpix::nested;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use starmill::release::{HEALPIX, Partitions, Release};

use crate::support::sealed::Dice;

#[derive(Debug, Clone, PartialEq)]
pub struct Star {
    pub obsid: i64,
    pub name: String,
    pub place: Option<(f64, f64)>,
    pub snr: Option<f32>,
    /// May be NaN.
    pub teff: f32,
    pub logg: f32,
    pub flags: i32,
    pub class: Option<&'static str>,
    pub pair: [f32; 2],
}

/// Stars over the whole sky or, for a part of them, in one field.
pub fn stars(count: usize, seed: u64) -> Vec<Star> {
    let mut dice = Dice(seed);
    let star = |number: usize| {
        let (ra, sine) = (dice.uniform() * 360.0, 2.0 * dice.uniform() - 1.0);
        let place = match number % 10 {
            0 => (150.0 + dice.uniform(), 20.0 + dice.uniform()),
            _ => (ra, sine.asin().to_degrees()),
        };
        let unless = |value: f32, part: f64| (part > 0.05).then_some(value);
        let (teff, snr) = (4000.0 + 2500.0 * dice.uniform(), 100.0 * dice.uniform());
        Star {
            obsid: 101_000_000 + number as i64,
            name: format!("lamost-lrs:55859-F5902-{:02}-{:03}", number / 250, number % 250),
            place: (dice.uniform() > 0.02).then_some(place),
            snr: unless(snr as f32, dice.uniform()),
            teff: unless(teff as f32, dice.uniform()).unwrap_or(f32::NAN),
            logg: (1.0 + 3.5 * dice.uniform()) as f32,
            flags: (dice.uniform() * 8.0) as i32 | i32::from(dice.uniform() < 0.1) << 19,
            class: match number % 3 {
                0 => None,
                1 => Some("STAR"),
                _ => Some("GALAXY"),
            },
            pair: [number as f32 / 3.0, if number.is_multiple_of(7) { f32::NAN } else { 0.1 }],
        }
    };
    (0..count).map(star).collect()
}

fn cell_of(star: &Star) -> Option<i64> {
    let (ra, dec) = star.place?;
    Some(nested::hash(29, ra.to_radians(), dec.to_radians()).cast_signed())
}

fn field(name: &str, kind: DataType, notes: &[(&str, &str)]) -> Field {
    let notes: HashMap<String, String> =
        notes.iter().map(|&(key, note)| (key.to_owned(), note.to_owned())).collect();
    Field::new(name, kind, true).with_metadata(notes)
}

fn batch(stars: &[Star]) -> RecordBatch {
    let item = Arc::new(Field::new("element", DataType::Float32, false));
    let pair = DataType::FixedSizeList(Arc::clone(&item), 2);
    let kelvin = [("unit", "K"), ("ucd", "phys.temperature.effective"), ("description", "Teff")];
    let schema = Schema::new(vec![
        field(HEALPIX, DataType::Int64, &[("ucd", "pos.healpix")]),
        field("spectrum_id", DataType::Utf8, &[("ucd", "meta.id;meta.main")]),
        field("obsid", DataType::Int64, &[]),
        field("ra", DataType::Float64, &[("unit", "deg"), ("ucd", "pos.eq.ra")]),
        field("dec", DataType::Float64, &[("unit", "deg"), ("ucd", "pos.eq.dec")]),
        field("snr_g", DataType::Float32, &[]),
        field("teff", DataType::Float32, &kelvin),
        field("logg", DataType::Float32, &[]),
        field("flags", DataType::Int32, &[]),
        field("flag_bad", DataType::Boolean, &[]),
        field("class", DataType::Utf8, &[]),
        field("pair", pair, &[("shape", "2")]),
    ]);
    let text = |texts: &mut dyn Iterator<Item = Option<&str>>| {
        let mut builder = StringBuilder::new();
        texts.for_each(|text| builder.append_option(text));
        Arc::new(builder.finish()) as ArrayRef
    };
    let angle = |part: fn((f64, f64)) -> f64| {
        let mut builder = Float64Builder::new();
        builder.extend(stars.iter().map(|star| star.place.map(part)));
        Arc::new(builder.finish()) as ArrayRef
    };
    let single = |value: &dyn Fn(&Star) -> Option<f32>| {
        let mut builder = Float32Builder::new();
        builder.extend(stars.iter().map(value));
        Arc::new(builder.finish()) as ArrayRef
    };
    let mut bad = BooleanBuilder::new();
    bad.extend(stars.iter().map(|star| Some(star.flags & 1 == 1)));
    let pairs = Float32Array::from_iter_values(stars.iter().flat_map(|star| star.pair));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(stars.iter().map(cell_of).collect::<Int64Array>()),
        text(&mut stars.iter().map(|star| Some(star.name.as_str()))),
        Arc::new(Int64Array::from_iter_values(stars.iter().map(|star| star.obsid))),
        angle(|place| place.0),
        angle(|place| place.1),
        single(&|star| star.snr),
        single(&|star| Some(star.teff)),
        single(&|star| Some(star.logg)),
        Arc::new(Int32Array::from_iter_values(stars.iter().map(|star| star.flags))),
        Arc::new(bad.finish()),
        text(&mut stars.iter().map(|star| star.class)),
        Arc::new(FixedSizeListArray::new(item, 2, Arc::new(pairs), None)),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn write_batch(path: &Path, rows: &RecordBatch, row_group: usize) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(row_group))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap()))
        .set_dictionary_enabled(false)
        .build();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

/// Writes one file without cells.
pub fn write_without_cells(path: &Path, stars: &[Star], row_group: usize) {
    let whole = batch(stars);
    let columns: Vec<usize> = (1..whole.num_columns()).collect();
    write_batch(path, &whole.project(&columns).unwrap(), row_group);
}

/// Writes a release of these stars; returns them in its order.
pub fn write(folder: &Path, stars: &[Star], most: u64, row_group: usize) -> Vec<Star> {
    let mut sorted = stars.to_vec();
    sorted.sort_by_key(|star| (cell_of(star).unwrap_or(i64::MAX), star.name.clone()));
    let mut counts = vec![0; 12 << 16];
    for cell in sorted.iter().filter_map(cell_of) {
        counts[usize::try_from(cell >> 42).unwrap()] += 1;
    }
    let mut partitions = BTreeMap::new();
    let mut add = |name: String, stars: &[Star]| {
        write_batch(&folder.join(&name), &batch(stars), row_group);
        partitions.insert(name, stars.len() as u64);
    };
    for cell in Partitions::of(&counts, most).cells() {
        let (low, behind) = cell.range();
        let is_in = |star: &&Star| cell_of(star).is_some_and(|it| (low..behind).contains(&it));
        let within: Vec<Star> = sorted.iter().filter(is_in).cloned().collect();
        add(format!("dataset/{cell}.parquet"), &within);
    }
    let unplaced: Vec<Star> = sorted.iter().filter(|star| star.place.is_none()).cloned().collect();
    if !unplaced.is_empty() {
        add("unplaced/rows-00000.parquet".into(), &unplaced);
    }
    let release = Release {
        name: "made-up".into(),
        rows: stars.len() as u64,
        unplaced: unplaced.len() as u64,
        rejects: 0,
        inputs: stars.len() as u64,
        reductions: "newest".into(),
        model: "made-up 1".into(),
        model_sha256: BTreeMap::new(),
        made_with: BTreeMap::new(),
        settings: BTreeMap::new(),
        partitions,
        sha256: BTreeMap::new(),
    };
    fs::write(folder.join("release.json"), serde_json::to_string(&release).unwrap()).unwrap();
    sorted
}
