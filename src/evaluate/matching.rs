//! The rows of a reference that belong to rows of the catalogue. The reference is read once, row by
//! row; of its values only those of matched rows stay in memory.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::names::{self, Finder, Map};
use super::rows::{BinColumn, Rows, file_key, is_file};
use super::{EvaluateError, Match};
use crate::sky::Sky;
use crate::table::{Record, Source, Wanted};

/// A column of the reference that is a label of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mapped {
    /// The label of the catalogue.
    pub label: String,
    /// The column of the reference.
    pub column: String,
    /// Its unit, empty if the reference states none.
    pub unit: String,
    /// The column of its error.
    pub error: Option<String>,
}

/// What the reference says of the rows of the catalogue.
#[derive(Debug)]
pub(super) struct Reference {
    /// In the order of the catalogue's labels.
    pub(super) mapped: Vec<Mapped>,
    /// Rows of its table.
    pub(super) read: u64,
    /// Rows of the catalogue that have a partner.
    pub(super) matched: Vec<u32>,
    /// Rows of the catalogue for which there was more than one.
    pub(super) ambiguous: usize,
    labels: usize,
    values: Vec<f32>,
    errors: Vec<f32>,
    bins: usize,
    binned_by: Vec<f32>,
}

impl Reference {
    /// The value by which a row is binned, where the catalogue does not have that column.
    pub(super) fn binned_by(&self, row: usize, column: usize) -> f64 {
        f64::from(self.binned_by[row * self.bins + column])
    }

    /// What the reference says of a row of the catalogue; NaN where it says nothing.
    pub(super) fn value(&self, row: usize, label: usize) -> f64 {
        f64::from(self.values[row * self.labels + label])
    }

    /// The error that the reference quotes for it.
    pub(super) fn error(&self, row: usize, label: usize) -> f64 {
        f64::from(self.errors[row * self.labels + label])
    }

    pub(super) fn read(
        path: &Path,
        rows: &Rows,
        how: &Match,
        maps: &[Map],
    ) -> Result<Self, EvaluateError> {
        let source = Source::open(path)?;
        let finder = Finder::new(&source, maps);
        if let Some(map) = maps.iter().find(|map| !is_known(&map.name, rows)) {
            return Err(EvaluateError::UnknownMap { name: map.name.clone(), labels: rows.names() });
        }
        let layout = Layout::of(&source, &finder, rows)?;
        if layout.mapped.is_empty() {
            let remedy = "map one with --map, as in --map teff=TEFF";
            return Err(EvaluateError::no_column(&source, &format!("of {}", rows.names()), remedy));
        }
        let mut filling = Filling::new(rows, layout);
        match how {
            Match::Key { reference, .. } => {
                filling.by_key(&source, finder.any(reference)?, reference)?;
            }
            Match::Sky { radius } => {
                let places = (finder.place(&names::RA)?, finder.place(&names::DEC)?);
                let (Some(ra), Some(dec)) = places else {
                    let remedy = "map them with --map ra=... and --map dec=..., or match by --key";
                    return Err(EvaluateError::no_column(&source, "ra and dec", remedy));
                };
                filling.by_place(&source, (ra, dec), *radius)?;
            }
        }
        filling.end(path, how)
    }
}

/// Whether a mapping says something of this catalogue.
fn is_known(name: &str, rows: &Rows) -> bool {
    let label = name.strip_suffix("_err").unwrap_or(name);
    ["ra", "dec"].contains(&name) || rows.label(label).is_some()
}

/// Which columns are which labels.
struct Layout {
    wanted: Wanted,
    mapped: Vec<Mapped>,
    /// By label of the catalogue: where its value and its error stand in a record.
    places: Vec<Option<(usize, Option<usize>)>>,
    /// By column by which residuals are binned: where it stands, if the catalogue does not have it.
    bins: Vec<Option<usize>>,
}

impl Layout {
    fn of(source: &Source, finder: &Finder, rows: &Rows) -> Result<Self, EvaluateError> {
        let mut layout = Self {
            wanted: Wanted::default(),
            mapped: Vec::new(),
            places: Vec::new(),
            bins: Vec::new(),
        };
        for BinColumn { bins, is_here } in &rows.bin_columns {
            let place =
                if *is_here { None } else { Some(layout.want(finder.named(&bins.column)?)) };
            layout.bins.push(place);
        }
        for label in &rows.labels {
            let Some(at) = finder.label(&label.name, &label.alias)? else {
                layout.places.push(None);
                continue;
            };
            let error = finder.error(&label.name, &label.alias, at)?;
            let value_place = layout.want(at);
            let error_place = error.map(|error| layout.want(error));
            layout.places.push(Some((value_place, error_place)));
            let name = |at: usize| source.columns[at].name.clone();
            layout.mapped.push(Mapped {
                label: label.name.clone(),
                column: name(at),
                unit: source.columns[at].unit.clone(),
                error: error.map(name),
            });
        }
        Ok(layout)
    }

