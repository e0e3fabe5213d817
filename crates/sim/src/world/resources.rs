//! What launches are prepared from, in EC2: the manager's key pair and the runners' launch templates. What is made and
//! deleted says production code ([`Inventory`]); here the calls fail, listings lag, and people delete by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::event_log::Fact;
use crate::rng::Stream;
use crate::scenario::Scenario;
use runner_fleet_engine::{
    Event, Failure, Inventory, KeyPairName, Launch, LaunchPlan, Required, ResourceAction, RunnerName, RunnerSettings,
    TemplateName,
};

use super::agenda::Happening;
use super::{World, failures, later};

/// How often a launch is prepared again: images are re-read hourly.
const EVERY: Duration = Duration::from_secs(3600);
/// After how long it is tried again when something failed, or when a launch was refused.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// How long after the manager has heard of a template its former ones are deleted.
const SETTLED: Duration = Duration::from_secs(30);
/// The calls of one preparation: image parameter, subnets, key pairs, templates.
const READS: u64 = 4;

/// Key pairs and templates with the manager's tag, and what the manager is doing about them.
#[derive(Clone, Debug, Default)]
pub(super) struct Stock {
    key_pairs: BTreeMap<KeyPairName, Life>,
    templates: BTreeMap<TemplateName, (RunnerName, Life)>,
    /// For each runner what the manager does: a later start, reload or refused launch replaces it.
    rounds: BTreeMap<RunnerName, Round>,
    begun: u32,
}

/// From when until when something exists.
#[derive(Clone, Copy, Debug)]
struct Life {
    made_at: Timestamp,
    deleted_at: Option<Timestamp>,
}

/// One way from a look to launches that are prepared and nothing that is left over.
#[derive(Clone, Copy, Debug)]
struct Round {
    number: u32,
    began_at: Timestamp,
}

impl Life {
    fn since(made_at: Timestamp) -> Self {
        Self { made_at, deleted_at: None }
    }

    fn exists_at(&self, at: Timestamp) -> bool {
        self.made_at <= at && self.deleted_at.is_none_or(|deleted| deleted > at)
    }
}

impl Stock {
    /// With what an earlier installation has left.
    pub(super) fn inherited(scenario: &Scenario) -> Self {
        let life = Life::since(scenario.start);
        let Inventory { key_pairs, templates } = scenario.inherited.clone();
        Self {
            key_pairs: key_pairs.into_iter().map(|name| (name, life)).collect(),
            templates: templates.into_iter().map(|(name, runner)| (name, (runner, life))).collect(),
            ..Self::default()
        }
    }

    /// The manager has ended: nothing that it has begun goes on.
    pub(super) fn manager_dies(&mut self) {
        self.rounds.clear();
    }

    fn shown_at(&self, at: Timestamp) -> Inventory {
        let key_pairs = self.key_pairs.iter().filter(|(_, life)| life.exists_at(at)).map(|(name, _)| name.clone());
        let templates = self.templates.iter().filter(|(_, (_, life))| life.exists_at(at));
        Inventory {
            key_pairs: key_pairs.collect(),
            templates: templates.map(|(name, (runner, _))| (name.clone(), runner.clone())).collect(),
        }
    }

    pub(super) fn carry_out(&mut self, action: &ResourceAction, runner: &RunnerName, now: Timestamp) {
        let delete = |life: &mut Life| {
            life.deleted_at.get_or_insert(now);
        };
        match action {
            ResourceAction::ImportKeyPair(name) => make(&mut self.key_pairs, name, Life::since(now), |life| life, now),
            ResourceAction::CreateTemplate(name) => {
                make(&mut self.templates, name, (runner.clone(), Life::since(now)), |(_, life)| life, now);
            }
            ResourceAction::DeleteTemplate(name) => {
                self.templates.get_mut(name).map(|(_, life)| life).map_or((), delete)
            }
            ResourceAction::DeleteKeyPair(name) => self.key_pairs.get_mut(name).map_or((), delete),
        }
    }
}

/// Makes what is not there; what is there stays as it is.
fn make<K: Ord + Clone, V>(kept: &mut BTreeMap<K, V>, name: &K, new: V, life: impl Fn(&V) -> &Life, now: Timestamp) {
    if !kept.get(name).is_some_and(|old| life(old).exists_at(now)) {
        kept.insert(name.clone(), new);
    }
}

