//! Where the ONNX Runtime library is looked for.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::engine_error::EngineError;

/// Names the library, or a folder that holds it.
const VARIABLE: &str = "STARMILL_ONNXRUNTIME";

/// The name under which the linker knows the library; versions follow after a dot.
const LIBRARY: &str = "libonnxruntime.so";

/// Finds the ONNX Runtime library.
///
/// Looks at `explicit`, else at the environment variable `STARMILL_ONNXRUNTIME`; each names a file
/// or a folder, and one that is given is the only place, so that a wrong path is not papered over
/// by another library. With neither, looks in `../lib/starmill` beside the executable, then in
/// `.starmill/onnxruntime` of the current folder, then where the system's loader looks. Of several
/// versions in one folder the highest is taken.
///
/// # Errors
/// [`EngineError::LibraryNotFound`] lists every place searched.
pub fn find_library(explicit: Option<&Path>) -> Result<PathBuf, EngineError> {
    let variable = env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    match explicit.map(Path::to_path_buf).or(variable) {
        Some(place) => search(&[place]),
        None => search(&default_places()),
    }
}

fn default_places() -> Vec<PathBuf> {
    let beside_executable = env::current_exe()
        .ok()
        .and_then(|executable| executable.parent()?.parent().map(|root| root.join("lib/starmill")));
    let loader = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let multiarch = format!("/usr/lib/{}-linux-gnu", env::consts::ARCH);
    beside_executable
        .into_iter()
        .chain([PathBuf::from(".starmill/onnxruntime")])
        .chain(env::split_paths(&loader).filter(|folder| !folder.as_os_str().is_empty()))
        .chain(["/usr/local/lib", &multiarch, "/usr/lib64", "/usr/lib"].map(PathBuf::from))
        .collect()
}

/// The library at the first of the places that has one, as an absolute path.
fn search(places: &[PathBuf]) -> Result<PathBuf, EngineError> {
    let tried: Vec<_> =
        places.iter().map(|place| std::path::absolute(place).unwrap_or(place.clone())).collect();
    match tried.iter().find_map(|place| library_at(place)) {
        Some(path) => Ok(path),
        None => Err(EngineError::LibraryNotFound { tried }),
    }
}

fn library_at(place: &Path) -> Option<PathBuf> {
    if place.is_file() {
        return Some(place.to_owned());
    }
    let files = fs::read_dir(place).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    files
        .filter(|path| path.is_file())
        .filter_map(|path| Some((version_in_name(path.file_name()?)?, path)))
        .max()
        .map(|(_, path)| path)
}

/// The numbers after `libonnxruntime.so`; `None` for any other file.
fn version_in_name(name: &OsStr) -> Option<Vec<u32>> {
    match name.to_str()?.strip_prefix(LIBRARY)? {
        "" => Some(Vec::new()),
        numbers => numbers.strip_prefix('.')?.split('.').map(|part| part.parse().ok()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_and_the_highest_version_win() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["libonnxruntime.so", "libonnxruntime.so.1.9.0", "libonnxruntime.so.1.31.1"] {
            fs::write(second.path().join(name), "").unwrap();
        }
        let places = || vec![first.path().to_owned(), second.path().to_owned()];
        let highest = second.path().join("libonnxruntime.so.1.31.1");
        assert_eq!(search(&places()).unwrap(), highest);

        let earlier = first.path().join("libonnxruntime.so");
        fs::write(&earlier, "").unwrap();
        assert_eq!(search(&places()).unwrap(), earlier);
        assert_eq!(search(std::slice::from_ref(&highest)).unwrap(), highest);
    }

    #[test]
    fn other_files_are_not_the_library() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["libonnxruntime_providers_shared.so", "libonnxruntime.so.1.x", "libonnx.so"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join(LIBRARY)).unwrap();
        assert!(search(&[folder.path().to_owned()]).is_err());
    }

    #[test]
    fn a_missing_library_is_reported_with_every_place_and_the_remedy() {
        let message =
            search(&["/absent/one", "/absent/two"].map(PathBuf::from)).unwrap_err().to_string();
        for part in
            ["/absent/one, /absent/two;", "fetch-onnxruntime.sh", "onnxruntime==1.31.1", VARIABLE]
        {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }

    #[test]
    fn the_default_places_stand_in_the_documented_order() {
        let places = default_places();
        let index = |end: &str| places.iter().position(|place| place.ends_with(end)).unwrap();
        assert!(index("lib/starmill") < index(".starmill/onnxruntime"));
        assert!(index(".starmill/onnxruntime") < index("/usr/local/lib"));
    }
}
