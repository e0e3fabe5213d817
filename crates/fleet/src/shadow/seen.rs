//! Machines of another manager as they were seen over the days. Kept in a file, so that a watch of a week outlives a restart.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::live::state_file;
use runner_fleet_engine::{Instance, InstanceState, InstanceType, Market, WorkerId, Zone};

/// Of the file's form.
const VERSION: u32 = 1;
/// Looks that are further apart than so many of the usual are a gap: machines may have come and gone in it.
const GAP: u32 = 5;

/// All that was seen since the watch began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    version: u32,
    /// When the first look was.
    pub since: Timestamp,
    /// When the last one was.
    pub until: Timestamp,
    /// How many there were.
    pub looks: u64,
    /// Times in which nobody looked.
    pub gaps: Vec<(Timestamp, Timestamp)>,
    /// Every machine that was ever seen alive.
    pub machines: BTreeMap<WorkerId, Machine>,
}

/// A machine of another manager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// As EC2's console shows it.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its type.
    pub instance_type: InstanceType,
    /// Where it runs.
    pub zone: Zone,
    /// As what it was bought.
    pub market: Market,
    /// When EC2 launched it.
    pub launched_at: Timestamp,
    /// The last look that found it alive.
    pub seen_at: Timestamp,
    /// What EC2 said at the last look that named it.
    pub state: Seen,
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// It runs, or is about to.
    Alive,
    /// It is stopped: its disk is still paid for.
    Stopped,
    /// It has ended, or is not listed any more.
    Gone,
}

/// Why a kept watch cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is no watch.
    #[error("it is not what a watch has written")]
    Malformed(#[from] serde_json::Error),
    /// Another version wrote it.
    #[error("it is of version {0}, and not {VERSION}")]
    Version(u32),
}

impl Watch {
    /// Where it is kept, in its folder.
    pub const FILE: &str = "machines.json";

    /// Begins now.
    pub fn new(now: Timestamp) -> Self {
        Self { version: VERSION, since: now, until: now, looks: 0, gaps: Vec::new(), machines: BTreeMap::new() }
    }

    /// Goes on with what was kept in this folder; `None` where there is nothing yet.
    ///
    /// # Errors
    /// There is a file, and it cannot be gone on with: nobody loses a week's watch by a new one over it.
    pub fn kept(folder: &Path) -> Result<Option<Self>, KeptError> {
        let bytes = match std::fs::read(folder.join(Self::FILE)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let watch: Self = serde_json::from_slice(&bytes)?;
        if watch.version == VERSION { Ok(Some(watch)) } else { Err(KeptError::Version(watch.version)) }
    }

    /// Writes it beside its place first: a crash leaves the former file or the new one.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn keep(&self, folder: &Path) -> Result<(), KeptError> {
        Ok(state_file::replace(folder, Self::FILE, &serde_json::to_vec(self)?)?)
    }

    /// Takes in one look at every region; looks are `every` apart.
    pub fn look(&mut self, now: Timestamp, every: Duration, found: &[(String, Vec<(Instance, String)>)]) {
        if self.looks > 0 && later(self.until, every * GAP) < now {
            self.gaps.push((self.until, now));
        }
        for machine in self.machines.values_mut() {
            machine.state = Seen::Gone;
        }
        for (region, listed) in found {
            for (instance, name) in listed {
                self.see(now, region, instance, name);
            }
        }
        self.until = self.until.max(now);
        self.looks += 1;
    }

    fn see(&mut self, now: Timestamp, region: &str, instance: &Instance, name: &str) {
        let state = match instance.state {
            InstanceState::Pending | InstanceState::Running => Seen::Alive,
            InstanceState::Stopping | InstanceState::Stopped => Seen::Stopped,
            InstanceState::ShuttingDown | InstanceState::Terminated => Seen::Gone,
        };
        if state == Seen::Gone && !self.machines.contains_key(&instance.id) {
            return;
        }
        let machine = self.machines.entry(instance.id.clone()).or_insert_with(|| Machine {
            name: name.to_owned(),
            region: region.to_owned(),
            instance_type: instance.instance_type.clone(),
            zone: instance.zone.clone(),
            market: instance.market,
            launched_at: instance.launched_at,
            seen_at: now,
            state,
        });
        machine.state = state;
        if state == Seen::Alive {
            machine.seen_at = now;
        }
    }
}

