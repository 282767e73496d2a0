//! An explanation as one self-contained page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::text::{
    comparison_lines, distance_words, kind_words, label_words, model_words, refused_words,
    region_words, residual_words, rv_words, sensitivity_words, snr_words,
};
use super::{Explanation, Refusal, Row};
use crate::report::shell;

/// The pictures of a page, as PNG.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pictures<'a> {
    /// The flux, step by step.
    pub steps: Option<&'a [u8]>,
    /// Data beside model.
    pub model: Option<&'a [u8]>,
    /// How labels answer to regions.
    pub sensitivity: Option<&'a [u8]>,
}

/// The page, with these pictures in it.
pub fn page(explanation: &Explanation, pictures: Pictures<'_>) -> Markup {
    let title = &explanation.spectrum_id;
    let body = html! {
        header {
            h1 { (title) }
            p.soft { "Model " (explanation.model) "." }
        }
        (identity(explanation))
        @if let Some(reject) = &explanation.reject { (refusal(reject)) }
        @if let Some(row) = &explanation.row { (labels(row, explanation.template.is_some())) }
        (steps(explanation))
        (template(explanation))
        (sensitivity(explanation, pictures.sensitivity))
        (model_fit(explanation, pictures.model))
        @if let Some(comparison) = &explanation.catalogue {
            h2 { "The catalogue" }
            @for line in comparison_lines(comparison) { p { (line) } }
        }
        @if let Some(png) = pictures.steps {
            h2 { "The flux, step by step" }
            (figure(png, "The native flux, the flux behind each step, and the network's input"))
        }
    };
    shell(title, "default-src 'none'; style-src 'unsafe-inline'; img-src data:", &body)
}

fn model_fit(explanation: &Explanation, png: Option<&[u8]>) -> Markup {
    html! {
        @if let Some(fit) = &explanation.model_fit {
            h2 { "Data and model" }
            ul { @for words in model_words(fit) { li { (words.replacen("chi2      ", "chi-square ", 1).trim()) } } }
            @if let Some(png) = png {
                (figure(png, "The star, the model spectrum at its labels, and what is left of both"))
            }
        }
        @if let Some(why) = explanation.no_model_fit {
            h2 { "Data and model" }
            p { "No model spectrum: " (why) "." }
        }
    }
}

fn figure(png: &[u8], shows: &str) -> Markup {
    html! {
        figure {
            img src={ "data:image/png;base64," (STANDARD.encode(png)) } alt=(shows)
                style="width: 100%; height: auto; display: block;";
        }
    }
}

fn sensitivity(explanation: &Explanation, png: Option<&[u8]>) -> Markup {
    html! {
        @if let Some(found) = &explanation.sensitivity {
            h2 { "What each label leans on" }
            p {
                (capital(&sensitivity_words(found).replace(" A ", " \u{c5} "))) ". The flux is changed as it was read, so that "
                "what the recipe makes of it is part of the answer: scaling and pseudo-continuum spread "
                "a change over all pixels, and the changes of all regions together are about zero. "
                "Each region is changed alone; the network may answer otherwise to several at once."
            }
            @if let Some(png) = png {
                (figure(png, "The star, and below it the change of each label by each region"))
            }
            div.scroll {
                table {
                    tr {
                        th { "label" } th { "unit" } th { "strongest regions" }
                        th.n title="what raising and lowering the flux do alike, by what they do in \
                            opposite ways: near 0 for a straight line" { "bend" }
                    }
                    @for label in &found.labels {
                        tr {
                            td.name { (label.name) } td { (label.unit) }
                            td {
                                @for &region in &label.strongest {
                                    div { (region_words(found, label, region).replace(" A", " \u{c5}")) }
                                }
                            }
                            td.n { @if let Some(bend) = label.bend { (format!("{bend:.2}")) } }
                        }
                    }
                }
            }
        }
        @if let Some(why) = explanation.no_sensitivity {
            h2 { "What each label leans on" }
            p { "Not known: " (why) "." }
        }
    }
}

/// With a capital letter, as a sentence begins.
fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn identity(explanation: &Explanation) -> Markup {
    html! {
        div.scroll {
            table.keys {
                tr { th { "file" } td { code { (explanation.file) } } }
                tr { th { "BLAKE3" } td { code { (explanation.blake3) } } }
                tr { th { "reader" } td { (explanation.layout.unwrap_or("none")) ", spectrum " (explanation.index) } }
                @if let Some(native) = &explanation.spectrum {
                    tr { th { "survey" } td {
                        (native.survey) ", " (kind_words(native))
                    } }
                    tr { th { "class" } td { (native.class.as_deref().unwrap_or("unknown")) } }
                    tr { th { "S/N" } td { (snr_words(native)) } }
                    tr { th { "RV" } td { (rv_words(native)) } }
                    tr { th { "pixels" } td {
                        (native.pixels) ", " (format!("{:.2} to {:.2} \u{c5}", native.range[0], native.range[1]))
                        ", " (native.masked[0]) " without ivar"
                    } }
                }
            }
        }
    }
}

fn refusal(reject: &Refusal) -> Markup {
    html! {
        h2 { "Reject " code { (reject.reason) } }
        p { (reject.meaning) " Here " (reject.detail) "." }
        p { "Refused by " (refused_words(reject)) ". What to do: " (reject.remedy) "." }
    }
}

fn labels(row: &Row, has_template: bool) -> Markup {
    html! {
        h2 { "Labels" }
        div.scroll {
            table.keys {
                tr {
                    th { "label" } th.n { "value" } th { "error" } th { "unit" }
                    @if has_template { th.n { "template" } }
                }
                @for label in &row.labels {
                    @let (value, error) = label_words(label);
                    tr {
                        td.name { (label.name) } td.n { (value) }
                        td { (error.replace(" +- ", "\u{b1} ")) } td { (label.unit) }
                        @if has_template {
                            td.n { @if let Some(template) = label.template {
                                @if template.abs() >= 100.0 { (format!("{template:.0}")) }
                                @else { (format!("{template:.2}")) }
                            } }
                        }
                    }
                }
                @if let Some(novelty) = row.novelty {
                    tr { td.name { "novelty" } td.n { (format!("{novelty:.2}")) } td {} td {} }
                }
            }
        }
        @if row.flags.is_empty() { p { "No quality bit is set." } }
        @else {
            ul.attention {
                @for flag in &row.flags {
                    li.well[!flag.bad] { code { (flag.name) } " " (flag.meaning) }
                }
            }
        }
    }
}

fn steps(explanation: &Explanation) -> Markup {
    html! {
        h2 { "The recipe" }
        @if explanation.steps.is_empty() { p { "No step of it was run." } }
        @else {
            div.scroll {
                table {
                    tr { th.n { "" } th { "step" } th { "what it did" } }
                    @for (number, step) in (1..).zip(&explanation.steps) {
                        tr {
                            td.n { (number) } td.name { code { (step.name) } }
                            td {
                                @for did in &step.did { div { (did) } }
                                @if step.refused { div.alarm { "refuses the spectrum" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn template(explanation: &Explanation) -> Markup {
    html! {
        @if let Some(fit) = &explanation.template {
            h2 { "Best-fitting template" }
            p { (fit.template.name) ": " (distance_words(fit)) "." }
            ul { @for words in residual_words(fit) { li { (words) } } }
        }
        @if let Some(why) = explanation.no_template {
            h2 { "Best-fitting template" }
            p { "None: " (why) "." }
        }
    }
}
