//! The numbers of one run: waits, money, use, interruptions, calls. Read from a [`Recording`] alone, for every policy alike.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use runner_fleet_engine::{Market, prices::cost as billed};

use super::bound::Bound;
use super::prices::{self, GIB_HOUR};
use super::recording::{JobOutcome, JobRun, MachineRun, Recording};

/// Upper ends of the histogram's classes, in seconds; one more class lies above the last.
pub const CLASSES: [u32; 11] = [1, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600];

/// The numbers of one run under one policy. In JSON as in [`super::report::Report`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// The policy's name and the settings that it ran with.
    pub policy: String,
    /// Jobs by fate.
    pub jobs: JobFigures,
    /// From pending to begun.
    pub wait_seconds: WaitFigures,
    /// Money.
    pub cost_usd: CostFigures,
    /// Hours that machines were paid for.
    pub machine_hours: HourFigures,
    /// What a clairvoyant would have paid for, with this policy's p95 of the wait.
    pub bound: Option<Bound>,
    /// Machines and what became of them.
    pub machines: MachineFigures,
    /// Calls to EC2 and GitLab, by kind.
    pub calls: BTreeMap<&'static str, u64>,
}

/// Jobs by fate; the sum of all but `queued` and `again` is `queued`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JobFigures {
    /// Of the workload.
    pub queued: u64,
    /// Ran to their end, at the first or a later try.
    pub done: u64,
    /// Lost with their machine, and not queued again or lost again.
    pub lost: u64,
    /// Failed because no machine came.
    pub no_machine: u64,
    /// Not over when the run ended.
    pub open: u64,
    /// Times that a job was queued again after it was lost.
    pub again: u64,
}

/// Waits of all begun runs, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WaitFigures {
    /// On average.
    pub mean: f64,
    /// Half waited no longer.
    pub p50: f64,
    /// 95 of 100 waited no longer.
    pub p95: f64,
    /// 99 of 100 waited no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
    /// All of them together, in hours.
    pub job_hours: f64,
    /// Runs for each of [`CLASSES`], and those above the last.
    pub histogram: Vec<u64>,
}

/// USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CostFigures {
    /// Instances and their disks.
    pub total: f64,
    /// Spot instances.
    pub spot: f64,
    /// On-demand instances.
    pub on_demand: f64,
    /// Root volumes.
    pub ebs: f64,
    /// The part of the instances' cost during which their slots ran no job: boot, idle, retirement.
    pub not_used: f64,
    /// What each job that was done cost on average.
    pub per_job: f64,
}

/// Hours of machines' slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct HourFigures {
    /// Paid for, times slots.
    pub paid: f64,
    /// With a job.
    pub busy: f64,
    /// Before they could take a job.
    pub booting: f64,
    /// Busy as a share of paid, 0 to 1.
    pub utilisation: f64,
}

/// Machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MachineFigures {
    /// Launched.
    pub launched: u64,
    /// Most at one time.
    pub peak: u64,
    /// Taken back by EC2.
    pub interrupted: u64,
    /// Hours of work that were lost with them and done again.
    pub lost_hours: f64,
}

/// What money depends on besides the recording.
#[derive(Clone, Copy, Debug)]
pub struct Tariff {
    /// Of each machine's root volume.
    pub root_volume_gib: u32,
    /// As in [`super::Scenario::price_seed`].
    pub price_seed: Option<u64>,
}

/// What counts of a run: jobs queued from `from` on, and what machines cost from then until the end.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// What lies before was warm-up.
    pub from: Timestamp,
    /// The run's end.
    pub to: Timestamp,
}

/// The numbers of what counts of `recording`.
pub fn figures(policy: String, recording: &Recording, span: Span, tariff: Tariff) -> Figures {
    let end = span.to;
    let busy = busy_hours(recording, span);
    let recording = &counted(recording, span.from);
    let jobs = job_figures(recording);
    let mut hours = HourFigures { busy: busy.iter().sum(), ..HourFigures::default() };
    let mut cost = CostFigures::default();
    for (machine, busy) in recording.machines.iter().zip(&busy) {
        let lived = machine.lived(end);
        if lived.is_zero() {
            continue;
        }
        let slots = f64::from(machine.slots);
        let ready_at = machine.ready_at.or(machine.ended_at).unwrap_or(end);
        hours.paid += in_hours(lived) * slots;
        hours.booting += in_hours(between(machine.launched_at, ready_at).min(lived)) * slots;
        let until = machine.ended_at.unwrap_or(end);
        let usd = prices::bill(tariff.price_seed, &machine.offering, machine.launched_at, until);
        match machine.market() {
            Market::Spot => cost.spot += usd,
            Market::OnDemand => cost.on_demand += usd,
        }
        cost.ebs += billed(GIB_HOUR * f64::from(tariff.root_volume_gib), lived);
        cost.not_used += usd * (1.0 - busy / (in_hours(lived) * slots)).clamp(0.0, 1.0);
    }
    cost.total = cost.spot + cost.on_demand + cost.ebs;
    cost.per_job = if jobs.done > 0 { cost.total / jobs.done as f64 } else { 0.0 };
    hours.utilisation = if hours.paid > 0.0 { hours.busy / hours.paid } else { 0.0 };
    Figures {
        policy,
        jobs,
        wait_seconds: wait_figures(recording),
        cost_usd: cost.rounded(),
        machine_hours: hours.rounded(),
        bound: None,
        machines: machine_figures(recording, end),
        calls: recording.calls.clone(),
    }
}

