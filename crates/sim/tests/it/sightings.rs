//! What GitLab shows of a worker's jobs, where the worker's own word is not enough: it is silent, or busy for ever.

use runner_fleet_engine::{
    Command, DrainReason, EndReason, Event, Failure, QueueSnapshot, Report, RunnerSettings, RunnerState, Server, Want,
    WorkerId,
};

use super::bench::{SERVER, TestBench, bad_gateway, runner, serving, settings};

/// A worker that has just taken a job, and what was done about it, with the minute.
struct Watched {
    bench: TestBench,
    worker: WorkerId,
    looks: Vec<u64>,
    fenced: Option<(u64, DrainReason)>,
    ended: Option<(u64, EndReason)>,
}

/// What there is to hear and to see.
struct Scene {
    /// It reports a job; else it is silent.
    speaks: bool,
    /// Projects that the token does not see.
    blind: u32,
    /// What a look shows in that minute.
    shows: fn(u64) -> Result<u32, Failure>,
}

impl Watched {
    fn with(section: RunnerSettings) -> Self {
        let mut bench = TestBench::with(vec![section]);
        let worker = bench.with_ready_workers(1).remove(0);
        bench.report(&worker, serving(1));
        Self { bench, worker, looks: Vec::new(), fenced: None, ended: None }
    }

    /// How long it has had its job by now, in minutes.
    fn for_minutes(mut self, minutes: u64, scene: &Scene) -> Self {
        let begun = self.bench.now;
        while self.bench.now.duration_since(begun).as_mins().unsigned_abs() < minutes && self.ended.is_none() {
            self.bench.pass(15);
            let minute = self.bench.now.duration_since(begun).as_mins().unsigned_abs();
            let mut events = vec![self.poll(scene.blind)];
            if scene.speaks {
                let runner = if self.fenced.is_some() { RunnerState::Fenced } else { RunnerState::Serving };
                events.push(self.says(Report { runner, ..serving(1) }));
            }
            let mut commands = self.bench.list();
            commands.extend(self.bench.step(events));
            let looks = commands.iter().any(|command| matches!(command, Command::LookForJobs { .. }));
            if looks {
                self.looks.push(minute);
                let (worker, asked_at) = (self.worker.clone(), self.bench.now);
                let seen = Event::JobsSeen { worker, asked_at, jobs: (scene.shows)(minute) };
                commands.extend(self.bench.step(vec![seen]));
            }
            self.note(minute, commands);
        }
        self
    }

    fn poll(&self, blind: u32) -> Event {
        let snapshot = QueueSnapshot { as_of: self.bench.now, jobs: Vec::new(), complete: true, blind };
        Event::Queue { server: Server::new(SERVER), snapshot: Ok(snapshot) }
    }

    fn says(&self, report: Report) -> Event {
        let event = runner_fleet_engine::WorkerEvent::Report(Box::new(report));
        Event::Worker { worker: self.worker.clone(), event }
    }

    fn note(&mut self, minute: u64, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Want { want: Want::Fence { reason }, .. } => self.fenced = Some((minute, reason)),
                Command::Terminate(mut all) => self.ended = Some((minute, all.remove(0).reason)),
                _ => {}
            }
        }
    }
}

fn none(_: u64) -> Result<u32, Failure> {
    Ok(0)
}

const BUSY: Scene = Scene { speaks: true, blind: 0, shows: none };
const SILENT: Scene = Scene { speaks: false, ..BUSY };

#[test]
fn who_is_busy_for_ever_is_fenced_and_ended() {
    let watched = Watched::with(runner()).for_minutes(120, &BUSY);

    assert_eq!(watched.looks[..4], [15, 20, 25, 30]);
    assert!(matches!(watched.fenced, Some((25, DrainReason::JobUnknown { .. }))), "{:?}", watched.fenced);
    assert!(matches!(watched.ended, Some((90, EndReason::JobUnknown { .. }))), "{:?}", watched.ended);
}

#[test]
fn a_job_that_gitlab_shows_keeps_its_worker() {
    let shown = Scene { shows: |_| Ok(1), ..BUSY };
    let watched = Watched::with(runner()).for_minutes(600, &shown);

    assert_eq!((watched.fenced, watched.ended), (None, None));
    assert_eq!(watched.looks[..6], [15, 20, 30, 50, 90, 130], "ever more rarely");
}

#[test]
fn a_fenced_worker_whose_job_shows_again_is_kept() {
    let late = Scene { shows: |minute| Ok(u32::from(minute >= 85)), ..BUSY };
    let watched = Watched::with(runner()).for_minutes(600, &late);

    assert!(watched.fenced.is_some());
    assert_eq!(watched.ended, None, "it runs, and GitLab had lost sight of it");
}

#[test]
fn where_gitlab_cannot_tell_nobody_is_ended() {
    let hidden = Scene { blind: 1, ..BUSY };
    let failing = Scene { shows: |_| Err(bad_gateway()), ..BUSY };
    for scene in [hidden, failing] {
        for speaks in [true, false] {
            let watched = Watched::with(runner()).for_minutes(600, &Scene { speaks, ..scene });
            assert!(!watched.looks.is_empty());
            assert_eq!((watched.fenced, watched.ended), (None, None));
        }
    }
    let mut unseen = Watched::with(runner());
    let without_token = settings(vec![RunnerSettings { sees_queue: false, ..runner() }]);
    unseen.bench.step(vec![Event::Configured(without_token)]);
    let unseen = unseen.for_minutes(600, &BUSY);
    assert_eq!((unseen.looks.len(), unseen.fenced, unseen.ended), (0, None, None), "nothing to ask with");
}

#[test]
fn a_silent_worker_without_a_job_goes_after_its_time() {
    let watched = Watched::with(runner()).for_minutes(120, &SILENT);

    assert_eq!(watched.looks, [30, 35], "not before it must have fenced itself");
    assert!(matches!(watched.ended, Some((40, EndReason::Unreachable { .. }))), "{:?}", watched.ended);
    assert_eq!(watched.fenced, None, "nobody would hear it");
}

#[test]
fn a_silent_worker_whose_job_shows_is_left_alone() {
    let shown = Scene { shows: |_| Ok(1), ..SILENT };
    assert_eq!(Watched::with(runner()).for_minutes(600, &shown).ended, None);
    let over = Scene { shows: |minute| Ok(u32::from(minute < 100)), ..SILENT };
    let watched = Watched::with(runner()).for_minutes(600, &over);
    assert!(matches!(watched.ended, Some((minute, _)) if minute > 105), "{:?}", watched.ended);
}

#[test]
fn what_a_person_holds_is_not_looked_for() {
    let mut watched = Watched::with(runner());
    watched.bench.instances[0].hold = true;
    watched.bench.list();
    let watched = watched.for_minutes(120, &BUSY);
    assert_eq!((watched.looks.len(), watched.fenced, watched.ended), (0, None, None));
}
