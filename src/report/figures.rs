//! The figures of the night, each from the findings to a drawing; `None` where there is nothing to
//! draw.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::chart::{Axis, Plot, dots};
use super::past::PastNight;
use super::sky;
use super::standards::Comparison;
use super::statistics::{median, quartiles};
use super::tonight::{Rejects, Tonight};

/// Points in one figure: more only make the page heavy.
const MOST_POINTS: usize = 12_000;

/// Every how many of so many points one is drawn.
fn thin(points: usize) -> usize {
    points.div_ceil(MOST_POINTS).max(1)
}

/// Metallicity from poor to rich in so many colours.
pub(crate) const METALLICITIES: [(f64, f64, &str); 5] = [
    (f64::NEG_INFINITY, -1.5, "below \u{2212}1.5"),
    (-1.5, -1.0, "\u{2212}1.5 to \u{2212}1"),
    (-1.0, -0.5, "\u{2212}1 to \u{2212}0.5"),
    (-0.5, 0.0, "\u{2212}0.5 to 0"),
    (0.0, f64::INFINITY, "above 0"),
];

/// Temperature to the left, gravity down, coloured by metallicity; rows with a warning in grey.
pub(super) fn kiel(night: &Tonight) -> Option<Markup> {
    let (teff, logg) = (night.label("teff")?, night.label("logg")?);
    let metallicity = night.label("fe_h");
    let stars = (0..night.stars.len()).step_by(thin(night.stars.len()));
    let place = |star: usize| (night.value(star, teff), night.value(star, logg));
    let clean = |star: &usize| !night.stars[*star].bad;
    // The axes follow the clean stars: one wild value must not squeeze the rest.
    let none_is_clean = !stars.clone().any(|star| clean(&star));
    let within = || stars.clone().filter(|star| none_is_clean || clean(star));
    let x = Axis::over(within().map(|star| place(star).0), "effective temperature (K)")?.reversed();
    let y = Axis::over(within().map(|star| place(star).1), "log g")?.reversed();
    let plot = Plot { width: 560.0, height: 420.0, x, y };
    let of = |low: f64, high: f64| {
        let value = move |star: &usize| metallicity.map_or(0.0, |label| night.value(*star, label));
        let is_in = move |star: &usize| (low..high).contains(&value(star));
        stars.clone().filter(clean).filter(is_in).map(place)
    };
    Some(plot.draw(
        "Kiel diagram of the night's stars",
        &html! {
            (plot.points("warned", stars.clone().filter(|star| !clean(star)).map(place)))
            @for (number, (low, high, _)) in METALLICITIES.iter().enumerate() {
                (plot.points(&format!("m{number}"), of(*low, *high)))
            }
        },
    ))
}

/// The sky in Aitoff's projection: clean stars, stars with a warning, rejects.
pub(super) fn sky(night: &Tonight, rejects: &Rejects) -> Option<Markup> {
    let step = thin(night.stars.len());
    let place = |bad: bool| {
        let stars = night.stars.iter().step_by(step).filter(move |star| star.bad == bad);
        let placed = stars.filter(|star| star.ra.is_finite() && star.dec.is_finite());
        placed.map(move |star| sky::project((star.ra, star.dec)))
    };
    let rejected =
        rejects.places.iter().step_by(thin(rejects.places.len())).copied().map(sky::project);
    place(true).chain(place(false)).chain(rejected.clone()).next()?;
    Some(sky::draw(
        "Positions of the night's stars on the sky",
        &html! {
            (dots("rejected", rejected))
            (dots("warned", place(true)))
            (dots("clean", place(false)))
        },
    ))
}

