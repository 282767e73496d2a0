//! The service's answer, read by the names that `/api/v1/openapi.json` documents. What is missing,
//! or has another type, is zero or empty: a `top` of one version looks at a service of another.

use serde_json::Value;

/// The answer of `/api/v1/status`.
#[derive(Debug, Clone)]
pub(super) struct Status(Value);

/// A part of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a>(&'a Value);

/// Longest text of the service that is shown.
const MOST_TEXT: usize = 400;

impl Status {
    /// Reads an answer; `None` if it is no object.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().filter(Value::is_object).map(Self)
    }

    pub(super) fn all(&self) -> Part<'_> {
        Part(&self.0)
    }

    /// Spectra a second.
    pub(super) fn rate(&self) -> f64 {
        self.all().number("rate_per_s").unwrap_or(0.0)
    }
}

impl<'a> Part<'a> {
    pub(super) fn part(self, key: &str) -> Self {
        Self(&self.0[key])
    }

    pub(super) fn number(self, key: &str) -> Option<f64> {
        self.0[key].as_f64().filter(|value| value.is_finite())
    }

    pub(super) fn count(self, key: &str) -> u64 {
        self.0[key].as_u64().unwrap_or(0)
    }

    pub(super) fn flag(self, key: &str) -> bool {
        self.0[key].as_bool().unwrap_or(false)
    }

    /// A text. A terminal obeys control characters, and names of files come from outside.
    pub(super) fn text(self, key: &str) -> String {
        let text = self.0[key].as_str().unwrap_or_default();
        let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        text.chars().take(MOST_TEXT).map(shown).collect()
    }

    /// The members of a list.
    pub(super) fn list(self, key: &str) -> impl Iterator<Item = Part<'a>> {
        self.0[key].as_array().into_iter().flatten().map(Part)
    }

    /// Names with counts, the largest first.
    pub(super) fn counts(self, key: &str) -> Vec<(String, u64)> {
        let entries = self.0[key].as_object().into_iter().flatten();
        let mut counts: Vec<(String, u64)> =
            entries.filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts
    }
}
