//! The pictures of an evaluation against a reference; `None` where there is nothing to draw. What
//! lies outside the axes, which hold 99.8 % of what is drawn, is not drawn.

use maud::{Markup, html};

use super::abundances::{Element, fe_h_of};
use super::agreement::{Bin, Both, LabelAgreement};
use super::bins::{By, Range};
use super::rows::BinColumn;
use super::statistics::Summary;
use crate::report::chart::{Axis, Plot};
use crate::report::figures::METALLICITIES;

/// Points of one colour in one figure: more only make the page heavy.
const MOST_POINTS: usize = 6000;
/// Bars of the histogram of pulls between -5 and 5.
const BARS: u8 = 40;

/// The range of what is drawn on an axis: wild values must not squeeze the rest, where there are many.
pub(super) fn axis(values: impl IntoIterator<Item = f64>, title: &str) -> Option<Axis<'_>> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let cut = values.len() / 1000;
    Axis::over(values.get(cut..values.len() - cut)?.iter().copied(), title)
}

/// A label's name with its unit.
pub(super) fn titled(name: &str, unit: &str) -> String {
    if unit.is_empty() { name.to_owned() } else { format!("{name} ({unit})") }
}

/// The catalogue's values over the reference's, and the residuals below (`FCResNet`'s figure 5).
pub(super) fn scatter(both: Both<'_>, found: &LabelAgreement, label: usize) -> Option<Markup> {
    let name = titled(&found.label.name, &found.label.unit);
    let (own, other) = (|row| both.rows.value(row, label), |row| both.reference.value(row, label));
    let rows = || both.matched().filter(|row| both.residual(*row, label).is_finite());
    let (x_title, y_title) = (format!("{name}, reference"), format!("{name}, catalogue"));
    let ends = axis(rows().flat_map(|row| [own(row), other(row)]), &x_title)?;
    let upper = Plot { width: 480.0, height: 380.0, x: ends, y: Axis { title: &y_title, ..ends } };
    let residuals = axis(rows().map(|row| both.residual(row, label)).chain([0.0]), "residual")?;
    let lower = Plot { width: 480.0, height: 170.0, x: ends, y: residuals };
    let points: Vec<(f64, f64)> = rows().map(|row| (other(row), own(row))).collect();
    let differences: Vec<(f64, f64)> =
        rows().map(|row| (other(row), both.residual(row, label))).collect();
    let line = [(ends.from, ends.from), (ends.to, ends.to)];
    Some(html! {
        (upper.draw(&format!("{name} of the catalogue over that of the reference"), &html! {
            (upper.density(&points)) (upper.line("zero", &line))
        }))
        (lower.draw(&format!("Residuals of {name}"), &html! {
            (lower.density(&differences)) (lower.line("zero", &[(ends.from, 0.0), (ends.to, 0.0)]))
        }))
    })
}

/// Residuals against S/N, with median and robust sigma of each bin (`RRNet`'s figure 2).
pub(super) fn by_snr(both: Both<'_>, found: &LabelAgreement, label: usize) -> Option<Markup> {
    let bins = found.bins.iter().find(|binned| binned.by == By::Snr.name())?;
    against(both, found, label, ("S/N", &bins.bins), |row| f64::from(both.rows.snr[row]))
}

/// The same against each column that was asked for.
pub(super) fn by_columns(both: Both<'_>, found: &LabelAgreement, label: usize) -> Vec<Markup> {
    let columns = both.rows.bin_columns.iter().enumerate();
    let drawn = columns.filter_map(|(column, BinColumn { bins, .. })| {
        // They come behind the usual ones, of which one may have the same name.
        let binned = found.bins.iter().rev().find(|binned| binned.by == bins.column)?;
        let what = (bins.column.as_str(), binned.bins.as_slice());
        against(both, found, label, what, |row| both.binned_by(row, column))
    });
    drawn.collect()
}

fn against(
    both: Both<'_>,
    found: &LabelAgreement,
    label: usize,
    (title, bins): (&str, &[Bin]),
    value: impl Fn(usize) -> f64,
) -> Option<Markup> {
    let name = titled(&found.label.name, &found.label.unit);
    let rows = || both.matched().filter(|row| both.residual(*row, label).is_finite());
    let x = axis(rows().map(&value), title)?;
    let y_title = format!("residual of {name}");
    let y = axis(rows().map(|row| both.residual(row, label)).chain([0.0]), &y_title)?;
    let plot = Plot { width: 480.0, height: 260.0, x, y };
    let points: Vec<(f64, f64)> =
        rows().map(|row| (value(row), both.residual(row, label))).collect();
    let summaries = bins.iter().filter_map(|bin| Some((bin.range, bin.summary?)));
    Some(plot.draw(
        &format!("Residuals of {name} against {title}"),
        &html! {
            (plot.density(&points))
            (plot.line("zero", &[(x.from, 0.0), (x.to, 0.0)]))
            @for (range, summary) in summaries { (spread(&plot, range, &summary)) }
        },
    ))
}