/// How many stars have which S/N: clean ones, and ones with a warning above them.
pub(super) fn snr(night: &Tonight) -> Option<Markup> {
    let known = night.stars.iter().filter(|star| star.snr.is_finite());
    let most = quartiles(known.clone().map(|star| f64::from(star.snr)))?;
    // Three quartile distances above the upper quartile: a few bright stars go to the last bin.
    let end = (most.upper + 3.0 * (most.upper - most.lower)).clamp(10.0, 1000.0);
    let width = if end > 300.0 {
        20.0
    } else if end > 100.0 {
        10.0
    } else {
        5.0
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 50 bins")]
    let bin_of = |value: f64, bins: usize| ((value / width).max(0.0) as usize).min(bins - 1);
    let bins = bin_of(end, usize::MAX) + 1;
    let mut counts = vec![[0_u64; 2]; bins];
    for star in known {
        counts[bin_of(f64::from(star.snr), bins)][usize::from(star.bad)] += 1;
    }
    let highest = counts.iter().map(|[clean, warned]| clean + warned).max()?;
    let plot = Plot {
        width: 560.0,
        height: 300.0,
        x: Axis {
            from: 0.0,
            to: bins as f64 * width,
            title: "S/N a pixel in g (the last bin has all above)",
        },
        y: Axis { from: 0.0, to: highest as f64 * 1.05, title: "stars" },
    };
    Some(plot.draw(
        "Histogram of the signal-to-noise ratio",
        &html! {
            @for (bin, [clean, warned]) in counts.iter().enumerate() {
                @let (left, right) = (bin as f64 * width, (bin + 1) as f64 * width);
                @let (clean, all) = (*clean as f64, (clean + warned) as f64);
                @if clean > 0.0 { (plot.bar("bar", (left, 0.0), (right, clean))) }
                @if all > clean { (plot.bar("bar-warned", (left, clean), (right, all))) }
            }
        },
    ))
}

/// S/N over the hours of the night, UTC.
pub(super) fn hours(night: &Tonight) -> Option<Markup> {
    let of = |bad: bool| {
        let stars = night.stars.iter().step_by(thin(night.stars.len()));
        stars.filter(move |star| star.bad == bad && star.snr > 0.0)
    };
    let first = of(false).chain(of(true)).filter_map(|star| star.observed).min()?;
    let midnight = first.date().and_time(chrono::NaiveTime::MIN);
    let place = |star: &super::tonight::Star| {
        let seconds = (star.observed? - midnight).num_seconds();
        Some((seconds as f64 / 3600.0, f64::from(star.snr).log10()))
    };
    let points = |bad: bool| of(bad).filter_map(place);
    let all = || points(false).chain(points(true));
    let x = Axis::over(all().map(|(x, _)| x), "hours UTC, beyond 24 on the next day")?;
    // One file of another season would squeeze the night into a line.
    if x.to - x.from > 30.0 {
        return None;
    }
    let y = Axis::over(all().map(|(_, y)| y), "log S/N in g")?;
    let plot = Plot { width: 560.0, height: 300.0, x, y };
    // Two medians an hour show clouds and moonlight better than the points do.
    let mut halves: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (hour, snr) in all() {
        #[expect(clippy::cast_possible_truncation, reason = "at most 60")]
        halves.entry((hour * 2.0).floor() as i64).or_default().push(snr);
    }
    let middle =
        |(half, values): (i64, Vec<f64>)| Some((half as f64 / 2.0 + 0.25, median(values)?));
    let medians: Vec<(f64, f64)> = halves.into_iter().filter_map(middle).collect();
    Some(plot.draw(
        "Signal-to-noise ratio over the night",
        &html! {
            (plot.points("warned", points(true)))
            (plot.points("clean", points(false)))
            (plot.line("median", &medians))
        },
    ))
}

/// Medians and quartiles of a label over the last nights; the last is this one.
pub(super) fn label_history(night: &Tonight, label: usize, past: &[PastNight]) -> Option<Markup> {
    let earlier = past.iter().map(|night| night.labels[label]);
    let own = quartiles(night.clean_values(label));
    let nights: Vec<_> = earlier.chain([own]).collect();
    let ends = nights.iter().flatten().flat_map(|night| [night.lower, night.upper]);
    let y = Axis::over(ends, "")?;
    let last = nights.len() as f64;
    let plot = Plot {
        width: 360.0,
        height: 190.0,
        x: Axis { from: -last, to: 1.0, title: "nights before this one" },
        y,
    };
    let words = format!("{} over the last nights", night.labels[label].name);
    Some(plot.draw(
        &words,
        &html! {
            @for (number, found) in nights.iter().enumerate() {
                @if let Some(found) = found {
                    @let x = number as f64 + 1.0 - last;
                    @let class = if number + 1 == nights.len() { "bar" } else { "bar-before" };
                    (plot.bar(class, (x - 0.35, found.lower), (x + 0.35, found.upper)))
                    (plot.line("median", &[(x - 0.35, found.median), (x + 0.35, found.median)]))
                }
            }
        },
    ))
}

/// Differences of repeated stars in a label.
pub(super) fn differences(name: &str, values: &[f64]) -> Option<Markup> {
    const BINS: u8 = 21;
    let spread = quartiles(values.iter().copied())?;
    let half = (4.0 * (spread.upper - spread.lower)).max(2.0 * spread.median.abs()).max(1e-3);
    let width = 2.0 * half / f64::from(BINS);
    let mut counts = [0_u32; BINS as usize];
    for value in values.iter().filter(|value| value.is_finite()) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let bin = ((value + half) / width).clamp(0.0, f64::from(BINS - 1)) as usize;
        counts[bin] += 1;
    }
    let plot = Plot {
        width: 360.0,
        height: 190.0,
        x: Axis { from: -half, to: half, title: "this night less earlier ones" },
        y: Axis { from: 0.0, to: f64::from(*counts.iter().max()?) * 1.05, title: "stars" },
    };
    let words = format!("Differences of repeated stars in {name}");
    Some(plot.draw(
        &words,
        &html! {
            @for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                @let left = bin as f64 * width - half;
                (plot.bar("bar", (left, 0.0), (left + width, f64::from(*count))))
            }
            (plot.line("zero", &[(0.0, 0.0), (0.0, plot.y.to)]))
            (plot.line("median", &[(spread.median, 0.0), (spread.median, plot.y.to)]))
        },
    ))
}

/// Found less expected of all standards over the nights, in a label.
pub(super) fn standards(
    name: &str,
    comparisons: &[&Comparison<'_>],
    nights: usize,
) -> Option<Markup> {
    let before = |night: usize| night as f64 - nights as f64;
    let points = || comparisons.iter().flat_map(|comparison| comparison.history.iter());
    let limits = comparisons.iter().map(|comparison| comparison.expected_error);
    let band = limits.fold(0.0, f64::max);
    let y = Axis::over(points().map(|(_, value)| *value).chain([0.0, band, -band]), "")?;
    points().next()?;
    let x = Axis { from: -(nights as f64) - 0.7, to: 0.7, title: "nights before this one" };
    let plot = Plot { width: 360.0, height: 190.0, x, y };
    let own = |is_own: bool| {
        let chosen = points().filter(move |(night, _)| (*night == nights) == is_own);
        chosen.map(move |(night, value)| (before(*night), *value))
    };
    let words = format!("Standards in {name}, found less expected");
    Some(plot.draw(
        &words,
        &html! {
            (plot.bar("band", (plot.x.from, -band), (plot.x.to, band)))
            (plot.line("zero", &[(plot.x.from, 0.0), (plot.x.to, 0.0)]))
            (plot.points("before", own(false)))
            (plot.points("tonight", own(true)))
        },
    ))
}
