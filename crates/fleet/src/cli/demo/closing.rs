//! The summary in words.

use runner_fleet_sim::Summary;

/// A few lines for people.
pub(super) fn text(summary: &Summary) -> String {
    let Summary {
        version: _,
        jobs,
        wait_seconds: wait,
        workers,
        cost_usd,
        laws_broken,
        on_demand_cost_usd,
        interrupted,
    } = summary;
    let saved = if *on_demand_cost_usd > 0.0 { 100.0 * (1.0 - cost_usd / on_demand_cost_usd) } else { 0.0 };
    format!(
        "Jobs         {} queued, {} succeeded, {} failed ({} interrupted by EC2, {} of them retried)\n\
         Waits        half at most {}, 95 % at most {}, the longest {}\n\
         Workers      {} launched, {} terminated, {} remaining ({} taken back by EC2)\n\
         Cost         ${cost_usd:.2} (the same workers on demand: ${on_demand_cost_usd:.2}, {saved:.0} % saved)\n\
         Laws broken  {laws_broken}\n",
        jobs.queued,
        jobs.succeeded,
        jobs.failed,
        interrupted.jobs,
        interrupted.retried,
        seconds(wait.p50),
        seconds(wait.p95),
        seconds(wait.max),
        workers.launched,
        workers.terminated,
        workers.remaining,
        workers.interrupted,
    )
}

/// Short waits with a tenth, long ones in whole seconds.
fn seconds(value: f64) -> String {
    if value < 10.0 { format!("{value:.1} s") } else { format!("{value:.0} s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_sim::summary::{InterruptedSums, JobSums, WaitSums, WorkerSums};

    #[test]
    fn the_summary_reads_like_this() {
        let summary = Summary {
            version: 1,
            jobs: JobSums { queued: 410, succeeded: 410, failed: 0 },
            wait_seconds: WaitSums { p50: 0.4, p95: 71.2, max: 130.0 },
            workers: WorkerSums { launched: 60, terminated: 60, remaining: 0, interrupted: 2 },
            cost_usd: 1.204,
            laws_broken: 0,
            on_demand_cost_usd: 3.01,
            interrupted: InterruptedSums { jobs: 2, retried: 2 },
        };
        insta::assert_snapshot!(text(&summary), @r"
        Jobs         410 queued, 410 succeeded, 0 failed (2 interrupted by EC2, 2 of them retried)
        Waits        half at most 0.4 s, 95 % at most 71 s, the longest 130 s
        Workers      60 launched, 60 terminated, 0 remaining (2 taken back by EC2)
        Cost         $1.20 (the same workers on demand: $3.01, 60 % saved)
        Laws broken  0
        ");
    }
}
