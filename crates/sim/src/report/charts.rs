//! The plots: waits, cost, use over time, workers. Each is one SVG.

use std::error::Error;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use plotters::prelude::*;

use crate::figures::{CLASSES, Figures};

use super::paint::{self, Drawn, INK, Plot, SIZE};
use super::{Report, Run, gantt, reached};

/// What a cost is made of, and how dark it is drawn.
const PARTS: [(&str, f64); 3] = [("instances at work", 0.95), ("instances not at work", 0.55), ("disks", 0.3)];

/// Points of a curve over time: one for every second pixel or so.
const POINTS: usize = 400;

/// A finished plot.
#[derive(Clone, Debug)]
pub struct Chart {
    /// For file names: `waits`, `reached`, `cost`, `use`, `workers`.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub caption: String,
    /// The snapshot.
    pub svg: String,
}

/// Draws all of them.
///
/// # Errors
///
/// Plotters cannot draw: nothing that depends on the numbers is known to lead there.
pub fn all(report: &Report, runs: &[Run]) -> Result<Vec<Chart>, Box<dyn Error>> {
    let figures = &report.policies;
    let mut charts = vec![
        chart("waits", "How many jobs waited how long, from pending to begun.".into(), |svg| waits(svg, figures))?,
        chart("reached", "How many of 100 jobs had begun after how long a wait.".into(), |svg| {
            reached::draw(svg, runs, report.equal_wait_seconds.map(Duration::from_secs_f64))
        })?,
        chart("cost", "What it cost.".into(), |svg| cost(svg, figures))?,
        chart("use", "Job slots paid for (line) and at work (area), over time (UTC).".into(), |svg| usage(svg, runs))?,
    ];
    if let Some(first) = runs.first() {
        let caption = format!(
            "Workers of {} around the busiest hour (UTC): booting, free, and at work (interrupted ones end with a mark).",
            first.name
        );
        charts.push(chart("workers", caption, |svg| gantt::draw(svg, first))?);
    }
    Ok(charts)
}

fn chart(
    name: &'static str,
    caption: String,
    draw: impl FnOnce(&mut String) -> Drawn,
) -> Result<Chart, Box<dyn Error>> {
    let mut svg = String::new();
    draw(&mut svg)?;
    Ok(Chart { name, caption, svg: paint::finish(&svg) })
}

fn waits(svg: &mut String, figures: &[Figures]) -> Drawn {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let classes = CLASSES.len() + 1;
    let share = |one: &Figures, class: usize| {
        let all = one.wait_seconds.histogram.iter().sum::<u64>().max(1) as f64;
        one.wait_seconds.histogram.get(class).copied().unwrap_or_default() as f64 / all * 100.0
    };
    let mut plot = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..classes as f64, 0.0..100.0)?;
    mesh(
        &mut plot,
        classes,
        |class| {
            let index = class.round() as usize;
            match CLASSES.get(index) {
                Some(end) => format!("≤ {}", seconds(*end)),
                None => "more".into(),
            }
        },
        |share| format!("{share:.0} %"),
    )?;
    let width = 0.8 / figures.len().max(1) as f64;
    for (index, one) in figures.iter().enumerate() {
        let color = paint::policy(index);
        let bars = (0..classes).map(|class| {
            let left = class as f64 + 0.1 + width * index as f64;
            Rectangle::new([(left, 0.0), (left + width, share(one, class))], color.filled())
        });
        plot.draw_series(bars)?
            .label(label(&one.policy))
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], color.filled()));
    }
    paint::legend(&mut plot, SeriesLabelPosition::UpperRight)
}

fn cost(svg: &mut String, figures: &[Figures]) -> Drawn {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let most = figures.iter().map(|one| one.cost_usd.total).fold(0.01, f64::max) * 1.15;
    let count = figures.len();
    let mut plot = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..count as f64, 0.0..most)?;
    let names: Vec<String> = figures.iter().map(|one| label(&one.policy)).collect();
    mesh(&mut plot, count, |at| names.get(at.round() as usize).cloned().unwrap_or_default(), |usd| money(usd, most))?;
    for (name, opacity) in PARTS {
        let shade = INK.mix(opacity);
        plot.draw_series(std::iter::empty::<Rectangle<(f64, f64)>>())?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], shade.filled()));
    }
    for (index, one) in figures.iter().enumerate() {
        let cost = one.cost_usd;
        let work = (cost.spot + cost.on_demand - cost.not_used).max(0.0);
        let color = paint::policy(index);
        let left = index as f64 + 0.25;
        let mut below = 0.0;
        for (part, (_, opacity)) in [work, cost.not_used, cost.ebs].into_iter().zip(PARTS) {
            let bar = Rectangle::new([(left, below), (left + 0.5, below + part)], color.mix(opacity).filled());
            plot.draw_series([bar])?;
            below += part;
        }
        let total = format!("${:.2}", cost.total);
        plot.draw_series([Text::new(total, (left + 0.14, below + most * 0.06), paint::text(15))])?;
    }
    paint::legend(&mut plot, SeriesLabelPosition::UpperRight)
}

