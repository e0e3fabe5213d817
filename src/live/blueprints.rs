//! Prepares the launch of each runner's workers: at the start, after a reload, hourly, and when a launch finds something
//! of ours missing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::engine::{Blueprint, Event};
use crate::ssh::ManagerKey;

use super::clock::Clock;
use super::complaint::{Complaint, Pauses, chain};
use super::recipe;
use super::setup::{RunnerSetup, Setup};

/// A new image is drift within the hour.
const EVERY: Duration = Duration::from_secs(3600);
/// Six calls, each with its own limit of 50 s at worst; they never all are.
const PREPARE_MAX: Duration = Duration::from_secs(180);
/// A launch that is refused over and over does not make this a loop.
const AGAIN_EARLIEST: Duration = Duration::from_secs(30);
/// Templates of removed runners are looked for when the first blueprints are done.
const SWEEP_AFTER: Duration = Duration::from_secs(60);

/// Prepares one runner's launches for as long as the configuration stands.
pub(super) async fn keep(
    setup: Arc<Setup>,
    runner: Arc<RunnerSetup>,
    key: Arc<ManagerKey>,
    events: mpsc::Sender<Event>,
    clock: Clock,
) {
    let name = &runner.runner.name;
    let (mut complaint, mut pauses, mut before) = (Complaint::default(), Pauses::default(), None);
    loop {
        let blueprint = prepare(&setup, &runner, &key).await;
        complaint.about(&format!("preparing launches for {name}"), &blueprint);
        let pause = if blueprint.is_ok() { EVERY } else { pauses.next() };
        if let Ok(blueprint) = &blueprint {
            pauses.reset();
            if before.as_ref() != Some(blueprint) {
                let (template, config) = (blueprint.template.as_str(), blueprint.config.as_str());
                info!(runner.name = name.as_str(), template, config, "workers of {name} are launched from {template}");
                before = Some(blueprint.clone());
            }
        }
        if events.send(Event::Blueprint { runner: name.clone(), blueprint }).await.is_err() {
            return;
        }
        clock.sleep(AGAIN_EARLIEST.min(pause)).await;
        tokio::select! {
            () = runner.prepare_again.notified() => {}
            () = clock.sleep(pause.saturating_sub(AGAIN_EARLIEST)) => {}
        }
    }
}

async fn prepare(setup: &Setup, runner: &RunnerSetup, key: &ManagerKey) -> Result<Blueprint, String> {
    let spec = recipe::launch_spec(&setup.config, &runner.runner, key).map_err(|error| chain(&error))?;
    match timeout(PREPARE_MAX, runner.aws.blueprint(&spec)).await {
        Ok(outcome) => outcome.map_err(|error| chain(&error)),
        Err(_) => Err(format!("no answer within {} s", PREPARE_MAX.as_secs())),
    }
}

/// Deletes the launch templates of runners that are no longer configured, hourly. Running workers do not need theirs.
pub(super) async fn sweep(setup: Arc<Setup>, clock: Clock) {
    let runners: BTreeSet<_> = setup.runners.iter().map(|setup| setup.runner.name.clone()).collect();
    clock.sleep(SWEEP_AFTER).await;
    loop {
        let mut seen = BTreeSet::new();
        for aws in setup.runners.iter().map(|setup| &setup.aws) {
            if !seen.insert(aws.region().to_owned()) {
                continue;
            }
            match timeout(PREPARE_MAX, aws.delete_templates_except(setup.manager(), &runners)).await {
                Ok(Ok(0)) => {}
                Ok(Ok(swept)) => info!("deleted {swept} launch templates of runners that are no longer configured"),
                Ok(Err(error)) => warn!("cannot clean up launch templates in {}: {}", aws.region(), chain(&error)),
                Err(_) => warn!("cannot clean up launch templates in {}: no answer in time", aws.region()),
            }
        }
        clock.sleep(EVERY).await;
    }
}
