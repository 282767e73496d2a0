//! The picture of a star beside the model spectrum at its labels.

use std::ops::Range;

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::RGBColor;

use super::{Area, BAD, Drawn, FAINT, FONT, INK, picture};

/// What is drawn of one pixel: wavelength, flux and model by the continuum, residual in sigma.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Vacuum wavelength as observed, Angstrom.
    pub wave: f64,
    /// The star.
    pub flux: f64,
    /// The model.
    pub model: f64,
    /// Their difference by the noise.
    pub residual: f64,
}

const WIDTH: u32 = 1500;
const ROW_HEIGHT: u32 = 330;
const RESIDUAL_HEIGHT: u32 = 110;
/// Pixels in a row of the picture, and rows at most.
const IN_ROW: usize = 600;
const MOST_ROWS: usize = 14;
/// Residuals beyond this are cut off, sigma.
const MOST_SIGMA: f64 = 12.0;
/// As far the axis of residuals reaches at least.
const FEWEST_SIGMA: f64 = 5.5;
const RESIDUAL: RGBColor = RGBColor(215, 160, 20);

/// Draws data (dark), model (red) and residual in rows of some hundred pixels, with the features
/// marked; gives the PNG.
///
/// # Errors
/// A phrase of the drawing library.
pub fn model(title: &str, points: &[Point], features: &[(&str, f64)]) -> Result<Vec<u8>, String> {
    let in_row = IN_ROW.max(points.len().div_ceil(MOST_ROWS));
    let rows: Vec<&[Point]> = points.chunks(in_row).collect();
    let count = u32::try_from(rows.len().max(1)).map_err(|error| error.to_string())?;
    let size = (WIDTH, 60 + count * ROW_HEIGHT);
    let drawn = picture(size, |root| {
        let (heading, below) = root.split_vertically(34);
        heading.draw(&Text::new(title, (20, 6), (FONT, 20).into_font().color(&INK)))?;
        let areas = below.split_evenly((rows.len().max(1), 1));
        rows.iter().zip(&areas).try_for_each(|(row, area)| draw_row(area, row, features))
    });
    drawn.map_err(|error| error.to_string())
}

fn draw_row(area: &Area<'_>, row: &[Point], features: &[(&str, f64)]) -> Drawn {
    let [first, .., last] = row else { return Ok(()) };
    let range = first.wave..last.wave;
    let highest = row.iter().map(|point| point.flux.max(point.model)).fold(1.0, f64::max).min(1.6);
    let lowest = row.iter().map(|point| point.flux.min(point.model)).fold(1.0, f64::min).max(-0.1);
    let (low, high) = (lowest - 0.04, highest + 0.16);
    let (upper, lower) = area.split_vertically(ROW_HEIGHT - RESIDUAL_HEIGHT);
    let mut chart = build(&upper, 0, (range.clone(), low..high))?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.mix(0.4))
        .axis_style(INK)
        .label_style((FONT, 14).into_font().color(&INK))
        .y_labels(5)
        .y_label_formatter(&|value| format!("{value:.1}"))
        .draw()?;
    let mut height = high;
    for (name, wave) in features.iter().filter(|(_, wave)| range.contains(wave)) {
        chart.draw_series(LineSeries::new([(*wave, low), (*wave, high)], FAINT))?;
        // Names of neighbours stand below each other.
        height = if height < high - 0.05 { high } else { high - 0.07 };
        let label =
            Text::new((*name).to_owned(), (*wave, height), (FONT, 13).into_font().color(&INK));
        chart.draw_series(std::iter::once(label))?;
    }
    for run in runs(row) {
        chart.draw_series(LineSeries::new(run.iter().map(|p| (p.wave, p.flux)), INK))?;
        chart.draw_series(LineSeries::new(run.iter().map(|p| (p.wave, p.model)), BAD))?;
    }
    let largest = row.iter().map(|point| point.residual.abs()).fold(FEWEST_SIGMA, f64::max);
    let most = largest.min(MOST_SIGMA);
    let mut chart = build(&lower, 24, (range.clone(), -most..most))?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.mix(0.4))
        .axis_style(INK)
        .label_style((FONT, 14).into_font().color(&INK))
        .x_labels(10)
        .y_labels(3)
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| format!("{value:.0} \u{3c3}"))
        .draw()?;
    for run in runs(row) {
        let cut = |p: &Point| (p.wave, p.residual.clamp(-most, most));
        chart.draw_series(LineSeries::new(run.iter().map(cut), RESIDUAL))?;
    }
    Ok(())
}

type Chart<'a, 'b> =
    ChartContext<'a, BitMapBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn build<'a, 'b>(
    area: &'a Area<'b>,
    labels: u32,
    (waves, heights): (Range<f64>, Range<f64>),
) -> Drawn<Chart<'a, 'b>> {
    Ok(ChartBuilder::on(area)
        .margin(2)
        .margin_right(14)
        .x_label_area_size(labels)
        .y_label_area_size(62)
        .build_cartesian_2d(waves, heights)?)
}

/// Neighbouring pixels without a gap.
fn runs(row: &[Point]) -> impl Iterator<Item = &[Point]> {
    row.chunk_by(|a, b| b.wave < 1.002 * a.wave)
}
