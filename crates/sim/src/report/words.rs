//! What a report says in sentences: its result, no greater than the least favourable row, and its warnings.

use runner_fleet_config::Config;

use super::{Curve, CurvePoint, Report};
use crate::figures::Figures;

/// One pair of rows at one target: ours and another's.
struct Pair<'a> {
    target: f64,
    ours: &'a Figures,
    other: &'a Figures,
}

impl Pair<'_> {
    /// What ours costs more than the other, as a share of the other; below 0: less.
    fn dearer(&self) -> f64 {
        let other = self.other.cost_usd.total.max(0.01);
        (self.ours.cost_usd.total - other) / other
    }
}

/// The result of a comparison in one sentence; none where nothing is compared.
pub(crate) fn result(report: &Report) -> Option<String> {
    let ours = report.policies.first()?;
    if report.policies.len() < 2 {
        return None;
    }
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    if let Some(target) = report.equal_wait_seconds {
        let reached = |one: &&Figures| one.wait_seconds.p95 <= target;
        let others = report.policies.iter().skip(1).filter(reached);
        pairs.extend(others.map(|other| Pair { target, ours, other }));
        if !reached(&ours) {
            return Some(format!("runner-fleet does not reach {target} s with any setting that was tried."));
        }
    }
    if let Some((first, others)) = report.curves.split_first() {
        pairs.extend(others.iter().flat_map(|other| met(first, other)));
    }
    let worst = pairs.iter().max_by(|one, other| one.dearer().total_cmp(&other.dearer()));
    let Some(worst) = worst else {
        return Some("The waits differ, so the costs alone say nothing: ask for --equal-wait or --curve.".into());
    };
    let share = worst.dearer() * 100.0;
    let told = if share > 0.0 { format!("{share:.1} % more") } else { format!("{:.1} % less", -share) };
    Some(format!(
        "In the least favourable of {} comparisons at equal waits, runner-fleet costs {told} than {} (95 of 100 jobs wait \
         at most {} s: ${:.2} against ${:.2}).",
        pairs.len(),
        super::short(&worst.other.policy),
        worst.target,
        worst.ours.cost_usd.total,
        worst.other.cost_usd.total,
    ))
}

/// The points of two curves at which both reach the target.
fn met<'a>(ours: &'a Curve, other: &'a Curve) -> impl Iterator<Item = Pair<'a>> {
    let both = |(one, other): &(&CurvePoint, &CurvePoint)| one.met && other.met;
    ours.points.iter().zip(&other.points).filter(both).map(|(one, other)| Pair {
        target: one.target_seconds,
        ours: &one.figures,
        other: &other.figures,
    })
}

/// What makes the numbers of these configurations look better than they are.
pub(crate) fn warnings<'a>(configs: impl Iterator<Item = (&'a str, &'a Config)>) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, config) in configs {
        for runner in config.settings().runners.iter().filter(|runner| runner.capacity > 1) {
            warnings.push(format!(
                "{name}: [[runners]] {} has capacity = {}, and the simulated jobs do not slow each other down on one machine: \
                 the cost is too low by as much as yours do.",
                runner.name, runner.capacity
            ));
        }
    }
    warnings
}

/// What a curve says of one wait.
pub fn point(point: &CurvePoint) -> String {
    let figures = &point.figures;
    let setting = figures.policy.split_once(": ").map_or("", |(_, setting)| setting);
    let waits = format!("p95 {:.1} s, mean {:.1} s", figures.wait_seconds.p95, figures.wait_seconds.mean);
    if point.met {
        format!("${:.2} ({setting}; {waits})", figures.cost_usd.total)
    } else {
        format!("not reached ({setting}: {waits})")
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::figures::{CostFigures, WaitFigures};
    use crate::report::WorkloadFacts;

    fn figures(policy: &str, p95: f64, total: f64) -> Figures {
        Figures {
            policy: policy.into(),
            wait_seconds: WaitFigures { p95, ..WaitFigures::default() },
            cost_usd: CostFigures { total, ..CostFigures::default() },
            ..Figures::default()
        }
    }

    fn report(equal_wait_seconds: Option<f64>, policies: Vec<Figures>) -> Report {
        let facts = WorkloadFacts {
            name: "w".into(),
            jobs: 1,
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::UNIX_EPOCH,
            notes: Vec::new(),
        };
        Report {
            version: 1,
            workload: facts,
            seed: 1,
            equal_wait_seconds,
            policies,
            result: None,
            warnings: Vec::new(),
            curves: Vec::new(),
            assumed: Vec::new(),
        }
    }

    #[test]
    fn the_result_is_that_of_the_least_favourable_row() {
        let rows =
            || vec![figures("a", 29.0, 80.0), figures("b: idle 1", 30.0, 100.0), figures("c: idle 2", 30.0, 90.0)];
        let said = result(&report(Some(30.0), rows())).unwrap();
        assert!(
            said.contains("11.1 % less than c (95 of 100 jobs wait at most 30 s: $80.00 against $90.00)"),
            "{said}"
        );
        let mut dearer = rows();
        dearer.push(figures("d", 10.0, 64.0));
        assert!(result(&report(Some(30.0), dearer)).unwrap().contains("25.0 % more than d"));
    }

    #[test]
    fn unequal_waits_give_no_result() {
        let rows = vec![figures("a", 29.0, 80.0), figures("b", 60.0, 100.0)];
        assert!(result(&report(None, rows.clone())).unwrap().starts_with("The waits differ"));
        assert!(!result(&report(Some(30.0), rows)).unwrap().contains("less than b"), "b does not reach the target");
        assert_eq!(result(&report(None, vec![figures("a", 1.0, 1.0)])), None);
    }
}
