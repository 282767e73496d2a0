//! The picture of how each label answers to each region of a spectrum.

use std::ops::Range;

use plotters::chart::MeshStyle;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::{Area, BAD, Drawn, FAINT, FLUX, FONT, INK, INPUT, number, picture};
use crate::prep::Grid;

/// What is drawn.
pub struct Sensitivity<'a> {
    /// What the numbers are.
    pub title: String,
    /// The grid of the model's input, and the star on it.
    pub star: (&'a Grid, &'a [f64]),
    /// The regions, on the scale of the grid.
    pub regions: Vec<[f64; 2]>,
    /// A strip for each label, one below the other.
    pub strips: Vec<Strip<'a>>,
    /// Names of features and where they lie.
    pub features: &'a [(&'static str, f64)],
}

/// The answer of one label.
#[derive(Debug, Clone)]
pub struct Strip<'a> {
    /// The label.
    pub name: &'a str,
    /// Its unit.
    pub unit: &'a str,
    /// A value for each region.
    pub values: &'a [Option<f64>],
}

const WIDTH: u32 = 1500;
const HEADING: u32 = 36;
const STAR_HEIGHT: u32 = 204;
const STRIP_HEIGHT: u32 = 92;
/// Below the lowest strip.
const AXIS_HEIGHT: u32 = 26;
/// Left of all charts, for names and numbers.
const NAMES: i32 = 70;
const NUMBERS: u32 = 66;
/// What one letter of a feature's name takes, dots of the picture; rows of names above the star.
const LETTER: f64 = 7.0;
const NAME_ROWS: i32 = 4;
const NAME_HEIGHT: i32 = 14;

type Chart<'a, 'b> =
    ChartContext<'a, BitMapBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

type Mesh<'a, 'c, 'b> = MeshStyle<'a, 'c, RangedCoordf64, RangedCoordf64, BitMapBackend<'b>>;

/// Draws the star, and below it a strip for each label: red where the number is positive, blue where it
/// is negative, each strip on a scale of its own; gives the PNG.
///
/// # Errors
/// A phrase of the drawing library.
pub fn sensitivity(what: &Sensitivity<'_>) -> Result<Vec<u8>, String> {
    let count = u32::try_from(what.strips.len()).map_err(|error| error.to_string())?;
    let size = (WIDTH, HEADING + STAR_HEIGHT + count * STRIP_HEIGHT + AXIS_HEIGHT + 30);
    let drawn = picture(size, |root| {
        let (heading, below) = root.split_vertically(HEADING);
        heading.draw(&Text::new(what.title.clone(), (6, 6), (FONT, 19).into_font().color(&INK)))?;
        let (star, mut below) = below.split_vertically(STAR_HEIGHT);
        draw_star(&star, what)?;
        for (number, strip) in what.strips.iter().enumerate() {
            let is_last = number + 1 == what.strips.len();
            let height = STRIP_HEIGHT + if is_last { AXIS_HEIGHT } else { 0 };
            let (area, rest) = below.split_vertically(height);
            draw_strip(&area, what, strip, if is_last { AXIS_HEIGHT } else { 0 })?;
            below = rest;
        }
        Ok(())
    });
    drawn.map_err(|error| error.to_string())
}

/// The parts of an area for the windows of the grid, and the bins and wavelengths of each.
fn columns<'a, 'b>(area: &Area<'b>, grid: &'a Grid) -> Vec<(Area<'b>, Range<usize>, &'a [f64])> {
    let (_, charts) = area.split_horizontally(NAMES);
    let windows: Vec<(Range<usize>, &[f64])> = grid.windows().collect();
    let parts = charts.split_evenly((1, windows.len().max(1)));
    parts.into_iter().zip(windows).map(|(part, (bins, edges))| (part, bins, edges)).collect()
}

fn build<'a, 'b>(
    area: &'a Area<'b>,
    axis: u32,
    (waves, heights): (Range<f64>, Range<f64>),
) -> Drawn<Chart<'a, 'b>> {
    Ok(ChartBuilder::on(area)
        .margin(3)
        .margin_right(12)
        .x_label_area_size(axis)
        .y_label_area_size(NUMBERS)
        .build_cartesian_2d(waves, heights)?)
}

/// What the axes and lines of all charts here have in common.
fn mesh<'a, 'c, 'b>(chart: &'c mut Chart<'a, 'b>) -> Mesh<'a, 'c, 'b> {
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.mix(0.4))
        .axis_style(INK)
        .label_style((FONT, 14).into_font().color(&INK));
    mesh
}