    fn want(&mut self, at: usize) -> usize {
        self.wanted.numbers.push(at);
        self.wanted.numbers.len() - 1
    }
}

struct Filling<'a> {
    rows: &'a Rows,
    layout: Layout,
    read: u64,
    values: Vec<f32>,
    errors: Vec<f32>,
    binned_by: Vec<f32>,
    /// By row of the catalogue: how far its partner is, by the square of the chord; 0 for keys.
    distance: Vec<Option<f64>>,
    again: Vec<bool>,
}

impl<'a> Filling<'a> {
    fn new(rows: &'a Rows, layout: Layout) -> Self {
        let cells = rows.len() * rows.labels.len();
        Self {
            binned_by: vec![f32::NAN; rows.len() * layout.bins.len()],
            rows,
            layout,
            read: 0,
            values: vec![f32::NAN; cells],
            errors: vec![f32::NAN; cells],
            distance: vec![None; rows.len()],
            again: vec![false; rows.len()],
        }
    }

    /// Of several rows of the reference with one key the first counts.
    fn by_key(&mut self, source: &Source, at: usize, column: &str) -> Result<(), EvaluateError> {
        let mut known: HashMap<&str, Vec<u32>> = HashMap::new();
        for (row, key) in (0..).zip(&self.rows.keys) {
            if !key.is_empty() {
                known.entry(key).or_default().push(row);
            }
        }
        let mut wanted = self.layout.wanted.clone();
        wanted.texts.push(at);
        let is_file = is_file(column);
        source.read(&wanted, &mut |record| {
            self.read += 1;
            let key = record.texts[0].as_str();
            let key = if is_file { file_key(key) } else { key };
            for &row in known.get(key).map_or(&[][..], Vec::as_slice) {
                self.offer(row as usize, 0.0, record);
            }
            Ok(())
        })
    }

    /// Of several stars of the reference within the radius the nearest counts, the first of equally
    /// near ones. One star may be the partner of several rows: of its visits.
    fn by_place(
        &mut self,
        source: &Source,
        (ra, dec): (usize, usize),
        radius: f64,
    ) -> Result<(), EvaluateError> {
        if !self.rows.has_places {
            return Err(EvaluateError::NoPlaces);
        }
        let sky = Sky::of(self.rows.places.iter().copied(), radius);
        let mut wanted = self.layout.wanted.clone();
        wanted.numbers.extend([ra, dec]);
        let place = wanted.numbers.len() - 2;
        source.read(&wanted, &mut |record| {
            self.read += 1;
            let (ra, dec) = (record.numbers[place], record.numbers[place + 1]);
            for (row, distance) in sky.within(ra, dec) {
                self.offer(row, distance, record);
            }
            Ok(())
        })
    }

    /// Takes a row of the reference for one of the catalogue, unless there is a nearer one.
    #[expect(clippy::cast_possible_truncation, reason = "labels are single precision")]
    fn offer(&mut self, row: usize, distance: f64, record: &Record<'_>) {
        if let Some(other) = self.distance[row] {
            self.again[row] = true;
            if other <= distance {
                return;
            }
        }
        self.distance[row] = Some(distance);
        let first = row * self.layout.places.len();
        for (label, place) in self.layout.places.iter().enumerate() {
            let number = |at: Option<usize>| at.map_or(f32::NAN, |at| record.numbers[at] as f32);
            self.values[first + label] = number(place.map(|(value, _)| value));
            self.errors[first + label] = number(place.and_then(|(_, error)| error));
        }
        let first = row * self.layout.bins.len();
        for (column, place) in self.layout.bins.iter().enumerate() {
            self.binned_by[first + column] = place.map_or(f32::NAN, |at| record.numbers[at] as f32);
        }
    }

    fn end(self, path: &Path, how: &Match) -> Result<Reference, EvaluateError> {
        let matched = (0..).zip(&self.distance).filter(|(_, distance)| distance.is_some());
        let matched: Vec<u32> = matched.map(|(row, _)| row).collect();
        if matched.is_empty() {
            return Err(EvaluateError::NoMatch {
                path: path.to_owned(),
                rows: self.rows.len(),
                read: self.read,
                how: how.to_string(),
            });
        }
        Ok(Reference {
            mapped: self.layout.mapped,
            read: self.read,
            matched,
            ambiguous: self.again.iter().filter(|again| **again).count(),
            labels: self.layout.places.len(),
            values: self.values,
            errors: self.errors,
            bins: self.layout.bins.len(),
            binned_by: self.binned_by,
        })
    }
}
