//! Pictures of what goes together: abundances with each other, and repeats with their S/N.

use maud::{Markup, html};

use super::abundances::Element;
use super::agreement::{Both, Correlation};
use super::figures::{axis, titled};
use super::repeats::LabelRepeats;
use crate::report::chart::{Axis, Plot, dots, frame};

/// Points in one panel of the matrix.
const MOST_POINTS: usize = 300;
/// Side of a panel, and the air around what is in it.
const PANEL: f64 = 62.0;
const AIR: f64 = 4.0;

/// Every abundance with every other: the rows of the catalogue below the diagonal, Pearson's
/// coefficients above it, that of the catalogue over that of the reference (`FCResNet`'s figure 9).
pub(super) fn matrix(
    both: Both<'_>,
    elements: &[Element],
    correlations: &[Correlation],
) -> Option<Markup> {
    if elements.len() < 2 {
        return None;
    }
    let step = both.reference.matched.len().div_ceil(MOST_POINTS).max(1);
    let columns: Vec<Vec<f64>> = elements
        .iter()
        .map(|element| both.matched().step_by(step).map(|row| both.abundance(element, row).0))
        .map(Iterator::collect)
        .collect();
    let axes: Vec<Option<Axis>> =
        columns.iter().map(|values| axis(values.iter().copied(), "")).collect();
    let corner = |number: usize| number as f64 * PANEL;
    let side = corner(elements.len());
    let panel = |row: usize, column: usize| -> Markup {
        let (Some(x), Some(y)) = (axes[column], axes[row]) else { return html! {} };
        let place = |(a, b): (&f64, &f64)| {
            let inner = PANEL - 2.0 * AIR;
            let left = corner(column) + AIR + x.part(*a) * inner;
            (left, corner(row) + PANEL - AIR - y.part(*b) * inner)
        };
        let pairs = columns[column].iter().zip(&columns[row]);
        let inside = pairs.filter(|(a, b)| x.holds(**a) && y.holds(**b));
        dots("pair", inside.map(place))
    };
    // They come in the order of the panels above the diagonal.
    let mut coefficients = correlations.iter();
    Some(frame(
        side,
        side,
        "Every abundance [X/H] with every other",
        &html! {
            @for row in 0..elements.len() {
                @for column in 0..elements.len() {
                    rect.cell x=(corner(column)) y=(corner(row)) width=(PANEL) height=(PANEL) {}
                    @if column < row { (panel(row, column)) }
                }
                text.title x=(corner(row) + PANEL / 2.0) y=(corner(row) + PANEL / 2.0) dy="0.35em"
                    text-anchor="middle" { "[" (elements[row].name()) "/H]" }
                @for column in row + 1..elements.len() {
                    @if let Some(found) = coefficients.next() {
                        @let (x, y) = (corner(column) + PANEL / 2.0, corner(row) + PANEL / 2.0);
                        text.title x=(x) y=(y - 4.0) text-anchor="middle" { (coefficient(found.catalogue)) }
                        text.tick x=(x) y=(y + 13.0) text-anchor="middle" { (coefficient(found.reference)) }
                    }
                }
            }
        },
    ))
}

fn coefficient(value: Option<f64>) -> String {
    value.map_or("\u{2013}".into(), |value| format!("{value:+.2}").replace('-', "\u{2212}"))
}

/// The scatter of repeats over their S/N beside the quoted errors (`RRNet`'s figure 7).
pub(super) fn repeats(found: &LabelRepeats) -> Option<Markup> {
    let name = titled(&found.label.name, &found.label.unit);
    let bins = || found.by_snr.iter().filter_map(|bin| Some((bin.snr?, bin.scatter?)));
    let scatter: Vec<(f64, f64)> = bins().map(|(snr, found)| (snr, found.robust_scatter)).collect();
    let plain: Vec<(f64, f64)> = bins().map(|(snr, found)| (snr, found.scatter)).collect();
    let quoted: Vec<(f64, f64)> =
        bins().filter_map(|(snr, found)| Some((snr, found.quoted?))).collect();
    let highest = scatter.iter().chain(&quoted).map(|(_, value)| *value).reduce(f64::max)?;
    let x = Axis::over(bins().map(|(snr, _)| snr), "median S/N of the pairs of a bin")?;
    let title = format!("scatter of {name}");
    let y = Axis { from: 0.0, to: if highest > 0.0 { highest * 1.15 } else { 1.0 }, title: &title };
    let plot = Plot { width: 480.0, height: 260.0, x, y };
    Some(plot.draw(
        &format!("Scatter of {name} between visits against S/N"),
        &html! {
            (plot.line("quoted", &quoted))
            (plot.line("median", &scatter))
            (plot.points("clean", scatter.iter().copied()))
            (plot.points("before", plain.iter().copied()))
        },
    ))
}
