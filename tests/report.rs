//! The night report: what it says is right, whatever the files are called, and it stands alone.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use html5ever::tendril::TendrilSink;
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use starmill::config::Config;
use starmill::quality::Quality;
use starmill::reject::Code;
use starmill::report::{self, ReportContext, Standard, Summary};
use support::sealed::{Dice, Star, giants, seal, seal_of_model};

fn context() -> ReportContext {
    ReportContext::of(&Config::load(None).unwrap())
}

/// A page as a browser understands it.
struct Page {
    html: String,
    dom: RcDom,
}

impl Page {
    /// Reads a page and asserts that it is well-formed and needs nothing from outside.
    #[track_caller]
    fn read(path: &Path) -> Self {
        let html = fs::read_to_string(path).unwrap();
        let dom = html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default())
            .one(html.as_str());
        assert!(dom.errors.borrow().is_empty(), "{:?}", dom.errors);
        for outside in [" src=", " href=", "url(", "@import", "http://", "https://"] {
            assert!(!html.contains(outside), "the page names {outside}");
        }
        let page = Self { html, dom };
        for active in ["script", "img", "iframe", "a", "link", "object"] {
            assert!(page.all(active).is_empty(), "there is a {active}");
        }
        page
    }

    fn all(&self, name: &str) -> Vec<Handle> {
        fn walk(node: &Handle, name: &str, found: &mut Vec<Handle>) {
            if let NodeData::Element { name: own, .. } = &node.data
                && &*own.local == name
            {
                found.push(node.clone());
            }
            node.children.borrow().iter().for_each(|child| walk(child, name, found));
        }
        let mut found = Vec::new();
        walk(&self.dom.document, name, &mut found);
        found
    }

    fn texts(&self, name: &str) -> Vec<String> {
        self.all(name).iter().map(text).collect()
    }

    /// The cells of the first row of a table that has these words in one.
    #[track_caller]
    fn row(&self, words: &str) -> Vec<String> {
        let rows = self
            .all("tr")
            .into_iter()
            .map(|row| -> Vec<String> { row.children.borrow().iter().map(text).collect() });
        let mut rows = rows.filter(|cells| cells.iter().any(|cell| cell.contains(words)));
        rows.next().unwrap_or_else(|| panic!("no row of {words}"))
    }
}

fn text(node: &Handle) -> String {
    let own = match &node.data {
        NodeData::Text { contents } => contents.borrow().to_string(),
        _ => String::new(),
    };
    node.children.borrow().iter().fold(own, |all, child| all + &text(child))
}

/// A night after five others, all of made-up giants. So many of the stars of the first nights come
/// again, and all labels of the last night are off by this much.
#[expect(clippy::cast_possible_truncation, reason = "labels are single precision")]
fn nights(root: &Path, count: usize, again: usize, off: [f32; 3]) -> PathBuf {
    let mut dice = Dice(5);
    let mut seen: Vec<Star> = Vec::new();
    for day in 10..=15 {
        let name = format!("2026-11-{day}");
        let mut stars = giants(&name, count);
        for (number, (star, old)) in stars.iter_mut().zip(&seen).take(again).enumerate() {
            // Another observation of an old star, within its fibre.
            let values = old.values;
            (star.ra, star.dec) = (old.ra + dice.normal() * 5e-5, old.dec + dice.normal() * 5e-5);
            star.values = values;
            for (value, noise) in star.values.iter_mut().zip([25.0, 0.06, 0.04]) {
                *value += noise * dice.normal() as f32;
            }
            star.quality = Quality::NONE;
            // One of them is a variable.
            star.values[0] += if number == 3 && day == 15 { 900.0 } else { 0.0 };
        }
        if day == 15 {
            for star in &mut stars {
                star.values.iter_mut().zip(off).for_each(|(value, off)| *value += off);
            }
        }
        if day == 10 {
            for star in &mut stars {
                star.quality = Quality::NONE;
            }
            seen.clone_from(&stars);
        }
        let rejects = [
            ("plan/spec-1.fits", Code::CORRUPT_FITS, "HDU 0: the data are cut short"),
            ("plan/spec-2.fits.gz", Code::CORRUPT_COMPRESSION, "gzip: the data are damaged"),
            ("plan/spec-3.fits.gz", Code::CORRUPT_COMPRESSION, "gzip: the data are damaged"),
        ];
        seal(&root.join(&name), &stars, &rejects);
    }
    root.join("2026-11-15")
}

