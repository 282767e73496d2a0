//! An evaluation as one self-contained page, made of the same numbers as the text.

use maud::{Markup, html};

use super::abundances::elements;
use super::agreement::{Agreement, Bin, Both, LabelAgreement};
use super::figures_pairs::{matrix, repeats as repeats_figure};
use super::repeats::{LabelRepeats, Repeats, SnrBin};
use super::statistics::{Pulls, Scatter, Summary};
use super::text::{percent, spread};
use super::{Evaluated, Findings, figures};
use crate::report::figures::METALLICITIES;
use crate::report::parts::{count, number, signed};
use crate::report::shell;

/// The page.
pub(super) fn page(findings: &Findings) -> Markup {
    let Evaluated { path, model, .. } = &findings.evaluation.catalogue;
    let body = html! {
        header {
            h1 { "Evaluation of " (path) }
            @if !model.is_empty() { p.soft { "Model " (model) "." } }
        }
        (tiles(findings))
        (sources(findings))
        @if let (Some(agreement), Some(both)) = (&findings.evaluation.agreement, findings.both()) {
            (against(agreement, both))
        }
        @if let Some(found) = &findings.evaluation.repeats { (repeats(found)) }
    };
    shell(&format!("Evaluation of {path}"), "default-src 'none'; style-src 'unsafe-inline'", &body)
}

fn tiles(findings: &Findings) -> Markup {
    let evaluation = &findings.evaluation;
    let tile = |value: u64, words: &str| {
        html! { div.tile { b { (count(value)) } span.soft { (words) } } }
    };
    html! {
        section.tiles aria-label="The evaluation in numbers" {
            (tile(evaluation.catalogue.rows, "rows of the catalogue"))
            (tile(evaluation.catalogue.evaluated as u64, "evaluated"))
            @if let Some(agreement) = &evaluation.agreement {
                (tile(agreement.matched as u64, "matched with the reference"))
            }
            @if let Some(repeats) = &evaluation.repeats {
                (tile(repeats.stars as u64, "stars with repeat visits"))
                (tile(repeats.pairs as u64, "pairs of visits"))
            }
        }
    }
}

fn sources(findings: &Findings) -> Markup {
    let Evaluated { path, sha256, left_out, where_good, min_snr, only, snr, .. } =
        &findings.evaluation.catalogue;
    html! {
        div.scroll {
            table.keys {
                tr { th { "catalogue" } td { (path) br; code { (sha256) } } }
                @if *where_good { tr { th { "left out" } td { (count(left_out.bad)) " rows with " code { "flag_bad" } } } }
                @if let Some(least) = min_snr {
                    tr { th { "left out" } td { (count(left_out.low_snr)) " rows with S/N below " (least) " or unknown" } }
                }
                @if let Some(list) = only {
                    tr { th { "left out" } td { (count(left_out.unlisted)) " rows that the list does not hold: " (list) } }
                }
                tr { th { "S/N" } td { @if snr.is_empty() { "unknown" } @else { (snr) } } }
                @if let Some(agreement) = &findings.evaluation.agreement {
                    tr { th { "reference" } td { (agreement.path) ", " (count(agreement.rows)) " rows" br; code { (agreement.sha256) } } }
                    tr { th { "matched by" } td { (agreement.matched_by) } }
                    @if agreement.ambiguous > 0 {
                        tr { th { "ambiguous" } td { (count(agreement.ambiguous as u64)) " rows have several partners: the nearest counts, or the first with that key" } }
                    }
                    @if !agreement.missing.is_empty() {
                        tr { th { "not compared" } td { (agreement.missing.join(", ")) ": the reference lacks them" } }
                    }
                }
                @if let Some(repeats) = &findings.evaluation.repeats {
                    tr { th { "repeats by" } td { (repeats.matched_by) } }
                }
                tr { th { "made by" } td { (findings.evaluation.creator) } }
            }
        }
    }
}

fn against(agreement: &Agreement, both: Both<'_>) -> Markup {
    html! {
        h2 { "Against the reference" }
        p { "A residual is the catalogue's value less the reference's. The standard deviation is about "
            "the mean; robust \u{3c3} is 1.4826 times the median absolute deviation; an outlier lies "
            "further than 3 robust \u{3c3} from the median." }
        (residual_table(agreement))
        (pull_table(agreement))
        (kiel(both))
        @for found in &agreement.labels { (label(found, both)) }
        (abundances(agreement, both))
    }
}

