//! The five arrays of a spectrum as CFITSIO reads them, through its C interface.

#![allow(unsafe_code, reason = "CFITSIO is C")]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::Mutex;

use fitsio::sys;

use crate::support::lrs::Layout;

/// Flux, ivar, wavelength (or what stands in its place), andmask and ormask, one behind the other.
pub fn from_file(path: &Path, layout: Layout) -> Vec<f32> {
    let name = CString::new(path.as_os_str().as_bytes()).expect("a name without NUL");
    let (mut file, mut status) = (null_mut(), 0);
    // SAFETY: the name ends with NUL and the handle is written once. This way of opening takes a
    // name as it is.
    unsafe { sys::ffdkopn(&raw mut file, name.as_ptr(), 0, &raw mut status) };
    assert_eq!(status, 0);
    let arrays = arrays(file, layout);
    // SAFETY: the handle came from CFITSIO and is not used again.
    unsafe { sys::ffclos(file, &raw mut status) };
    assert_eq!(status, 0);
    arrays
}

/// The same from memory.
pub fn from_memory(bytes: &[u8], layout: Layout) -> Vec<f32> {
    // CFITSIO keeps a table of files in memory, whose slots it gives back outside its own lock.
    static TABLE: Mutex<()> = Mutex::new(());
    let name = c"memory";
    let (mut file, mut status) = (null_mut(), 0);
    // CFITSIO keeps the addresses of these two while the file is open. It is opened for reading and
    // cannot grow it, so nothing is written through the pointer.
    let mut buffer = bytes.as_ptr().cast_mut().cast();
    let mut size = bytes.len();
    let locked = TABLE.lock();
    // SAFETY: buffer and size stay where they are until the file is closed below.
    unsafe {
        let file = &raw mut file;
        sys::ffomem(
            file,
            name.as_ptr(),
            0,
            &raw mut buffer,
            &raw mut size,
            0,
            None,
            &raw mut status,
        )
    };
    drop(locked);
    assert_eq!(status, 0);
    let arrays = arrays(file, layout);
    let locked = TABLE.lock();
    // SAFETY: the handle came from CFITSIO and is not used again.
    unsafe { sys::ffclos(file, &raw mut status) };
    drop(locked);
    assert_eq!(status, 0);
    arrays
}

fn arrays(file: *mut sys::fitsfile, layout: Layout) -> Vec<f32> {
    if layout == Layout::Table { table(file) } else { image(file) }
}

fn image(file: *mut sys::fitsfile) -> Vec<f32> {
    let (mut axes, mut any_null, mut status) = ([0; 2], 0, 0);
    // SAFETY: the handle is open, and both axes have their place.
    unsafe { sys::ffgisz(file, 2, axes.as_mut_ptr(), &raw mut status) };
    let count = axes[0] * 5;
    let mut values = vec![0f32; usize::try_from(count).expect("a size")];
    // SAFETY: there is room for as many values as are asked for.
    unsafe {
        let place = values.as_mut_ptr();
        sys::ffgpve(file, 0, 1, count, 0.0, place, &raw mut any_null, &raw mut status);
    }
    assert_eq!(status, 0);
    values
}

fn table(file: *mut sys::fitsfile) -> Vec<f32> {
    const BINARY_TABLE: i32 = 2;
    let (mut any_null, mut status) = (0, 0);
    // SAFETY: the handle is open; CFITSIO does not write to the name.
    unsafe {
        let name = c"COADD".as_ptr().cast_mut();
        sys::ffmnhd(file, BINARY_TABLE, name, 0, &raw mut status);
    }
    let mut values = Vec::new();
    for name in [c"FLUX", c"IVAR", c"WAVELENGTH", c"ANDMASK", c"ORMASK"] {
        let (mut column, mut pixels) = (0, 0);
        // SAFETY: as above; a null pointer stands for an answer that is not wanted.
        unsafe {
            let name = name.as_ptr().cast_mut();
            sys::ffgcno(file, 0, name, &raw mut column, &raw mut status);
            sys::ffgtcl(file, column, null_mut(), &raw mut pixels, null_mut(), &raw mut status);
        }
        let start = values.len();
        values.resize(start + usize::try_from(pixels).expect("a size"), 0f32);
        // SAFETY: there is room for as many values as are asked for.
        unsafe {
            let (place, count) = (values.as_mut_ptr().add(start), pixels);
            let (any_null, status) = (&raw mut any_null, &raw mut status);
            sys::ffgcve(file, column, 1, 1, count, 0.0, place, any_null, status);
        }
    }
    assert_eq!(status, 0);
    values
}
