//! The glossary of the columns of a release.

use std::path::Path;

use super::ReleaseError;
use crate::catalogue::{Schema, glossary};

/// Writes `columns.md`.
pub(super) fn write(folder: &Path, schema: &Schema) -> Result<(), ReleaseError> {
    let path = folder.join("columns.md");
    std::fs::write(&path, glossary(schema)).map_err(ReleaseError::io(&path))
}
