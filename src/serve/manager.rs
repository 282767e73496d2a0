//! What is said to systemd, or to whatever listens at `NOTIFY_SOCKET`. Without one nothing is.

use std::time::Duration;

use sd_notify::NotifyState;

/// A line of state for people.
pub(super) fn status(text: &str) {
    say(&[NotifyState::Status(text)]);
}

/// Files are taken from now on.
pub(super) fn ready() {
    say(&[NotifyState::Ready]);
}

/// The configuration is loaded anew; [`ready`] ends that.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => say(&[NotifyState::Reloading, now]),
        Err(_) => say(&[NotifyState::Reloading]),
    }
}

/// The end has begun.
pub(super) fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// All stages go on.
pub(super) fn feed_watchdog() {
    say(&[NotifyState::Watchdog]);
}

/// Asks for so much more time to start.
pub(super) fn extend_start(by: Duration) {
    say(&[NotifyState::ExtendTimeoutUsec(u32::try_from(by.as_micros()).unwrap_or(u32::MAX))]);
}

/// How often the watchdog must be fed at least, if there is one.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        // The manager restarts a service that it does not hear; the service itself goes on.
        tracing::debug!(%error, "the service manager could not be told");
    }
}
