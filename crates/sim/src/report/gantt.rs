//! Each worker a line: booting, free, at work.

use jiff::{SignedDuration, Timestamp};
use plotters::prelude::*;

use super::Run;
use super::paint::{self, Drawn, INK, SIZE};
use crate::recording::MachineRun;

/// What is shown of time: the busiest hour and as much before and after.
const WINDOW: SignedDuration = SignedDuration::from_hours(3);
/// Lines; more could not be told apart.
const LINES_MAX: usize = 90;

/// Draws the run's workers around its busiest hour.
pub(super) fn draw(svg: &mut String, run: &Run) -> Drawn {
    let from = busiest(run);
    let to = from.saturating_add(WINDOW).unwrap_or(Timestamp::MAX);
    let minute = |at: Timestamp| at.max(from).min(to).duration_since(from).as_secs_f64() / 60.0;
    let shown: Vec<(usize, &MachineRun)> = run
        .recording
        .machines
        .iter()
        .enumerate()
        .filter(|(_, machine)| machine.launched_at < to && machine.ended_at.unwrap_or(run.end) > from)
        .take(LINES_MAX)
        .collect();
    let lines = shown.len().max(1);
    let area = SVGBackend::with_string(svg, (SIZE.0, 60 + 7 * lines as u32)).into_drawing_area();
    let mut plot = ChartBuilder::on(&area)
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..WINDOW.as_secs_f64() / 60.0, 0.0..lines as f64)?;
    plot.configure_mesh()
        .disable_y_mesh()
        .x_label_formatter(&|minute| paint::clock(from, minute * 60.0, "%H:%M"))
        .y_labels(2)
        .y_label_formatter(&|line| format!("{line:.0}"))
        .label_style(paint::text(12))
        .axis_style(INK.mix(0.5))
        .bold_line_style(INK.mix(0.12))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let color = paint::policy(0);
    let bar = |line: usize, from: f64, to: f64, style: ShapeStyle| {
        let top = (lines - line) as f64;
        Rectangle::new([(from, top - 0.15), (to, top - 0.85)], style)
    };
    for (line, (index, machine)) in shown.iter().enumerate() {
        let end = machine.ended_at.unwrap_or(run.end);
        let ready_at = machine.ready_at.unwrap_or(end);
        plot.draw_series([
            bar(line, minute(machine.launched_at), minute(ready_at), INK.mix(0.3).filled()),
            bar(line, minute(ready_at), minute(end), color.mix(0.25).filled()),
        ])?;
        let jobs = run.recording.jobs.iter().filter(|job| job.machine == Some(*index));
        plot.draw_series(jobs.filter_map(|job| {
            let (began, ended) = (job.started_at?, job.ended_at.unwrap_or(run.end));
            (began < to && ended > from).then(|| bar(line, minute(began), minute(ended), color.filled()))
        }))?;
        if machine.interrupted && end < to {
            let mark = RGBColor(205, 50, 60).filled();
            plot.draw_series([bar(line, minute(end) - 0.4, minute(end) + 0.4, mark)])?;
        }
    }
    area.present()?;
    Ok(())
}

/// An hour before the hour in which most jobs were queued.
fn busiest(run: &Run) -> Timestamp {
    let start = run.start();
    let mut hours = std::collections::BTreeMap::<i64, u64>::new();
    for job in &run.recording.jobs {
        *hours.entry(job.queued_at.duration_since(start).as_hours()).or_default() += 1;
    }
    let busiest =
        hours.iter().max_by_key(|(hour, count)| (**count, std::cmp::Reverse(**hour))).map_or(0, |(hour, _)| *hour);
    start.saturating_add(SignedDuration::from_hours((busiest - 1).max(0))).unwrap_or(start)
}
