//! The workloads of the table. Each is six weeks from a Monday, midnight UTC, and the same in every run.

use std::time::Duration;

use runner_fleet_sim::JobSpec;

pub(crate) const DAY: f64 = 86_400.0;
pub(crate) const HOUR: f64 = 3_600.0;
pub(crate) const WEEKS: f64 = 6.0;
const DAYS: f64 = 7.0 * WEEKS;

/// A small generator of its own, so that the workloads stay the same whatever the simulator draws.
struct Chance(u64);

impl Chance {
    fn share(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn until_next(&mut self, per_hour: f64) -> f64 {
        -self.share().max(1e-12).ln() / per_hour * HOUR
    }

    /// Log-normal, as durations of jobs are.
    fn duration(&mut self, median: f64, spread: f64) -> f64 {
        let normal = (-2.0 * self.share().max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * self.share()).cos();
        (median * (spread * normal).exp()).clamp(5.0, 3_600.0)
    }

    fn pipeline(&mut self, jobs: &mut Vec<JobSpec>, mut at: f64, stages: &[usize]) {
        for width in stages {
            let takes: Vec<f64> = (0..*width).map(|_| self.duration(150.0, 0.7)).collect();
            jobs.extend(takes.iter().map(|takes| job(at, *takes)));
            at += takes.into_iter().fold(0.0, f64::max) + 25.0;
        }
    }

    /// So many jobs within half a minute.
    fn burst(&mut self, jobs: &mut Vec<JobSpec>, at: f64, count: usize, median: f64) {
        for _ in 0..count {
            let (later, takes) = (self.share() * 30.0, self.duration(median, 0.5));
            jobs.push(job(at + later, takes));
        }
    }
}

fn job(at: f64, takes: f64) -> JobSpec {
    JobSpec::new(Duration::from_secs_f64(at), Duration::from_secs_f64(takes))
}

/// How busy an office is at a time, of 1: from seven to seven, most around noon, hardly at weekends.
fn office(at: f64) -> f64 {
    let day = if at / DAY % 7.0 >= 5.0 { 0.05 } else { 1.0 };
    let hour = at / HOUR % 24.0;
    let shape = match hour {
        12.0..13.0 => 0.5,
        7.0..19.0 => (std::f64::consts::PI * (hour - 7.0) / 12.0).sin().powf(0.7),
        _ => 0.03,
    };
    shape * day
}

/// People push, and each push is a pipeline of these stages.
fn pushes(chance: &mut Chance, per_hour: f64, stages: &[usize]) -> Vec<JobSpec> {
    let (mut jobs, mut at) = (Vec::new(), 0.0);
    while at < DAYS * DAY {
        at += chance.until_next(per_hour);
        if chance.share() < office(at) {
            chance.pipeline(&mut jobs, at, stages);
        }
    }
    jobs
}

pub(crate) fn office_hours() -> Vec<JobSpec> {
    pushes(&mut Chance(7_920), 35.3, &[1, 3, 1])
}

/// On working days from eight to six, six trains an hour of one to five pipelines of four jobs each.
pub(crate) fn merge_trains() -> Vec<JobSpec> {
    let (mut chance, mut jobs, mut at) = (Chance(104_732), Vec::new(), 0.0);
    while at < DAYS * DAY {
        at += chance.until_next(6.0);
        if at / DAY % 7.0 < 5.0 && (8.0..18.0).contains(&(at / HOUR % 24.0)) {
            let wagons = 1 + (chance.share() * 5.0) as u32;
            (0..wagons).for_each(|wagon| chance.pipeline(&mut jobs, at + f64::from(wagon) * 8.0, &[4]));
        }
    }
    jobs
}

/// A small office, and two bursts every night: forty jobs at two, twenty at half past four.
pub(crate) fn nightly_bursts() -> Vec<JobSpec> {
    let mut chance = Chance(15_485_868);
    let mut jobs = pushes(&mut chance, 7.0, &[1, 3, 1]);
    for day in 0..DAYS as u32 {
        for (hour, count, median) in [(2.0, 40, 400.0), (4.5, 20, 300.0)] {
            chance.burst(&mut jobs, f64::from(day) * DAY + hour * HOUR, count, median);
        }
    }
    jobs
}

/// A burst at two every night, and nothing else.
pub(crate) fn bursts_alone(count: usize) -> Vec<JobSpec> {
    let (mut chance, mut jobs) = (Chance(7_368_787), Vec::new());
    for day in 0..DAYS as u32 {
        chance.burst(&mut jobs, f64::from(day) * DAY + 2.0 * HOUR, count, 360.0);
    }
    jobs
}

/// Bots: 45 pipelines a day at any time; at five past each hour one that opens 1 to 40 merge requests; now and then a job
/// of three hours; two days on which nothing comes.
pub(crate) fn bots() -> Vec<JobSpec> {
    let (mut chance, mut jobs, mut at) = (Chance(32_452_843), Vec::new(), 0.0);
    while at < DAYS * DAY {
        at += chance.until_next(45.0 / 24.0);
        chance.pipeline(&mut jobs, at, &[1, 1]);
        if chance.share() < 0.02 {
            jobs.push(job(at, 3.0 * HOUR));
        }
    }
    for day in 0..DAYS as u32 {
        let requests = (40.0_f64.powf(chance.share())) as usize;
        let hour = 1.0 + (chance.share() * 5.0).floor();
        chance.burst(&mut jobs, f64::from(day) * DAY + hour * HOUR + 300.0, requests, 120.0);
    }
    jobs.retain(|job| !(9.0..11.0).contains(&(job.after.as_secs_f64() / DAY)));
    jobs
}

/// An office with wide pipelines of which jobs fail and are run again, two outages of half an hour a week in which all fail
/// three times; from the third week on twice the pushes, and the nightly jobs at four instead of two.
pub(crate) fn storm() -> Vec<JobSpec> {
    let mut chance = Chance(49_979_687);
    let mut jobs = pushes(&mut chance, 14.0, &[1, 6, 1]);
    let more = pushes(&mut chance, 14.0, &[1, 6, 1]);
    jobs.extend(more.into_iter().filter(|job| job.after.as_secs_f64() >= 14.0 * DAY));
    for day in 0..DAYS as u32 {
        let hour = if day < 14 { 2.0 } else { 4.0 };
        chance.burst(&mut jobs, f64::from(day) * DAY + hour * HOUR, 40, 300.0);
    }
    let mut again = Vec::new();
    for one in &jobs {
        let at = one.after.as_secs_f64();
        // Tuesdays at ten, Thursdays at three.
        let is_out = [34.0, 87.0].iter().any(|hour| (0.0..0.5).contains(&((at / HOUR) % 168.0 - hour)));
        let times = if is_out { 3 } else { u32::from(chance.share() < 0.06) };
        again.extend((1..=times).map(|time| job(at + f64::from(time) * 90.0, one.takes.as_secs_f64())));
    }
    jobs.extend(again);
    jobs
}

/// A monorepo: 170 pipelines a day from three time zones, of which a few fan out into hundreds of jobs; and 300 jobs at half
/// past one.
pub(crate) fn monorepo() -> Vec<JobSpec> {
    let (mut chance, mut jobs, mut at) = (Chance(86_028_121), Vec::new(), 0.0);
    while at < DAYS * DAY {
        at += chance.until_next(25.0);
        let busy = [0.0, 8.0, 16.0].map(|shift| office(at + shift * HOUR)).into_iter().fold(0.0, f64::max);
        if chance.share() >= busy * 0.4 {
            continue;
        }
        let fan_out = chance.share().max(1e-9).powf(-1.0 / 1.1).min(300.0) as usize;
        for _ in 0..fan_out {
            let takes = if chance.share() < 0.004 { 3.0 * HOUR } else { chance.duration(200.0, 1.0) };
            jobs.push(job(at, takes));
            if chance.share() < 0.05 {
                jobs.push(job(at + takes, takes));
            }
        }
    }
    for day in 0..DAYS as u32 {
        chance.burst(&mut jobs, f64::from(day) * DAY + 1.5 * HOUR, 300, 200.0);
    }
    jobs
}
