//! Pictures of one spectrum: the flux as it is, the model's input, and the result in words; or what
//! each step of the recipe made of it.

mod model;
mod sensitivity;
mod steps;

use std::path::{Path, PathBuf};
use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use thiserror::Error;

pub use model::{Point, model};
pub use sensitivity::{Sensitivity, Strip, sensitivity};
pub use steps::{Curve, Ink, Panel, steps};

use crate::prep::Grid;
use crate::spectrum::Spectrum;

/// What a model made of the spectrum.
pub struct Result<'a> {
    /// Model and version.
    pub model: String,
    /// The grid of its input.
    pub grid: &'a Grid,
    /// Its input.
    pub input: &'a [f32],
    /// Labels and flags, a line each.
    pub labels: Vec<String>,
}

/// A picture that could not be written.
#[derive(Debug, Error)]
#[error("{path}: {message}; check that the folder exists and can be written")]
pub struct PlotError {
    path: PathBuf,
    message: String,
}

const SIZE: (u32, u32) = (1400, 900);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(35, 40, 50);
const FAINT: RGBColor = RGBColor(190, 195, 200);
const FLUX: RGBColor = RGBColor(30, 80, 150);
const BAD: RGBColor = RGBColor(200, 60, 40);
const INPUT: RGBColor = RGBColor(20, 120, 90);

/// Lines that an eye looks for, vacuum Angstrom.
const LINES: [(&str, f64); 8] = [
    ("Ca II K", 3934.8),
    ("H\u{3b3}", 4341.7),
    ("H\u{3b2}", 4862.7),
    ("Mg b", 5176.6),
    ("Na D", 5893.8),
    ("H\u{3b1}", 6564.6),
    ("O\u{2082}", 6870.0),
    ("Ca II", 8544.4),
];

/// Draws the spectrum, and below it the model's input if there is a result.
///
/// # Errors
/// [`PlotError`] when the file cannot be written.
pub fn spectrum(
    path: &Path,
    spectrum: &Spectrum,
    result: Option<&Result>,
) -> std::result::Result<(), PlotError> {
    let drawn = picture(SIZE, |root| match result {
        None => draw_flux(root, spectrum),
        Some(result) => {
            let (plots, words) = root.split_horizontally(SIZE.0 - 290);
            let (upper, lower) = plots.split_vertically(540);
            draw_flux(&upper, spectrum)?;
            draw_input(&lower, spectrum, result)?;
            draw_words(&words, result)
        }
    });
    let written = drawn.and_then(|png| Ok(std::fs::write(path, png)?));
    written.map_err(|error| PlotError { path: path.to_owned(), message: error.to_string() })
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Drawn<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A picture of this size as PNG.
fn picture(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Drawn<Vec<u8>> {
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        // The built-in font is valid, so registering it cannot fail.
        let _ = register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
    let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
    {
        let root = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        root.fill(&WHITE)?;
        let root = root.margin(10, 10, 10, 20);
        draw(&root)?;
        root.present()?;
    }
    let image =
        image::RgbImage::from_raw(size.0, size.1, pixels).ok_or("the picture has no pixels")?;
    let mut png = std::io::Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png)?;
    Ok(png.into_inner())
}

fn title(spectrum: &Spectrum) -> String {
    let meta = &spectrum.meta;
    let mut title = spectrum.name().unwrap_or_else(|| "unnamed spectrum".into());
    if let Some(class) = &meta.class {
        title += &format!("   {class} {}", meta.subclass.as_deref().unwrap_or(""));
    }
    for (name, snr) in
        [("g", meta.snr[1]), ("blue", meta.snr_b), ("red", meta.snr_r), ("median", meta.snr_median)]
    {
        if let Some(snr) = snr {
            title += &format!("   S/N({name}) = {snr:.0}");
        }
    }
    title
}

fn draw_flux(area: &Area<'_>, spectrum: &Spectrum) -> Drawn {
    let (wave, flux) = (spectrum.wave(), spectrum.flux());
    let usable = |pixel: usize| {
        spectrum.ivar()[pixel] > 0.0 && spectrum.andmask()[pixel] == 0 && flux[pixel].is_finite()
    };
    let mut values: Vec<f32> = (0..flux.len()).filter(|&p| usable(p)).map(|p| flux[p]).collect();
    values.sort_by(f32::total_cmp);
    // Cosmic rays must not squeeze the star into a line.
    let part = |part: f64| -> f32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = (part * values.len().saturating_sub(1) as f64) as usize;
        values.get(index).copied().unwrap_or(0.0)
    };
    let (low, high) = (part(0.001).min(0.0), part(0.999) * 1.12);
    let high = if high > low { high } else { low + 1.0 };
    let mut chart = ChartBuilder::on(area)
        .caption(title(spectrum), (FONT, 24).into_font().color(&INK))
        .margin(8)
        .x_label_area_size(45)
        .y_label_area_size(80)
        .build_cartesian_2d(wave[0]..wave[wave.len() - 1], low..high)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.mix(0.4))
        .axis_style(INK)
        .label_style((FONT, 17).into_font().color(&INK))
        .x_labels(12)
        .y_label_formatter(&|value| number(f64::from(*value), f64::from(high)))
        .x_label_formatter(&|value| format!("{value:.0}"))
        .x_desc("vacuum wavelength (\u{c5})")
        .y_desc("flux (relative)")
        .draw()?;
    for (name, line) in
        LINES.iter().filter(|(_, line)| (wave[0]..wave[wave.len() - 1]).contains(line))
    {
        chart.draw_series(LineSeries::new([(*line, low), (*line, high)], FAINT))?;
        let label = Text::new(*name, (*line + 8.0, high), (FONT, 15).into_font().color(&INK));
        chart.draw_series(std::iter::once(label))?;
    }
    // Runs of usable pixels, so that a line never crosses a gap, be it of pixels or between two arms.
    let adjoin = |a: usize, b: usize| wave[b] < 1.01 * wave[a];
    let runs: Vec<Vec<(f64, f32)>> = (0..wave.len())
        .collect::<Vec<_>>()
        .chunk_by(|&a, &b| usable(a) && usable(b) && adjoin(a, b))
        .map(|run| run.iter().filter(|&&p| usable(p)).map(|&p| (wave[p], flux[p])).collect())
        .collect();
    for run in runs.into_iter().filter(|run: &Vec<(f64, f32)>| run.len() > 1) {
        chart.draw_series(LineSeries::new(run, FLUX))?;
    }
    let bad = (0..wave.len()).filter(|&pixel| !usable(pixel));
    let tick = low + (high - low) * 0.015;
    for pixel in bad {
        chart.draw_series(LineSeries::new([(wave[pixel], low), (wave[pixel], tick)], BAD))?;
    }
    Ok(())
}