impl World {
    /// What exists now, whatever a listing shows.
    pub fn inventory(&self) -> Inventory {
        self.stock.shown_at(self.now)
    }

    /// The name of the manager's key pair.
    pub fn key_pair(&self) -> KeyPairName {
        KeyPairName::new(format!("runner-fleet-{}-key", self.scenario.manager))
    }

    /// The manager begins to prepare this runner's launches after a while, instead of whatever it did about them.
    pub(super) fn begin_preparing(&mut self, after: Duration, runner: RunnerName) {
        let round = self.new_round(&runner);
        self.soon(after, Happening::Prepare { round, runner });
    }

    fn new_round(&mut self, runner: &RunnerName) -> u32 {
        self.stock.begun += 1;
        let round = Round { number: self.stock.begun, began_at: self.now };
        self.stock.rounds.insert(runner.clone(), round);
        round.number
    }

    fn goes_on(&self, round: u32, runner: &RunnerName) -> bool {
        self.manager_up && self.stock.rounds.get(runner).is_some_and(|now| now.number == round)
    }

    /// The manager looks at what is there.
    pub(super) fn prepare(&mut self, round: u32, runner: RunnerName) {
        if !self.goes_on(round, &runner) {
            return;
        }
        let round = self.new_round(&runner);
        self.log.calls("ec2 prepare", READS);
        let latency = self.rng.millis(Stream::Latency, 500, 2_000);
        if self.strikes(Stream::Answers, |faults| faults.preparation_fails) {
            let plan = Err(failures::limit_exceeded());
            self.answer(self.incarnation, latency, Event::LaunchPlan { runner: runner.clone(), plan });
            return self.soon(AGAIN_AFTER, Happening::Prepare { round, runner });
        }
        let seen = Box::new(self.look_at_stock());
        self.soon(latency, Happening::Make { round, runner, seen });
    }

    /// A new configuration was read: its runners are prepared afresh, and nobody prepares removed ones any more.
    pub(super) fn prepare_configured(&mut self) {
        let configured = self.configured();
        self.stock.rounds.retain(|runner, _| configured.contains(runner));
        for runner in self.scenario.settings.runners.iter().map(|runner| runner.name.clone()).collect::<Vec<_>>() {
            let round = self.new_round(&runner);
            self.log.calls("ec2 prepare", READS);
            let latency = self.rng.millis(Stream::Admin, 500, 2_000);
            let seen = Box::new(self.look_at_stock());
            self.soon(latency, Happening::Make { round, runner, seen });
        }
    }

    /// It makes what it has not seen, and tells the engine.
    pub(super) fn make(&mut self, round: u32, runner: RunnerName, seen: &Inventory) {
        if !self.goes_on(round, &runner) {
            return;
        }
        let plan = self.made(&runner, seen);
        let template = plan.as_ref().ok().map(|plan| plan.template.clone());
        self.answer(self.incarnation, Duration::ZERO, Event::LaunchPlan { runner: runner.clone(), plan });
        match template {
            Some(template) => self.soon(SETTLED, Happening::CollectGarbage { round, runner, template }),
            None => self.soon(AGAIN_AFTER, Happening::Prepare { round, runner }),
        }
    }

    fn made(&mut self, runner: &RunnerName, seen: &Inventory) -> Result<LaunchPlan, Failure> {
        let plan = self.scenario.plans.get(runner).cloned().ok_or_else(failures::no_such_image)?;
        let key_pair = self.key_pair();
        for action in seen.missing(Required { key_pair: &key_pair, runner, template: &plan.template }) {
            self.action(&action, runner)?;
        }
        Ok(plan)
    }

