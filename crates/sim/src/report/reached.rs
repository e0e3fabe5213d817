//! How many of the jobs had begun after how long a wait, for each policy a curve.

use std::time::Duration;

use plotters::prelude::*;

use super::paint::{self, Drawn, INK, SIZE};
use super::{Run, short};

/// The share that the equal wait is about.
const ASKED: f64 = 95.0;
/// A longer tail is cut off: the curve would be a corner.
const SHOWN_MAX: f64 = 1800.0;

/// Draws the curves, with 95 of 100 jobs and `target`, if there is one, as lines across.
pub(super) fn draw(svg: &mut String, runs: &[Run], target: Option<Duration>) -> Drawn {
    let waits: Vec<Vec<f64>> = runs.iter().map(waits).collect();
    let nearly_all = waits.iter().filter_map(|waits| waits.get(waits.len() * 99 / 100)).copied().fold(10.0, f64::max);
    let target = target.map(|target| target.as_secs_f64());
    let longest = nearly_all.max(target.unwrap_or_default() * 1.5).min(SHOWN_MAX);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut plot = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..longest, 0.0..100.0)?;
    paint::mesh(&mut plot, |wait| format!("{wait:.0} s"), |share| format!("{share:.0} %"))?;
    let across = [Some([(0.0, ASKED), (longest, ASKED)]), target.map(|target| [(target, 0.0), (target, 100.0)])];
    for line in across.into_iter().flatten() {
        plot.draw_series(DashedLineSeries::new(line, 5, 5, INK.mix(0.6).stroke_width(1)))?;
    }
    for (index, (run, waits)) in runs.iter().zip(&waits).enumerate() {
        let color = paint::policy(index);
        plot.draw_series(LineSeries::new(curve(waits, longest), color.stroke_width(2)))?
            .label(short(&run.name).to_owned())
            .legend(move |(x, y)| Rectangle::new([(x, y - 2), (x + 12, y + 2)], color.filled()));
    }
    paint::legend(&mut plot, SeriesLabelPosition::LowerRight)
}

/// The waits of all that began, in seconds, the shortest first.
fn waits(run: &Run) -> Vec<f64> {
    let began = |job: &crate::recording::JobRun| Some(job.started_at?.duration_since(job.queued_at).as_secs_f64());
    let mut waits: Vec<f64> = run.recording.jobs.iter().filter_map(began).collect();
    waits.sort_by(f64::total_cmp);
    waits
}

/// For each pixel or two, how many of 100 had waited no longer.
fn curve(waits: &[f64], longest: f64) -> Vec<(f64, f64)> {
    let steps = SIZE.0 / 2;
    let at = |step: u32| longest * f64::from(step) / f64::from(steps);
    let share = |wait: f64| waits.partition_point(|one| *one <= wait) as f64 / waits.len().max(1) as f64 * 100.0;
    (0..=steps).map(|step| (at(step), share(at(step)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ends_with_the_share_that_waited_no_longer() {
        let curve = curve(&[0.0, 1.0, 2.0, 90.0], 10.0);
        assert_eq!((curve.first(), curve.last()), (Some(&(0.0, 25.0)), Some(&(10.0, 75.0))));
        assert!(curve.is_sorted_by(|one, other| one.1 <= other.1));
    }
}
