//! What a watch has shown, beside what the same jobs would have met here.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use runner_fleet_gitlab::history::PastJob;
use runner_fleet_sim::figures::{Figures, percentile};

use super::orphans::{Explained, Span, unexplained};
use super::seen::{Machine, Offer, Seen, Watch};

/// What a machine costs in USD per hour; absent where nobody knows.
pub type Prices = BTreeMap<Offer, f64>;

/// What the other manager is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Machines that may stand idle.
    pub idle: u32,
    /// How long a machine may be there without a job to explain it: its idle time, and half an hour.
    pub patience: Duration,
}

/// Its JSON form is the `report.json` of `shadow`: stable, and versioned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Of this JSON form; 1.
    pub version: u32,
    /// When the watch began.
    pub since: Timestamp,
    /// Its last look.
    pub until: Timestamp,
    /// How often EC2 was listed.
    pub looks: u64,
    /// Times in which nobody looked: machines may have come and gone in them.
    pub gaps: Vec<(Timestamp, Timestamp)>,
    /// What was there.
    pub theirs: Theirs,
    /// What `simulate` says of the same jobs; absent where no job began and ended.
    pub ours: Option<Ours>,
    /// Machines that nothing explains.
    pub orphans: Orphans,
}

/// What was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Theirs {
    /// Jobs that began.
    pub jobs: u64,
    /// From pending to begun.
    pub wait_seconds: Waits,
    /// Machines that were seen.
    pub machines: u64,
    /// Hours that they were alive within the watch.
    pub machine_hours: f64,
    /// USD for those of known price: without disks, traffic and taxes.
    pub usd: f64,
    /// Hours of machines whose price is not known, which `usd` lacks.
    pub unpriced_hours: f64,
}

/// Waits in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Waits {
    /// On average.
    pub mean: f64,
    /// Half waited no longer.
    pub p50: f64,
    /// 95 of 100 waited no longer.
    pub p95: f64,
}

/// The same jobs here, simulated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ours {
    /// Jobs that ran to their end.
    pub jobs: u64,
    /// From pending to begun.
    pub wait_seconds: Waits,
    /// Machines that were launched.
    pub machines: u64,
    /// Hours that they were paid for.
    pub machine_hours: f64,
    /// USD for them, at the simulator's prices: without disks, traffic and taxes.
    pub usd: f64,
}

/// Machines that nothing explains.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Orphans {
    /// Machine hours that neither jobs nor the idle count explain.
    pub machine_hours: f64,
    /// So many machines were surplus at the end: the oldest are the likeliest.
    pub now: Vec<Suspect>,
    /// Machines that are stopped: their disks are paid for.
    pub stopped: Vec<Suspect>,
}

/// A machine to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suspect {
    /// Instance id.
    pub id: String,
    /// As EC2's console shows it.
    pub name: String,
    /// Its region.
    pub region: String,
    /// When it was launched.
    pub launched_at: Timestamp,
}

/// Reads the watch.
pub fn report(watch: &Watch, jobs: &[PastJob], prices: &Prices, ours: Option<&Figures>, allowed: Allowed) -> Report {
    Report {
        version: 1,
        since: watch.since,
        until: watch.until,
        looks: watch.looks,
        gaps: watch.gaps.clone(),
        theirs: theirs(watch, jobs, prices),
        ours: ours.map(self::ours),
        orphans: orphans(watch, jobs, allowed),
    }
}

fn theirs(watch: &Watch, jobs: &[PastJob], prices: &Prices) -> Theirs {
    let begun = jobs.iter().filter(|job| job.started_at.is_some());
    let mut waits: Vec<f64> = begun.filter_map(|job| job.queued_duration).filter(|wait| *wait >= 0.0).collect();
    waits.sort_by(f64::total_cmp);
    let mut found = Theirs {
        jobs: waits.len() as u64,
        wait_seconds: Waits {
            mean: waits.iter().sum::<f64>() / waits.len().max(1) as f64,
            p50: percentile(&waits, 0.5),
            p95: percentile(&waits, 0.95),
        },
        machines: watch.machines.len() as u64,
        ..Theirs::default()
    };
    for machine in watch.machines.values() {
        let hours = hours(machine.alive(watch));
        found.machine_hours += hours;
        match prices.get(&machine.offer()) {
            Some(usd) => found.usd += usd * hours,
            None => found.unpriced_hours += hours,
        }
    }
    found
}

