//! What can be asked: a release, a sealed catalogue, or one Parquet file.

use std::path::{Path, PathBuf};

use arrow_schema::Field;

use super::QueryError;
use crate::catalogue::{self, MANIFEST, Manifest, Schema};
use crate::release::{Cell, RELEASE, Release};

/// A Parquet file of a table.
pub(super) struct Listed {
    pub(super) path: PathBuf,
    /// The cell of the sky in which all its rows lie, if its name says one.
    pub(super) cell: Option<Cell>,
}

/// The files of a table in the order of their rows.
pub(super) struct Listing {
    pub(super) files: Vec<Listed>,
    /// The columns if there is no file.
    pub(super) otherwise: Vec<Field>,
}

/// What lies at a place.
pub(super) struct Place {
    pub(super) rows: Listing,
    pub(super) rejects: Option<Listing>,
    /// Keyword, value and comment of what made the rows.
    pub(super) origin: Vec<(String, String, String)>,
}

impl Place {
    pub(super) fn of(path: &Path) -> Result<Self, QueryError> {
        if path.is_file() {
            return Self::file(path);
        }
        if path.join(RELEASE).is_file() {
            return Self::release(path);
        }
        if path.join(MANIFEST).is_file() {
            return Self::night(path);
        }
        if path.join(name(catalogue::CATALOGUE)).is_file() {
            return Err(QueryError::Unsealed(path.to_owned()));
        }
        Err(QueryError::NotCatalogue(path.to_owned()))
    }

    fn file(path: &Path) -> Result<Self, QueryError> {
        let mut magic = [0; 4];
        let mut file = std::fs::File::open(path).map_err(QueryError::io(path))?;
        let read = std::io::Read::read_exact(&mut file, &mut magic);
        if read.is_err() || &magic != b"PAR1" {
            return Err(QueryError::NotCatalogue(path.to_owned()));
        }
        let file = Listed { path: path.to_owned(), cell: None };
        let rows = Listing { files: vec![file], otherwise: Vec::new() };
        Ok(Self { rows, rejects: None, origin: Vec::new() })
    }

    fn release(folder: &Path) -> Result<Self, QueryError> {
        let path = folder.join(RELEASE);
        let json = std::fs::read(&path).map_err(QueryError::io(&path))?;
        let release: Release = serde_json::from_slice(&json)
            .map_err(|error| QueryError::damaged(&path, error.to_string()))?;
        let listed = |name: &String| Listed { path: folder.join(name), cell: cell_in(name) };
        let mut rows: Vec<Listed> = release.partitions.keys().map(listed).collect();
        // As the merge wrote them: by place, and what has no place at the end.
        rows.sort_by_key(|file| file.cell.map_or((i64::MAX, 0), Cell::range));
        let is_reject =
            |name: &&String| name.starts_with(catalogue::REJECTS) && name.ends_with(".parquet");
        let rejects = release.sha256.keys().filter(is_reject).map(listed).collect();
        Ok(Self {
            rows: Listing { files: rows, otherwise: standard(Schema::rows) },
            rejects: Some(Listing { files: rejects, otherwise: standard(Schema::rejects) }),
            origin: vec![
                ("RELEASE".into(), release.name, "release that was asked".into()),
                ("MODEL".into(), release.model, "model of its rows".into()),
            ],
        })
    }

    fn night(folder: &Path) -> Result<Self, QueryError> {
        let manifest = Manifest::read(folder)?;
        let Some(manifest) = manifest else { return Err(QueryError::Unsealed(folder.to_owned())) };
        let listing = |table: &str| {
            let path = folder.join(name(table));
            Listing { files: vec![Listed { path, cell: None }], otherwise: Vec::new() }
        };
        Ok(Self {
            rows: listing(catalogue::CATALOGUE),
            rejects: Some(listing(catalogue::REJECTS)),
            origin: vec![("MODEL".into(), manifest.model, "model of its rows".into())],
        })
    }
}

fn name(table: &str) -> String {
    format!("{table}.parquet")
}

/// The columns that every table has, whatever the model: all that an empty one needs.
fn standard<'a, C: Iterator<Item = &'a catalogue::Column>>(
    columns: impl Fn(&'a Schema) -> C,
) -> Vec<Field> {
    static SCHEMA: std::sync::OnceLock<Schema> = std::sync::OnceLock::new();
    columns(SCHEMA.get_or_init(|| Schema::new("", &[]))).map(catalogue::field).collect()
}

/// The cell that the name of a partition says.
fn cell_in(name: &str) -> Option<Cell> {
    let number = |key: &str| {
        let digits = name.split('/').find_map(|part| part.strip_prefix(key))?;
        digits.trim_end_matches(".parquet").parse::<u64>().ok()
    };
    let order = u8::try_from(number("Norder=")?).ok().filter(|order| *order <= 29)?;
    let pixel = number("Npix=")?;
    (pixel < 12 << (2 * u32::from(order))).then_some(Cell { order, pixel })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_partition_says_its_cell() {
        let cell = Cell { order: 3, pixel: 741 };
        assert_eq!(cell_in(&format!("dataset/{cell}.parquet")), Some(cell));
        for other in ["unplaced/rows-00000.parquet", "Norder=3/Npix=768.parquet", "Norder=99"] {
            assert_eq!(cell_in(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_catalogue_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |path: &Path| Place::of(path).err().unwrap().to_string();
        assert!(refusal(folder.path()).contains("neither a release nor"));
        assert!(refusal(&folder.path().join("absent")).contains("neither a release nor"));
        let text = folder.path().join("text");
        std::fs::write(&text, "no table").unwrap();
        assert!(refusal(&text).contains("neither a release nor"));
        std::fs::write(folder.path().join(name(catalogue::CATALOGUE)), "").unwrap();
        assert!(refusal(folder.path()).contains("not sealed"));
        std::fs::write(folder.path().join(RELEASE), "{}").unwrap();
        assert!(refusal(folder.path()).contains("release.json: damaged"));
    }
}
