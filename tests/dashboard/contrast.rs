//! Texts can be read: the contrast of the pages' colours, by the formula of WCAG 2.2.

use std::collections::{BTreeMap, BTreeSet};

/// What WCAG asks of a text of ordinary size at level AA.
const LEAST: f64 = 4.5;

/// The colours of a rule that begins with this selector.
fn palette<'a>(css: &'a str, selector: &str) -> BTreeMap<&'a str, [u8; 3]> {
    let rule = css.split_once(selector).unwrap_or_else(|| panic!("there is no {selector}")).1;
    let rule = rule.split_once('}').unwrap().0;
    let colours = rule.split([';', '{']).filter_map(|line| line.trim().split_once(": #"));
    colours.filter_map(|(name, hex)| Some((name.strip_prefix("--")?, rgb(hex)?))).collect()
}

/// A colour without transparency, of three or six digits.
fn rgb(hex: &str) -> Option<[u8; 3]> {
    let long: String = match hex.len() {
        3 => hex.chars().flat_map(|digit| [digit, digit]).collect(),
        6 => hex.to_owned(),
        _ => return None,
    };
    let part = |at: usize| u8::from_str_radix(&long[at..at + 2], 16).ok();
    Some([part(0)?, part(2)?, part(4)?])
}

/// Relative luminance, 0 to 1.
fn luminance(colour: [u8; 3]) -> f64 {
    let [red, green, blue] = colour.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// The colours that texts have somewhere in the style sheet.
fn texts(css: &str) -> BTreeSet<&str> {
    let declarations = css.split([';', '{']).map(str::trim);
    let colours = declarations.filter_map(|line| line.strip_prefix("color: var(--"));
    colours.map(|rest| rest.split(')').next().unwrap()).collect()
}

#[test]
fn the_formula_is_that_of_wcag() {
    let (black, white) = ([0; 3], [255; 3]);
    assert!((contrast(black, white) - 21.0).abs() < 1e-9);
    // The grey that is known for being just enough on white.
    assert!((contrast([0x76; 3], white) - 4.54).abs() < 0.005);
    assert!(contrast([0x77; 3], white) < LEAST);
}

#[test]
fn texts_stand_out_from_what_they_are_on() {
    let board = include_str!("../../src/http/page/dashboard.css");
    let report = include_str!("../../src/report/page.css");
    let (board_grounds, report_grounds) = (["ground", "panel"], ["paper", "card"]);
    for (css, theme, selector, grounds) in [
        (board, "dark", ":root {", board_grounds),
        (board, "light", "html[data-theme=\"light\"] {", board_grounds),
        (board, "red", "html[data-theme=\"red\"] {", board_grounds),
        (report, "light", ":root {", report_grounds),
        (report, "dark", "@media (prefers-color-scheme: dark) {\n  :root {", report_grounds),
        (report, "print", "@media print {\n  :root {", report_grounds),
    ] {
        let colours = palette(css, selector);
        let texts = texts(css);
        assert!(texts.len() >= 3, "{texts:?}");
        let pairs = texts.into_iter().flat_map(|text| grounds.map(|ground| (text, ground)));
        // A button that is pressed has the colour of the lines.
        let pressed = colours.contains_key("line").then_some(("text", "line"));
        for (text, ground) in pairs.chain(pressed) {
            let found = contrast(colours[text], colours[ground]);
            assert!(found >= LEAST, "{theme}: {text} on {ground} has {found:.2}");
        }
    }
}
