//! Why a job waits: one sentence for each, for people. Nothing here decides.

use std::collections::BTreeMap;

use super::ids::{JobId, RunnerName, Server, WorkerId};
use super::job::{Knowledge, PendingJob, RunnerFacts, Scope};
use super::matching::may_take;
use super::queue::Queue;
use super::reason::Brief;
use super::runner::Answer;
use super::settings::{RunnerSettings, Settings};
use super::state::Engine;
use super::time::since;
use super::view::{JobFate, JobStanding, JobView, View, Waiting};
use super::workers::{Standing, Worker};

/// The jobs that wait, in queue order, at most [`View::JOBS_MAX`] of them; and what there is to say of all.
pub(super) fn jobs(engine: &Engine) -> (Vec<JobView>, Waiting) {
    let (mut views, mut waiting) = (Vec::new(), Waiting::default());
    let Some(settings) = &engine.settings else { return (views, waiting) };
    for (server, queue) in &engine.queues {
        let mut teller = Teller::new(engine, settings, server, queue);
        for job in queue.jobs() {
            let waited = since(engine.now, job.queued_at);
            waiting.total += 1;
            waiting.longest = waiting.longest.max(waited);
            let able = teller.able(job);
            waiting.unmatched += u32::from(able.is_none());
            if views.len() < View::JOBS_MAX {
                let why = teller.sentence(job, able);
                let runner = able.map(|runner| runner.name.clone());
                views.push(JobView { id: job.id, project: job.project, name: job.name.clone(), waited, runner, why });
            }
        }
    }
    (views, waiting)
}

/// What is known of a job of this id, on every server that has runners here.
pub(super) fn fates(engine: &Engine, id: JobId) -> Vec<JobFate> {
    let Some(settings) = &engine.settings else { return Vec::new() };
    let mut servers: Vec<&Server> = settings.runners.iter().map(|runner| &runner.server).collect();
    servers.sort();
    servers.dedup();
    servers.into_iter().map(|server| fate(engine, settings, server, id)).collect()
}

fn fate(engine: &Engine, settings: &Settings, server: &Server, id: JobId) -> JobFate {
    let tell = |standing, runner: Option<RunnerName>, worker: Option<WorkerId>, why: String| JobFate {
        server: server.clone(),
        id,
        standing,
        runner,
        worker,
        why,
    };
    let is_here = |worker: &&Worker| {
        let section = settings.section(&worker.instance.runner);
        section.is_none_or(|section| section.server == *server)
            && worker.report().is_some_and(|report| report.job_ids.contains(&id))
    };
    if let Some(worker) = engine.fleet.workers.values().find(is_here) {
        let (runner, worker) = (worker.instance.runner.clone(), worker.instance.id.clone());
        let why = format!("it runs on {worker}, a worker of {runner}");
        return tell(JobStanding::Running, Some(runner), Some(worker), why);
    }
    let queue = engine.queues.get(server);
    if let Some((queue, job)) = queue.and_then(|queue| Some((queue, queue.jobs().find(|job| job.id == id)?))) {
        let mut teller = Teller::new(engine, settings, server, queue);
        let able = teller.able(job);
        let waited = since(engine.now, job.queued_at);
        let why = format!("it has waited for {}: {}", Brief(waited), teller.sentence(job, able));
        return tell(JobStanding::Waiting, able.map(|runner| runner.name.clone()), None, why);
    }
    let sees = settings.runners.iter().any(|runner| runner.server == *server && runner.sees_queue);
    let knowledge = match queue {
        Some(queue) => queue.knowledge(engine.now, settings.check_interval),
        None => Knowledge::Unknown { why: "the first look at the queue is awaited".into() },
    };
    let why = match knowledge {
        _ if !sees => "no runner here has an api_token for its server, so that no queue is seen".to_owned(),
        Knowledge::Known => {
            "it is not among the jobs that wait, and no worker here shows it: it has ended, is not pending \
                             yet, was taken a moment ago, runs elsewhere, or its project is not looked at"
                .to_owned()
        }
        Knowledge::Stale { age, why } => format!("the queue could not be read for {}: {why}", Brief(age)),
        Knowledge::Unknown { why } => format!("the queue could not be read yet: {why}"),
    };
    tell(JobStanding::Unknown, None, None, why)
}

/// Makes the sentences for the jobs of one server; what depends on the runner alone is worked out once.
struct Teller<'a> {
    engine: &'a Engine,
    server: &'a Server,
    runners: Vec<&'a RunnerSettings>,
    by_runner: BTreeMap<&'a RunnerName, String>,
    stale: Option<String>,
}

impl<'a> Teller<'a> {
    fn new(engine: &'a Engine, settings: &'a Settings, server: &'a Server, queue: &Queue) -> Self {
        let stale = match queue.knowledge(engine.now, settings.check_interval) {
            Knowledge::Known => None,
            Knowledge::Stale { age, why } => Some(format!("the queue could not be read for {}: {why}", Brief(age))),
            Knowledge::Unknown { why } => Some(format!("the queue is not known: {why}")),
        };
        let runners = settings.runners.iter().filter(|runner| runner.server == *server).collect();
        Self { engine, server, runners, by_runner: BTreeMap::new(), stale }
    }