fn ours(figures: &Figures) -> Ours {
    let waits = &figures.wait_seconds;
    Ours {
        jobs: figures.jobs.done,
        wait_seconds: Waits { mean: waits.mean, p50: waits.p50, p95: waits.p95 },
        machines: figures.machines.launched,
        machine_hours: figures.machine_hours.paid,
        usd: figures.cost_usd.spot + figures.cost_usd.on_demand,
    }
}

fn orphans(watch: &Watch, jobs: &[PastJob], allowed: Allowed) -> Orphans {
    let explained: Vec<Span> =
        jobs.iter().map(|job| (job.queued_at(), job.finished_at.unwrap_or(watch.until))).collect();
    // One that is alive at the last look is alive at its end.
    let machines: Vec<Span> = watch.machines.values().map(|machine| machine.alive(watch)).collect();
    let explained = Explained { jobs: &explained, idle: allowed.idle, patience: allowed.patience };
    let found = unexplained((watch.since, watch.until), &machines, &explained);
    let named = |state: Seen| {
        let mut all: Vec<Suspect> =
            watch.machines.iter().filter(|(_, machine)| machine.state == state).map(suspect).collect();
        all.sort_by(|one, other| (one.launched_at, &one.id).cmp(&(other.launched_at, &other.id)));
        all
    };
    let mut now = named(Seen::Alive);
    now.truncate(found.now as usize);
    Orphans { machine_hours: found.time.as_secs_f64() / 3600.0, now, stopped: named(Seen::Stopped) }
}

fn suspect((id, machine): (&runner_fleet_engine::WorkerId, &Machine)) -> Suspect {
    Suspect {
        id: id.to_string(),
        name: machine.name.clone(),
        region: machine.region.clone(),
        launched_at: machine.launched_at,
    }
}

fn hours((from, until): Span) -> f64 {
    until.duration_since(from).as_secs_f64().max(0.0) / 3600.0
}

#[cfg(test)]
mod tests {
    use super::super::seen::tests::{at, instance};
    use super::*;
    use runner_fleet_engine::{InstanceState, InstanceType, Market, Zone};
    use runner_fleet_gitlab::history::PastPipeline;

    fn job(queued: i64, waited: i64, took: i64) -> PastJob {
        PastJob {
            id: 1,
            status: "success".to_owned(),
            created_at: at(queued),
            started_at: Some(at(queued + waited)),
            finished_at: Some(at(queued + waited + took)),
            duration: Some(took as f64),
            queued_duration: Some(waited as f64),
            tag_list: Vec::new(),
            pipeline: PastPipeline { project_id: 1 },
            runner: None,
        }
    }

    #[test]
    fn hours_waits_money_and_the_oldest_surplus_machine_are_told() {
        let mut watch = Watch::new(at(0));
        let minute = Duration::from_secs(60);
        let listed =
            |state| vec![instance("i-old", at(-7200), InstanceState::Running), instance("i-new", at(-60), state)];
        for second in (0..=4 * 3600).step_by(60) {
            let state = if second < 3600 { InstanceState::Running } else { InstanceState::Stopped };
            watch.look(at(second), minute, &[("eu-central-1".to_owned(), listed(state))]);
        }
        let jobs = [job(0, 100, 3500), job(10, 300, 60)];
        let kind = InstanceType::new("m7g.large");
        let place = ("eu-central-1".to_owned(), kind, Zone::new("eu-central-1a"), Market::Spot);
        let allowed = Allowed { idle: 0, patience: Duration::from_secs(1800) };

        let told = report(&watch, &jobs, &[(place, 0.5)].into(), None, allowed);

        assert_eq!((told.theirs.jobs, told.theirs.machines, told.theirs.unpriced_hours), (2, 2, 0.0));
        assert_eq!(told.theirs.wait_seconds, Waits { mean: 200.0, p50: 100.0, p95: 300.0 });
        let hours = 4.0 + 59.0 / 60.0;
        assert!((told.theirs.machine_hours - hours).abs() < 1e-9 && (told.theirs.usd - hours / 2.0).abs() < 1e-9);
        let names = |all: &[Suspect]| all.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        assert_eq!(
            (names(&told.orphans.now), names(&told.orphans.stopped)),
            (vec!["i-old".into()], vec!["i-new".into()])
        );
        // One job explains a machine for the first hour, the second one for six minutes of it; from then on none does.
        assert!((3.0..=4.0).contains(&told.orphans.machine_hours), "{}", told.orphans.machine_hours);

        let blind = report(&watch, &[], &Prices::new(), None, allowed);
        assert_eq!((blind.theirs.jobs, blind.theirs.usd), (0, 0.0));
        assert!((blind.theirs.unpriced_hours - hours).abs() < 1e-9, "unknown is not zero");
    }
}