/// Leaves a page in the folder that `STARMILL_KEEP_REPORTS` names, for an eye to look at.
fn keep(report: &Path, name: &str) {
    if let Some(folder) = std::env::var_os("STARMILL_KEEP_REPORTS") {
        fs::copy(report, Path::new(&folder).join(name)).unwrap();
    }
}

fn drift(summary: &Summary, label: &str) -> report::Drift {
    summary.drifts.iter().find(|drift| drift.label == label).unwrap().clone()
}

#[test]
fn a_night_is_compared_with_the_nights_before_it() {
    let root = tempfile::tempdir().unwrap();
    let night = nights(root.path(), 400, 60, [80.0, 0.0, 0.0]);
    let mut context = context();
    let standards: Vec<Star> = giants("2026-11-10", 400).into_iter().take(8).collect();
    let standard = |(number, star): (usize, &Star)| Standard {
        name: format!("Standard {number}"),
        ra: star.ra,
        dec: star.dec,
        labels: BTreeMap::from([("teff".into(), [f64::from(star.values[0]), 30.0])]),
    };
    context.settings.standards = standards.iter().enumerate().map(standard).collect();
    let summary = report::write(&night, &context).unwrap();
    assert_eq!((summary.files, summary.rows, summary.rejects), (403, 400, 3));
    assert_eq!((summary.repeats, summary.standards), (60, 8));

    let teff = drift(&summary, "teff");
    let by_repeats = teff.repeats.unwrap();
    assert_eq!(by_repeats.count, 60);
    assert!((by_repeats.median - 80.0).abs() < 4.0 * by_repeats.error, "{by_repeats:?}");
    assert!((15.0..60.0).contains(&by_repeats.scatter), "{by_repeats:?}");
    let by_standards = teff.standards.unwrap();
    assert!((by_standards.median - 80.0).abs() < 60.0, "{by_standards:?}");
    assert!(teff.alarm.is_some());
    assert!(drift(&summary, "logg").alarm.is_none() && drift(&summary, "fe_h").alarm.is_none());
    let line = summary.line();
    assert!(line.starts_with("night 2026-11-15: 400 rows ("), "{line}");
    assert!(line.contains(", 60 repeats, 8 standards, teff drifts by +"), "{line}");
    assert!(line.ends_with('K') && line.is_ascii() && !line.contains('\n'), "{line}");

    keep(&summary.report, "compared.html");
    let page = Page::read(&summary.report);
    assert_eq!(page.texts("h1"), ["Night 2026-11-15"]);
    // Four of the night, three labels, three differences, one of the standards.
    assert_eq!(page.all("svg").len(), 11);
    let reject = page.row("corrupt_compression");
    assert_eq!(reject[1], "2");
    assert!(reject[4].contains("fetch the file again") && reject[5].contains("spec-2.fits.gz"));
    assert_eq!(page.row("Standard 0")[1], "teff K");
    assert!(page.texts("li").iter().any(|item| item.contains("teff of") && item.contains("focus")));
    // The variable stands first among the strangest.
    let strange = page.texts("h3").contains(&"Stars that differ most".into());
    assert!(strange && page.html.contains("made-up:2026-11-15-00003"));
    assert!(page.html.contains("5 earlier nights, 2026-11-10 to 2026-11-14"));
    assert!(page.row("extrapolation")[4].contains("unlike"));
    assert!(page.html.contains("teff") && !page.html.contains("teff_err"), "an error is no label");
}

#[test]
fn equal_nights_give_equal_bytes_wherever_they_lie() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [one, other] = [one.path(), other.path()].map(|root| nights(root, 50, 10, [0.0; 3]));
    let page = |night: &Path| fs::read(report::write(night, &context()).unwrap().report).unwrap();
    let first = page(&one);
    assert!(first == page(&one) && first == page(&other));
    let names = fs::read_dir(&one).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().ends_with(".tmp")));
}

#[test]
fn hostile_names_are_texts() {
    let root = tempfile::tempdir().unwrap();
    let evil = "<script>alert(1)</script>&\"'<img src=x onerror=alert(2)>.fits";
    let folder = root.path().join("</title><script>alert(3)</script>".replace('/', "\u{2215}"));
    let mut stars = giants("2026-11-15", 30);
    stars[0].name = "made-up:<b onclick=\"x\">".into();
    seal(&folder, &stars, &[(evil, Code::NOT_FITS, "it says </td><svg onload=alert(4)>")]);
    let summary = report::write(&folder, &context()).unwrap();
    let html = fs::read_to_string(&summary.report).unwrap();
    let dom = html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default());
    let page = Page { dom: dom.one(html.as_str()), html };
    assert!(page.dom.errors.borrow().is_empty(), "{:?}", page.dom.errors);
    for name in ["script", "img", "b"] {
        let found = page.all(name);
        assert!(found.iter().all(|node| !text(node).contains("alert")), "there is a {name}");
    }
    assert!(page.all("script").is_empty() && page.all("img").is_empty());
    let row = page.row("not_fits");
    assert!(row[5].contains(evil) && row[5].contains("</td><svg onload"), "{row:?}");
    assert!(page.texts("title")[0].contains("<script>"));
}

