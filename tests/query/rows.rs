//! Which rows an answer has: those of a plain look at every row, however few of them are read.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use starmill::backfill::{Cone, Region};
use starmill::query::{Answered, Options, QueryError, Scanned, Session, Sink, Value};

use crate::release::{self, Star};

/// A release of small row groups, and its stars in its order.
static RELEASE: LazyLock<(tempfile::TempDir, Vec<Star>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let stars = release::write(folder.path(), &release::stars(3000, 7), 400, 50);
    (folder, stars)
});

/// Keeps the first column of all rows.
#[derive(Default)]
struct First(Vec<i64>);

impl Sink for First {
    fn begin(&mut self, _: &[Answered]) -> Result<(), QueryError> {
        Ok(())
    }

    fn row(&mut self, values: &[Value<'_>]) -> Result<bool, QueryError> {
        match values[0] {
            Value::Int(value) => self.0.push(value),
            ref other => panic!("{other:?} is no whole number"),
        }
        Ok(true)
    }
}

pub fn options() -> Options {
    Options { region: None, timeout: None, stop: Arc::new(|| false) }
}

fn ask_in(folder: &Path, region: Option<Region>, sql: &str) -> (Vec<i64>, Scanned) {
    let session = Session::open(folder, Options { region, ..options() }).unwrap();
    let mut first = First::default();
    session.ask(sql, &mut first).unwrap_or_else(|error| panic!("{sql}: {error}"));
    (first.0, session.scanned())
}

fn ask(sql: &str) -> (Vec<i64>, Scanned) {
    ask_in(RELEASE.0.path(), None, sql)
}

fn obsids(passes: impl Fn(&&Star) -> bool) -> Vec<i64> {
    RELEASE.1.iter().filter(passes).map(|star| star.obsid).collect()
}

#[test]
fn all_rows_come_in_the_order_of_the_release() {
    let (found, scanned) = ask("SELECT obsid FROM catalogue");
    assert_eq!(found, obsids(|_| true));
    assert_eq!((scanned.groups_skipped, scanned.files_skipped), (0, 0));
    assert_eq!(ask("SELECT count(*) FROM catalogue").0, [3000]);
    assert_eq!(ask("SELECT count(*) FROM rejects").0, [0]);
    assert_eq!(ask("SELECT count(DISTINCT rowid) FROM catalogue").0, [3000]);
}

#[test]
fn a_small_cone_reads_a_few_row_groups() {
    let cone: Cone = "150.5 20.5 0.3".parse().unwrap();
    let region = Region::Cone(cone);
    let expected = obsids(|star| star.place.is_some_and(|(ra, dec)| region.contains(ra, dec)));
    assert!(expected.len() > 50, "{}", expected.len());
    let (found, scanned) =
        ask_in(RELEASE.0.path(), Some(region.clone()), "SELECT obsid FROM catalogue");
    assert_eq!(found, expected);
    assert!(scanned.files_skipped >= 8, "{scanned:?}");
    assert!(scanned.groups_read <= 6 && scanned.groups_skipped > 0, "{scanned:?}");
    // A table without cells is cut by its declinations alone, and gives the same rows.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.parquet");
    release::write_without_cells(&path, &RELEASE.1, 50);
    let (again, scanned) = ask_in(&path, Some(region), "SELECT obsid FROM catalogue");
    assert_eq!(again, expected);
    assert!(scanned.groups_skipped > 0, "{scanned:?}");
}

#[test]
fn the_ends_of_row_groups_leave_out_what_cannot_pass() {
    let all = ask("SELECT obsid FROM catalogue").1.groups_read;
    // Cells rise from group to group, so few hold any range of them.
    let middle = 1_i64 << 60;
    let (found, scanned) =
        ask(&format!("SELECT obsid FROM catalogue WHERE _healpix_29 < {middle}"));
    assert!(!found.is_empty() && scanned.groups_read < all / 2, "{scanned:?}");
    assert_eq!(scanned.groups_read + scanned.groups_skipped, all);
    let nowhere = ask("SELECT obsid FROM catalogue WHERE teff > 7000");
    assert_eq!((nowhere.0.len(), nowhere.1.groups_read), (0, 0));
    let unplaced = ask("SELECT obsid FROM catalogue WHERE _healpix_29 IS NULL");
    assert_eq!(unplaced.0, obsids(|star| star.place.is_none()));
    assert!(unplaced.1.groups_read <= 2, "{:?}", unplaced.1);
    let first = ask("SELECT obsid FROM catalogue LIMIT 10");
    assert_eq!((first.0, first.1.groups_read), (obsids(|_| true)[..10].to_vec(), 1));
}

#[test]
fn tables_can_be_joined_and_grouped() {
    let sql = "WITH good AS MATERIALIZED (SELECT obsid, teff FROM catalogue WHERE flags = 0)
               SELECT count(*) FROM catalogue AS one JOIN good USING (obsid)";
    let good = obsids(|star| star.flags == 0).len() as i64;
    assert_eq!(ask(sql).0, [good]);
    let groups = "SELECT count(*) FROM catalogue GROUP BY class ORDER BY class";
    let of = |class| obsids(|star| star.class == class).len() as i64;
    assert_eq!(ask(groups).0, [of(None), of(Some("GALAXY")), of(Some("STAR"))]);
    let flagged = obsids(|star| star.flags >> 19 & 1 == 1);
    assert_eq!(ask("SELECT obsid FROM catalogue WHERE has_flag(flags, 'poor_fit')").0, flagged);
    assert_eq!(ask("SELECT obsid FROM catalogue WHERE flags & 524288").0, flagged);
    let nocase = "SELECT count(*) FROM catalogue WHERE class = 'star' COLLATE NOCASE";
    assert_eq!(ask(nocase).0, [of(Some("STAR"))]);
    let element = "SELECT count(*) FROM catalogue WHERE pair ->> 1 IS NULL";
    assert_eq!(ask(element).0, [obsids(|star| star.pair[1].is_nan()).len() as i64]);
}

/// A condition in SQL, and what it says of a star.
#[derive(Debug, Clone)]
enum Condition {
    Teff(&'static str, f64),
    Obsid(&'static str, i64),
    Name(&'static str, usize),
    Snr(&'static str, f64),
    Class(&'static str),
    IsNull(&'static str, bool),
    Obsids(Vec<i64>),
    Between(f64, f64),
}

fn compare<T: PartialOrd + ?Sized>(one: &T, operator: &str, other: &T) -> bool {
    match operator {
        "<" => one < other,
        "<=" => one <= other,
        ">" => one > other,
        ">=" => one >= other,
        "=" => one == other,
        _ => one != other,
    }
}

impl Condition {
    /// With a plus before a column SQLite tells the table nothing, and every row is read.
    fn sql(&self, plus: &str) -> String {
        let quoted: String;
        match self {
            Self::Teff(operator, value) => format!("{plus}teff {operator} {value:?}"),
            Self::Obsid(operator, value) => format!("{plus}obsid {operator} {value}"),
            Self::Name(operator, number) => {
                quoted = RELEASE.1[*number].name.clone();
                format!("{plus}spectrum_id {operator} '{quoted}'")
            }
            Self::Snr(operator, value) => format!("{plus}snr_g {operator} {value:?}"),
            Self::Class(class) => format!("{plus}class = '{class}'"),
            Self::IsNull(column, true) => format!("{plus}{column} IS NULL"),
            Self::IsNull(column, false) => format!("{plus}{column} IS NOT NULL"),
            Self::Obsids(list) => {
                let list: Vec<String> = list.iter().map(i64::to_string).collect();
                format!("{plus}obsid IN ({})", list.join(","))
            }
            Self::Between(low, high) => format!("{plus}dec BETWEEN {low:?} AND {high:?}"),
        }
    }

    fn holds(&self, star: &Star) -> bool {
        let number = |value: Option<f32>, operator, other: f64| {
            value
                .filter(|it| !it.is_nan())
                .is_some_and(|it| compare(&f64::from(it), operator, &other))
        };
        match self {
            Self::Teff(operator, value) => number(Some(star.teff), operator, *value),
            Self::Obsid(operator, value) => compare(&star.obsid, operator, value),
            Self::Name(operator, at) => {
                compare(star.name.as_str(), operator, RELEASE.1[*at].name.as_str())
            }
            Self::Snr(operator, value) => number(star.snr, operator, *value),
            Self::Class(class) => star.class == Some(class),
            Self::IsNull(column, is_null) => {
                let missing = match *column {
                    "teff" => star.teff.is_nan(),
                    "snr_g" => star.snr.is_none(),
                    "class" => star.class.is_none(),
                    _ => star.place.is_none(),
                };
                missing == *is_null
            }
            Self::Obsids(list) => list.contains(&star.obsid),
            Self::Between(low, high) => {
                star.place.is_some_and(|(_, dec)| (*low..=*high).contains(&dec))
            }
        }
    }
}

fn condition() -> impl Strategy<Value = Condition> {
    let operator = prop::sample::select(vec!["<", "<=", ">", ">=", "=", "<>"]);
    let obsid = 100_999_990..101_003_010_i64;
    prop_oneof![
        (operator.clone(), 3900.0..6600.0).prop_map(|(op, value)| Condition::Teff(op, value)),
        // A value that a star has, so that equality means something.
        (operator.clone(), 0..3000_usize).prop_map(|(op, at)| {
            let teff = f64::from(RELEASE.1[at].teff);
            Condition::Teff(op, if teff.is_nan() { 5000.0 } else { teff })
        }),
        (operator.clone(), obsid.clone()).prop_map(|(op, value)| Condition::Obsid(op, value)),
        (operator.clone(), 0..3000_usize).prop_map(|(op, at)| Condition::Name(op, at)),
        (operator, -1.0..101.0).prop_map(|(op, value)| Condition::Snr(op, value)),
        prop::sample::select(vec!["STAR", "GALAXY", "QSO"]).prop_map(Condition::Class),
        (prop::sample::select(vec!["teff", "snr_g", "class", "ra"]), any::<bool>())
            .prop_map(|(column, is_null)| Condition::IsNull(column, is_null)),
        prop::collection::vec(obsid, 0..20).prop_map(Condition::Obsids),
        (-95.0..95.0, 0.0..40.0).prop_map(|(low, width)| Condition::Between(low, low + width)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_has_the_rows_of_a_plain_look(
        conditions in prop::collection::vec(condition(), 1..4),
        cone in prop::option::of((0.0..360.0, -90.0..90.0, 0.05..120.0)),
        any_of: bool,
    ) {
        let region = cone.map(|(ra, dec, radius): (f64, f64, f64)| {
            Region::Cone(format!("{ra} {dec} {radius}").parse().unwrap())
        });
        let expected = obsids(|star| {
            let mut each = conditions.iter().map(|condition| condition.holds(star));
            (if any_of { each.any(|it| it) } else { each.all(|it| it) })
                && region.as_ref().is_none_or(|region| {
                    star.place.is_some_and(|(ra, dec)| region.contains(ra, dec))
                })
        });
        let sql = |plus: &str| {
            let each: Vec<String> = conditions.iter().map(|it| it.sql(plus)).collect();
            let joined = each.join(if any_of { " OR " } else { " AND " });
            format!("SELECT obsid FROM catalogue WHERE {joined} ORDER BY rowid")
        };
        let (found, pruned) = ask_in(RELEASE.0.path(), region.clone(), &sql(""));
        prop_assert_eq!(&found, &expected, "{}", sql(""));
        let (found, whole) = ask_in(RELEASE.0.path(), region, &sql("+"));
        prop_assert_eq!(&found, &expected, "{}", sql("+"));
        prop_assert!(any_of || pruned.groups_read <= whole.groups_read);
    }
}
