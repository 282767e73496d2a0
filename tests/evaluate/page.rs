//! The page: well-formed, alone, with every picture, and the same every time.

use std::fs;

use html5ever::tendril::TendrilSink;
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::{clean, evaluate, sealed, visits};

fn count(node: &Handle, name: &str) -> usize {
    let is_it = matches!(&node.data, NodeData::Element { name: own, .. } if &*own.local == name);
    let below: usize = node.children.borrow().iter().map(|child| count(child, name)).sum();
    usize::from(is_it) + below
}

#[test]
fn the_page_stands_alone_and_equal_inputs_give_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("<one>"), folder.path().join("other"));
    let stars = clean(3000);
    sealed(&one, &visits(&stars, 2));
    sealed(&other, &stars);
    let page = |name: &str| {
        let path = folder.path().join(name);
        let table = other.join("catalogue.parquet");
        let arguments = [table.to_str().unwrap(), "--repeats", "--html", path.to_str().unwrap()];
        let output = evaluate(&one, &arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read_to_string(path).unwrap()
    };
    let html = page("a.html");
    assert_eq!(html, page("b.html"));
    let dom = html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default())
        .one(html.as_str());
    assert!(dom.errors.borrow().is_empty(), "{:?}", dom.errors);
    for outside in [" src=", " href=", "url(", "@import", "http://", "https://"] {
        assert!(!html.contains(outside), "the page names {outside}");
    }
    // Two Kiel diagrams; of each label scatter, residuals, residuals against S/N, pulls and repeats.
    assert_eq!(count(&dom.document, "svg"), 2 + 3 * 5);
    for words in ["Kiel diagrams", "Pulls and coverage", "Repeat visits", "&lt;one&gt;"] {
        assert!(html.contains(words), "{words}");
    }
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
}

#[test]
fn abundances_are_drawn_against_iron_and_against_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one.csv"), folder.path().join("other.csv"));
    let table = |shift: f64| {
        let rows = (0..400).map(|star| {
            let fe_h = f64::from(star % 37) / 40.0 - 0.5;
            let (mg_h, c_fe) = (fe_h + f64::from(star % 7) * 0.02, f64::from(star % 5) * 0.03);
            format!("{star},5000,2.5,{},{},{c_fe}\n", fe_h + shift, mg_h + shift)
        });
        format!("star,teff,logg,fe_h,mg_h,c_fe\n{}", rows.collect::<String>())
    };
    fs::write(&one, table(0.1)).unwrap();
    fs::write(&other, table(0.0)).unwrap();
    let path = folder.path().join("page.html");
    let arguments = [other.to_str().unwrap(), "--key", "star", "--html", path.to_str().unwrap()];
    let output = evaluate(&one, &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let html = fs::read_to_string(path).unwrap();
    for words in ["[Mg/Fe]", "[C/Fe]", "[C/H]", "[Mg/H]", "[Fe/H]", "quotes no errors"] {
        assert!(html.contains(words), "{words}");
    }
    let found = super::object(&one, &[other.to_str().unwrap(), "--key", "star"]);
    let correlations = found["agreement"]["correlations"].as_array().unwrap();
    assert_eq!(correlations.len(), 3);
    let of = |a: &str, b: &str| {
        let found = correlations.iter().find(|c| c["labels"] == serde_json::json!([a, b])).unwrap();
        (found["catalogue"].as_f64().unwrap(), found["reference"].as_f64().unwrap())
    };
    // What all abundances share does not change how they go together.
    let (own, other) = of("fe_h", "mg_h");
    assert!(own > 0.95 && (own - other).abs() < 1e-5, "{own} {other}");
}