#[test]
fn a_night_without_spectra_has_a_report() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("2026-11-15");
    seal(&folder, &[], &[]);
    let summary = report::write(&folder, &context()).unwrap();
    assert_eq!(
        summary.line(),
        "night 2026-11-15: 0 rows (0 clean) and 0 rejects of 0 files, 0 repeats, 0 standards"
    );
    let page = Page::read(&summary.report);
    assert!(page.texts("li")[0].contains("Nothing was observed"));
    // A night of rejects alone, of which none has a place or a S/N.
    seal(&folder.with_file_name("2026-11-16"), &[], &[("a", Code::NOT_FITS, "")]);
    let summary = report::write(&folder.with_file_name("2026-11-16"), &context()).unwrap();
    Page::read(&summary.report);
}

#[test]
fn what_is_no_night_of_this_model_is_left_out_and_said_so() {
    let root = tempfile::tempdir().unwrap();
    let night = nights(root.path(), 40, 10, [0.0; 3]);
    let folder = |name: &str| root.path().join(name);
    let damaged = folder("2026-11-14/catalogue.parquet");
    let half = fs::metadata(&damaged).unwrap().len() / 2;
    fs::File::options().write(true).open(&damaged).unwrap().set_len(half).unwrap();
    fs::remove_file(folder("2026-11-13/run.json")).unwrap();
    seal_of_model(&folder("2026-11-12+1"), "another 2", &giants("2026-11-12", 5), &[]);
    // Of another kind, and later: neither is looked at.
    fs::create_dir(folder("calibration")).unwrap();
    fs::create_dir(folder("2026-11-16")).unwrap();
    let page = Page::read(&report::write(&night, &context()).unwrap().report);
    let said: Vec<String> =
        page.texts("p").into_iter().filter(|text| text.starts_with("Left out")).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("2026-11-12+1") && said[0].contains("another 2"), "{said:?}");
    assert!(said[1].contains("it is not closed"), "{said:?}");
    assert!(said[2].contains("catalogue.parquet"), "{said:?}");
}

#[test]
fn a_catalogue_that_is_not_sealed_is_refused_with_the_remedy() {
    let root = tempfile::tempdir().unwrap();
    let error = report::write(root.path(), &context()).unwrap_err().to_string();
    assert!(error.contains("not sealed") && error.contains("run again"), "{error}");
    let output = support::starmill(&["night", "report", "/no/such/night"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("check that the folder"));
}

#[test]
fn ten_thousand_rows_take_less_than_two_seconds() {
    let root = tempfile::tempdir().unwrap();
    let night = nights(root.path(), 10_000, 500, [0.0; 3]);
    let begin = Instant::now();
    let summary = report::write(&night, &context()).unwrap();
    let took = begin.elapsed();
    assert_eq!(summary.rows, 10_000);
    assert!(took < Duration::from_secs(2), "{took:?}");
    let bytes = fs::metadata(&summary.report).unwrap().len();
    assert!(bytes < 1_500_000, "{bytes} bytes");
    keep(&summary.report, "large.html");
}

#[test]
fn the_catalogue_of_a_plain_run_has_a_report_too() {
    if !support::has_library("a report") {
        return;
    }
    let night = support::night::Night::new(6);
    let out = night.whole().to_str().unwrap();
    let output = support::starmill(&["night", "report", out]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.starts_with("catalogue whole: 6 rows ("), "{said}");
    keep(&night.whole().join("report.html"), "run.html");
    let page = Page::read(&night.whole().join("report.html"));
    assert!(page.row("not_fits")[5].contains("broken.fits"));
    assert!(page.row("n_fe")[6].len() > 10);
    // One process wrote it, and it ended.
    let runs = page.all("tr").into_iter().map(|row| text(&row));
    assert_eq!(runs.filter(|row| row.contains("0.1.0") && row.contains("Z20")).count(), 1);
    // The catalogue is as it was.
    assert_eq!(support::night::verify(night.whole(), &[]).0, Some(0));
}
