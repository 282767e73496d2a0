//! The picture of a spectrum and of what each step of a recipe made of it.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::RGBColor;

use super::{Area, BAD, Drawn, FAINT, FLUX, FONT, INK, INPUT, draw_flux, picture};
use crate::prep::Grid;
use crate::spectrum::Spectrum;

/// Values on the grid of a model's input, one below the other panels.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// What is drawn, the first one at the bottom.
    pub curves: Vec<Curve>,
}

/// One line of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What it is.
    pub ink: Ink,
    /// Its values, from the first bin on.
    pub values: Vec<f64>,
}

/// What a curve is, which gives it its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// A flux on its way.
    Flux,
    /// The model's input.
    Input,
    /// A star beside its template; the colours of the three are those of SPEMR's figure 8.
    Star,
    /// The template.
    Template,
    /// The star less the template.
    Residual,
}

const WIDTH: u32 = 1500;
const NATIVE_HEIGHT: u32 = 400;
const PANEL_HEIGHT: u32 = 240;
/// Below the title of a panel.
const TITLE_HEIGHT: u32 = 28;
/// Where there is more than this of a title it is cut: a line of the picture holds no more.
const TITLE: usize = 190;

impl Ink {
    fn colour(self) -> RGBColor {
        match self {
            Self::Flux => FLUX,
            Self::Input => INPUT,
            Self::Star => INK,
            Self::Template => BAD,
            Self::Residual => RGBColor(215, 160, 20),
        }
    }
}

/// Draws the native flux, and below it the panels, each window of the grid beside the other; gives
/// the PNG.
///
/// # Errors
/// A phrase of the drawing library.
pub fn steps(spectrum: &Spectrum, grid: &Grid, panels: &[Panel]) -> Result<Vec<u8>, String> {
    let count = u32::try_from(panels.len()).map_err(|error| error.to_string())?;
    let size = (WIDTH, NATIVE_HEIGHT + count * PANEL_HEIGHT + 30);
    let drawn = picture(size, |root| {
        let (native, below) = root.split_vertically(NATIVE_HEIGHT);
        draw_flux(&native, spectrum)?;
        let rows = below.split_evenly((panels.len().max(1), 1));
        panels.iter().zip(&rows).try_for_each(|(panel, area)| draw_panel(area, grid, panel))
    });
    drawn.map_err(|error| error.to_string())
}

fn draw_panel(area: &Area<'_>, grid: &Grid, panel: &Panel) -> Drawn {
    let title: String = panel.title.chars().take(TITLE).collect();
    let (heading, plots) = area.split_vertically(TITLE_HEIGHT);
    heading.draw(&Text::new(title, (20, 6), (FONT, 18).into_font().color(&INK)))?;
    let shown = heights(panel);
    let windows: Vec<(Range<usize>, &[f64])> = grid.windows().collect();
    let columns = plots.split_evenly((1, windows.len().max(1)));
    for ((bins, edges), area) in windows.into_iter().zip(&columns) {
        let (first, last) = (edges[0], edges[edges.len() - 1]);
        let mut chart = ChartBuilder::on(area)
            .margin(4)
            .margin_right(14)
            .x_label_area_size(24)
            .y_label_area_size(62)
            .build_cartesian_2d(first..last, shown.clone())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(FAINT.mix(0.4))
            .axis_style(INK)
            .label_style((FONT, 15).into_font().color(&INK))
            .x_labels(8)
            .y_labels(5)
            .x_label_formatter(&|value| format!("{value:.0}"))
            .y_label_formatter(&|value| tick(*value))
            .draw()?;
        for curve in &panel.curves {
            let values = curve.values.get(bins.clone()).unwrap_or_default();
            let steps = edges
                .windows(2)
                .zip(values)
                .flat_map(|(edge, &value)| [(edge[0], value), (edge[1], value)]);
            chart.draw_series(LineSeries::new(steps, curve.ink.colour()))?;
        }
    }
    Ok(())
}

fn tick(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// The range of a panel: a spike must not squeeze the star into a line.
fn heights(panel: &Panel) -> Range<f64> {
    let mut values: Vec<f64> =
        panel.curves.iter().flat_map(|curve| &curve.values).copied().collect();
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let (Some(_), last) = (values.first(), values.len().saturating_sub(1)) else { return 0.0..1.0 };
    let cut = last / 1000;
    let (low, high) = (values[cut], values[last - cut]);
    let air = 0.12 * (high - low);
    if air > 0.0 { low - air..high + air } else { low - 1.0..high + 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_does_not_set_the_range_and_nothing_has_one_all_the_same() {
        let panel = |values: Vec<f64>| Panel {
            title: String::new(),
            curves: vec![Curve { ink: Ink::Flux, values }],
        };
        let mut values: Vec<f64> =
            (0..3000).map(|pixel| 1.0 + f64::from(pixel % 7) / 10.0).collect();
        values[9] = 1e6;
        let range = heights(&panel(values));
        assert!(range.start < 1.0 && range.start > 0.8 && range.end > 1.6 && range.end < 1.8);
        assert_eq!(heights(&panel(vec![f64::NAN])), 0.0..1.0);
        assert_eq!(heights(&panel(vec![2.0; 5])), 1.0..3.0);
    }
}