fn draw_input(area: &Area<'_>, spectrum: &Spectrum, result: &Result) -> Drawn {
    let wave = spectrum.wave();
    let (low, high) =
        result.input.iter().fold((0f32, 0f32), |(low, high), &v| (low.min(v), high.max(v)));
    let mut chart = ChartBuilder::on(area)
        .caption("the model's input", (FONT, 20).into_font().color(&INK))
        .margin(8)
        .x_label_area_size(45)
        .y_label_area_size(80)
        .build_cartesian_2d(wave[0]..wave[wave.len() - 1], (low * 1.05)..(high * 1.05))?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.mix(0.4))
        .axis_style(INK)
        .label_style((FONT, 17).into_font().color(&INK))
        .x_labels(12)
        .x_label_formatter(&|value| format!("{value:.0}"))
        .x_desc("vacuum wavelength (\u{c5})")
        .y_desc("scaled value")
        .draw()?;
    // Steps narrower than a dot of the picture want a thin line.
    let width = if result.input.len() > 1000 { 1 } else { 2 };
    for (bins, edges) in result.grid.windows() {
        let steps = edges
            .windows(2)
            .zip(&result.input[bins])
            .flat_map(|(edge, &value)| [(edge[0], value), (edge[1], value)]);
        chart.draw_series(LineSeries::new(steps, INPUT.stroke_width(width)))?;
    }
    Ok(())
}

fn draw_words(area: &Area<'_>, result: &Result) -> Drawn {
    let heading = (FONT, 22).into_font().color(&INK);
    area.draw(&Text::new(result.model.clone(), (20, 20), heading))?;
    let lines = result.labels.iter().flat_map(|line| match line.strip_prefix("flags = ") {
        // Flags are many words: one a line.
        Some(_) => line.split('+').map(str::to_owned).collect(),
        None => vec![line.replace("+-", "\u{b1}")],
    });
    for (number, line) in (0..).zip(lines) {
        let style = (FONT, 18).into_font().color(&INK);
        area.draw(&Text::new(line, (20, 62 + number * 26), style))?;
    }
    Ok(())
}

/// A number of an axis that reaches so far: with the digits that tell its ticks apart.
fn number(value: f64, most: f64) -> String {
    let digits = match most {
        most if most >= 1e6 => return format!("{value:.1e}"),
        most if most >= 10.0 => 0,
        most if most >= 1.0 => 1,
        most if most >= 0.1 => 2,
        most if most >= 0.01 => 3,
        most if most >= 0.001 => 4,
        // Ticks are summed up, so that zero is nearly zero.
        most if value.abs() > 1e-6 * most => return format!("{value:.0e}"),
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &*text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_an_axis_have_the_digits_that_they_need() {
        let check = |value, most, expected: &str| assert_eq!(number(value, most), expected);
        check(7e-18, 0.04, "0");
        check(-7e-18, 0.04, "0");
        check(-0.01, 0.022, "-0.01");
        check(0.005, 0.022, "0.005");
        check(-100.0, 120.0, "-100");
        check(2.5e6, 4e6, "2.5e6");
        check(2.5, 3.0, "2.5");
        check(2e-5, 3e-5, "2e-5");
        check(1e-20, 3e-5, "0");
    }
}
