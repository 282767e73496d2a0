//! The catalogue as a FITS binary table, written by CFITSIO in packed rows.
//!
//! Rows are encoded here and handed over whole: column by column, CFITSIO is 75 times slower. Its
//! own checksum routine stamps the current time into the header, so DATASUM and CHECKSUM are
//! written from its sums, and equal rows give equal files.

mod head;
mod image;

use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use fitsio::sys;

use super::columns::{Column, Kind};
use super::durable::space;
use super::{CatalogueError, Provenance};
pub(crate) use head::ColumnHead;
pub(crate) use image::Axis1;

/// The widest text of each column, which FITS must know before the first row.
#[derive(Debug, Clone)]
pub(crate) struct TextWidths(Vec<usize>);

impl TextWidths {
    pub(crate) fn new(columns: usize) -> Self {
        Self(vec![1; columns])
    }

    pub(crate) fn observe(&mut self, batch: &RecordBatch) {
        for (width, array) in self.0.iter_mut().zip(batch.columns()) {
            if let Some(texts) = array.as_string_opt::<i32>() {
                let longest = texts.iter().flatten().map(str::len).max().unwrap_or(0);
                *width = longest.max(*width);
            }
        }
    }
}

/// An open table.
pub(crate) struct FitsTable {
    path: PathBuf,
    file: *mut sys::fitsfile,
    /// Kind and width in bytes of each column.
    layout: Vec<(Kind, usize)>,
    rows: c_long,
    buffer: Vec<u8>,
}

