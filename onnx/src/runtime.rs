//! The ONNX Runtime library of this process.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;

use crate::engine_error::EngineError;
use crate::{hash, probe};

/// The loaded library and its environment, of which a process has one.
#[derive(Debug)]
pub struct Runtime {
    path: PathBuf,
    version: String,
    sha256: String,
    environment: Environment,
}

/// Never dropped: the library may not outlive or precede its environment.
static LOADED: OnceLock<Runtime> = OnceLock::new();

/// Held while loading, since a second environment is an error.
static LOADING: Mutex<()> = Mutex::new(());

impl Runtime {
    /// Loads the library at `path`, which [`find_library`](crate::find_library) finds. Later calls
    /// with the same file return the same runtime.
    ///
    /// # Errors
    /// [`EngineError::Library`] when the file is not a usable ONNX Runtime,
    /// [`EngineError::OtherLibrary`] when this process already loaded another file.
    pub fn load(path: &Path) -> Result<&'static Self, EngineError> {
        let unusable = |reason| EngineError::Library { path: path.to_owned(), reason };
        let real = path.canonicalize().map_err(|error| unusable(error.to_string()))?;
        let _alone = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        match LOADED.get() {
            Some(runtime) if runtime.path == real => return Ok(runtime),
            Some(runtime) => {
                let loaded = runtime.path.clone();
                return Err(EngineError::OtherLibrary { loaded, requested: real });
            }
            None => {}
        }
        let runtime = Self::open(real).map_err(unusable)?;
        tracing::info!(path = %runtime.path.display(), version = runtime.version, "loaded onnx runtime");
        Ok(LOADED.get_or_init(|| runtime))
    }

    fn open(path: PathBuf) -> Result<Self, String> {
        let version = probe::version(&path)?;
        let sha256 = hash::of_file(&path).map_err(|error| error.to_string())?;
        let environment = ort::init_from(&path)
            .map_err(|error| error.to_string())?
            .with_name("starmill")
            .with_telemetry(false)
            .build()
            .map_err(|error| error.to_string())?;
        // Every session would otherwise log about a hundred lines on how it rewrote the graph.
        environment.set_log_level(LogLevel::Warning);
        Ok(Self { path, version, sha256, environment })
    }

    /// The version the library states, such as `1.31.1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The library's file, links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the library's file, 64 lower-case hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// These run where no runtime is loaded, so that the file itself is judged.
    #[track_caller]
    fn check(path: &Path, expected: &str) {
        let message = Runtime::load(path).unwrap_err().to_string();
        assert!(message.contains(&path.display().to_string()), "no file in: {message}");
        assert!(message.contains(expected), "{expected} is not in: {message}");
        assert!(message.contains("run ./ops/fetch-onnxruntime.sh"), "no remedy in: {message}");
    }

    #[test]
    fn a_file_that_is_no_library_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        check(&folder.path().join("absent.so"), "No such file");
        check(folder.path(), "cannot read it");
        for (name, content, expected) in [
            ("empty.so", &b""[..], "cannot read it"),
            ("text.so", b"not a library", "it is not a shared library"),
            ("cut.so", b"\x7fELF\x02\x01\x01", "file too short"),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            check(&path, expected);
        }
    }

    #[test]
    fn another_library_is_an_error() {
        let folders = ["/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/usr/lib"];
        let libraries = folders.map(|folder| Path::new(folder).join("libm.so.6"));
        if let Some(library) = libraries.iter().find(|library| library.exists()) {
            check(library, "it does not export OrtGetApiBase");
        }
    }
}
