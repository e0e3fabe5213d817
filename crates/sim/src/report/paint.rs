//! The drawing base: SVG by plotters, in colours that can be read on white and on black.
//!
//! Whatever is text or a line of the frame is drawn in one marked colour and becomes `currentColor` afterwards, so that it
//! follows the page; the rest is of middle brightness.

use std::error::Error;

use jiff::{SignedDuration, Timestamp};
use plotters::prelude::*;
use plotters::style::RGBColor;

/// Of every plot, in pixels.
pub(super) const SIZE: (u32, u32) = (960, 360);
/// Whatever plotters can fail with.
pub(super) type Drawn = Result<(), Box<dyn Error>>;

/// Stands for the page's own text colour.
const INK_MARK: &str = "#010203";
/// The same, for plotters.
pub(super) const INK: RGBColor = RGBColor(1, 2, 3);
/// Policies, in their order.
const POLICIES: [RGBColor; 6] = [
    RGBColor(45, 125, 210),
    RGBColor(220, 110, 35),
    RGBColor(50, 150, 85),
    RGBColor(160, 95, 200),
    RGBColor(205, 70, 90),
    RGBColor(120, 120, 120),
];

/// The colour of the policy at this place.
pub(super) fn policy(index: usize) -> RGBColor {
    POLICIES.get(index % POLICIES.len()).copied().unwrap_or(INK)
}

/// Text of this size.
pub(super) fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// A plot with numbers on both axes.
pub(super) type Plot<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

/// A frame for curves.
pub(super) fn mesh(plot: &mut Plot<'_, '_>, x: impl Fn(f64) -> String, y: impl Fn(f64) -> String) -> Drawn {
    let (x, y) = (|at: &f64| x(*at), |at: &f64| y(*at));
    plot.configure_mesh()
        .disable_x_mesh()
        .x_labels(12)
        .y_labels(5)
        .x_label_formatter(&x)
        .y_label_formatter(&y)
        .label_style(text(12))
        .axis_style(INK.mix(0.5))
        .bold_line_style(INK.mix(0.15))
        .light_line_style(TRANSPARENT)
        .draw()?;
    Ok(())
}

/// Names the series at that place.
pub(super) fn legend<'a, 'b: 'a>(plot: &mut Plot<'a, 'b>, place: SeriesLabelPosition) -> Drawn {
    plot.configure_series_labels().position(place).label_font(text(14)).border_style(TRANSPARENT).draw()?;
    Ok(())
}

/// What a clock in UTC shows so many seconds later.
pub(super) fn clock(at: Timestamp, seconds: f64, format: &str) -> String {
    let later = at.saturating_add(SignedDuration::from_secs_f64(seconds)).unwrap_or(Timestamp::MAX);
    later.strftime(format).to_string()
}

/// Makes what was drawn follow the page's colours; where the page is the snapshot itself, it brings its own.
pub(super) fn finish(svg: &str) -> String {
    let style = "<style>svg{color:#1f2328;background:#ffffff}\
                 @media (prefers-color-scheme: dark){svg{color:#e6e6e6;background:#16181d}}</style>";
    let svg = svg.replace(INK_MARK, "currentColor");
    match svg.find('>') {
        Some(at) => {
            let (head, rest) = svg.split_at(at + 1);
            format!("{head}{style}{rest}")
        }
        None => svg,
    }
}