impl FitsTable {
    /// Creates the file with its headers and no rows.
    pub(crate) fn create(
        path: &Path,
        extname: &str,
        columns: &[ColumnHead],
        widths: &TextWidths,
        provenance: &Provenance,
    ) -> Result<Self, CatalogueError> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(CatalogueError::Io { path: path.to_owned(), source: error });
            }
            _ => {}
        }
        let layout: Vec<(Kind, usize)> = columns
            .iter()
            .zip(&widths.0)
            .map(|(column, width)| (column.kind, byte_width(column.kind, *width)))
            .collect();
        let mut table = Self {
            path: path.to_owned(),
            file: std::ptr::null_mut(),
            layout,
            rows: 0,
            buffer: Vec::new(),
        };
        let name = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
        table.call(|file, status| {
            // SAFETY: `name` lives through the call; the disk-file call takes it as a plain name.
            unsafe { sys::ffdkinit(file, name.as_ptr(), status) }
        })?;
        table.call(|file, status| {
            // SAFETY: the file is open; no axes are given, so none are read.
            unsafe { sys::ffcrim(*file, 8, 0, std::ptr::null_mut(), status) }
        })?;
        for (keyword, value, comment) in &provenance.entries {
            table.text_key(keyword, value, comment)?;
        }
        table.write_sums()?;
        table.create_extension(extname, columns)?;
        Ok(table)
    }

    fn create_extension(
        &mut self,
        extname: &str,
        columns: &[ColumnHead],
    ) -> Result<(), CatalogueError> {
        let names: Vec<CString> = columns.iter().map(|column| c_text(&column.name)).collect();
        let forms: Vec<CString> =
            self.layout.iter().map(|&(kind, width)| c_text(&form(kind, width))).collect();
        let units: Vec<CString> = columns.iter().map(|column| c_text(&column.unit)).collect();
        let pointers = |texts: &[CString]| -> Vec<*mut c_char> {
            texts.iter().map(|text| text.as_ptr().cast_mut()).collect()
        };
        let (mut names, mut forms, mut units) =
            (pointers(&names), pointers(&forms), pointers(&units));
        let extname = c_text(&extname.to_uppercase());
        let count = c_int::try_from(columns.len()).unwrap_or(c_int::MAX);
        self.call(|file, status| {
            // SAFETY: the three arrays hold `count` pointers to strings that outlive the call;
            // CFITSIO does not write through them.
            unsafe {
                let (names, forms, units) =
                    (names.as_mut_ptr(), forms.as_mut_ptr(), units.as_mut_ptr());
                sys::ffcrtb(*file, 2, 0, count, names, forms, units, extname.as_ptr(), status)
            }
        })?;
        for (number, column) in (1..).zip(columns) {
            if !column.ucd.is_empty() {
                self.text_key(&format!("TUCD{number}"), &column.ucd, "")?;
            }
            // A card holds 68 characters; the whole sentence is in Parquet and in the docs.
            let sentence: String = column.description.chars().take(60).collect();
            self.text_key(&format!("TCOMM{number}"), &sentence, "")?;
            if !column.alias.is_empty() {
                self.text_key(&format!("TALI{number}"), &column.alias, "name in the publication")?;
            }
            if column.shape.len() > 1 {
                // The FITS Standard gives the fastest axis first.
                let sizes: Vec<String> = column.shape.iter().rev().map(usize::to_string).collect();
                self.text_key(&format!("TDIM{number}"), &format!("({})", sizes.join(",")), "")?;
            }
            if matches!(column.kind, Kind::Int32 | Kind::Int64) {
                let keyword = c_text(&format!("TNULL{number}"));
                self.call(|file, status| {
                    // SAFETY: the file is open and the keyword outlives the call.
                    unsafe {
                        sys::ffpkyj(
                            *file,
                            keyword.as_ptr(),
                            Column::TNULL,
                            std::ptr::null(),
                            status,
                        )
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Appends rows.
    pub(crate) fn append(&mut self, batch: &RecordBatch) -> Result<(), CatalogueError> {
        let row_bytes: usize = self.layout.iter().map(|(_, width)| width).sum();
        self.buffer.clear();
        self.buffer.resize(row_bytes * batch.num_rows(), 0);
        let mut offset = 0;
        for (array, &(kind, width)) in batch.columns().iter().zip(&self.layout) {
            let cells = self.buffer.chunks_exact_mut(row_bytes);
            for (row, cells) in cells.enumerate() {
                encode(array.as_ref(), row, kind, &mut cells[offset..offset + width]);
            }
            offset += width;
        }
        let first = self.rows + 1;
        let length = i64::try_from(self.buffer.len()).unwrap_or(i64::MAX);
        let bytes = self.buffer.as_mut_ptr();
        self.call(|file, status| {
            // SAFETY: `bytes` points to `length` bytes, whole rows of the table just created.
            unsafe { sys::ffptbb(*file, first, 1, length, bytes, status) }
        })?;
        self.rows += c_long::try_from(batch.num_rows()).unwrap_or(0);
        Ok(())
    }

    /// Writes the sums of the table and closes the file.
    pub(crate) fn close(mut self) -> Result<(), CatalogueError> {
        self.write_sums()?;
        let closed = self.call(|file, status| {
            // SAFETY: the file is open; the pointer is not used again.
            unsafe { sys::ffclos(*file, status) }
        });
        self.file = std::ptr::null_mut();
        closed
    }

    /// DATASUM and CHECKSUM of the current HDU (FITS Standard 4.0, appendix J).
    fn write_sums(&mut self) -> Result<(), CatalogueError> {
        self.text_key("CHECKSUM", "0000000000000000", "HDU checksum")?;
        self.text_key("DATASUM", "0", "data unit checksum")?;
        // NAXIS2 follows the rows only now, and the sums go by it.
        self.flush()?;
        let (data, _) = self.sums()?;
        self.update_text("DATASUM", &data.to_string())?;
        let (_, whole) = self.sums()?;
        let mut encoded = [0 as c_char; 17];
        // SAFETY: CFITSIO writes 16 characters and a NUL.
        unsafe { sys::ffesum(whole, 1, encoded.as_mut_ptr()) };
        // SAFETY: the buffer ends with that NUL.
        let encoded = unsafe { CStr::from_ptr(encoded.as_ptr()) }.to_string_lossy().into_owned();
        self.update_text("CHECKSUM", &encoded)?;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), CatalogueError> {
        self.call(|file, status| {
            // SAFETY: the file is open.
            unsafe { sys::ffflus(*file, status) }
        })
    }

    fn sums(&mut self) -> Result<(u64, u64), CatalogueError> {
        let (mut data, mut whole) = (0, 0);
        self.call(|file, status| {
            // SAFETY: the file is open and both sums are written.
            unsafe { sys::ffgcks(*file, &raw mut data, &raw mut whole, status) }
        })?;
        Ok((data, whole))
    }

    fn text_key(
        &mut self,
        keyword: &str,
        value: &str,
        comment: &str,
    ) -> Result<(), CatalogueError> {
        let (keyword, value, comment) = (c_text(keyword), c_text(value), c_text(comment));
        self.call(|file, status| {
            // SAFETY: the file is open and the strings outlive the call.
            unsafe {
                sys::ffpkls(*file, keyword.as_ptr(), value.as_ptr(), comment.as_ptr(), status)
            }
        })
    }

    fn update_text(&mut self, keyword: &str, value: &str) -> Result<(), CatalogueError> {
        let (keyword, value) = (c_text(keyword), c_text(value));
        self.call(|file, status| {
            // SAFETY: the file is open; the comment "&" leaves the old one.
            unsafe { sys::ffmkys(*file, keyword.as_ptr(), value.as_ptr(), c"&".as_ptr(), status) }
        })
    }

    fn call(
        &mut self,
        function: impl FnOnce(&mut *mut sys::fitsfile, &mut c_int) -> c_int,
    ) -> Result<(), CatalogueError> {
        let mut status = 0;
        function(&mut self.file, &mut status);
        if status == 0 {
            return Ok(());
        }
        // CFITSIO's status does not say why the system refused; its last error still does.
        let system = REFUSALS.contains(&status).then(|| refusal(&self.path));
        let mut text = [0 as c_char; 81];
        // SAFETY: CFITSIO writes at most 30 characters and a NUL.
        unsafe { sys::ffgerr(status, text.as_mut_ptr()) };
        // SAFETY: the buffer was zeroed, so it ends with a NUL.
        let message = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned();
        Err(CatalogueError::Fits { path: self.path.clone(), message, system })
    }
}

impl Drop for FitsTable {
    fn drop(&mut self) {
        if !self.file.is_null() {
            let mut status = 0;
            // SAFETY: the file is open and nobody else holds the pointer.
            unsafe { sys::ffclos(self.file, &raw mut status) };
        }
    }
}

/// Statuses of CFITSIO (its `fitsio.h`) behind which the system refused something: a file not
/// created, a failed write, an end or a failed read where a buffered write was lost before, and a
/// failed close.
const REFUSALS: [c_int; 5] = [105, 106, 107, 108, 110];

/// What the system said last. Where C's streams lost a write without a word and the file could not
/// be read back, a disk with hardly any space left says it.
fn refusal(path: &Path) -> std::io::Error {
    const HARDLY_ANY: u64 = 1 << 20;
    let system = std::io::Error::last_os_error();
    match space(path.parent().unwrap_or(path)) {
        Some(space) if space.free < HARDLY_ANY => std::io::ErrorKind::StorageFull.into(),
        _ => system,
    }
}

fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "?")).unwrap_or_default()
}

fn byte_width(kind: Kind, text: usize) -> usize {
    match kind {
        Kind::Text => text,
        Kind::Int64 | Kind::Float64 => 8,
        Kind::Int32 | Kind::Float32 => 4,
        Kind::Logical => 1,
        Kind::Floats(values) | Kind::Integers(values) => 4 * values,
    }
}

fn form(kind: Kind, width: usize) -> String {
    match kind {
        Kind::Text => format!("{width}A"),
        Kind::Int64 => "K".into(),
        Kind::Int32 => "J".into(),
        Kind::Float32 => "E".into(),
        Kind::Float64 => "D".into(),
        Kind::Logical => "L".into(),
        Kind::Floats(values) => format!("{values}E"),
        Kind::Integers(values) => format!("{values}J"),
    }
}

fn encode(array: &dyn Array, row: usize, kind: Kind, cell: &mut [u8]) {
    let null = array.is_null(row);
    match kind {
        Kind::Text => {
            let text = if null { "" } else { array.as_string::<i32>().value(row) };
            cell.fill(b' ');
            cell[..text.len()].copy_from_slice(text.as_bytes());
        }
        Kind::Int64 => {
            let value =
                if null { Column::TNULL } else { array.as_primitive::<Int64Type>().value(row) };
            cell.copy_from_slice(&value.to_be_bytes());
        }
        Kind::Int32 => {
            let value = if null { NULL_32 } else { array.as_primitive::<Int32Type>().value(row) };
            cell.copy_from_slice(&value.to_be_bytes());
        }
        Kind::Float32 => {
            let value =
                if null { f32::NAN } else { array.as_primitive::<Float32Type>().value(row) };
            cell.copy_from_slice(&value.to_be_bytes());
        }
        Kind::Float64 => {
            let value =
                if null { f64::NAN } else { array.as_primitive::<Float64Type>().value(row) };
            cell.copy_from_slice(&value.to_be_bytes());
        }
        // Zero is the standard's word for neither.
        Kind::Logical if null => cell[0] = 0,
        Kind::Logical => cell[0] = if array.as_boolean().value(row) { b'T' } else { b'F' },
        Kind::Floats(_) => {
            let values = array.as_fixed_size_list().value(row);
            let values = values.as_primitive::<Float32Type>().values();
            for (to, value) in cell.as_chunks_mut().0.iter_mut().zip(values) {
                *to = value.to_be_bytes();
            }
        }
        Kind::Integers(_) => {
            let values = array.as_fixed_size_list().value(row);
            let values = values.as_primitive::<Int32Type>().values();
            for (to, value) in cell.as_chunks_mut().0.iter_mut().zip(values) {
                *to = value.to_be_bytes();
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "-9999 fits")]
const NULL_32: i32 = Column::TNULL as i32;