fn residual_table(agreement: &Agreement) -> Markup {
    html! {
        div.scroll { table.wide {
            tr {
                th { "label" } th { "unit" } th { "reference" } th.n { "N" } th.n { "mean" } th.n { "std" }
                th.n { "MAE" } th.n { "median" } th.n { "robust \u{3c3}" } th.n { "outliers (%)" }
            }
            @for LabelAgreement { label, reference, all, .. } in &agreement.labels {
                tr {
                    td.name { (label.name) } td.unit { (label.unit) }
                    td { (reference.column) @if !reference.unit.is_empty() { span.unit { " (" (reference.unit) ")" } } }
                    @match all {
                        None => { td.n { "0" } @for _ in 0..6 { td.n { "\u{2013}" } } }
                        Some(found) => (residual_cells(found)),
                    }
                }
            }
        } }
    }
}

fn residual_cells(found: &Summary) -> Markup {
    html! {
        td.n { (count(found.count as u64)) } td.n { (signed(found.mean)) } td.n { (spread(found.count, found.std)) }
        td.n { (number(found.mae)) } td.n { (signed(found.median)) }
        td.n { (spread(found.count, found.robust_sigma)) } td.n { (percent(found.outliers)) }
    }
}

fn pull_table(agreement: &Agreement) -> Markup {
    let rows: Vec<(&LabelAgreement, Pulls)> =
        agreement.labels.iter().filter_map(|label| Some((label, label.pulls?))).collect();
    html! {
        h2 { "Pulls and coverage" }
        @if rows.is_empty() { p { "The catalogue quotes no errors, so there are no pulls." } }
        @else {
            p { "A pull is a residual by its quoted error: that of the catalogue and of the reference, "
                "or of the catalogue alone where the reference quotes none. Where errors are right, "
                "\u{3c3} is 1 and the coverage is 68.3 and 95 %." }
            div.scroll { table {
                tr {
                    th { "label" } th { "error of the reference" } th.n { "N" } th.n { "mean" } th.n { "std" }
                    th.n { "median" } th.n { "robust \u{3c3}" } th.n { "within 1 (%)" } th.n { "within 1.96 (%)" }
                }
                @for (found, pulls) in rows {
                    tr {
                        td.name { (found.label.name) }
                        td { (found.reference.error.as_deref().unwrap_or("none")) }
                        td.n { (count(pulls.count as u64)) } td.n { (signed(pulls.mean)) } td.n { (spread(pulls.count, pulls.std)) }
                        td.n { (signed(pulls.median)) } td.n { (spread(pulls.count, pulls.robust_sigma)) }
                        td.n { (percent(pulls.coverage_68)) } td.n { (percent(pulls.coverage_95)) }
                    }
                }
            } }
        }
    }
}

fn kiel(both: Both<'_>) -> Markup {
    let Some(drawings) = figures::kiel(both) else { return html! {} };
    html! {
        h2 { "Kiel diagrams" }
        div.figures {
            @for (title, drawing) in ["Catalogue", "Reference"].into_iter().zip(drawings) {
                figure { h3 { (title) } (drawing) figcaption {
                    div.legend { @for (number, (_, _, words)) in METALLICITIES.iter().enumerate() {
                        span { i style={ "--c: var(--m" (number) ")" } {} "[Fe/H] " (words) }
                    } }
                } }
            }
        }
    }
}

fn label(found: &LabelAgreement, both: Both<'_>) -> Markup {
    let Some(number) = both.rows.label(&found.label.name) else { return html! {} };
    let figure = |drawing: Option<Markup>, words: &str| {
        html! { @if let Some(drawing) = drawing { figure { (drawing) figcaption { (words) } } } }
    };
    html! {
        h2 { (found.label.name) }
        div.figures {
            (figure(figures::scatter(both, found, number), "Catalogue over reference, and the residuals; dashed: equal"))
            div.stack {
                (figure(figures::by_snr(both, found, number), "Lines: median of each bin, and as far from it as its robust \u{3c3}"))
                @for drawing in figures::by_columns(both, found, number) {
                    (figure(Some(drawing), "The same by a column that was asked for"))
                }
                (figure(figures::pulls(both, found, number), "Line: errors that are right"))
            }
        }
        div.tables { @for binned in &found.bins { (bin_table(&binned.by, &binned.bins)) } }
    }
}

