//! The files of a release: one of each format for a partition.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::{Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;

use super::cells::Cell;
use super::sorting::cells;
use super::{Partitions, ReleaseError, Request};
use crate::catalogue::{
    CatalogueError, ColumnHead, FitsTable, Provenance, TextWidths, create_folders,
    published_properties, published_schema,
};

/// The folder of Parquet files, as HATS names it.
pub(super) const DATASET: &str = "dataset";
const FITS: &str = "fits";
const UNPLACED: &str = "unplaced";
const REJECTS: &str = "rejects";

/// Rows of a row group: what a query reads or skips at once.
const ROW_GROUP: usize = 65_536;
/// Rows that go from Parquet to FITS at once.
const FITS_ROWS: usize = 1024;

/// A file that is written.
pub(super) struct Written {
    /// Its name within the release.
    pub(super) name: String,
    /// Its rows.
    pub(super) rows: u64,
    /// Its cell, if it is a partition.
    pub(super) cell: Option<Cell>,
    /// What its end says.
    pub(super) metadata: Option<ParquetMetaData>,
}

/// All files of rows.
pub(super) struct Files {
    pub(super) all: Vec<Written>,
    /// Rows in partitions.
    pub(super) rows: u64,
    /// Rows without a place.
    pub(super) unplaced: u64,
}

/// One Parquet file on its way, and the FITS file that is made from it.
struct Table {
    folder: PathBuf,
    name: String,
    writer: Option<ArrowWriter<File>>,
    widths: Option<TextWidths>,
    rows: u64,
}