/// The jobs queued from then on, and the machines with what they lived from then on; those that had ended before keep their
/// places and cost nothing. Calls count from the beginning.
fn counted(recording: &Recording, from: Timestamp) -> Recording {
    let clipped = |machine: &MachineRun| {
        let last = machine.ended_at.unwrap_or(Timestamp::MAX).max(machine.launched_at);
        MachineRun { launched_at: machine.launched_at.max(from).min(last), ..machine.clone() }
    };
    Recording {
        jobs: recording.jobs.iter().filter(|job| job.queued_at >= from).cloned().collect(),
        machines: recording.machines.iter().map(clipped).collect(),
        calls: recording.calls.clone(),
    }
}

/// When the last job was over; the latest of `least` and that.
pub fn end_of(recording: &Recording, least: Timestamp) -> Timestamp {
    recording.jobs.iter().filter_map(|job| job.ended_at).fold(least, Timestamp::max)
}

fn job_figures(recording: &Recording) -> JobFigures {
    let mut last: BTreeMap<usize, &JobRun> = BTreeMap::new();
    let mut sums = JobFigures::default();
    for job in &recording.jobs {
        sums.again += u64::from(job.attempt > 0);
        let newest = last.entry(job.index).or_insert(job);
        if job.attempt > newest.attempt {
            *newest = job;
        }
    }
    sums.queued = last.len() as u64;
    for job in last.values() {
        match job.outcome {
            JobOutcome::Done => sums.done += 1,
            JobOutcome::Lost => sums.lost += 1,
            JobOutcome::NoMachine => sums.no_machine += 1,
            JobOutcome::Open => sums.open += 1,
        }
    }
    sums
}

fn wait_figures(recording: &Recording) -> WaitFigures {
    let mut waits: Vec<f64> = recording.jobs.iter().filter_map(JobRun::wait).map(|wait| wait.as_secs_f64()).collect();
    waits.sort_by(f64::total_cmp);
    let mut histogram = vec![0; CLASSES.len() + 1];
    for wait in &waits {
        let class = CLASSES.partition_point(|end| f64::from(*end) < *wait);
        if let Some(count) = histogram.get_mut(class) {
            *count += 1;
        }
    }
    // Not `sum`, whose nothing is -0.
    let sum = waits.iter().fold(0.0, |sum, wait| sum + wait);
    let mean = if waits.is_empty() { 0.0 } else { sum / waits.len() as f64 };
    let at = |share| rounded(percentile(&waits, share), 1000.0);
    WaitFigures {
        mean: rounded(mean, 1000.0),
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        max: at(1.0),
        job_hours: rounded(sum / 3600.0, 100.0),
        histogram,
    }
}

/// The smallest value that at least this share of the sorted values does not exceed; 0 where there is none.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil().max(1.0) as usize - 1;
    sorted.get(rank).copied().unwrap_or_default()
}

/// The hours that each machine's slots ran jobs.
fn busy_hours(recording: &Recording, span: Span) -> Vec<f64> {
    let mut busy = vec![0.0; recording.machines.len()];
    for job in &recording.jobs {
        if let (Some(machine), Some(started_at)) = (job.machine.and_then(|at| busy.get_mut(at)), job.started_at) {
            *machine += in_hours(between(started_at.max(span.from), job.ended_at.unwrap_or(span.to)));
        }
    }
    busy
}

fn machine_figures(recording: &Recording, end: Timestamp) -> MachineFigures {
    let real: Vec<&MachineRun> = recording.machines.iter().filter(|machine| !machine.lived(end).is_zero()).collect();
    let mut changes: Vec<(Timestamp, i64)> =
        real.iter().flat_map(|machine| [(machine.launched_at, 1), (machine.ended_at.unwrap_or(end), -1)]).collect();
    changes.sort_unstable();
    let mut now = 0;
    let mut peak = 0;
    for (_, change) in changes {
        now += change;
        peak = peak.max(now);
    }
    let lost = recording.jobs.iter().filter(|job| job.outcome == JobOutcome::Lost);
    let lost = lost.filter_map(|job| Some(in_hours(between(job.started_at?, job.ended_at?))));
    // Not `sum`, whose nothing is -0.
    let lost_hours = lost.fold(0.0, |sum, hours| sum + hours);
    MachineFigures {
        launched: real.len() as u64,
        peak: u64::try_from(peak).unwrap_or_default(),
        interrupted: real.iter().filter(|machine| machine.interrupted).count() as u64,
        lost_hours: rounded(lost_hours, 100.0),
    }
}

