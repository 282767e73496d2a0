//! What lets readers find their way: the ends of all Parquet files in one, and the properties of a
//! HATS catalogue.

use std::fs::File;
use std::path::Path;

use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataWriter, RowGroupMetaData,
};

use super::partition::{DATASET, Files};
use super::{ReleaseError, Request};
use crate::catalogue::CatalogueError;

/// More row groups than this are not gathered in one file: it would be too large to be read at once,
/// and the files tell the same.
const MOST_GROUPS: usize = 100_000;

/// Writes `_metadata`, `_common_metadata`, `partition_info.csv` and `hats.properties`.
pub(super) fn write(
    folder: &Path,
    request: &Request<'_>,
    files: &Files,
) -> Result<(), ReleaseError> {
    let dataset = folder.join(DATASET);
    let mut partitions = String::from("Norder,Npix,num_rows\n");
    let (mut groups, mut schema) = (Vec::new(), None);
    let mut order = 0;
    for file in &files.all {
        let (Some(cell), Some(metadata)) = (file.cell, &file.metadata) else { continue };
        partitions += &format!("{},{},{}\n", cell.order, cell.pixel, file.rows);
        order = order.max(cell.order);
        let name = file.name.trim_start_matches(DATASET).trim_start_matches('/');
        schema.get_or_insert_with(|| metadata.file_metadata().clone());
        for group in metadata.row_groups() {
            groups.push(within(group, name).map_err(CatalogueError::parquet(&dataset))?);
        }
    }
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(ReleaseError::io(&path))
    };
    write("partition_info.csv", partitions)?;
    write("hats.properties", properties(request, files, order))?;
    let Some(schema) = schema else { return Ok(()) };
    end(&dataset.join("_common_metadata"), &schema, Vec::new())?;
    if groups.len() <= MOST_GROUPS {
        end(&dataset.join("_metadata"), &schema, groups)?;
    }
    Ok(())
}

/// A row group as it is seen from the folder of all files.
fn within(
    group: &RowGroupMetaData,
    name: &str,
) -> Result<RowGroupMetaData, parquet::errors::ParquetError> {
    let columns = group.columns().iter().map(|column: &ColumnChunkMetaData| {
        column.clone().into_builder().set_file_path(name.to_owned()).build()
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    group.clone().into_builder().set_column_metadata(columns).build()
}

/// A Parquet file without data.
fn end(
    path: &Path,
    schema: &FileMetaData,
    groups: Vec<RowGroupMetaData>,
) -> Result<(), ReleaseError> {
    let rows = groups.iter().map(RowGroupMetaData::num_rows).sum();
    let file = FileMetaData::new(
        schema.version(),
        rows,
        schema.created_by().map(str::to_owned),
        schema.key_value_metadata().cloned(),
        schema.schema_descr_ptr(),
        schema.column_orders().cloned(),
    );
    let metadata = ParquetMetaData::new(file, groups);
    let mut target = File::create(path).map_err(ReleaseError::io(path))?;
    std::io::Write::write_all(&mut target, b"PAR1").map_err(ReleaseError::io(path))?;
    let written = ParquetMetaDataWriter::new(&mut target, &metadata).finish();
    Ok(written.map_err(CatalogueError::parquet(path))?)
}

/// Keys of the IVOA Note on HATS; nothing of it changes from run to run.
fn properties(request: &Request<'_>, files: &Files, order: u8) -> String {
    let Files { rows, .. } = files;
    format!(
        "#HATS catalog\n\
         obs_collection={}\n\
         dataproduct_type=object\n\
         hats_nrows={rows}\n\
         hats_col_ra=ra\n\
         hats_col_dec=dec\n\
         hats_col_healpix=_healpix_29\n\
         hats_col_healpix_order=29\n\
         hats_max_rows={}\n\
         hats_order={order}\n\
         hats_npix_suffix=.parquet\n\
         hats_builder=starmill {}\n\
         hats_version=v0.1\n",
        request.name,
        request.partition_rows,
        env!("CARGO_PKG_VERSION"),
    )
}