fn usage(svg: &mut String, runs: &[Run]) -> Drawn {
    let area = SVGBackend::with_string(svg, (SIZE.0, SIZE.1.saturating_mul(runs.len().max(1) as u32) * 3 / 5))
        .into_drawing_area();
    let panels = area.split_evenly((runs.len().max(1), 1));
    let curves: Vec<Curves> = runs.iter().map(Curves::of).collect();
    let most = curves.iter().flat_map(|curves| &curves.paid).copied().fold(1.0, f64::max) * 1.1;
    for ((panel, run), (index, curves)) in panels.iter().zip(runs).zip(curves.iter().enumerate()) {
        let color = paint::policy(index);
        let hours = curves.step.as_secs_f64() * POINTS as f64 / 3600.0;
        let mut plot = ChartBuilder::on(panel)
            .caption(label(&run.name), paint::text(15))
            .margin(8)
            .x_label_area_size(24)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..hours, 0.0..most)?;
        let clock = |hour: f64| paint::clock(run.start(), hour * 3600.0, "%a %H:%M");
        paint::mesh(&mut plot, clock, |slots| format!("{slots:.0}"))?;
        let points = |values: &[f64]| -> Vec<(f64, f64)> {
            let at = |index: usize| hours * (index as f64 + 0.5) / POINTS as f64;
            values.iter().enumerate().map(|(index, value)| (at(index), *value)).collect()
        };
        plot.draw_series(AreaSeries::new(points(&curves.busy), 0.0, color.mix(0.45)))?;
        plot.draw_series(LineSeries::new(points(&curves.paid), color.stroke_width(1)))?;
    }
    area.present()?;
    Ok(())
}

/// Slots over time, as averages of equal steps.
struct Curves {
    paid: Vec<f64>,
    busy: Vec<f64>,
    step: Duration,
}

impl Curves {
    fn of(run: &Run) -> Self {
        let start = run.start();
        let whole: Duration = run.end.duration_since(start).try_into().unwrap_or_default();
        let step = (whole / POINTS as u32).max(Duration::from_secs(1));
        let mut curves = Self { paid: vec![0.0; POINTS], busy: vec![0.0; POINTS], step };
        for machine in &run.recording.machines {
            let until = machine.ended_at.unwrap_or(run.end);
            fill(&mut curves.paid, start, step, machine.launched_at, until, f64::from(machine.slots));
        }
        for job in &run.recording.jobs {
            if let Some(started_at) = job.started_at {
                fill(&mut curves.busy, start, step, started_at, job.ended_at.unwrap_or(run.end), 1.0);
            }
        }
        curves
    }
}

/// Adds `amount` to the average of every step between two times.
fn fill(values: &mut [f64], start: Timestamp, step: Duration, from: Timestamp, to: Timestamp, amount: f64) {
    let place = |at: Timestamp| SignedDuration::as_secs_f64(&at.duration_since(start)).max(0.0) / step.as_secs_f64();
    let (from, to) = (place(from), place(to));
    let (first, last) = (from.floor() as usize, to.ceil() as usize);
    let count = last.saturating_sub(first);
    for (index, value) in values.iter_mut().enumerate().skip(first).take(count) {
        let share = (to.min(index as f64 + 1.0) - from.max(index as f64)).max(0.0);
        *value += amount * share;
    }
}

/// A frame whose x labels stand in the middle of `count` classes.
fn mesh(plot: &mut Plot<'_, '_>, count: usize, x: impl Fn(f64) -> String, y: impl Fn(f64) -> String) -> Drawn {
    let x = |at: &f64| if at.fract().abs() < 1e-9 && *at < count as f64 { x(*at) } else { String::new() };
    let y = |at: &f64| y(*at);
    plot.configure_mesh()
        .disable_x_mesh()
        .x_labels(count + 1)
        .x_label_offset(SIZE.0 as i32 / (2 * count.max(1) as i32) - 10)
        .x_label_formatter(&x)
        .y_label_formatter(&y)
        .label_style(paint::text(13))
        .axis_style(INK.mix(0.5))
        .bold_line_style(INK.mix(0.15))
        .light_line_style(TRANSPARENT)
        .draw()?;
    Ok(())
}

/// Money on an axis that ends at `most`: with cents where whole dollars would say the same twice.
fn money(usd: f64, most: f64) -> String {
    if most < 20.0 { format!("${usd:.2}") } else { format!("${usd:.0}") }
}

/// The first words of a policy's name: its settings stand in the table.
fn label(policy: &str) -> String {
    super::short(policy).to_owned()
}

fn seconds(number: u32) -> String {
    match number {
        0..60 => format!("{number} s"),
        60..3600 => format!("{} m", number / 60),
        3600.. => format!("{} h", number / 3600),
    }
}
