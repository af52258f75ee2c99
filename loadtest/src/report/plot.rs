//! Curves over time, as SVG.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 300);
const COLOURS: [RGBColor; 3] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
];

/// One curve.
pub(super) struct Curve {
    pub(super) name: &'static str,
    /// One value for each second.
    pub(super) values: Vec<f64>,
}

/// Draws curves over the seconds of a run.
pub(super) fn over_time(title: &str, unit: &str, curves: &[Curve]) -> Result<String> {
    let mut svg = String::new();
    draw(&mut svg, title, unit, curves).map_err(|error| anyhow!("cannot draw `{title}`: {error}"))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    title: &str,
    unit: &str,
    curves: &[Curve],
) -> Result<(), Box<dyn std::error::Error>> {
    let seconds = curves
        .iter()
        .map(|curve| curve.values.len())
        .max()
        .unwrap_or(0)
        .max(2);
    let top = curves
        .iter()
        .flat_map(|curve| &curve.values)
        .copied()
        .fold(1e-3, f64::max);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let names: Vec<&str> = curves.iter().map(|curve| curve.name).collect();
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .caption(format!("{title}: {}", names.join(", ")), ("sans-serif", 16))
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..(seconds - 1) as f64, 0.0..top * 1.05)?;
    chart
        .configure_mesh()
        .light_line_style(RGBColor(240, 240, 240))
        .x_desc("s")
        .y_desc(unit)
        .draw()?;
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let points = curve
            .values
            .iter()
            .enumerate()
            .map(|(second, value)| (second as f64, *value));
        chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
    }
    area.present()?;
    drop(chart);
    drop(area);
    Ok(())
}
