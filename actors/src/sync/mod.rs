//! The one door to locks, channels, sleep and time limits.
//!
//! The feature `shuttle` puts models behind the same names, so that the tests in `schedules` choose
//! which thread runs next and when a wait times out. What only counts or measures (the meters, the
//! stopwatches of a gate) decides nothing and stays on the standard library in both.

#[cfg(feature = "shuttle")]
mod model;
#[cfg(not(feature = "shuttle"))]
mod system;

#[cfg(feature = "shuttle")]
pub(crate) use model::*;
#[cfg(not(feature = "shuttle"))]
pub(crate) use system::*;

#[cfg(all(feature = "shuttle", not(debug_assertions)))]
compile_error!("the feature `shuttle` is for tests alone; build a release without it");