    fn facts(&self, runner: &RunnerSettings) -> Option<&'a RunnerFacts> {
        self.engine.runners.get(&runner.name).and_then(|known| known.facts.known())
    }

    /// The runner that the job is most likely counted for: of those that may take it, the first that has jobs waiting.
    fn able(&self, job: &PendingJob) -> Option<&'a RunnerSettings> {
        let able =
            |runner: &&&'a RunnerSettings| self.facts(runner).is_some_and(|facts| may_take(&runner.name, facts, job));
        let demands = &self.engine.assessment.demands;
        let has_waiting =
            |runner: &&&'a RunnerSettings| demands.get(&runner.name).is_some_and(|demand| demand.waiting > 0);
        let mut those = self.runners.iter().filter(able);
        those.clone().find(has_waiting).or_else(|| those.next()).copied()
    }

    fn sentence(&mut self, job: &PendingJob, able: Option<&'a RunnerSettings>) -> String {
        let Some(runner) = able else { return self.mismatch(job) };
        if let Some(stale) = &self.stale {
            return stale.clone();
        }
        if self.engine.untaken.is_set_aside(self.server, job.id, self.engine.now) {
            return "an idle worker asks for jobs, and GitLab does not hand it this one".into();
        }
        let engine = self.engine;
        self.by_runner.entry(&runner.name).or_insert_with(|| of_runner(engine, runner)).clone()
    }

    /// Why none of our runners may take it, runner by runner.
    fn mismatch(&self, job: &PendingJob) -> String {
        let reasons: Vec<String> = self.runners.iter().map(|runner| self.refusal(runner, job)).collect();
        match reasons.as_slice() {
            [] => "no runner here is configured for its server".into(),
            reasons => format!("no runner here may take it: {}", reasons.join("; ")),
        }
    }

    fn refusal(&self, runner: &RunnerSettings, job: &PendingJob) -> String {
        let name = &runner.name;
        let Some(facts) = self.facts(runner) else {
            let why = match self.engine.runners.get(name).map(|known| &known.facts) {
                Some(Answer::Missing { why }) => why.as_str(),
                Some(Answer::Known(_)) | None => "it has just been configured",
            };
            return format!("nothing is known of {name} yet ({why})");
        };
        let missing: Vec<&str> = job.tags.difference(&facts.tags).map(String::as_str).collect();
        let out_of_scope = matches!(&facts.scope, Scope::Projects(projects) if !projects.contains(&job.project));
        if facts.paused {
            format!("{name} is paused in GitLab")
        } else if job.offered_to.is_some() {
            format!("GitLab does not count {name} among its runners")
        } else if !missing.is_empty() {
            format!("{name} has no tag {}", missing.join(", "))
        } else if job.tags.is_empty() && !facts.run_untagged {
            format!("{name} takes no jobs without tags")
        } else if out_of_scope {
            format!("{name} does not serve its project")
        } else {
            format!("{name} takes jobs of protected refs only")
        }
    }
}

/// Why a job that is counted for this runner waits.
fn of_runner(engine: &Engine, runner: &RunnerSettings) -> String {
    let now = engine.now;
    let workers = || engine.fleet.workers.values().filter(|worker| worker.instance.runner == runner.name);
    let has_slot = |worker: &&Worker| worker.standing(now) == Standing::Serving && worker.jobs() < runner.capacity;
    let booting = workers().filter(|worker| worker.standing(now) == Standing::Booting).max_by_key(|w| w.age(now));
    let held_back = engine.held_back.get(&runner.name);
    let missing = engine.assessment.demands.get(&runner.name).map_or(0, super::demand::Demand::missing_for_jobs);
    if let Some(worker) = workers().find(has_slot).filter(|_| missing == 0) {
        return format!("{} has a free slot and takes it at its next request", worker.instance.id);
    }
    let coming = match booting {
        Some(worker) => Some(format!(
            "waits for {}, booting for {} ({})",
            worker.instance.id,
            Brief(worker.age(now)),
            worker.boot_step()
        )),
        None => {
            let flights = engine.fleet.flights.values().filter(|flight| flight.launch.runner == runner.name);
            let oldest = flights.map(|flight| since(now, flight.decided_at)).max();
            oldest.map(|age| format!("a launch has been on its way for {}", Brief(age)))
        }
    };
    match (coming, held_back.filter(|_| missing > 0)) {
        (Some(coming), None) => coming,
        (Some(coming), Some(held_back)) => format!("{coming}; more are not launched: {held_back}"),
        (None, Some(held_back)) => format!("no worker is launched: {held_back}"),
        (None, None) => "a worker will be launched at the next step".into(),
    }
}
