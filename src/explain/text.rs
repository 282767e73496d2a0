//! An explanation as lines for a terminal.

use super::{
    Answer, Explanation, Feature, Fit, LabelValue, ModelFit, Native, Refusal, Region, Row,
    Sensitivity,
};
use crate::catalogue::Comparison;

/// The lines.
pub fn lines(explanation: &Explanation) -> Vec<String> {
    let Explanation { file, blake3, layout, index, spectrum_id, model, .. } = explanation;
    let mut lines = vec![
        format!("file      {file}"),
        format!("blake3    {blake3}"),
        format!("spectrum  {spectrum_id}, index {index}, reader {}", layout.unwrap_or("none")),
    ];
    if let Some(native) = &explanation.spectrum {
        lines.extend(native_lines(native));
    }
    lines.push(format!("model     {model}"));
    for (number, step) in (1..).zip(&explanation.steps) {
        let refused = step.refused.then(|| "refuses the spectrum".to_owned());
        let words = step.did.iter().cloned().chain(refused);
        for (line, did) in words.enumerate() {
            let title = if line == 0 { format!("{number} {}", step.name) } else { String::new() };
            lines.push(format!("  {title:<14} {did}"));
        }
    }
    if let Some(row) = &explanation.row {
        lines.extend(row_lines(row));
    }
    if let Some(reject) = &explanation.reject {
        lines.extend(reject_lines(reject));
    }
    if let Some(fit) = &explanation.template {
        lines.extend(fit_lines(fit));
    }
    if let Some(why) = explanation.no_template {
        lines.push(format!("template  none: {why}"));
    }
    if let Some(fit) = &explanation.model_fit {
        lines.extend(model_words(fit));
    }
    if let Some(why) = explanation.no_model_fit {
        lines.push(format!("chi2      none: {why}"));
    }
    if let Some(found) = &explanation.sensitivity {
        lines.push(format!("sensitivity, {}", sensitivity_words(found)));
        for label in &found.labels {
            let regions: Vec<String> =
                label.strongest.iter().map(|&region| region_words(found, label, region)).collect();
            lines
                .push(format!("  {:<10} {}", label.name, regions.join("; ")).trim_end().to_owned());
        }
    }
    if let Some(why) = explanation.no_sensitivity {
        lines.push(format!("sensitivity: none, {why}"));
    }
    if let Some(comparison) = &explanation.catalogue {
        lines.extend(comparison_lines(comparison));
    }
    lines
}

/// What the numbers of a sensitivity are.
pub fn sensitivity_words(found: &Sensitivity) -> String {
    let Sensitivity { step, lower, at_rest, regions, .. } = found;
    let widths = regions.iter().map(|region| region.to - region.from);
    let (narrowest, widest) = widths
        .fold((f64::INFINITY, 0.0_f64), |(least, most), width| (least.min(width), most.max(width)));
    let frame = if *at_rest { "at rest" } else { "as observed" };
    let wide = if widest - narrowest < 0.5 {
        format!("{widest:.0}")
    } else {
        format!("{narrowest:.0} to {widest:.0}")
    };
    format!(
        "change of a label where the flux is {:.0} % lower, in each of {} regions of {wide} A ({frame}), \
         from spectra with {:.0} % less and more",
        100.0 * lower,
        regions.len(),
        100.0 * step
    )
}

/// The change of a label by one region.
pub(super) fn region_words(found: &Sensitivity, label: &Answer, region: usize) -> String {
    let Region { from, to, features, .. } = &found.regions[region];
    let change = label.change[region].unwrap_or(f64::NAN);
    let change = if label.unit == "K" { format!("{change:+.1}") } else { format!("{change:+.4}") };
    let named = match features.as_slice() {
        [] => String::new(),
        named => format!(" ({})", named.join(", ")),
    };
    format!("{from:.0}-{to:.0} A{named} {change}")
}

fn native_lines(native: &Native) -> Vec<String> {
    let Native { survey, pixels, range: [first, last], masked, .. } = native;
    let kind = kind_words(native);
    let minute = native.lmjm.map_or_else(String::new, |lmjm| format!(", minute {lmjm}"));
    let place = match (native.ra, native.dec) {
        (Some(ra), Some(dec)) => format!(", ra {ra:.5}, dec {dec:.5}"),
        _ => String::new(),
    };
    let class = native.class.as_deref().unwrap_or("class unknown");
    let obsid = native.obsid.map_or("-".into(), |obsid| obsid.to_string());
    let star =
        native.designation.as_ref().map_or_else(String::new, |star| format!(", star {star}"));
    let [without, and, or, repaired] = masked;
    vec![
        format!("survey    {survey}, {kind}{minute}"),
        format!("object    obsid {obsid}{star}, {class}{place}"),
        format!("S/N       {}", snr_words(native)),
        format!("rv        {}", rv_words(native)),
        format!("pixels    {pixels}, {first:.2} to {last:.2} A (vacuum)"),
        format!(
            "masked    {without} without ivar, {and} by andmask, {or} by ormask, {repaired} repaired"
        ),
    ]
}

/// What of its file the spectrum is.
pub(super) fn kind_words(native: &Native) -> String {
    match native.row {
        Some(row) => format!("row {row} of a table"),
        None if native.exposure => "single exposure".to_owned(),
        None => "coadd".to_owned(),
    }
}

/// The S/N of each band or arm.
pub(super) fn snr_words(native: &Native) -> String {
    let words: Vec<_> = native.snr.iter().map(|(band, snr)| format!("{band} {snr:.1}")).collect();
    if words.is_empty() { "unknown".into() } else { words.join(", ") }
}

