//! The page: what to look at first, then the night, the stars that were seen before, and what made
//! it. The template engine escapes every text.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::figures::{self, METALLICITIES};
use super::parts::{count, number, percent, signed};
use super::statistics::quartiles;
use super::{Findings, Summary, page_history as history};
use crate::quality::BITS;
use crate::reject::{CODES, Code};

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(super) fn render(findings: &Findings<'_>) -> Markup {
    let Summary { name, .. } = &findings.summary;
    let kind = if findings.summary.kind() == "night" { "Night" } else { "Catalogue" };
    let body = html! {
        header {
            h1 { (kind) " " (name) }
            p.soft { (observed(findings)) "Model " (findings.manifest.model) "." }
        }
        (tiles(findings))
        (attention(findings))
        (rejects(findings))
        (night(findings))
        (labels(findings))
        (history::repeats(findings))
        (history::standards(findings))
        (flags(findings))
        (history::runs(findings))
        (history::provenance(findings))
    };
    shell(&format!("{kind} {name}"), "default-src 'none'; style-src 'unsafe-inline'", &body)
}

/// A page of this title and style that may load what the policy allows.
pub(crate) fn shell(title: &str, policy: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy);
                title { (title) " \u{2013} Starmill" }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

/// When the night's spectra were taken.
fn observed(findings: &Findings<'_>) -> Markup {
    let times = || findings.tonight.stars.iter().filter_map(|star| star.observed);
    html! {
        @if let (Some(first), Some(last)) = (times().min(), times().max()) {
            "Observed " (first.format("%Y-%m-%d %H:%M")) " to " (last.format("%Y-%m-%d %H:%M")) " UTC. "
        }
    }
}

fn tiles(findings: &Findings<'_>) -> Markup {
    let summary = &findings.summary;
    let outcomes = summary.rows + summary.rejects;
    let tile = |value: &str, words: &str| {
        html! { div.tile { b { (value) } span.soft { (words) } } }
    };
    let snr = summary.snr.map_or("\u{2013}".into(), |snr| format!("{snr:.0}"));
    html! {
        section.tiles aria-label="The night in numbers" {
            (tile(&count(summary.files), "files"))
            (tile(&count(summary.rows), "rows"))
            (tile(&count(summary.clean), &format!("without warning, {}", percent(summary.clean, summary.rows))))
            (tile(&count(summary.rejects), &format!("rejects, {}", percent(summary.rejects, outcomes))))
            (tile(&snr, "median S/N in g"))
            (tile(&count(summary.repeats as u64), "stars seen before"))
            (tile(&format!("{} of {}", summary.standards, findings.settings.standards.len()), "standards observed"))
        }
    }
}

/// What a person should look at before anything else.
fn attention(findings: &Findings<'_>) -> Markup {
    let summary = &findings.summary;
    let outcomes = summary.rows + summary.rejects;
    let drifts = summary.drifts.iter().filter_map(|drift| Some((drift, drift.alarm?)));
    let drifts: Vec<Markup> = drifts
        .map(|(drift, shift)| html! {
            (drift.label) " of " (shift.count) " stars differs from earlier nights by "
            (signed(shift.median)) " \u{b1} " (number(shift.error)) " " (drift.unit)
            ". Look at the S/N and the hours below, then at focus, arcs and flats of the spectrograph."
        })
        .collect();
    let mut items = drifts;
    if outcomes == 0 {
        items.push(html! { "Nothing was observed, or nothing arrived. If there should be spectra, look at the inboxes." });
    }
    if summary.rejects * 5 > outcomes {
        items.push(html! {
            (percent(summary.rejects, outcomes)) " of the spectra have no row; the table below says why and what to do."
        });
    }
    // Which warnings are common depends on survey and model; those that spoil most rows matter.
    if summary.clean * 2 < summary.rows {
        items.push(html! {
            "Only " (percent(summary.clean, summary.rows)) " of the rows are without warning; the quality bits below say which."
        });
    }
    for wanted in [Code::POISON, Code::INFERENCE_FAILED, Code::MODEL_OUTPUT] {
        if findings.rejects.groups.contains_key(&i32::from(wanted.number())) {
            let entry = wanted.entry();
            items
                .push(html! { "There are rejects " code { (entry.name) } ": " (entry.remedy) "." });
        }
    }
    if summary.crashes > 0 {
        items.push(html! {
            (summary.crashes) " processes died while they wrote this catalogue. Nothing is lost or doubled; the log around the times below says why."
        });
    }
    html! {
        section aria-label="What to look at" {
            ul.attention {
                @for item in &items { li { (item) } }
                @if items.is_empty() { li.well { "Nothing needs attention." } }
            }
        }
    }
}

fn rejects(findings: &Findings<'_>) -> Markup {
    let groups = findings.rejects.by_count();
    let outcomes = findings.summary.rows + findings.summary.rejects;
    let meaning = |code: i32| {
        let entry = CODES.iter().find(|entry| i32::from(entry.code.number()) == code);
        entry.map_or("", |entry| entry.meaning)
    };
    html! {
        section {
            h2 { "Rejects" }
            @if groups.is_empty() { p { "Every spectrum gave a row." } } @else {
                div.scroll { table.wide {
                    thead { tr { th { "reason" } th.n { "spectra" } th.n { "share" } th { "what it means" } th { "what to do" } th { "first files" } } }
                    tbody { @for (code, group) in groups {
                        tr {
                            td.name { code { (group.reason) } }
                            td.n { (count(group.count)) }
                            td.n { (percent(group.count, outcomes)) }
                            td { (meaning(code)) }
                            td { (group.remedy) }
                            td { ul { @for (file, detail) in &group.examples {
                                li { code { (file) } " " span.soft { (detail) } }
                            } } }
                        }
                    } }
                } }
            }
        }
    }
}