impl Table {
    fn new(folder: &Path, name: String) -> Self {
        Self { folder: folder.to_owned(), name, writer: None, widths: None, rows: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), ReleaseError> {
        let (schema, kept) = published_schema(batch);
        let batch = batch.project(&kept).map_err(CatalogueError::in_memory)?;
        let path = self.path();
        if self.writer.is_none() {
            create_folders(path.parent().unwrap_or(&self.folder))?;
            let file = File::create(&path).map_err(ReleaseError::io(&path))?;
            let properties = Some(published_properties(ROW_GROUP));
            let writer = ArrowWriter::try_new(file, schema, properties);
            self.writer = Some(writer.map_err(CatalogueError::parquet(&path))?);
        }
        self.widths.get_or_insert_with(|| TextWidths::new(batch.num_columns())).observe(&batch);
        self.rows += batch.num_rows() as u64;
        if let Some(writer) = &mut self.writer {
            writer.write(&batch).map_err(CatalogueError::parquet(&path))?;
        }
        Ok(())
    }

    /// Closes Parquet, and writes FITS from it.
    fn finish(self, fits: Option<(&str, &Provenance)>) -> Result<Option<Written>, ReleaseError> {
        let path = self.path();
        let Self { folder, name, writer, widths, rows } = self;
        let (Some(writer), Some(widths)) = (writer, widths) else { return Ok(None) };
        let metadata = writer.close().map_err(CatalogueError::parquet(&path))?;
        if let Some((kind, provenance)) = fits {
            let beside = name.strip_prefix(kind).unwrap_or(&name).trim_start_matches('/');
            let target = folder.join(FITS).join(match kind {
                DATASET => beside.to_owned(),
                kind => format!("{kind}/{beside}"),
            });
            let target = target.with_extension("fits");
            create_folders(target.parent().unwrap_or(&folder))?;
            let extname = if kind == REJECTS { "rejects" } else { "catalogue" };
            write_fits(&path, &target, extname, &widths, provenance)?;
        }
        Ok(Some(Written { name, rows, cell: None, metadata: Some(metadata) }))
    }
}

fn write_fits(
    parquet: &Path,
    fits: &Path,
    extname: &str,
    widths: &TextWidths,
    provenance: &Provenance,
) -> Result<(), ReleaseError> {
    let file = File::open(parquet).map_err(ReleaseError::io(parquet))?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(CatalogueError::parquet(parquet))?;
    let heads: Vec<ColumnHead> =
        builder.schema().fields().iter().map(|field| ColumnHead::of_field(field)).collect();
    let reader = builder.with_batch_size(FITS_ROWS).build();
    let mut table = FitsTable::create(fits, extname, &heads, widths, provenance)?;
    for batch in reader.map_err(CatalogueError::parquet(parquet))? {
        table.append(&batch.map_err(CatalogueError::in_memory)?)?;
    }
    Ok(table.close()?)
}

/// Writes rows that come in the order of their places.
pub(super) struct Writer<'a> {
    folder: &'a Path,
    fits: Option<&'a Provenance>,
    most: u64,
    cells: &'a [Cell],
    /// The first cell that may still get rows.
    at: usize,
    table: Option<(Option<Cell>, Table)>,
    files: Files,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        folder: &'a Path,
        request: &Request<'_>,
        provenance: &'a Provenance,
        partitions: &'a Partitions,
    ) -> Self {
        let files = Files { all: Vec::new(), rows: 0, unplaced: 0 };
        let fits = request.fits.then_some(provenance);
        let (cells, most) = (partitions.cells(), request.partition_rows);
        Self { folder, fits, most, cells, at: 0, table: None, files }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ReleaseError> {
        let healpix = cells(batch);
        let mut begin = 0;
        while begin < batch.num_rows() {
            let cell = healpix.is_valid(begin).then(|| healpix.value(begin));
            let (place, end) = match cell {
                None => (None, batch.num_rows()),
                Some(first) => {
                    while self.cells.get(self.at).is_some_and(|cell| cell.range().1 <= first) {
                        self.at += 1;
                    }
                    let cell = self.cells.get(self.at).copied();
                    let behind = cell.map_or(i64::MAX, |cell| cell.range().1);
                    let is_in =
                        |row: &usize| healpix.is_valid(*row) && healpix.value(*row) < behind;
                    let end = (begin..batch.num_rows()).take_while(is_in).count() + begin;
                    (cell, end)
                }
            };
            self.part(place, &batch.slice(begin, end - begin))?;
            begin = end;
        }
        Ok(())
    }

    /// Writes rows of one partition, or of no place: those are cut by their number.
    fn part(&mut self, cell: Option<Cell>, rows: &RecordBatch) -> Result<(), ReleaseError> {
        let is_full = |table: &Table| cell.is_none() && table.rows >= self.most;
        let goes_on =
            self.table.as_ref().is_some_and(|(open, table)| *open == cell && !is_full(table));
        if !goes_on {
            self.close()?;
            let before = self.files.all.iter().filter(|it| it.cell.is_none()).count();
            let name = cell.map_or_else(
                || format!("{UNPLACED}/rows-{before:05}.parquet"),
                |cell| format!("{DATASET}/{cell}.parquet"),
            );
            self.table = Some((cell, Table::new(self.folder, name)));
        }
        match cell {
            Some(_) => self.files.rows += rows.num_rows() as u64,
            None => self.files.unplaced += rows.num_rows() as u64,
        }
        self.table.as_mut().map_or(Ok(()), |(_, table)| table.write(rows))
    }

    fn close(&mut self) -> Result<(), ReleaseError> {
        if let Some((cell, table)) = self.table.take() {
            let kind = if cell.is_some() { DATASET } else { UNPLACED };
            let written = table.finish(self.fits.map(|provenance| (kind, provenance)))?;
            self.files.all.extend(written.map(|file| Written { cell, ..file }));
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Files, ReleaseError> {
        self.close()?;
        Ok(self.files)
    }
}

/// Writes rejects as they come, so many in a file.
pub(super) struct Rejects<'a> {
    folder: &'a Path,
    fits: Option<&'a Provenance>,
    most: u64,
    number: usize,
    table: Table,
    rows: u64,
}

/// How many rejects were written.
pub(super) struct RejectsWritten {
    pub(super) rows: u64,
}

impl<'a> Rejects<'a> {
    pub(super) fn new(folder: &'a Path, request: &Request<'_>, provenance: &'a Provenance) -> Self {
        let fits = request.fits.then_some(provenance);
        let table = Table::new(folder, reject_name(0));
        Self { folder, fits, most: request.partition_rows, number: 0, table, rows: 0 }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ReleaseError> {
        let mut begin = 0;
        while begin < batch.num_rows() {
            let room = usize::try_from(self.most - self.table.rows).unwrap_or(usize::MAX);
            if room == 0 {
                self.number += 1;
                let next = Table::new(self.folder, reject_name(self.number));
                let full = std::mem::replace(&mut self.table, next);
                full.finish(self.fits.map(|provenance| (REJECTS, provenance)))?;
                continue;
            }
            let count = room.min(batch.num_rows() - begin);
            self.table.write(&batch.slice(begin, count))?;
            self.rows += count as u64;
            begin += count;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<RejectsWritten, ReleaseError> {
        let rows = self.rows;
        let table = std::mem::replace(&mut self.table, Table::new(self.folder, String::new()));
        table.finish(self.fits.map(|provenance| (REJECTS, provenance)))?;
        Ok(RejectsWritten { rows })
    }
}

fn reject_name(number: usize) -> String {
    format!("{REJECTS}/rejects-{number:05}.parquet")
}
