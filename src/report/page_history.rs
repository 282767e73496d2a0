//! The half of the page that looks back: repeats, standards, the runs and what made the rows.

use maud::{Markup, html};

use super::parts::{count, number, signed};
use super::past::Repeat;
use super::standards::{Comparison, offset};
use super::{Findings, Shift, figures};

/// Stars in the table of the largest differences.
const LISTED: usize = 10;

fn shift_cells(shift: Option<Shift>, alarm: bool) -> Markup {
    html! {
        @match shift {
            Some(Shift { count, median, error, scatter }) => {
                td.n { (count) }
                td.n.alarm[alarm] { (signed(median)) " \u{b1} " (number(error)) }
                td.n { (number(scatter)) }
            }
            None => { td.n { "0" } td.n { "\u{2013}" } td.n { "\u{2013}" } }
        }
    }
}

/// Stars that earlier nights have too.
pub(super) fn repeats(findings: &Findings<'_>) -> Markup {
    let (past, night) = (findings.past, findings.tonight);
    let radius = findings.settings.match_arcsec;
    html! {
        section {
            h2 { "Repeats" }
            p.soft {
                "Stars without warning that lie within " (radius) "\u{2033} of a star without warning of an earlier night; this night less the median of the earlier observations. "
                "The catalogue names observations, not stars, so position alone decides. The scatter is 1.4826 times the median absolute deviation, the error that of the median."
            }
            @if past.repeats.is_empty() {
                p { "No star was seen before." }
            } @else {
                div.scroll { table {
                    thead { tr { th { "label" } th.n { "stars" } th.n { "median difference" } th.n { "scatter" } } }
                    tbody { @for (place, label) in night.labels.iter().enumerate() {
                        @let shift = past.repeat_shift(place);
                        tr {
                            td { code { (label.name) } " " span.unit { (label.unit) } }
                            (shift_cells(shift, shift.is_some() && findings.summary.drifts[place].alarm == shift))
                        }
                    } }
                } }
                div.figures.small style="margin-top: 1rem" {
                    @for (place, label) in night.labels.iter().enumerate() {
                        @let values: Vec<f64> = past.repeats.iter().map(|repeat| repeat.differences[place]).collect();
                        @if let Some(drawing) = figures::differences(&label.name, &values) {
                            figure { h3 { code { (label.name) } " " span.unit { (label.unit) } } (drawing) }
                        }
                    }
                }
                (strangest(findings))
            }
            @if past.reduced_again > 0 {
                p.soft { (count(past.reduced_again as u64)) " observations stand in an earlier catalogue too, in another reduction; they are no repeats." }
            }
            @if past.beyond > 0 {
                p.soft { (count(past.beyond as u64)) " further earlier observations were beyond the limit of what is compared." }
            }
        }
    }
}

/// The repeats that differ most, in units of the scatter.
fn strangest(findings: &Findings<'_>) -> Markup {
    let (past, night) = (findings.past, findings.tonight);
    let shifts: Vec<Option<Shift>> =
        (0..night.labels.len()).map(|label| past.repeat_shift(label)).collect();
    let strangeness = |repeat: &Repeat| {
        let of_label = |(difference, shift): (&f64, &Option<Shift>)| {
            let shift = shift.filter(|shift| shift.scatter > 0.0)?;
            Some(((difference - shift.median) / shift.scatter).abs())
        };
        let all = repeat.differences.iter().zip(&shifts).filter_map(of_label);
        all.filter(|strangeness| strangeness.is_finite()).fold(0.0, f64::max)
    };
    let mut order: Vec<(f64, &Repeat)> =
        past.repeats.iter().map(|repeat| (strangeness(repeat), repeat)).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.star.cmp(&b.1.star)));
    order.truncate(LISTED);
    order.retain(|(strangeness, _)| *strangeness > 5.0);
    html! {
        @if !order.is_empty() {
            h3 style="margin-top: 1rem" { "Stars that differ most" }
            p.soft { "By more than five times the scatter: variables, binaries, or a fibre on another star." }
            div.scroll { table {
                thead { tr { th { "spectrum" } th.n { "S/N" } th.n { "times before" } @for label in &night.labels { th.n { (label.name) } } } }
                tbody { @for (_, repeat) in order {
                    @let star = &night.stars[repeat.star];
                    tr {
                        td { code { (star.id) } }
                        td.n { (number(f64::from(star.snr))) }
                        td.n { (repeat.times) }
                        @for difference in &repeat.differences { td.n { (signed(*difference)) } }
                    }
                } }
            } }
        }
    }
}