/// The velocity, and where it comes from.
pub(super) fn rv_words(native: &Native) -> String {
    let Some(rv) = native.rv else { return "unknown".into() };
    let error = native.rv_err.map_or_else(String::new, |error| format!(" +- {error}"));
    let source = native.rv_source.as_deref().unwrap_or("an unnamed source");
    format!("{rv}{error} km/s from {source}")
}

fn row_lines(row: &Row) -> Vec<String> {
    let mut lines = vec!["labels".to_owned()];
    for label in &row.labels {
        let (value, error) = label_words(label);
        lines.push(format!("  {:<10} {value:>9}{error} {}", label.name, label.unit));
    }
    if let Some(novelty) = row.novelty {
        lines.push(format!("  {:<10} {novelty:>9.2}", "novelty"));
    }
    lines.push(format!("flags     {}", if row.flags.is_empty() { "none" } else { "" }));
    for flag in &row.flags {
        let bad = if flag.bad { " (flag_bad)" } else { "" };
        lines.push(format!("  {}{bad}: {}", flag.name, flag.meaning));
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Value and error with the digits that an eye can use.
pub(super) fn label_words(label: &LabelValue) -> (String, String) {
    let digits = if label.value.abs() >= 100.0 { 0 } else { 2 };
    let error = label.error.map_or_else(String::new, |error| format!(" +- {error:.digits$}"));
    (format!("{:.digits$}", label.value), error)
}

fn reject_lines(reject: &Refusal) -> Vec<String> {
    vec![
        format!("reject    {} (code {}): {}", reject.reason, reject.code, reject.detail),
        format!("  refused by  {}", refused_words(reject)),
        format!("  it means    {}", reject.meaning),
        format!("  to do       {}", reject.remedy),
    ]
}

/// The stage and the step that refused.
pub(super) fn refused_words(reject: &Refusal) -> String {
    let stage = reject.stage.unwrap_or("-");
    match reject.step {
        Some(step) => format!("stage {stage}, step {step} of the recipe"),
        None => format!("stage {stage}"),
    }
}

fn fit_lines(fit: &Fit) -> Vec<String> {
    let mut lines =
        vec![format!("template  {}", fit.template.name), format!("  {}", distance_words(fit))];
    lines.extend(residual_words(fit).into_iter().map(|words| format!("  {words}")));
    lines
}

/// How near the template is.
pub(super) fn distance_words(fit: &Fit) -> String {
    format!(
        "nearest of {} in label space: {:.2} units a label, in units of {}",
        fit.of, fit.distance, fit.units
    )
}

/// What the template leaves, a line each window.
pub(super) fn residual_words(fit: &Fit) -> Vec<String> {
    let words = fit.windows.iter().map(|residual| {
        let noise = match (residual.noise, residual.chi2) {
            (Some(noise), Some(chi2)) => {
                format!(", noise {noise:.4}, chi2 a pixel {chi2:.2} (2/3 where noise is all)")
            }
            _ => String::new(),
        };
        format!("{}: residual rms {:.4} of the continuum{noise}", residual.window, residual.rms)
    });
    words.collect()
}

/// How well the labels fit, and which features fit worst.
pub(super) fn model_words(fit: &ModelFit) -> Vec<String> {
    let ModelFit { model, chi2, freedom, rv_kms, fitted_rv, poor, worst, .. } = fit;
    let reduced = chi2 / freedom;
    let found = if *fitted_rv { " (looked for)" } else { "" };
    let poor = if *poor { ": a poor fit" } else { "" };
    let mut lines = vec![format!(
        "chi2      {chi2:.0} for {freedom:.0} degrees of freedom, {reduced:.2} each, of {model} at \
         {rv_kms:.1} km/s{found}{poor}"
    )];
    if let Some(([first, last], reduced)) = worst {
        lines.push(format!("  worst from {first:.0} to {last:.0} A: {reduced:.2} each"));
    }
    lines.extend(fit.worst_features().into_iter().map(|feature| {
        let Feature { name, wave, depth, model_depth, off } = feature;
        format!("  {name} {wave:.1} A: depth {depth:.3}, model {model_depth:.3}, {off:+.1} sigma")
    }));
    lines
}

/// What a catalogue says.
pub(super) fn comparison_lines(comparison: &Comparison) -> Vec<String> {
    match comparison {
        Comparison::Absent => {
            vec!["catalogue has nothing of this file and place".to_owned()]
        }
        Comparison::Equal { table, columns } => {
            vec![format!("{table:<9} equal to the last bit in {columns} columns")]
        }
        Comparison::Differs { table, columns, differences } => {
            let first = format!("{table:<9} {} of {columns} columns differ", differences.len());
            let line = |found: &crate::catalogue::Difference| {
                format!(
                    "  {}: {} in the catalogue, {} now",
                    found.column, found.catalogue, found.now
                )
            };
            std::iter::once(first).chain(differences.iter().map(line)).collect()
        }
        Comparison::Otherwise { catalogue, now } => {
            let words = |reason: Option<&str>| match reason {
                None => "a row".to_owned(),
                Some(reason) => format!("a reject, {reason}"),
            };
            let mut lines =
                vec![format!("catalogue has {}; now it is {}", words(*catalogue), words(*now))];
            if catalogue.is_some_and(|reason| reason.starts_with("duplicate")) {
                lines.push("  the seal decides that, from all files of the observation".to_owned());
            }
            lines
        }
    }
}
