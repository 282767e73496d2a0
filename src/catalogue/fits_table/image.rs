//! Numbers along one axis, behind a table.

use std::os::raw::c_long;

use fitsio::sys;

use super::{CatalogueError, FitsTable};

/// An image of one axis.
pub(crate) struct Axis1<'a> {
    /// Name of the extension.
    pub(crate) extname: &'a str,
    /// Its pixels.
    pub(crate) values: &'a [f64],
    /// Their unit.
    pub(crate) unit: &'a str,
    /// What they are.
    pub(crate) comment: &'a str,
}

/// `BITPIX` of 64-bit floats, and CFITSIO's code of the type.
const DOUBLE_IMAGE: i32 = -64;
const DOUBLE: i32 = 82;

impl FitsTable {
    /// Ends the table and appends an image; nothing but [`FitsTable::close`] may follow.
    pub(crate) fn append_image(&mut self, image: &Axis1<'_>) -> Result<(), CatalogueError> {
        self.write_sums()?;
        let length = i64::try_from(image.values.len()).unwrap_or(i64::MAX);
        let mut axes: [c_long; 1] = [length];
        self.call(|file, status| {
            // SAFETY: the file is open and `axes` holds the one length that is announced.
            unsafe { sys::ffcrim(*file, DOUBLE_IMAGE, 1, axes.as_mut_ptr(), status) }
        })?;
        self.text_key("EXTNAME", image.extname, "")?;
        self.text_key("BUNIT", image.unit, image.comment)?;
        let mut values = image.values.to_vec();
        self.call(|file, status| {
            // SAFETY: `values` holds `length` doubles, all the pixels of the image just created.
            unsafe { sys::ffppr(*file, DOUBLE, 1, length, values.as_mut_ptr().cast(), status) }
        })
    }
}
