//! From a row of a release's catalogue to the name of its file.

use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// A name with places for columns: `{planid}` as it is, `{spid:02}` as a whole number with leading
/// zeros, `{obsdate:digits}` the digits alone, which makes `20111024` of `2011-10-24`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Column { name: String, form: Form },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Padded(usize),
    Digits,
}

/// A template that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{part:?} is no place for a column; write {{column}}, {{column:05}} or {{column:digits}}")]
pub struct ParseTemplateError {
    part: String,
}

/// The widest number.
const WIDEST: usize = 20;

impl FromStr for Template {
    type Err = ParseTemplateError;

    fn from_str(text: &str) -> Result<Self, ParseTemplateError> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let wrong = |part: &str| ParseTemplateError { part: format!("{{{part}") };
            let (place, after) = after.split_once('}').ok_or_else(|| wrong(after))?;
            let (name, form) = match place.split_once(':') {
                None => (place, Form::Plain),
                Some((name, "digits")) => (name, Form::Digits),
                Some((name, width)) => {
                    let width = width.strip_prefix('0').and_then(|width| width.parse().ok());
                    let width = width.filter(|width| (1..=WIDEST).contains(width));
                    (name, Form::Padded(width.ok_or_else(|| wrong(place))?))
                }
            };
            if name.is_empty() || name.contains('{') {
                return Err(wrong(place));
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Column { name: name.to_owned(), form });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { text: text.to_owned(), parts })
    }
}

impl Template {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The columns in the order of their places; one may come twice.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Column { name, .. } => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The name with these values in the places; `None` if one is missing or cannot stand there. A
    /// value is part of a name and never a way out of the folder.
    pub fn fill(&self, values: &[String]) -> Option<PathBuf> {
        let (mut name, mut values) = (String::new(), values.iter());
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Column { form, .. } => name.push_str(&form.of(values.next()?)?),
            }
        }
        Some(name.into())
    }
}

impl Form {
    fn of(self, value: &str) -> Option<String> {
        let value = value.trim();
        let is_name = !value.is_empty()
            && value != "."
            && value != ".."
            && !value.contains(['/', '\0'])
            && !value.starts_with("-9999");
        if !is_name {
            return None;
        }
        match self {
            Self::Plain => Some(value.to_owned()),
            Self::Digits => {
                let digits: String = value.chars().filter(char::is_ascii_digit).collect();
                (!digits.is_empty()).then_some(digits)
            }
            Self::Padded(width) => {
                // Some tables write whole numbers with a fraction of zero.
                let whole = value.strip_suffix(".0").unwrap_or(value);
                Some(format!("{:0width$}", whole.parse::<u64>().ok()?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_lamost_makes_the_name_of_its_file() {
        let text =
            "{obsdate:digits}/{planid}/spec-{lmjd:05}-{planid}_sp{spid:02}-{fiberid:03}.fits";
        let template: Template = text.parse().unwrap();
        let columns: Vec<&str> = template.columns().collect();
        assert_eq!(columns, ["obsdate", "planid", "lmjd", "planid", "spid", "fiberid"]);
        let fill = |values: [&str; 6]| template.fill(&values.map(str::to_owned));
        assert_eq!(
            fill(["2011-10-24", "F5902", "55859", "F5902", "3", "7.0"]),
            Some("20111024/F5902/spec-55859-F5902_sp03-007.fits".into())
        );
        for wrong in ["", "..", "a/b", "-9999", "x"] {
            assert_eq!(fill(["2011", "F", "5", "F", wrong, "7"]), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["{a", "{}", "{a:3}", "{a:0}", "{a:099}", "{a:x}", "{{a}}"] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
        assert_eq!("plain}".parse::<Template>().unwrap().fill(&[]), Some("plain}".into()));
    }
}
