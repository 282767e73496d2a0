//! A table of Parquet files with equal columns.

use std::fs::File;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_schema::{DataType, FieldRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use super::QueryError;
use super::place::{Listed, Listing};
use super::prune::{Bound, Extent};
use super::sky::Sky;
use crate::release::HEALPIX;

/// Ends of files that are kept: those of a release of ten million rows are twenty.
const KEPT: usize = 256;

/// Its files, its columns, and the part of the sky to which it is restricted.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) files: Vec<Part>,
    pub(super) columns: Vec<FieldRef>,
    pub(super) places: Option<Places>,
    pub(super) read: Counts,
}

/// A file, and its end once it was read.
pub(super) struct Part {
    listed: Listed,
    end: OnceLock<ArrowReaderMetadata>,
}

/// The region, and the columns that say where a row lies.
pub(super) struct Places {
    pub(super) sky: Sky,
    pub(super) cell: Option<usize>,
    pub(super) ra: usize,
    pub(super) dec: usize,
    bounds: [Bound; 2],
}

/// What was read and what was not.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) files_skipped: AtomicU64,
    pub(super) groups_skipped: AtomicU64,
    pub(super) groups_read: AtomicU64,
}

impl Counts {
    pub(super) fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Table {
    pub(super) fn open(
        name: &'static str,
        listing: Listing,
        sky: Option<Sky>,
    ) -> Result<Self, QueryError> {
        let Listing { files, otherwise } = listing;
        let part = |listed| Part { listed, end: OnceLock::new() };
        let files: Vec<Part> = files.into_iter().map(part).collect();
        let mut table = Self {
            name,
            files,
            columns: otherwise.into_iter().map(FieldRef::new).collect(),
            places: None,
            read: Counts::default(),
        };
        if let Some(first) = table.files.first() {
            let (_, end) = first.open(0)?;
            table.columns = end.schema().fields().iter().cloned().collect();
        }
        table.places = sky.map(|sky| table.restricted(sky)).transpose()?;
        Ok(table)
    }

    /// The number of a column of this name.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name() == name)
    }

    fn restricted(&self, sky: Sky) -> Result<Places, QueryError> {
        let (Some(ra), Some(dec)) = (self.position("ra"), self.position("dec")) else {
            let first = self.files.first().map_or_else(PathBuf::new, |it| it.listed.path.clone());
            return Err(QueryError::NoPlaces(first));
        };
        let is_whole = |&at: &usize| *self.columns[at].data_type() == DataType::Int64;
        let cell = self.position(HEALPIX).filter(is_whole);
        Ok(Places { bounds: sky.declinations(dec), sky, cell, ra, dec })
    }

    /// The file of a number, open; `None` behind the last, or if none of its rows can be wanted.
    pub(super) fn part(&self, number: usize) -> Result<Option<OpenPart>, QueryError> {
        let Some(part) = self.files.get(number) else { return Ok(None) };
        let beyond = self.places.as_ref().is_some_and(|places| {
            let range = part.listed.cell.map(crate::release::Cell::range);
            range.is_some_and(|(low, behind)| !places.sky.meets(low, behind - 1))
        });
        if beyond {
            Counts::add(&self.read.files_skipped);
            return Ok(None);
        }
        let (file, end) = part.open(number)?;
        let path = part.listed.path.clone();
        if end.schema().fields().len() != self.columns.len()
            || end.schema().fields().iter().zip(&self.columns).any(|(one, other)| {
                one.name() != other.name() || one.data_type() != other.data_type()
            })
        {
            return Err(QueryError::damaged(
                &path,
                "it has other columns than the files before it",
            ));
        }
        Ok(Some(OpenPart { path, file, end }))
    }

    /// Whether a row of the group might pass all bounds and lie in the region.
    pub(super) fn admits(&self, part: &OpenPart, group: usize, bounds: &[Bound]) -> bool {
        let passes = |bound: &Bound| self.extent(part, group, bound.column).admits(&bound.test);
        let admitted = bounds.iter().all(passes)
            && self.places.as_ref().is_none_or(|places| {
                places.bounds.iter().all(passes)
                    && places.cell.is_none_or(|cell| {
                        let extent = self.extent(part, group, cell);
                        // What lies nowhere lies in no region.
                        extent.missing != Some(extent.rows) && extent.meets(&places.sky)
                    })
            });
        let count = if admitted { &self.read.groups_read } else { &self.read.groups_skipped };
        Counts::add(count);
        admitted
    }

    fn extent(&self, part: &OpenPart, group: usize, column: usize) -> Extent {
        let metadata = part.end.metadata();
        let group = metadata.row_group(group);
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        let kind = self.columns[column].data_type();
        // Columns of one value a row alone have statistics that mean it.
        let schema = part.end.parquet_schema();
        let leaf =
            (0..schema.num_columns()).find(|&leaf| schema.get_column_root_idx(leaf) == column);
        let leaf = leaf.filter(|_| !kind.is_nested());
        Extent::of(leaf.and_then(|leaf| group.column(leaf).statistics()), kind, rows)
    }
}

/// A file whose rows are read.
pub(super) struct OpenPart {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) end: ArrowReaderMetadata,
}

impl Part {
    fn open(&self, number: usize) -> Result<(File, ArrowReaderMetadata), QueryError> {
        let path = &self.listed.path;
        let file = File::open(path).map_err(QueryError::io(path))?;
        if let Some(end) = self.end.get() {
            return Ok((file, end.clone()));
        }
        let end = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(QueryError::parquet(path))?;
        if number < KEPT {
            let _ = self.end.set(end.clone());
        }
        Ok((file, end))
    }
}