/// Median of a bin as a line, and lines as far from it as its robust sigma.
fn spread(plot: &Plot<'_>, range: Range, summary: &Summary) -> Markup {
    let low = range.low.unwrap_or(plot.x.from).max(plot.x.from);
    let high = range.high.unwrap_or(plot.x.to).min(plot.x.to);
    let Summary { median, robust_sigma, .. } = summary;
    let levels = [("median", 0.0), ("quoted", -*robust_sigma), ("quoted", *robust_sigma)];
    html! {
        @for (class, offset) in levels {
            @let level = median + offset;
            @if low < high && plot.y.holds(level) { (plot.line(class, &[(low, level), (high, level)])) }
        }
    }
}

/// How pulls are distributed beside a normal distribution of sigma 1.
pub(super) fn pulls(both: Both<'_>, found: &LabelAgreement, label: usize) -> Option<Markup> {
    found.pulls?;
    let name = &found.label.name;
    let (width, mut counts) = (10.0 / f64::from(BARS), vec![0_u32; usize::from(BARS)]);
    let pulls = || both.matched().map(|row| both.pull(row, label)).filter(|pull| pull.is_finite());
    for pull in pulls() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 40")]
        let bar = ((pull + 5.0) / width).clamp(0.0, f64::from(BARS) - 1.0) as usize;
        counts[bar] += 1;
    }
    let all = pulls().count() as f64;
    let normal =
        |pull: f64| all * width * (-pull * pull / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let highest = f64::from(*counts.iter().max()?).max(normal(0.0));
    let title = format!("pull of {name} (the last bars have all beyond)");
    let plot = Plot {
        width: 480.0,
        height: 220.0,
        x: Axis { from: -5.0, to: 5.0, title: &title },
        y: Axis { from: 0.0, to: highest * 1.05, title: "rows" },
    };
    let curve: Vec<(f64, f64)> =
        (-50..=50).map(|tenth| f64::from(tenth) / 10.0).map(|pull| (pull, normal(pull))).collect();
    Some(plot.draw(
        &format!("Histogram of the pulls of {name}"),
        &html! {
            @for (bar, count) in (0_u8..).zip(counts) {
                @let left = f64::from(bar) * width - 5.0;
                (plot.bar("bar", (left, 0.0), (left + width, f64::from(count))))
            }
            (plot.line("median", &curve))
        },
    ))
}

/// Kiel diagrams of the catalogue and of the reference with the same axes, coloured by metallicity
/// (`FCResNet`'s figure 6).
pub(super) fn kiel(both: Both<'_>) -> Option<[Markup; 2]> {
    let mapped = |name: &str| {
        both.reference.mapped.iter().find(|mapped| mapped.label == name)?;
        both.rows.label(name)
    };
    let (teff, logg, fe_h) = (mapped("teff")?, mapped("logg")?, mapped("fe_h"));
    let place = |is_own: bool, row: usize| {
        let value = |label: usize| value_of(both, is_own, row, label);
        (value(teff), value(logg), fe_h.map_or(-0.25, value))
    };
    let rows = || both.matched().step_by(thin(both.reference.matched.len()));
    let all = || rows().flat_map(|row| [place(true, row), place(false, row)]);
    let x = axis(all().map(|(teff, ..)| teff), "effective temperature (K)")?.reversed();
    let y = axis(all().map(|(_, logg, _)| logg), "log g")?.reversed();
    let plot = Plot { width: 480.0, height: 380.0, x, y };
    let draw = |is_own: bool, whose: &str| {
        let of = |low: f64, high: f64| {
            let places = rows().map(move |row| place(is_own, row));
            let chosen = places.filter(move |(.., fe_h)| (low..high).contains(fe_h));
            chosen.map(|(teff, logg, _)| (teff, logg))
        };
        plot.draw(
            &format!("Kiel diagram of the {whose}"),
            &html! {
                @for (number, (low, high, _)) in METALLICITIES.iter().enumerate() {
                    (plot.points(&format!("m{number}"), of(*low, *high)))
                }
            },
        )
    };
    Some([draw(true, "catalogue"), draw(false, "reference")])
}

/// [X/Fe] over [Fe/H] of the catalogue and of the reference (`FCResNet`'s figure 7).
pub(super) fn x_fe(both: Both<'_>, element: &Element) -> Option<[Markup; 2]> {
    let iron = fe_h_of(both.rows)?;
    let place = |is_own: bool, row: usize| {
        let value = |label: usize| value_of(both, is_own, row, label);
        (value(iron), element.of_fe(value, Some(iron)))
    };
    let all = || both.matched().flat_map(|row| [place(true, row), place(false, row)]);
    let x = axis(all().map(|(iron, _)| iron), "[Fe/H]")?;
    let title = format!("[{}/Fe]", element.name());
    let y = axis(all().map(|(_, abundance)| abundance), &title)?;
    let plot = Plot { width: 300.0, height: 220.0, x, y };
    let draw = |is_own: bool, whose: &str| {
        let points: Vec<(f64, f64)> = both.matched().map(|row| place(is_own, row)).collect();
        plot.draw(&format!("{title} over [Fe/H] of the {whose}"), &plot.density(&points))
    };
    Some([draw(true, "catalogue"), draw(false, "reference")])
}

fn value_of(both: Both<'_>, is_own: bool, row: usize, label: usize) -> f64 {
    if is_own { both.rows.value(row, label) } else { both.reference.value(row, label) }
}

/// Every how many of so many points one is drawn.
pub(super) fn thin(points: usize) -> usize {
    points.div_ceil(MOST_POINTS).max(1)
}
