//! Which workers may never have been configured yet: only these may be met by the host key of their launch template.
//!
//! That key lies in user-data, so that who answers with it proves nothing about a worker which has had its first contact.
//! What the worker itself says can be no evidence either. What is evidence: this process has launched it; or EC2 says that it
//! is so young that, unconfigured, it would not yet have ended itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use runner_fleet_config::RunnerFleet;
use runner_fleet_engine::{Instance, WorkerId};

/// How many workers are remembered before all are forgotten: a few MB. The next listing tells again of those that exist.
const REMEMBERED_MAX: usize = 50_000;

/// What is known of the beginnings of workers; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Births(Arc<Mutex<BTreeMap<WorkerId, Birth>>>);

#[derive(Clone, Copy, Debug)]
enum Birth {
    /// By this process: whatever its clock and EC2's say.
    Here,
    /// As EC2 says.
    At(Timestamp),
}

impl Births {
    /// Launched by this process.
    pub(super) fn here<'w>(&self, workers: impl IntoIterator<Item = &'w WorkerId>) {
        self.lock().extend(workers.into_iter().map(|worker| (worker.clone(), Birth::Here)));
    }

    /// Seen in EC2.
    pub(super) fn listed<'i>(&self, instances: impl IntoIterator<Item = &'i Instance>) {
        let mut births = self.lock();
        if births.len() > REMEMBERED_MAX {
            births.clear();
        }
        for instance in instances {
            births.entry(instance.id.clone()).or_insert(Birth::At(instance.launched_at));
        }
    }

    /// Whether it may never have been configured. Of whom nothing is known, that is not assumed.
    pub(super) fn may_be_new(&self, worker: &WorkerId, fleet: &RunnerFleet, now: Timestamp) -> bool {
        match self.lock().get(worker) {
            Some(Birth::Here) => true,
            Some(Birth::At(launched_at)) => is_young(*launched_at, fleet, now),
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Birth>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a worker that was launched then may still be there without ever having been configured: a boot that takes longer
/// than `boot_timeout` ends the machine, and so does its dead man when no manager comes for `orphan_timeout` after it.
pub fn is_young(launched_at: Timestamp, fleet: &RunnerFleet, now: Timestamp) -> bool {
    let longest = SignedDuration::try_from(fleet.boot_timeout.saturating_add(fleet.orphan_timeout));
    now.duration_since(launched_at) < longest.unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use runner_fleet_config::parse;
    use runner_fleet_engine::{ConfigHash, Health, InstanceState, InstanceType, Market, RunnerName, Zone};

    use super::*;

    const LAUNCHED_AT: &str = "2026-03-01T12:00:00Z";

    fn instance(id: &str) -> Instance {
        Instance {
            id: WorkerId::new(id),
            runner: RunnerName::new("arm"),
            config: ConfigHash::new("0123"),
            launch: None,
            state: InstanceState::Running,
            state_reason: None,
            launched_at: LAUNCHED_AT.parse().unwrap(),
            ended_at: None,
            instance_type: InstanceType::new("c8g.large"),
            zone: Zone::new("eu-central-1a"),
            market: Market::Spot,
            address: None,
            hold: false,
            health: Health::Unknown,
        }
    }

    /// Whether a worker may be new so long after the launch time that EC2 tells of all of them.
    fn may_be_new(births: &Births, id: &str, after: SignedDuration) -> bool {
        let loaded = parse(include_str!("../../../../config/complete.toml"), "complete.toml").unwrap();
        let fleet = &loaded.config.runners[0].fleet;
        let longest = SignedDuration::try_from(fleet.boot_timeout + fleet.orphan_timeout).unwrap();
        let now = LAUNCHED_AT.parse::<Timestamp>().unwrap() + longest + after;
        births.may_be_new(&WorkerId::new(id), fleet, now)
    }

    #[test]
    fn who_was_found_is_new_only_while_it_could_be_unconfigured() {
        let (births, second) = (Births::default(), SignedDuration::from_secs(1));
        births.listed(&[instance("i-found")]);
        assert!(may_be_new(&births, "i-found", -second));
        assert!(may_be_new(&births, "i-found", SignedDuration::from_hours(-100)), "a clock that is behind");
        assert!(!may_be_new(&births, "i-found", SignedDuration::ZERO));
        assert!(!may_be_new(&births, "i-unknown", -second), "of whom nothing is known, nothing is assumed");
    }

    #[test]
    fn who_was_launched_here_is_new_whatever_the_clocks_say() {
        let births = Births::default();
        births.here([&WorkerId::new("i-ours")]);
        births.listed(&[instance("i-ours")]);
        assert!(may_be_new(&births, "i-ours", SignedDuration::from_hours(100)));
    }
}
