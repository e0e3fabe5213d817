//! Prepares the launch of each runner's workers: at the start, after a reload, hourly, and when a launch finds something
//! of ours missing; and deletes what no launch needs any more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::info;

use crate::ssh::ManagerKey;
use runner_fleet_engine::{Event, Failure, LaunchPlan, RunnerName};

use super::clock::Clock;
use super::complaint::{Complaint, Pauses};
use super::setup::{RunnerSetup, Setup};
use super::worker_spec;
use crate::in_time::in_time;

/// A new image is drift within the hour.
const EVERY: Duration = Duration::from_secs(3600);
/// Some ten calls, each with its own limit of 50 s at worst; they never all are.
const PREPARE_MAX: Duration = Duration::from_secs(180);
/// A launch that is refused over and over does not make this a loop; and a launch from the former template that was on
/// its way when the new one was told has arrived by then.
const SETTLED: Duration = Duration::from_secs(30);

/// Prepares one runner's launches for as long as the configuration stands.
pub(super) async fn run(
    setup: Arc<Setup>,
    runner: Arc<RunnerSetup>,
    key: Arc<ManagerKey>,
    events: mpsc::Sender<Event>,
    clock: Clock,
) {
    let name = &runner.runner.name;
    let configured: BTreeSet<_> = setup.config.runners.iter().map(|runner| runner.name.clone()).collect();
    let (mut preparing, mut collecting) = (Complaint::default(), Complaint::default());
    let (mut pauses, mut before) = (Pauses::default(), None);
    loop {
        let plan = prepare(&setup, &runner, &key).await;
        preparing.about(&format!("preparing launches for {name}"), &plan);
        if let Ok(plan) = &plan
            && before.as_ref() != Some(plan)
        {
            let (template, config) = (plan.template.as_str(), plan.config.as_str());
            info!(runner.name = %name, launch.template = template, launch.config = config, "launch template for {name} ready: {template}");
            before = Some(plan.clone());
        }
        if events.send(Event::LaunchPlan { runner: name.clone(), plan: plan.clone() }).await.is_err() {
            return;
        }
        let outcome = match &plan {
            Ok(plan) => {
                clock.sleep(SETTLED).await;
                let tidied = collect_garbage(&setup, &runner, &key, plan, &configured).await;
                collecting.about(&format!("deleting what launches for {name} needed formerly"), &tidied);
                tidied
            }
            Err(failure) => Err(failure.clone()),
        };
        if outcome.is_err() {
            clock.sleep(pauses.next()).await;
            continue;
        }
        pauses.reset();
        tokio::select! {
            () = runner.prepare_again.notified() => {}
            () = clock.sleep(EVERY) => {}
        }
    }
}

async fn prepare(setup: &Setup, runner: &RunnerSetup, key: &ManagerKey) -> Result<LaunchPlan, Failure> {
    let spec = worker_spec::launch_spec(&setup.config, &runner.runner, key)?;
    in_time(PREPARE_MAX, runner.aws.plan(&spec)).await
}

async fn collect_garbage(
    setup: &Setup,
    runner: &RunnerSetup,
    key: &ManagerKey,
    plan: &LaunchPlan,
    configured: &BTreeSet<RunnerName>,
) -> Result<usize, Failure> {
    let spec = worker_spec::launch_spec(&setup.config, &runner.runner, key)?;
    in_time(PREPARE_MAX, runner.aws.collect_garbage(&spec, &plan.template, configured)).await
}
