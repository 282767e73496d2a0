//! `index.html`: the release on one page. It needs nothing from outside, and equal releases have
//! equal pages.

use std::f64::consts::{FRAC_PI_2, PI};
use std::path::Path;

use cdshealpix::nested;
use maud::{Markup, html};

use super::summary::{LOGG, MAP_ORDER, SQUARES, Summary, TEFF};
use super::{Release, ReleaseError};
use crate::quality::BITS;
use crate::report::chart::{Axis, Plot};
use crate::report::parts::{count, percent};
use crate::report::{shell, sky};

/// Writes the page.
pub(super) fn write(
    folder: &Path,
    release: &Release,
    summary: &Summary,
) -> Result<(), ReleaseError> {
    let path = folder.join("index.html");
    let page = render(release, summary).into_string();
    std::fs::write(&path, page).map_err(ReleaseError::io(&path))
}

fn render(release: &Release, summary: &Summary) -> Markup {
    let Release { name, rows, unplaced, rejects, inputs, model, .. } = release;
    let body = html! {
        header {
            h1 { "Release " (name) }
            p.soft {
                "Model " (model) ". " a href="columns.md" { "columns.md" } " explains the columns."
            }
        }
        section {
            div.tiles {
                (tile("rows", *rows)) (tile("without flag_bad", summary.good))
                (tile("rejects", *rejects)) (tile("inputs", *inputs))
                (tile("partitions", release.partitions.len() as u64))
            }
            @if *unplaced > 0 {
                p { (count(*unplaced)) " rows have no place on the sky; they are in unplaced/." }
            }
        }
        section.figures {
            figure {
                figcaption { "All rows with a place, in cells of 1.8 degrees" }
                (map(summary))
            }
            @if summary.has_kiel() {
                figure {
                    figcaption {
                        "Rows without flag_bad; " (count(summary.beyond))
                        " lie outside or have no labels"
                    }
                    (kiel(summary))
                }
            }
        }
        section { h2 { "Flags" } (flags(summary, *rows)) }
        @if *rejects > 0 {
            section { h2 { "Rejects" } (reject_table(summary, *rejects)) }
        }
        section {
            h2 { "Provenance" }
            table {
                @for (keyword, value) in &release.made_with { tr { td.name { (keyword) } td { code { (value) } } } }
                tr { td.name { "reductions" } td { (release.reductions) } }
            }
        }
    };
    shell(&format!("Release {name}"), "default-src 'none'; style-src 'unsafe-inline'", &body)
}

fn tile(title: &str, number: u64) -> Markup {
    html! { div.tile { div.number { (count(number)) } div.soft { (title) } } }
}

fn map(summary: &Summary) -> Markup {
    let most = summary.map.iter().copied().max().unwrap_or(0);
    let cells = (0_u64..).zip(&summary.map).filter(|(_, count)| **count > 0);
    sky::draw(
        "Number of rows on the sky",
        &html! {
            @for (cell, count) in cells {
                path class=(shade(*count, most)) d={ (sky::path(corners(cell))) "z" } {}
            }
        },
    )
}

/// The corners of a cell of the map in degrees, on the side of the sky where its centre is.
fn corners(cell: u64) -> [(f64, f64); 4] {
    let (middle, _) = nested::center(MAP_ORDER, cell);
    nested::vertices(MAP_ORDER, cell).map(|(ra, dec)| {
        let east = (ra - middle + PI).rem_euclid(2.0 * PI) - PI;
        // All meridians meet at a pole.
        let east = if dec.abs() > FRAC_PI_2 - 1e-6 { 0.0 } else { east };
        ((middle + east).to_degrees(), dec.to_degrees())
    })
}

/// The class of a colour that goes with the logarithm of a number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "six shades")]
fn shade(count: u64, most: u64) -> String {
    let part = (1.0 + count as f64).ln() / (1.0 + most as f64).ln();
    format!("d{}", (part * 5.0).round().clamp(0.0, 5.0) as u8)
}

fn kiel(summary: &Summary) -> Markup {
    let x = Axis { from: TEFF.1, to: TEFF.0, title: "teff (K)" };
    let y = Axis { from: LOGG.1, to: LOGG.0, title: "logg (dex)" };
    let plot = Plot { width: 560.0, height: 400.0, x, y };
    let most = summary.kiel.iter().copied().max().unwrap_or(0);
    let side = |ends: (f64, f64)| (ends.1 - ends.0) / SQUARES as f64;
    let squares = summary.kiel.iter().enumerate().filter(|(_, count)| **count > 0);
    let squares = squares.map(|(at, count)| {
        let teff = TEFF.0 + (at % SQUARES) as f64 * side(TEFF);
        let logg = LOGG.0 + (at / SQUARES) as f64 * side(LOGG);
        ((teff, logg), (teff + side(TEFF), logg + side(LOGG)), shade(*count, most))
    });
    plot.draw(
        "Number of rows by effective temperature and surface gravity",
        &html! { @for (low, high, class) in squares { (plot.bar(&class, low, high)) } },
    )
}

fn flags(summary: &Summary, rows: u64) -> Markup {
    html! {
        table {
            tr { th { "flag" } th.n { "rows" } th.n { "part" } th { "meaning" } }
            @for (bit, number) in BITS.iter().zip(&summary.flags) {
                @if *number > 0 {
                    tr {
                        td.name { (bit.name) } td.n { (count(*number)) }
                        td.n { (percent(*number, rows.max(1))) } td { (bit.meaning) }
                    }
                }
            }
        }
    }
}

fn reject_table(summary: &Summary, rejects: u64) -> Markup {
    html! {
        table {
            tr { th { "reason" } th.n { "rejects" } th.n { "part" } th { "remedy" } }
            @for (reason, (number, remedy)) in &summary.rejects {
                tr {
                    td.name { (reason) } td.n { (count(*number)) }
                    td.n { (percent(*number, rejects)) } td { (remedy) }
                }
            }
        }
    }
}