/// What EC2 puts a price on: a type, in a zone of a region, on a market.
pub type Offer = (String, InstanceType, Zone, Market);

impl Machine {
    /// What it was bought as.
    pub fn offer(&self) -> Offer {
        (self.region.clone(), self.instance_type.clone(), self.zone.clone(), self.market)
    }

    /// From when until when it was alive within the watch.
    pub fn alive(&self, watch: &Watch) -> (Timestamp, Timestamp) {
        let from = self.launched_at.max(watch.since);
        (from, self.seen_at.max(from))
    }
}

/// Far ends of time stay where they are.
fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use runner_fleet_engine::{ConfigHash, Health, RunnerName};

    pub(crate) fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    pub(crate) fn instance(id: &str, launched_at: Timestamp, state: InstanceState) -> (Instance, String) {
        let instance = Instance {
            id: WorkerId::new(id),
            config: ConfigHash::new("unknown"),
            launch: None,
            state,
            state_reason: None,
            launched_at,
            instance_type: InstanceType::new("m7g.large"),
            zone: Zone::new("eu-central-1a"),
            market: Market::Spot,
            address: None,
            hold: false,
            health: Health::Unknown,
            ended_at: None,
            runner: RunnerName::new("unknown"),
        };
        (instance, format!("runner-abc-{id}"))
    }

    const EVERY: Duration = Duration::from_secs(60);

    fn look(watch: &mut Watch, second: i64, listed: Vec<(Instance, String)>) {
        watch.look(at(second), EVERY, &[("eu-central-1".to_owned(), listed)]);
    }

    #[test]
    fn a_life_is_from_its_launch_to_the_last_look_that_saw_it() {
        let mut watch = Watch::new(at(0));
        let one = |state| instance("i-1", at(-600), state);
        look(&mut watch, 0, vec![one(InstanceState::Running), instance("i-0", at(-900), InstanceState::Terminated)]);
        look(&mut watch, 60, vec![one(InstanceState::Running), instance("i-2", at(30), InstanceState::Pending)]);
        look(&mut watch, 120, vec![one(InstanceState::ShuttingDown), instance("i-2", at(30), InstanceState::Stopped)]);
        assert_eq!(watch.machines.len(), 2, "what was gone before the watch is not of it");
        let lives: Vec<_> = watch.machines.values().map(|machine| (machine.alive(&watch), machine.state)).collect();
        assert_eq!(lives, [((at(0), at(60)), Seen::Gone), ((at(30), at(60)), Seen::Stopped)]);
    }

    #[test]
    fn what_is_not_listed_any_more_is_gone_and_a_gap_is_told() {
        let mut watch = Watch::new(at(0));
        look(&mut watch, 0, vec![instance("i-1", at(-60), InstanceState::Running)]);
        look(&mut watch, 300, vec![]);
        assert_eq!((watch.gaps.clone(), watch.looks), (vec![], 2));
        look(&mut watch, 700, vec![]);
        assert_eq!(watch.gaps, [(at(300), at(700))]);
        assert_eq!(watch.machines.values().next().unwrap().state, Seen::Gone);
        // A clock that was set back neither begins a gap nor shortens the watch.
        look(&mut watch, 100, vec![]);
        assert_eq!((watch.gaps.len(), watch.until), (1, at(700)));
    }

    #[test]
    fn a_watch_goes_on_after_a_restart_and_never_over_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, path) = (folder.path(), folder.path().join(Watch::FILE));
        assert!(Watch::kept(folder).unwrap().is_none());
        let mut watch = Watch::new(at(0));
        look(&mut watch, 0, vec![instance("i-1", at(-60), InstanceState::Running)]);
        watch.keep(folder).unwrap();
        assert_eq!(Watch::kept(folder).unwrap().as_ref(), Some(&watch));
        for other in ["", "{}", "[]"] {
            std::fs::write(&path, other).unwrap();
            assert!(Watch::kept(folder).is_err(), "{other}");
        }
        watch.version = 2;
        watch.keep(folder).unwrap();
        assert!(matches!(Watch::kept(folder), Err(KeptError::Version(2))));
    }
}