    /// It deletes what nothing needs any more.
    pub(super) fn collect_garbage(&mut self, round: u32, runner: RunnerName, template: &TemplateName) {
        if !self.goes_on(round, &runner) {
            return;
        }
        let (key_pair, configured) = (self.key_pair(), self.configured());
        let required = Required { key_pair: &key_pair, runner: &runner, template };
        let mut failed = self.strikes(Stream::Resources, |faults| faults.preparation_fails);
        if !failed {
            self.log.calls("ec2 prepare", 2);
            for action in self.look_at_stock().leftovers(required, &configured) {
                failed |= self.action(&action, &runner).is_err();
            }
        }
        let began_at = self.stock.rounds.get(&runner).map_or(self.now, |round| round.began_at);
        let next = if failed { later(self.now, AGAIN_AFTER) } else { later(began_at, EVERY) };
        self.agenda.put(next, Happening::Prepare { round, runner });
    }

    /// A call that changes something; one that fails may have worked.
    fn action(&mut self, action: &ResourceAction, runner: &RunnerName) -> Result<(), Failure> {
        self.log.calls("ec2 prepare", 1);
        let failed = self.strikes(Stream::Resources, |faults| faults.chore_fails);
        if !failed || self.rng.chance(Stream::Resources, 0.5) {
            self.stock.carry_out(action, runner, self.now);
            self.note_deletion(action);
        }
        if failed {
            self.log.note(self.now, Fact::Fault("making or deleting a template or key pair fails", None));
            return Err(failures::limit_exceeded());
        }
        Ok(())
    }

    fn note_deletion(&mut self, action: &ResourceAction) {
        let needed = match action {
            ResourceAction::ImportKeyPair(_) | ResourceAction::CreateTemplate(_) => return,
            ResourceAction::DeleteKeyPair(name) => *name == self.key_pair(),
            ResourceAction::DeleteTemplate(name) => self.is_template_needed(name),
        };
        self.log.note(self.now, Fact::Tidied { action: action.clone(), needed });
    }

    /// Whether a configured runner's workers are launched from it.
    pub fn is_template_needed(&self, name: &TemplateName) -> bool {
        let of = |runner: &RunnerSettings| self.scenario.plans.get(&runner.name);
        self.scenario.settings.runners.iter().filter_map(of).any(|plan| plan.template == *name)
    }

    fn look_at_stock(&mut self) -> Inventory {
        let lag = self.rng.between(Stream::Resources, Duration::ZERO, self.scenario.consistency);
        self.stock.shown_at(self.now.saturating_sub(lag).unwrap_or(self.now))
    }

    fn configured(&self) -> BTreeSet<RunnerName> {
        self.scenario.settings.runners.iter().map(|runner| runner.name.clone()).collect()
    }

    /// What EC2 answers to a launch from something that is not there.
    pub(super) fn missing_for(&self, launch: &Launch) -> Option<(&'static str, &'static str)> {
        let there = self.inventory();
        if !there.templates.contains_key(&launch.template) {
            Some(("InvalidLaunchTemplateName.NotFoundException", "No such template."))
        } else if !there.key_pairs.contains(&self.key_pair()) {
            Some(("InvalidKeyPair.NotFound", "No such key pair."))
        } else {
            None
        }
    }

    /// A launch was refused as it stands: what it is made from is looked at anew.
    pub(super) fn prepare_again(&mut self, runner: &RunnerName) {
        if self.stock.rounds.contains_key(runner) {
            self.begin_preparing(AGAIN_AFTER, runner.clone());
        }
    }

    pub(super) fn plan_deletion_by_hand(&mut self) {
        if !self.is_calm()
            && let Some(after) = self.rng.until_next(Stream::Resources, self.scenario.faults.deletions_by_hand_per_hour)
        {
            self.soon(after, Happening::SomeDeletion);
        }
    }

    /// A person deletes one of our templates or key pairs.
    pub(super) fn some_deletion(&mut self) {
        self.plan_deletion_by_hand();
        let there = self.inventory();
        let templates = there.templates.into_keys().map(ResourceAction::DeleteTemplate);
        let mut all: Vec<ResourceAction> =
            templates.chain(there.key_pairs.into_iter().map(ResourceAction::DeleteKeyPair)).collect();
        if self.is_calm() || all.is_empty() {
            return;
        }
        let action = all.swap_remove(self.rng.pick(Stream::Resources, all.len()));
        self.stock.carry_out(&action, &RunnerName::new(""), self.now);
        self.log.note(self.now, Fact::Administered(format!("somebody does by hand: {action}")));
    }
}
