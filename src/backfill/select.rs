//! Which rows of a release's catalogue are wanted, and where their files lie.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{BackfillError, Collected, Region, Template};
use crate::table::{Source, TableError, Wanted};

/// What is wanted of a release's catalogue.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The catalogue: FITS, CSV or Parquet.
    pub catalogue: PathBuf,
    /// The folder of the release.
    pub root: PathBuf,
    /// The name of a row's file within it.
    pub template: Template,
    /// Columns and what they must lie between.
    pub ranges: Vec<Range>,
    /// Columns and what they must be.
    pub values: Vec<(String, String)>,
    /// The part of the sky, by the columns of right ascension and declination in degrees.
    pub region: Option<(Region, String, String)>,
}

/// What a column must lie between; the ends count.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    column: String,
    low: f64,
    high: f64,
}

impl Range {
    /// From one value to another; an absent end is open.
    pub fn new(column: &str, low: Option<f64>, high: Option<f64>) -> Self {
        Self {
            column: column.to_owned(),
            low: low.unwrap_or(f64::NEG_INFINITY),
            high: high.unwrap_or(f64::INFINITY),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}={}:{}", self.column, self.low, self.high)
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a range is COLUMN=LOW:HIGH, of which one may be left out".to_owned();
        let (column, ends) = text.split_once('=').ok_or_else(wrong)?;
        let (low, high) = ends.split_once(':').ok_or_else(wrong)?;
        let end = |text: &str, absent: f64| match text {
            "" => Ok(absent),
            text => text.parse().map_err(|_| wrong()),
        };
        let (low, high) = (end(low, f64::NEG_INFINITY)?, end(high, f64::INFINITY)?);
        // NaN is in no order.
        if column.is_empty() || low.partial_cmp(&high).is_none_or(std::cmp::Ordering::is_gt) {
            return Err(wrong());
        }
        Ok(Self { column: column.to_owned(), low, high })
    }
}

impl Selection {
    /// Calls `visit` with the name of the file of every row that is wanted.
    ///
    /// # Errors
    /// [`BackfillError`] if the catalogue cannot be read or lacks a column, and those of `visit`.
    pub fn each(
        &self,
        collected: &mut Collected,
        visit: &mut dyn FnMut(PathBuf) -> Result<(), BackfillError>,
    ) -> Result<(), BackfillError> {
        let source = Source::open(&self.catalogue)?;
        let at = |column: &str| position(&source, &self.catalogue, column);
        let mut numbers =
            self.ranges.iter().map(|range| at(&range.column)).collect::<Result<Vec<_>, _>>()?;
        if let Some((_, ra, dec)) = &self.region {
            numbers.extend([at(ra)?, at(dec)?]);
        }
        let mut texts =
            self.values.iter().map(|(column, _)| at(column)).collect::<Result<Vec<_>, _>>()?;
        let named = texts.len();
        for column in self.template.columns() {
            texts.push(at(column)?);
        }
        source.read(&Wanted { numbers, texts }, &mut |record| {
            let (numbers, texts) = (record.numbers, record.texts);
            let in_ranges = self
                .ranges
                .iter()
                .zip(numbers)
                .all(|(range, value)| (range.low..=range.high).contains(value));
            let has_values =
                self.values.iter().zip(texts).all(|((_, wanted), text)| wanted == text);
            let place = &numbers[self.ranges.len()..];
            let in_region =
                self.region.as_ref().is_none_or(|(region, ..)| region.contains(place[0], place[1]));
            if !(in_ranges && has_values && in_region) {
                collected.not_selected += 1;
                return Ok(());
            }
            let Some(name) = self.template.fill(&texts[named..]) else {
                collected.nameless += 1;
                return Ok(());
            };
            visit(self.root.join(name))
        })
    }
}

fn position(source: &Source, path: &Path, column: &str) -> Result<usize, TableError> {
    source.position(column).ok_or_else(|| {
        let names: Vec<&str> =
            source.columns.iter().take(60).map(|column| column.name.as_str()).collect();
        let names = names.join(" ");
        TableError::new(
            path,
            format!("there is no column {column} among {names}; name another one"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "obsid,obsdate,planid,lmjd,spid,fiberid,class,snrg,ra,dec\n\
        1,2011-10-24,F5902,55859,3,7,STAR,50,10,20\n\
        2,2011-10-24,F5902,55859,3,8,GALAXY,60,10,20\n\
        3,2011-10-24,F5902,55859,3,9,STAR,9,10,20\n\
        4,2011-10-24,F5902,55859,3,10,STAR,80,50,20\n\
        5,2011-10-24,,55859,3,11,STAR,80,10,20\n\
        6,2011-10-24,F5902,55859,3,12,STAR,-9999,10,20\n";

    fn selection(folder: &Path) -> Selection {
        let catalogue = folder.join("catalogue.csv");
        std::fs::write(&catalogue, TABLE).unwrap();
        Selection {
            catalogue,
            root: "/release".into(),
            template: "{planid}/{fiberid:03}.fits".parse().unwrap(),
            ranges: vec!["SNRG=10:".parse().unwrap()],
            values: vec![("class".into(), "STAR".into())],
            region: Some((Region::Cone("10,20,1".parse().unwrap()), "ra".into(), "dec".into())),
        }
    }

    #[test]
    fn rows_are_selected_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let (mut collected, mut names) = (Collected::default(), Vec::new());
        selection(folder.path())
            .each(&mut collected, &mut |name| {
                names.push(name);
                Ok(())
            })
            .unwrap();
        assert_eq!(names, [PathBuf::from("/release/F5902/007.fits")]);
        assert_eq!((collected.not_selected, collected.nameless), (4, 1));
    }

    #[test]
    fn a_column_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let template = "{nothing}".parse().unwrap();
        let selection = Selection { template, ..selection(folder.path()) };
        let error = selection.each(&mut Collected::default(), &mut |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("no column nothing among obsid"), "{error}");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for wrong in ["", "a", "a=1", "=1:2", "a=2:1", "a=x:", "a=nan:"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
        let range: Range = "a=:5".parse().unwrap();
        assert_eq!((range.low, range.high), (f64::NEG_INFINITY, 5.0));
    }
}
