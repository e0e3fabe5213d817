//! Carries out the commands that are EC2's: list, launch, terminate. Each is a task of its own; its answer is an event.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::aws::AddressKind;
use runner_fleet_config::Address;
use runner_fleet_engine::{
    Event, Failure, FailureClass, Instance, Launch, LaunchAnswer, LaunchError, LaunchErrorClass, Leftover, RunnerName,
    Termination, WorkerId,
};

use super::births::Births;
use super::clock::Clock;
use super::complaint::Complaint;
use super::outcome::launch_failures;
use super::regions::Regions;
use super::setup::Setup;
use crate::in_time::in_time;

/// A listing of ten pages, each repeated by the SDK with its own limits, is over by then; or the network is.
const LISTING_MAX: Duration = Duration::from_secs(120);
/// The launch call gives up after 60 s by itself and may have waited 30 s for its turn.
const LAUNCH_MAX: Duration = Duration::from_secs(100);
/// As the launch, and an operation of the SDK takes at most 50 s.
const TERMINATE_MAX: Duration = Duration::from_secs(100);

/// EC2, as the driver's edge sees it; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Ec2 {
    pub(super) setup: watch::Receiver<Arc<Setup>>,
    pub(super) regions: Regions,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) clock: Clock,
    is_listing: Arc<AtomicBool>,
    listing_complaint: Arc<Mutex<Complaint>>,
    homes: Arc<Mutex<BTreeMap<WorkerId, String>>>,
    births: Births,
}

impl Ec2 {
    pub(super) fn new(
        setup: watch::Receiver<Arc<Setup>>,
        regions: Regions,
        events: mpsc::Sender<Event>,
        clock: Clock,
        births: Births,
    ) -> Self {
        Self {
            setup,
            regions,
            events,
            clock,
            is_listing: Arc::default(),
            listing_complaint: Arc::default(),
            homes: Arc::default(),
            births,
        }
    }

    /// Lists all regions as one; every page of every region, or nothing is known. One listing at a time: a second one
    /// asked for meanwhile is answered by the first.
    pub(super) async fn list(self, with_health: bool) {
        if self.is_listing.swap(true, Ordering::AcqRel) {
            debug!("a listing is still under way");
            return;
        }
        let asked_at = self.clock.now();
        let listing = in_time(LISTING_MAX, self.list_all(with_health)).await;
        self.is_listing.store(false, Ordering::Release);
        self.listing_complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .about("listing EC2's instances", &listing);
        self.tell(Event::Instances { asked_at, listing }).await;
    }

    async fn list_all(&self, with_health: bool) -> Result<Vec<Instance>, Failure> {
        let setup = Arc::clone(&self.setup.borrow());
        let mut all = Vec::new();
        let mut homes = BTreeMap::new();
        for (region, instances) in list_regions(&setup, &self.regions, with_health).await? {
            self.births.listed(&instances);
            homes.extend(instances.iter().map(|instance| (instance.id.clone(), region.clone())));
            all.extend(instances);
        }
        let mut known = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > HOMES_MAX {
            known.clear();
        }
        // Not replaced: a worker launched while this was asked may be missing from it, and has its home already.
        known.extend(homes);
        Ok(all)
    }

    pub(super) async fn launch(self, launch: Launch) {
        let setup = Arc::clone(&self.setup.borrow());
        let answer = match setup.runner(&launch.runner) {
            None => refused(&launch, "the runner is not configured"),
            Some(runner) => match timeout(LAUNCH_MAX, runner.aws.launch(setup.manager(), &launch)).await {
                Ok(answer) => {
                    if answer.errors.iter().any(|error| error.class == LaunchErrorClass::Invalid) {
                        runner.prepare_again.notify_one();
                    }
                    let home = runner.aws.region().to_owned();
                    let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
                    homes.extend(answer.launched.iter().map(|worker| (worker.id.clone(), home.clone())));
                    self.births.here(answer.launched.iter().map(|worker| &worker.id));
                    answer
                }
                Err(_) => unanswered(),
            },
        };
        for failure in launch_failures(&launch.runner, &answer) {
            // The engine notes it once; here it is each answer, with its token.
            debug!(runner.name = %launch.runner, launch.token = %launch.token, "{failure}");
        }
        self.tell(Event::Launched { token: launch.token, answer }).await;
    }

    pub(super) async fn terminate(self, terminations: Vec<Termination>) {
        let mut by_region: BTreeMap<Option<String>, Vec<WorkerId>> = BTreeMap::new();
        {
            let homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
            for Termination { worker, reason: _ } in terminations {
                by_region.entry(homes.get(&worker).cloned()).or_default().push(worker);
            }
        }
        for (region, workers) in by_region {
            let aws = match &region {
                Some(region) => self.regions.named(region).await,
                None => None,
            };
            let Some(aws) = aws else {
                let why = "their region is not known; they are looked for again with the next listing";
                self.not_terminated(workers, Failure::new(FailureClass::NotFound, why)).await;
                continue;
            };
            match timeout(TERMINATE_MAX, aws.terminate(&workers)).await {
                Ok(failures) => {
                    for failure in failures {
                        self.not_terminated(vec![failure.worker], failure.failure).await;
                    }
                }
                Err(_) => self.not_terminated(workers, Failure::late(TERMINATE_MAX)).await,
            }
        }
    }

    async fn not_terminated(&self, workers: Vec<WorkerId>, failure: Failure) {
        for worker in &workers {
            warn!(worker.id = %worker, failure.class = %failure.class, "cannot terminate {worker}: {failure}");
        }
        self.tell(Event::TerminateFailed { workers, failure }).await;
    }

    /// The loop may have ended: then nobody needs to know.
    async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }
}

/// All instances of the setup's manager, by region; one page that fails is a failure of the whole.
pub(super) async fn list_regions(
    setup: &Setup,
    regions: &Regions,
    with_health: bool,
) -> Result<Vec<(String, Vec<Instance>)>, Failure> {
    let addresses = |name: &RunnerName| match setup.runner(name).map(|setup| setup.runner.fleet.address) {
        Some(Address::Public) => AddressKind::Public,
        Some(Address::Private) | None => AddressKind::Private,
    };
    let regions = regions.all().await;
    let answers = join_all(regions.iter().map(|aws| aws.instances(setup.manager(), &addresses, with_health))).await;
    let by_region = regions.iter().zip(answers);
    by_region.map(|(aws, answer)| Ok((aws.region().to_owned(), answer.map_err(Failure::from)?))).collect()
}

/// How many homes of ended workers are kept before they are dropped: a few MB.
const HOMES_MAX: usize = 50_000;

fn refused(launch: &Launch, why: &str) -> LaunchAnswer {
    let error = LaunchError {
        offering: None,
        class: LaunchErrorClass::Invalid,
        code: "NotConfigured".into(),
        message: format!("{}: {why}", launch.runner),
    };
    LaunchAnswer { launched: Vec::new(), errors: vec![error], leftover: Leftover::None }
}

fn unanswered() -> LaunchAnswer {
    let error = LaunchError {
        offering: None,
        class: LaunchErrorClass::Slow,
        code: "TimedOut".into(),
        message: Failure::late(LAUNCH_MAX).text,
    };
    LaunchAnswer { launched: Vec::new(), errors: vec![error], leftover: Leftover::Possible }
}