fn bin_table(by: &str, bins: &[Bin]) -> Markup {
    let filled = || bins.iter().filter_map(|bin| Some((bin.range, bin.summary?)));
    html! {
        @if filled().next().is_some() {
            div.scroll { table.keys.bins {
                tr { th { "by " (by) } @for (range, _) in filled() { th.n { (range.name()) } } }
                tr { td { "N" } @for (_, found) in filled() { td.n { (count(found.count as u64)) } } }
                tr { td { "mean" } @for (_, found) in filled() { td.n { (signed(found.mean)) } } }
                tr { td { "std" } @for (_, found) in filled() { td.n { (spread(found.count, found.std)) } } }
                tr { td { "median" } @for (_, found) in filled() { td.n { (signed(found.median)) } } }
                tr { td { "robust \u{3c3}" } @for (_, found) in filled() { td.n { (spread(found.count, found.robust_sigma)) } } }
            } }
        }
    }
}

fn abundances(agreement: &Agreement, both: Both<'_>) -> Markup {
    let elements = elements(both.rows, &both.reference.mapped);
    let others = elements.iter().filter(|element| element.symbol != "fe");
    let drawn: Vec<[Markup; 2]> =
        others.filter_map(|element| figures::x_fe(both, element)).collect();
    html! {
        @if !drawn.is_empty() {
            h2 { "[X/Fe] against [Fe/H]" }
            p { "On the left the catalogue, on the right the reference." }
            div.figures { @for [own, other] in drawn { figure { div.beside { (own) (other) } } } }
        }
        @if let Some(drawing) = matrix(both, &elements, &agreement.correlations) {
            h2 { "Abundances with each other" }
            figure { (drawing) figcaption {
                "Below the diagonal matched rows of the catalogue; above it Pearson's coefficient: "
                "the catalogue's, and under it the reference's"
            } }
        }
    }
}

fn repeats(repeats: &Repeats) -> Markup {
    html! {
        h2 { "Repeat visits" }
        p { "Differences between visits of one star, by \u{221a}2, are the error of one visit; what all "
            "visits have in common, such as the faults of a model, does not show in them." }
        p { (count(repeats.stars as u64)) " stars, " (count(repeats.visits as u64)) " visits, "
            (count(repeats.pairs as u64)) " pairs."
            @if repeats.unpaired > 0 { " " (count(repeats.unpaired as u64)) " visits of stars with very many are not paired." }
            @if repeats.without_snr > 0 { " " (count(repeats.without_snr as u64)) " pairs have no S/N and are in no bin." } }
        div.scroll { table {
            tr {
                th { "label" } th { "unit" } th.n { "pairs" } th.n { "scatter" } th.n { "robust" } th.n { "quoted" }
                th.n { "pull" } th.n { "within 1 (%)" } th.n { "within 1.96 (%)" }
            }
            @for LabelRepeats { label, all, .. } in &repeats.labels {
                tr {
                    td.name { (label.name) } td.unit { (label.unit) }
                    @match all {
                        None => { td.n { "0" } @for _ in 0..6 { td.n { "\u{2013}" } } }
                        Some(found) => (scatter_cells(found)),
                    }
                }
            }
        } }
        div.figures { @for found in &repeats.labels {
            @if let Some(drawing) = repeats_figure(found) {
                figure { h3 { (found.label.name) } (drawing) figcaption {
                    "Line: 1.4826 median |difference| / \u{221a}2; grey points: rms / \u{221a}2; dashed: the quoted errors"
                }
                (repeats_bins(&found.by_snr)) }
            }
        } }
    }
}

fn scatter_cells(found: &Scatter) -> Markup {
    html! {
        td.n { (count(found.pairs as u64)) } td.n { (number(found.scatter)) } td.n { (number(found.robust_scatter)) }
        td.n { (found.quoted.map_or("\u{2013}".into(), number)) }
        @match found.pulls {
            None => { @for _ in 0..3 { td.n { "\u{2013}" } } }
            Some(pulls) => {
                td.n { (number(pulls.robust_sigma)) }
                td.n { (percent(pulls.coverage_68)) } td.n { (percent(pulls.coverage_95)) }
            }
        }
    }
}

fn repeats_bins(bins: &[SnrBin]) -> Markup {
    let filled = || bins.iter().filter_map(|bin| Some((bin.range, bin.scatter?)));
    html! {
        div.scroll { table.keys.bins {
            tr { th { "S/N" } @for (range, _) in filled() { th.n { (range.name()) } } }
            tr { td { "pairs" } @for (_, found) in filled() { td.n { (count(found.pairs as u64)) } } }
            tr { td { "robust" } @for (_, found) in filled() { td.n { (number(found.robust_scatter)) } } }
            @if filled().any(|(_, found)| found.quoted.is_some()) {
                tr { td { "quoted" } @for (_, found) in filled() { td.n { (found.quoted.map_or("\u{2013}".into(), number)) } } }
            }
        } }
    }
}