/// Standards against what is expected of them, and against earlier nights.
pub(super) fn standards(findings: &Findings<'_>) -> Markup {
    let (night, past) = (findings.tonight, findings.past);
    let observed = |comparison: &&Comparison<'_>| comparison.tonight > 0;
    html! {
        section {
            h2 { "Standards" }
            @if findings.settings.standards.is_empty() {
                p { "No standards are configured; " code { "report.standards" } " takes them." }
            } @else {
                @if findings.summary.standards == 0 { p { "None of the configured standards was observed." } }
                @else {
                    div.scroll { table {
                        thead { tr { th { "label" } th.n { "standards" } th.n { "found less expected" } th.n { "scatter" } th.n { "before" } th.n { "drift" } th.n { "scatter" } } }
                        tbody { @for (place, label) in night.labels.iter().enumerate() {
                            @if let Some(shift) = offset(findings.comparisons, place) {
                                @let drift = &findings.summary.drifts[place];
                                tr {
                                    td { code { (label.name) } " " span.unit { (label.unit) } }
                                    (shift_cells(Some(shift), false))
                                    (shift_cells(drift.standards, drift.alarm.is_some() && drift.alarm == drift.standards))
                                }
                            }
                        } }
                    } }
                    div.scroll style="margin-top: 1rem" { table {
                        thead { tr { th { "standard" } th { "label" } th.n { "expected" } th.n { "found" } th.n { "difference" } th.n { "in errors" } th.n { "before" } th.n { "drift" } } }
                        tbody { @for comparison in findings.comparisons.iter().filter(observed) {
                            (comparison_row(findings, comparison))
                        } }
                    } }
                }
                div.figures.small style="margin-top: 1rem" {
                    @for (place, label) in night.labels.iter().enumerate() {
                        @let of_label: Vec<_> = findings.comparisons.iter().filter(|comparison| comparison.label == place).collect();
                        @if let Some(drawing) = figures::standards(&label.name, &of_label, past.nights.len()) {
                            figure { h3 { code { (label.name) } ", found less expected " span.unit { (label.unit) } } (drawing) }
                        }
                    }
                }
            }
        }
    }
}

fn comparison_row(findings: &Findings<'_>, comparison: &Comparison<'_>) -> Markup {
    let Comparison { standard, label, expected, expected_error, tonight, earlier, .. } = comparison;
    let label = &findings.tonight.labels[*label];
    let value = |value: Option<f64>| value.map_or("\u{2013}".into(), number);
    let signed = |value: Option<f64>| value.map_or("\u{2013}".into(), signed);
    let difference = comparison.difference();
    let errors = difference.filter(|_| *expected_error > 0.0).map(|d| d / expected_error);
    html! {
        tr {
            td { (standard.name) }
            td { code { (label.name) } " " span.unit { (label.unit) } }
            td.n { (number(*expected)) " \u{b1} " (number(*expected_error)) }
            td.n { (value(comparison.found)) @if *tonight > 1 { " (" (tonight) ")" } }
            td.n { (signed(difference)) }
            td.n.alarm[errors.is_some_and(|errors| errors.abs() > 3.0)] { (signed(errors)) }
            td.n { (value(comparison.before)) @if *earlier > 0 { " (" (earlier) ")" } }
            td.n { (signed(comparison.drift())) }
        }
    }
}

/// The processes that wrote the catalogue.
pub(super) fn runs(findings: &Findings<'_>) -> Markup {
    let runs = findings.runs;
    html! {
        section {
            h2 { "Runs" }
            @if runs.runs.is_empty() { p { "The history tells of none." } } @else {
                div.scroll { table {
                    thead { tr { th { "began" } th { "ended" } th.n { "files" } th.n { "rows" } th.n { "rejects" } th { "faults that it went on after" } th { "version" } } }
                    tbody { @for (number, run) in runs.runs.iter().enumerate() {
                        @let is_last = number + 1 == runs.runs.len();
                        tr {
                            td { (run.began) }
                            td.alarm[run.ended.is_none() && !is_last] {
                                @match (&run.ended, is_last) {
                                    (Some(ended), _) => { (ended) @if run.stopped { " (stopped)" } }
                                    (None, true) => { "no end yet" }
                                    (None, false) => { "died" }
                                }
                            }
                            td.n { (count(run.files_done)) }
                            td.n { (count(run.rows)) }
                            td.n { (count(run.rejects)) }
                            td { (run.faults) @if run.mended > 0 { " (mended " (run.mended) " things when it began)" } }
                            td { (run.version) }
                        }
                    } }
                } }
            }
        }
    }
}

/// What made the rows.
pub(super) fn provenance(findings: &Findings<'_>) -> Markup {
    let manifest = findings.manifest;
    let tables = [
        ("Software and model", &manifest.made_with),
        ("SHA-256 of the model", &manifest.model_sha256),
        ("SHA-256 of the catalogue", &manifest.sha256),
        ("Settings that can change a row", &manifest.settings),
    ];
    html! {
        section {
            h2 { "What made it" }
            p.soft {
                "All of it stands in " code { "run.json" } "; " code { "starmill catalogue verify" }
                " compares the digests."
            }
            @for (title, entries) in tables.iter().filter(|(_, entries)| !entries.is_empty()) {
                h3 style="margin-top: 1rem" { (title) }
                div.scroll { table.keys { tbody {
                    @for (key, value) in *entries {
                        tr { td.name { code { (key) } } td { code { (value) } } }
                    }
                } } }
            }
        }
    }
}
