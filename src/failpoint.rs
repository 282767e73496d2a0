//! Places at which a test makes the program die, hang or fail. They exist only in builds with the
//! feature `failpoints`, which a release build refuses.
//!
//! `FAILPOINTS="commit-synced=3*off->return"` in the environment kills the process the fourth time
//! it comes there; `sleep(500)`, `pause` and `panic` are the other actions of the crate `fail`.

use std::path::Path;

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("failpoints are for tests; build without --release or without the feature");

/// A place at which `return` in `FAILPOINTS` ends the process as a crash would: at once, without
/// destructors or flushing.
macro_rules! crash_point {
    ($name:expr) => {
        fail::fail_point!($name, |_| std::process::abort())
    };
}
pub(crate) use crash_point;

/// Reads `FAILPOINTS` from the environment. The program calls it once; what it returns keeps the
/// points armed.
pub fn arm() -> impl Sized {
    #[cfg(feature = "failpoints")]
    return fail::FailScenario::setup();
}

/// Whether `return(part)` is set for this point and the file's name contains that part.
pub(crate) fn chooses(point: &str, path: &Path) -> bool {
    argument(point).is_some_and(|part: String| path.to_string_lossy().contains(&part))
}

/// Panics on the files that the point [chooses].
pub(crate) fn panic_on(point: &str, path: &Path) {
    assert!(!chooses(point, path), "the failpoint {point} is set for {}", path.display());
}

#[cfg_attr(not(feature = "failpoints"), expect(unused_variables, reason = "there are no points"))]
fn argument(point: &str) -> Option<String> {
    fail::fail_point!(point, |argument| Some(argument.unwrap_or_default()));
    None
}

/// What an engine that breaks would say: for every batch with `return`, for batches with a file
/// whose name contains it with `return(part)`.
pub(crate) fn infer<'a>(
    files: impl Iterator<Item = &'a Path>,
) -> Result<(), starmill_onnx::EngineError> {
    let broken = |part: &str| files.into_iter().any(|file| file.to_string_lossy().contains(part));
    match argument("infer-run") {
        Some(part) if part.is_empty() || broken(&part) => Err(starmill_onnx::EngineError::Run {
            path: "failpoint infer-run".into(),
            reason: "set to fail".into(),
        }),
        _ => Ok(()),
    }
}