fn draw_star(area: &Area<'_>, what: &Sensitivity<'_>) -> Drawn {
    let (grid, values) = what.star;
    area.draw(&Text::new("the star", (6, 90), (FONT, 16).into_font().color(&INK)))?;
    let shown = || values.iter().filter(|value| value.is_finite());
    let (low, high) = shown().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
        (low.min(value), high.max(value))
    });
    let (low, high) = if high > low { (low, high) } else { (0.0, 1.0) };
    for (part, bins, edges) in columns(area, grid) {
        let (first, last) = (edges[0], edges[edges.len() - 1]);
        let (names, below) = part.split_vertically(NAME_HEIGHT * NAME_ROWS + 4);
        let air = 0.06 * (high - low);
        let mut chart = build(&below, 0, (first..last, low - air..high + air))?;
        mesh(&mut chart).y_labels(4).draw()?;
        mark(&mut chart, what.features, (first..last, low - air..high + air))?;
        let steps = edges.windows(2).zip(values.get(bins).unwrap_or_default());
        let steps = steps.flat_map(|(edge, &value)| [(edge[0], value), (edge[1], value)]);
        chart.draw_series(LineSeries::new(steps, INPUT))?;
        let place = |wave: f64| chart.backend_coord(&(wave, low)).0 - names.get_base_pixel().0;
        for (name, (x, row)) in placed(what.features, first..last, place) {
            let at = (x, NAME_HEIGHT * row);
            names.draw(&Text::new(name, at, (FONT, 13).into_font().color(&INK)))?;
        }
    }
    Ok(())
}

/// Faint lines where features lie.
fn mark(
    chart: &mut Chart<'_, '_>,
    features: &[(&str, f64)],
    (waves, heights): (Range<f64>, Range<f64>),
) -> Drawn {
    for (_, wave) in features.iter().filter(|(_, wave)| waves.contains(wave)) {
        let line = [(*wave, heights.start), (*wave, heights.end)];
        chart.draw_series(LineSeries::new(line, FAINT.mix(0.7)))?;
    }
    Ok(())
}

/// Names and where they stand: column and row. A name that finds no room is left out, and so is one
/// that stands there already.
fn placed(
    features: &[(&'static str, f64)],
    waves: Range<f64>,
    column: impl Fn(f64) -> i32,
) -> Vec<(&'static str, (i32, i32))> {
    let mut ends = [f64::NEG_INFINITY; NAME_ROWS as usize];
    let mut last = ("", f64::NEG_INFINITY);
    let mut placed = Vec::new();
    for &(name, wave) in features.iter().filter(|(_, wave)| waves.contains(wave)) {
        let at = f64::from(column(wave));
        let width = LETTER * name.chars().count() as f64;
        if name == last.0 && at - last.1 < width {
            continue;
        }
        // The lowest row is the nearest to the star.
        let rows = (0..NAME_ROWS).zip(&mut ends).rev();
        if let Some((row, end)) = rows.into_iter().find(|(_, end)| **end <= at) {
            *end = at + width;
            last = (name, at);
            placed.push((name, (column(wave), row)));
        }
    }
    placed
}

fn draw_strip(area: &Area<'_>, what: &Sensitivity<'_>, strip: &Strip<'_>, axis: u32) -> Drawn {
    let middle = i32::try_from(STRIP_HEIGHT / 2).unwrap_or(0);
    let name = (FONT, 16).into_font().color(&INK);
    area.draw(&Text::new(strip.name.to_owned(), (6, middle - 20), name))?;
    let unit = (FONT, 14).into_font().color(&INK);
    area.draw(&Text::new(strip.unit.to_owned(), (6, middle), unit))?;
    let most = strip.values.iter().flatten().fold(0.0, |most: f64, value| most.max(value.abs()));
    let most = if most > 0.0 && most.is_finite() { 1.1 * most } else { 1.0 };
    for (part, _, edges) in columns(area, what.star.0) {
        let waves = edges[0]..edges[edges.len() - 1];
        let mut chart = build(&part, axis, (waves.clone(), -most..most))?;
        mesh(&mut chart)
            .x_labels(10)
            .y_labels(5)
            .x_label_formatter(&|value| format!("{value:.0}"))
            .y_label_formatter(&|value| number(*value, most))
            .draw()?;
        mark(&mut chart, what.features, (waves.clone(), -most..most))?;
        let within = what.regions.iter().zip(strip.values);
        let within = within.filter(|([from, _], _)| waves.contains(from));
        chart.draw_series(within.map(|(&[from, to], value)| match value {
            Some(value) => {
                let ink = if *value > 0.0 { BAD } else { FLUX };
                Rectangle::new([(from, 0.0), (to, *value)], ink.filled())
            }
            // Nothing is known of it.
            None => Rectangle::new([(from, -most), (to, most)], FAINT.mix(0.5).filled()),
        }))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_beside_and_below_each_other_and_never_over_each_other() {
        let features = [
            ("Mg b", 10.0),
            ("Mg b", 12.0),
            ("Cr I", 14.0),
            ("Fe I", 20.0),
            ("K I", 21.0),
            ("O I", 22.0),
        ];
        let found = placed(&features, 0.0..100.0, |wave| wave as i32);
        let names: Vec<_> = found.iter().map(|(name, (_, row))| (*name, *row)).collect();
        assert_eq!(names, [("Mg b", 3), ("Cr I", 2), ("Fe I", 1), ("K I", 0)]);
        let far = placed(&features, 0.0..100.0, |wave| 50 * wave as i32);
        assert_eq!(far.len(), 6);
        assert!(far.iter().all(|(_, (_, row))| *row == 3));
        assert!(placed(&features, 40.0..100.0, |wave| wave as i32).is_empty());
    }
}