impl CostFigures {
    /// To a cent; what a job costs to a thousandth of one.
    fn rounded(self) -> Self {
        let Self { total, spot, on_demand, ebs, not_used, per_job } = self;
        let cents = |usd| rounded(usd, 100.0);
        Self {
            total: cents(total),
            spot: cents(spot),
            on_demand: cents(on_demand),
            ebs: cents(ebs),
            not_used: cents(not_used),
            per_job: rounded(per_job, 100_000.0),
        }
    }
}

impl HourFigures {
    fn rounded(self) -> Self {
        let Self { paid, busy, booting, utilisation } = self;
        let hours = |number| rounded(number, 100.0);
        Self {
            paid: hours(paid),
            busy: hours(busy),
            booting: hours(booting),
            utilisation: rounded(utilisation, 10_000.0),
        }
    }
}

fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

pub(crate) fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

fn in_hours(duration: Duration) -> f64 {
    duration.as_secs_f64() / 3600.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_engine::{InstanceType, Offering, SubnetId, Zone};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn machine(from: i64, to: i64) -> MachineRun {
        MachineRun {
            offering: Offering {
                market: Market::OnDemand,
                instance_type: InstanceType::new("c7g.large"),
                zone: Zone::new("a"),
                subnet: SubnetId::new("s"),
            },
            slots: 1,
            launched_at: at(from),
            ready_at: Some(at(from + 60)),
            ended_at: Some(at(to)),
            interrupted: false,
        }
    }

    fn job(index: usize, attempt: u32, times: [i64; 3], outcome: JobOutcome) -> JobRun {
        let [queued_at, started_at, ended_at] = times.map(at);
        let (started_at, ended_at) = (Some(started_at), Some(ended_at));
        JobRun { index, attempt, queued_at, started_at, ended_at, outcome, machine: Some(0) }
    }

    #[test]
    fn an_hour_of_one_machine_with_half_an_hour_of_jobs() {
        let jobs = vec![job(0, 0, [0, 60, 960], JobOutcome::Lost), job(0, 1, [970, 1000, 1900], JobOutcome::Done)];
        let recording = Recording { jobs, machines: vec![machine(0, 3600)], calls: BTreeMap::new() };
        let tariff = Tariff { root_volume_gib: 73, price_seed: None };
        let figures = figures("x".into(), &recording, Span { from: at(0), to: at(3600) }, tariff);

        assert_eq!(figures.jobs, JobFigures { queued: 1, done: 1, again: 1, ..JobFigures::default() });
        assert_eq!((figures.machine_hours.busy, figures.machine_hours.utilisation), (0.5, 0.5));
        assert_eq!((figures.machine_hours.paid, figures.machine_hours.booting), (1.0, 0.02));
        // 0.0825 an hour and 73 GiB at 0.0952 / 730.
        assert_eq!((figures.cost_usd.on_demand, figures.cost_usd.ebs, figures.cost_usd.not_used), (0.08, 0.01, 0.04));
        assert_eq!((figures.wait_seconds.p50, figures.wait_seconds.p95), (30.0, 60.0));
        assert_eq!((figures.wait_seconds.mean, figures.wait_seconds.job_hours), (45.0, 0.03));
        assert_eq!(figures.wait_seconds.histogram.iter().sum::<u64>(), 2);
        assert_eq!((figures.machines.peak, figures.machines.lost_hours), (1, 0.25));
    }

    #[test]
    fn what_lies_before_the_count_is_neither_waited_nor_paid_for() {
        let jobs = vec![job(0, 0, [0, 60, 960], JobOutcome::Done), job(1, 0, [1900, 1910, 2700], JobOutcome::Done)];
        let machines = vec![machine(0, 3600), machine(0, 900)];
        let recording = Recording { jobs, machines, calls: BTreeMap::new() };
        let tariff = Tariff { root_volume_gib: 0, price_seed: None };
        let figures = figures("x".into(), &recording, Span { from: at(900), to: at(3600) }, tariff);

        assert_eq!((figures.jobs.queued, figures.wait_seconds.max), (1, 10.0));
        // Three quarters of an hour of one machine; a minute of the first job's work, and the second's.
        assert_eq!((figures.machine_hours.paid, figures.machines.launched), (0.75, 1));
        assert_eq!((figures.machine_hours.busy, figures.cost_usd.on_demand), (0.24, 0.06));
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let waits: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([0.5, 0.95, 1.0].map(|share| percentile(&waits, share)), [50.0, 95.0, 100.0]);
        assert_eq!(percentile(&[], 0.95), 0.0);
    }
}
