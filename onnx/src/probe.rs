//! Asks a library whether it is a usable ONNX Runtime before ort is handed it.
//!
//! ort asserts and panics on a library that answers nonsense; here each such answer is an error.
#![expect(unsafe_code, reason = "calling into a library that was opened at run time")]

use std::error::Error;
use std::ffi::CStr;
use std::fs::File;
use std::io::Read;
use std::mem;
use std::path::Path;

use libloading::{Library, Symbol};

/// The one function that ONNX Runtime exports.
type GetApiBase = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;

/// The version of the ONNX Runtime library at `path`, such as `1.31.1`, or what is wrong with it.
///
/// On success the library stays loaded, as it would once it is used.
pub(crate) fn version(path: &Path) -> Result<String, String> {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.map_err(|error| format!("cannot read it: {error}"))?;
    if &magic != b"\x7fELF" {
        return Err("it is not a shared library".into());
    }
    // SAFETY: opening runs the library's own initialisers; the operator names a library to be run.
    let library = unsafe { Library::new(path) }.map_err(|error| with_cause(&error))?;
    // SAFETY: a library that exports this name exports this function, by ONNX Runtime's C API.
    let get_api_base: Symbol<GetApiBase> = unsafe { library.get(b"OrtGetApiBase\0") }
        .map_err(|_| "it does not export OrtGetApiBase".to_owned())?;
    // SAFETY: the function takes nothing and returns null or a pointer to a static table.
    let base = unsafe { get_api_base().as_ref() }.ok_or("OrtGetApiBase returns nothing")?;
    // SAFETY: the table's functions may be called at any time; the text is static or null.
    let text = unsafe { (base.GetVersionString)() };
    if text.is_null() {
        return Err("it has no version".into());
    }
    // SAFETY: the text is not null, ends with a zero byte and is never freed.
    let version = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    // SAFETY: as above; null means that this version of the interface is unknown.
    if unsafe { (base.GetApi)(ort::MINOR_VERSION) }.is_null() {
        return Err(format!("it is version {version}, older than 1.{}", ort::MINOR_VERSION));
    }
    mem::forget(library);
    Ok(version)
}

/// The error and what it stems from; the loader's own words are in the cause.
fn with_cause(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
