//! What the fuzz targets hold the readers to: not only that nothing panics, but that memory stays
//! in proportion to the input, that what is accepted keeps its invariants, and that the same bytes
//! give the same answer twice.

pub mod arms;
pub mod budget;
pub mod compressed;
pub mod hostile;
pub mod layouts;
pub mod structure;
