//! Posting an event.

use std::time::Duration;

use backon::BlockingRetryable;
use ureq::Agent;
use ureq::config::Config;

use crate::backoff::delays;

/// Posts a JSON object, trying again after what may pass: no connection, no answer, an answer of
/// 429 or 5xx. Redirects are not followed, and the environment's proxies are not asked: where an
/// event goes is the configuration's word alone.
///
/// # Errors
/// That of the last try.
pub(super) fn post(
    address: &str,
    json: &str,
    limit: Duration,
    retries: usize,
) -> Result<(), ureq::Error> {
    let config = Config::builder()
        .timeout_global(Some(limit))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(concat!("starmill/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = Agent::new_with_config(config);
    let attempt = || {
        let answer = agent.post(address).content_type("application/json").send(json)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(ureq::Error::StatusCode(status.as_u16())),
        }
    };
    let delays = delays(Duration::from_secs(1), retries);
    let may_pass = |error: &ureq::Error| match error {
        ureq::Error::StatusCode(status) => *status == 429 || *status >= 500,
        ureq::Error::BadUri(_) => false,
        _ => true,
    };
    attempt.retry(delays).sleep(std::thread::sleep).when(may_pass).call()
}
