//! Which column of a table is meant by a name: surveys write `teff`, `TEFF` or `Teff[K]`.

use std::str::FromStr;

use thiserror::Error;

use super::EvaluateError;
use crate::table::{Column, Kind, Source, TableError};

/// `teff=TEFF`: what Starmill calls `teff` is the column `TEFF` of the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// A label, its error (`teff_err`), `ra` or `dec`.
    pub name: String,
    /// The column.
    pub column: String,
}

/// A mapping that could not be read.
#[derive(Debug, Error)]
#[error("write LABEL=COLUMN, as in teff=TEFF")]
pub struct ParseMapError;

impl FromStr for Map {
    type Err = ParseMapError;

    fn from_str(text: &str) -> Result<Self, ParseMapError> {
        match text.split_once('=').map(|(name, column)| (name.trim(), column.trim())) {
            Some((name, column)) if !name.is_empty() && !column.is_empty() => {
                Ok(Self { name: name.to_lowercase(), column: column.to_owned() })
            }
            _ => Err(ParseMapError),
        }
    }
}

/// What is left of a name without its unit in brackets, its signs and its capitals: `feh` of `fe_h`,
/// `[Fe/H]` and `FEH`, `tefferr` of `Teff[K]_err`.
pub(super) fn plain(name: &str) -> String {
    let mut kept = name.to_owned();
    if let Some(open) = kept.find('[').filter(|open| *open > 0)
        && let Some(length) = kept[open..].find(']')
    {
        kept.replace_range(open..=open + length, "");
    }
    kept.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Names of the error of a label whose plain name this is.
fn error_names(label: &str) -> [String; 6] {
    [
        format!("{label}err"),
        format!("e{label}"),
        format!("{label}error"),
        format!("err{label}"),
        format!("sigma{label}"),
        format!("{label}unc"),
    ]
}

pub(super) const RA: [&str; 4] = ["ra", "raj2000", "radeg", "raicrs"];
pub(super) const DEC: [&str; 5] = ["dec", "dej2000", "decj2000", "decdeg", "deicrs"];

/// Finds columns of numbers in a table.
pub(super) struct Finder<'a> {
    source: &'a Source,
    maps: &'a [Map],
}

impl<'a> Finder<'a> {
    pub(super) fn new(source: &'a Source, maps: &'a [Map]) -> Self {
        Self { source, maps }
    }

    /// A label by its name, or by its name in a published catalogue.
    pub(super) fn label(&self, name: &str, alias: &str) -> Result<Option<usize>, EvaluateError> {
        self.number(name, &[plain(name), plain(alias)])
    }

    /// The error of a label whose column is at this position.
    pub(super) fn error(
        &self,
        name: &str,
        alias: &str,
        at: usize,
    ) -> Result<Option<usize>, EvaluateError> {
        let own = &self.source.columns[at].name;
        let names = [plain(own), plain(name), plain(alias)];
        let names = names.iter().filter(|name| !name.is_empty()).flat_map(|name| error_names(name));
        self.number(&format!("{name}_err"), &names.collect::<Vec<_>>())
    }

    /// A column of numbers: the one that is mapped, else the one of that very name, else the first
    /// one of a plain name.
    pub(super) fn number(
        &self,
        name: &str,
        plain_names: &[String],
    ) -> Result<Option<usize>, EvaluateError> {
        if let Some(map) = self.maps.iter().find(|map| map.name == name) {
            return self.named(&map.column).map(Some);
        }
        let columns = || self.source.columns.iter().enumerate();
        let numbers = || columns().filter(|(_, column)| column.kind.may_be_number());
        let exact = numbers().find(|(_, column)| column.name.eq_ignore_ascii_case(name));
        let same =
            |column: &Column, name: &String| !name.is_empty() && plain(&column.name) == *name;
        let mut by_plain =
            plain_names.iter().filter_map(|name| numbers().find(|(_, column)| same(column, name)));
        Ok(exact.or_else(|| by_plain.next()).map(|(at, _)| at))
    }

    /// A coordinate, by the first of these names; `ra` and `dec` are mapped by these.
    pub(super) fn place(&self, names: &[&str]) -> Result<Option<usize>, EvaluateError> {
        let plain_names: Vec<String> = names.iter().map(|name| plain(name)).collect();
        self.number(names[0], &plain_names)
    }

    /// The column of exactly this name but for its case, which must hold numbers.
    pub(super) fn named(&self, name: &str) -> Result<usize, EvaluateError> {
        let at = self.any(name)?;
        if self.source.columns[at].kind.may_be_number() {
            return Ok(at);
        }
        let what = format!("the column {name} holds no single numbers; name another one");
        Err(TableError::new(&self.source.path, what).into())
    }

    /// The column of this name, which may be a key.
    pub(super) fn any(&self, name: &str) -> Result<usize, EvaluateError> {
        let found =
            self.source.position(name).filter(|&at| self.source.columns[at].kind != Kind::Other);
        found.ok_or_else(|| EvaluateError::no_column(self.source, name, "name one of these"))
    }
}

/// Whether a name is that of a label, where a table does not say what its labels are.
pub(super) fn is_label(name: &str) -> bool {
    let name = name.to_lowercase();
    let element = |stem: &str| (1..=2).contains(&stem.len()) || stem == "alpha";
    let is_ratio = ["_h", "_fe", "_m"]
        .iter()
        .filter_map(|ending| name.strip_suffix(ending))
        .any(|stem| element(stem) && stem.chars().all(|c| c.is_ascii_lowercase()));
    is_ratio
        || ["teff", "logg", "feh", "vmic", "v_mic", "vsini", "v_sin_i"].contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_alike_whatever_their_capitals_signs_and_units() {
        for (name, expected) in [
            ("fe_h", "feh"),
            ("[Fe/H]", "feh"),
            ("FEH", "feh"),
            ("Teff[K]", "teff"),
            ("Teff[K]_err", "tefferr"),
            ("[", ""),
            ("a[b", "ab"),
        ] {
            assert_eq!(plain(name), expected, "{name}");
        }
    }

    #[test]
    fn labels_are_known_by_their_names_where_nothing_else_says() {
        for name in ["teff", "LOGG", "fe_h", "mg_fe", "alpha_m", "c_h"] {
            assert!(is_label(name), "{name}");
        }
        for name in ["snr_g", "ra", "z_err", "path_h", "_h", "x1_h", "teff_err"] {
            assert!(!is_label(name), "{name}");
        }
    }

    #[test]
    fn a_mapping_has_two_sides() {
        let map: Map = "TEFF = Teff_K".parse().unwrap();
        assert_eq!((map.name.as_str(), map.column.as_str()), ("teff", "Teff_K"));
        for text in ["teff", "=x", "x=", ""] {
            assert!(text.parse::<Map>().is_err(), "{text}");
        }
    }
}