fn night(findings: &Findings<'_>) -> Markup {
    let night = findings.tonight;
    let legend = |entries: &[(&str, &str)]| {
        html! {
            div.legend { @for (colour, words) in entries {
                span { i style={ "--c: var(--" (colour) ")" } {} (words) }
            } }
        }
    };
    let metals: Vec<(String, &str)> =
        (0..).zip(METALLICITIES).map(|(n, (_, _, words))| (format!("m{n}"), words)).collect();
    let mut metals: Vec<(&str, &str)> =
        metals.iter().map(|(c, words)| (c.as_str(), *words)).collect();
    metals.push(("warned", "with a warning"));
    let two = [("accent", "without warning"), ("warned", "with a warning")];
    let three = [two[0], two[1], ("alarm", "reject")];
    let figure = |drawing: Option<Markup>, title: &str, legend: Markup| {
        drawing.map(|drawing| html! { figure { h3 { (title) } (drawing) figcaption { (legend) } } })
    };
    let kiel_legend = if night.label("fe_h").is_some() { legend(&metals) } else { legend(&two) };
    let shown = [
        figure(figures::snr(night), "Signal-to-noise ratio", legend(&two)),
        figure(figures::hours(night), "Over the night", legend(&two)),
        figure(figures::kiel(night), "Kiel diagram, coloured by [Fe/H]", kiel_legend),
        figure(figures::sky(night, findings.rejects), "On the sky", legend(&three)),
    ];
    html! {
        section {
            h2 { "The night" }
            @if shown.iter().all(Option::is_none) { p { "There is nothing to draw." } }
            div.figures { @for figure in shown.iter().flatten() { (figure) } }
            @if night.step > 1 {
                p.soft { "Of " (count(night.rows)) " rows one in " (night.step) " is drawn and compared." }
            }
        }
    }
}

fn labels(findings: &Findings<'_>) -> Markup {
    let (night, past) = (findings.tonight, &findings.past.nights);
    html! {
        section {
            h2 { "Labels" }
            p.soft { "Of the rows without warning. The boxes reach from the lower to the upper quartile, the line is the median; this night is the last." }
            div.scroll { table {
                thead { tr { th { "label" } th.n { "stars" } th.n { "lower quartile" } th.n { "median" } th.n { "upper quartile" } th.n { "median before" } th { "meaning" } } }
                tbody { @for (place, label) in night.labels.iter().enumerate() {
                    @let own = quartiles(night.clean_values(place));
                    @let before = past.iter().rev().find_map(|night| night.labels[place]);
                    @let value = |value: Option<f64>| value.map_or("\u{2013}".into(), number);
                    tr {
                        td { code { (label.name) } " " span.unit { (label.unit) } }
                        td.n { (count(own.map_or(0, |own| own.count as u64))) }
                        td.n { (value(own.map(|own| own.lower))) }
                        td.n { (value(own.map(|own| own.median))) }
                        td.n { (value(own.map(|own| own.upper))) }
                        td.n { (value(before.map(|before| before.median))) }
                        td.soft { (label.description) }
                    }
                } }
            } }
            @if !past.is_empty() {
                div.figures.small style="margin-top: 1rem" {
                    @for (place, label) in night.labels.iter().enumerate() {
                        @if let Some(drawing) = figures::label_history(night, place, past) {
                            figure { h3 { code { (label.name) } " " span.unit { (label.unit) } } (drawing) }
                        }
                    }
                }
            }
            @if let (Some(first), Some(last)) = (past.first(), past.last()) {
                p.soft { (past.len()) " earlier nights, " (first.name) " to " (last.name) "." }
            } @else {
                p.soft { "There are no earlier nights beside this one." }
            }
            @for (name, why) in &findings.past.left_out {
                p.soft { "Left out: " (name) ", because " (why) "." }
            }
        }
    }
}

fn flags(findings: &Findings<'_>) -> Markup {
    let night = findings.tonight;
    let set: Vec<_> = BITS.iter().filter(|bit| night.bits[usize::from(bit.bit)] > 0).collect();
    html! {
        section {
            h2 { "Quality bits" }
            @if set.is_empty() { p { "No row has one." } } @else {
                div.scroll { table {
                    thead { tr { th { "bit" } th.n { "rows" } th.n { "share" } th { "warns" } th { "what it means" } } }
                    tbody { @for bit in set {
                        @let rows = night.bits[usize::from(bit.bit)];
                        tr {
                            td.name { code { (bit.name) } }
                            td.n { (count(rows)) }
                            td.n { (percent(rows, night.rows)) }
                            td { (if bit.bad { "yes" } else { "" }) }
                            td { (bit.meaning) }
                        }
                    } }
                } }
                p.soft { "A row with a bit that warns has " code { "flag_bad" } " set: look again before you use it." }
            }
        }
    }
}
