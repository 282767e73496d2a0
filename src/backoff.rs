//! How long to wait between two tries.

use std::time::Duration;

use backon::ExponentialBuilder;

/// The first delay before another try at something on a disk.
pub(crate) const FIRST_DELAY: Duration = Duration::from_millis(100);

/// Delays without end, each twice the one before until they are the longest.
pub(crate) fn endless_delays(first: Duration, longest: Duration) -> ExponentialBuilder {
    let delays = ExponentialBuilder::default().with_min_delay(first).with_max_delay(longest);
    delays.with_factor(2.0).without_max_times()
}

/// So many delays, each twice the one before.
pub(crate) fn delays(first: Duration, retries: usize) -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(first).with_factor(2.0).with_max_times(retries)
}
