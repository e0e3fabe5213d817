//! What is measured of boots and jobs, from what was taken in anyway. Nothing here decides.
//!
//! **A job's wait** ends when a worker's runner takes it: that is when the report comes in which the runner's counter has
//! risen. Which job it was, Docker's labels tell when the images are there; the wait is measured then. It began when GitLab
//! says that the job became pending. A job that was taken before any look showed it waiting counts with the time since
//! the last complete look, the longest that it can have waited where every look asks every project. Not measured are jobs of
//! runners whose queue nobody reads, those that no label ever names, those that began while the worker was silent, and
//! those that were queued when the clock was set.

use jiff::Timestamp;

use super::boot_course::{BootCourse, Lap};
use super::ids::{JobId, RunnerName, WorkerId};
use super::measure::{BootPhase, BootStep, JobBegan, JobWait, Measure};
use super::reason::Reason;
use super::state::Engine;
use super::time::since;
use super::transition::Terminated;
use super::worker::{EndedBy, InstanceState, Phase, Report, RunnerState};
use super::workers::{Connection, Worker};

impl Engine {
    /// What this step has measured; the next one forgets it.
    pub fn measures(&self) -> &[Measure] {
        self.journal.measures()
    }

    /// How far the boots are by now.
    pub(super) fn measure_boots(&mut self) {
        for worker in self.fleet.workers.values_mut() {
            let Some(mut course) = worker.course.take_if(|course| !course.is_over()) else { continue };
            let (reached, step) = (reached(worker), step(worker));
            let runner = &worker.instance.runner;
            for lap in course.look(reached, step, self.now) {
                self.journal.measured(match lap {
                    Lap::Phase(phase, took) => Measure::BootPhase { runner: runner.clone(), phase, took },
                    Lap::Step(step, took) => Measure::BootStep { runner: runner.clone(), step, took },
                    Lap::Ready(took) => {
                        let instance_type = worker.instance.instance_type.clone();
                        Measure::Booted { runner: runner.clone(), instance_type, took }
                    }
                });
            }
            worker.course = Some(course);
        }
    }

    /// What a report says of jobs, beside the one before it; the runner's counter has risen by `taken` in between.
    pub(super) fn measure_jobs(&mut self, id: &WorkerId, before: Option<&Report>, report: &Report, taken: u32) {
        let now = self.now;
        let Some(worker) = self.fleet.workers.get_mut(id) else { return };
        let runner = worker.instance.runner.clone();
        if taken > 0 {
            self.journal.measured(Measure::JobsTaken { runner: runner.clone(), count: taken });
        }
        worker.jobs_taken.counted(taken, now);
        // Nobody knows when that began which a first report shows, or one after a long silence.
        let was_heard = before.is_some() && worker.silent_since(now).is_none();
        let (known, boot) = (before.map(|report| &report.job_ids), worker.course.as_ref().and_then(BootCourse::span));
        let is_new = |job: &&JobId| known.is_none_or(|known| !known.contains(*job));
        let begun: Vec<_> =
            report.job_ids.iter().filter(is_new).map(|job| (*job, worker.jobs_taken.named(now))).collect();
        if report.jobs() == 0 {
            worker.jobs_taken.none_runs();
        }
        let ended = known.into_iter().flatten().filter(|job| !report.job_ids.contains(job));
        for job in ended {
            self.journal.measured(Measure::JobEnded { worker: id.clone(), job: *job, at: now });
        }
        for (job, at) in begun.into_iter().filter(|_| was_heard) {
            let wait = self.wait(&runner, job, at);
            if let Some(wait) = wait {
                self.promises.entry(runner.clone()).or_default().began(wait.is_kept, now);
            }
            let began = JobBegan { runner: runner.clone(), worker: id.clone(), job, at, wait, boot };
            self.journal.measured(Measure::JobBegan(began));
        }
    }

    fn wait(&self, runner: &RunnerName, job: JobId, at: Timestamp) -> Option<JobWait> {
        let settings = self.settings.as_ref()?;
        let section = settings.section(runner).filter(|section| section.sees_queue)?;
        let queued_at = self.queues.get(&section.server)?.queued_at(job, at, settings.check_interval)?;
        let time = since(at, queued_at);
        Some(JobWait { time, is_kept: time <= section.idle.target_wait })
    }
}

/// The phase of its boot in which a worker is by now; nothing when it has asked for a job.
fn reached(worker: &Worker) -> Option<BootPhase> {
    let report = worker.report();
    let is_ready = report.is_some_and(|report| report.phase == Phase::Ready);
    if worker.has_served() {
        let has_asked = report.is_some_and(|report| report.open_requests > 0 || report.jobs_started > 0);
        return (!has_asked).then_some(BootPhase::FirstRequest);
    }
    if is_ready && report.is_some_and(|report| report.runner == RunnerState::Absent) {
        return Some(BootPhase::Configured);
    }
    if report.is_some() || matches!(worker.connection, Connection::Up) {
        return Some(BootPhase::Bootstrap);
    }
    let runs = worker.instance.state == InstanceState::Running && worker.instance.address.is_some();
    Some(if runs { BootPhase::Sshd } else { BootPhase::Running })
}

fn step(worker: &Worker) -> Option<BootStep> {
    match &worker.report()?.phase {
        Phase::Booting { step } => Some(BootStep::of(step)),
        Phase::Ready | Phase::Failed { .. } => None,
    }
}

/// The boot of this worker has failed.
pub(crate) fn boot_failed(worker: &Worker) -> Measure {
    Measure::BootFailed { runner: worker.instance.runner.clone(), step: worker.boot_stands_at() }
}

/// A worker is gone.
pub(crate) fn ended(ended: &Terminated) -> Measure {
    let Terminated { instance, reason, jobs, .. } = ended;
    let taken_back = instance.state_reason.as_ref().is_some_and(|reason| reason.by == EndedBy::Ec2);
    let reason = match reason {
        Some(reason) => Reason::from(reason.clone()).kind(),
        None if taken_back => "taken-back",
        None => "by-itself",
    };
    Measure::Ended { runner: instance.runner.clone(), reason, jobs_lost: *jobs }
}
