//! Places at which a test makes the program die, hang or fail. They exist only in builds with the
//! feature `failpoints`, which a release build refuses.
//!
//! `FAILPOINTS="commit-synced=3*off->return"` in the environment kills the process the fourth time
//! it comes there; `sleep(500)`, `pause` and `panic` are the other actions of the crate `fail`.

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
