//! From missing slots to launch commands, and what holds a launch back.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::attempt::Attempt;
use super::backoff::Doubling;
use super::command::Launch;
use super::cooldown::Cooldowns;
use super::demand::{Assessment, Demand, Wanted};
use super::failure::{Failure, FailureClass};
use super::fleet::{Fleet, Flight};
use super::held_back::HeldBack;
use super::ids::RunnerName;
use super::job::Knowledge;
use super::offering::{Market, Place};
use super::placement::{Placement, Request, place};
use super::prices::Prices;
use super::reason::LaunchReason;
use super::rival::Rivals;
use super::runner::Runner;
use super::settings::{RunnerSettings, Settings};
use super::shares::{Claim, share};
use super::supply::Supply;
use super::time::since;
use super::token::TokenMint;

/// EC2 says "slow down": seconds at first, a minute at most, because jobs wait meanwhile.
pub(crate) const SLOW: Doubling = Doubling { first: Duration::from_secs(5), longest: Duration::from_secs(60) };
/// When a launch without any answer is repeated; the call's own time-out is shorter.
const UNANSWERED: Duration = Duration::from_secs(90);
/// A launch whose outcome is open is repeated no sooner than this.
pub(crate) const LAUNCH_AGAIN: Duration = Duration::from_secs(5);
/// A launch that stays unanswered is given up: its workers, if any, carry its tag and are adopted from a listing.
pub(crate) const GIVEN_UP: Duration = Duration::from_secs(600);

/// Everything that a decision to launch looks at or changes.
pub(crate) struct Launching<'a> {
    pub(crate) now: Timestamp,
    pub(crate) settings: &'a Settings,
    pub(crate) runners: &'a BTreeMap<RunnerName, Runner>,
    pub(crate) fleet: &'a mut Fleet,
    pub(crate) cooldowns: &'a mut Cooldowns,
    pub(crate) prices: &'a Prices,
    pub(crate) mint: &'a mut TokenMint,
    pub(crate) rivals: &'a Rivals,
    /// What is known of EC2's instances.
    pub(crate) ec2: &'a Knowledge,
    /// Until when EC2 wants no launches, if it does.
    pub(crate) slow_until: Option<Timestamp>,
}

impl Launching<'_> {
    /// The launches to make now, and what holds back the others.
    pub(crate) fn decide(&mut self, assessment: &Assessment) -> (Vec<Launch>, BTreeMap<RunnerName, HeldBack>) {
        let mut held_back = BTreeMap::new();
        let grants = self.grant(assessment, &mut held_back);
        let mut launches = self.repeat();
        for runner in &self.settings.runners {
            let (Some(workers), Some(demand)) = (grants.get(&runner.name), assessment.demands.get(&runner.name)) else {
                continue;
            };
            match self.launch(runner, demand, *workers) {
                Ok(made) => launches.extend(made),
                Err(why) => {
                    held_back.insert(runner.name.clone(), why);
                }
            }
        }
        (launches, held_back)
    }

    /// How many workers each runner may launch now: first for waiting jobs, then for idle slots, so that one runner's idle
    /// slots never take what another's jobs need; each time as `shares` says.
    fn grant(
        &self,
        assessment: &Assessment,
        held_back: &mut BTreeMap<RunnerName, HeldBack>,
    ) -> BTreeMap<RunnerName, u32> {
        let mut room = self.settings.concurrent.saturating_sub(self.fleet.slots(self.settings));
        let mut grants: BTreeMap<RunnerName, u32> = BTreeMap::new();
        for for_jobs in [true, false] {
            let mut asking = Vec::new();
            for runner in &self.settings.runners {
                let Some(demand) = assessment.demands.get(&runner.name) else { continue };
                let granted = grants.get(&runner.name).copied().unwrap_or(0);
                let missing = if for_jobs { demand.missing_for_jobs() } else { demand.missing() };
                let wanted = missing.div_ceil(runner.capacity.max(1)).saturating_sub(granted);
                if wanted == 0 {
                    continue;
                }
                let more = match self.ceiling(runner, demand) {
                    Ok(allowed) => wanted.min(allowed.saturating_sub(granted)),
                    Err(why) => {
                        held_back.insert(runner.name.clone(), why);
                        continue;
                    }
                };
                if more < wanted {
                    held_back.insert(runner.name.clone(), self.what_capped(runner, demand));
                }
                let size = runner.capacity.max(1);
                let has = demand.supply.slots + granted * size;
                // A runner below its share is owed this room: keep it until a worker fits.
                asking.push((runner, Claim { has, more, size, waits: for_jobs && has < demand.wanted.share }));
            }
            let claims: Vec<Claim> = asking.iter().map(|(_, claim)| *claim).collect();
            let shares = share(room, &claims);
            room = shares.room;
            let mut crowded_out = false;
            for ((runner, claim), workers) in asking.into_iter().zip(shares.workers) {
                if workers < claim.more {
                    held_back
                        .insert(runner.name.clone(), HeldBack::Concurrent { concurrent: self.settings.concurrent });
                    crowded_out = true;
                }
                if workers > 0 {
                    *grants.entry(runner.name.clone()).or_default() += workers;
                }
            }
            // Not for idle slots: a multi-slot worker needs the rest in one piece.
            if crowded_out {
                break;
            }
        }
        grants
    }

    /// How many more workers the runner's own limits allow now, or what forbids any.
    fn ceiling(&self, runner: &RunnerSettings, demand: &Demand) -> Result<u32, HeldBack> {
        let known = self
            .runners
            .get(&runner.name)
            .ok_or_else(|| HeldBack::NoFacts { failure: Failure::awaited("GitLab's answer about the runner") })?;
        self.forbidden(known)?;
        // Room that it could not use is not kept for it.
        if let Some(plan) = known.plan.known() {
            let placement = self.place(runner, demand, &plan.places, 1);
            if placement.asks.is_empty() {
                return Err(Self::nothing_to_ask_for(&placement));
            }
        }
        let mut allowed = demand.policy.max_workers.saturating_sub(demand.supply.workers);
        if runner.max_booting > 0 {
            allowed = allowed.min(runner.max_booting.saturating_sub(demand.supply.booting));
        }
        if known.on_probation() {
            allowed = allowed.min(1_u32.saturating_sub(demand.supply.booting));
        }
        Ok(allowed)
    }

    /// What forbids any launch now. A queue that is not known does not: idle slots do not depend on it, and waiting jobs
    /// of a stale look are not in the demand at all.
    fn forbidden(&self, known: &Runner) -> Result<(), HeldBack> {
        if known.paused {
            return Err(HeldBack::Paused);
        }
        if let Some(facts) = known.facts.known()
            && facts.paused
        {
            return Err(HeldBack::PausedInGitlab);
        }
        if let Some(budget) = &known.over_budget {
            return Err(budget.clone());
        }
        if let Some(failure) = self.ec2.failure() {
            return Err(HeldBack::NoListing { failure: failure.clone() });
        }
        // Facts may be old; but with a token that is refused a worker would ask in vain.
        let refused = known.facts.failed_with(FailureClass::TokenRefused);
        if let Some(failure) = refused.or_else(|| known.facts.missing()) {
            return Err(HeldBack::NoFacts { failure: failure.clone() });
        }
        if let Some(failure) = known.plan.missing() {
            return Err(HeldBack::NoLaunchPlan { failure: failure.clone() });
        }
        if let Some((elder, until)) = self.rivals.elder(self.mint, self.now) {
            return Err(HeldBack::AnotherManager { started_at: elder.started_at, until });
        }
        if let Some(until) = self.slow_until {
            return Err(HeldBack::Slow { until });
        }
        if let Some(until) = known.refused.closed_until(self.now) {
            return Err(HeldBack::Refused { until, last: known.refusal.clone() });
        }
        if let Some(until) = known.breaker_open_until(self.now) {
            let (boots, last) = (known.of_no_use(), known.boot_failure.clone());
            return Err(HeldBack::Breaker { until, boots, last });
        }
        Ok(())
    }

    /// Which of its own limits a runner has met.
    fn what_capped(&self, runner: &RunnerSettings, demand: &Demand) -> HeldBack {
        let ceiling = HeldBack::MaxWorkers { max_workers: demand.policy.max_workers };
        if demand.supply.workers >= demand.policy.max_workers {
            return ceiling;
        }
        match self.runners.get(&runner.name) {
            Some(known) if known.on_probation() => HeldBack::Probation { boots: known.of_no_use() },
            Some(_) if runner.max_booting > 0 && demand.supply.booting >= runner.max_booting => {
                HeldBack::MaxBooting { max_booting: runner.max_booting }
            }
            Some(_) | None => ceiling,
        }
    }

    /// Launches whose outcome is open, sent again with the same token: EC2 answers them or carries them out, once.
    fn repeat(&mut self) -> Vec<Launch> {
        let now = self.now;
        let cooldowns = &mut *self.cooldowns;
        self.fleet.flights.retain(|token, flight| {
            let goes_on = since(now, flight.decided_at) < GIVEN_UP;
            if !goes_on {
                // Nobody will ever answer its probes: what they would have shown is anybody's to try again.
                cooldowns.end_probes(token);
            }
            goes_on
        });
        let mut repeated = Vec::new();
        if self.slow_until.is_some() {
            return repeated;
        }
        for flight in self.fleet.flights.values_mut() {
            let due = flight.sending.is_due(now, UNANSWERED);
            // What a section that is gone may still get is adopted from a listing, and drained.
            let configured = self.settings.section(&flight.launch.runner).is_some();
            if due && configured {
                flight.sending = Attempt::Asked(now);
                flight.uncertain = true;
                repeated.push(Launch { reason: LaunchReason::LaunchUnanswered, ..flight.launch.clone() });
            }
        }
        repeated
    }

    /// The launches of one runner: at most one per market, and none on a market where one is still in flight, so that
    /// what is wanted meanwhile is gathered into the next.
    fn launch(&mut self, runner: &RunnerSettings, demand: &Demand, workers: u32) -> Result<Vec<Launch>, HeldBack> {
        let plan = self
            .runners
            .get(&runner.name)
            .and_then(|known| known.plan.known())
            .ok_or_else(|| HeldBack::NoLaunchPlan { failure: Failure::awaited("the launch template") })?;
        let placement = self.place(runner, demand, &plan.places, workers);
        if placement.asks.is_empty() {
            return Err(Self::nothing_to_ask_for(&placement));
        }
        let mut launches = Vec::new();
        for ask in placement.asks {
            if self.in_flight(&runner.name, ask.market) {
                continue;
            }
            let reason = if ask.market != runner.market {
                LaunchReason::SpotMissing { missing: ask.count }
            } else if demand.needed() <= demand.supply.slots {
                LaunchReason::Replacement { outdated: demand.supply.outdated }
            } else {
                let (Supply { running, slots, .. }, Wanted { waiting, idle, .. }) = (&demand.supply, demand.wanted);
                LaunchReason::Demand { running: *running, waiting, idle, slots: *slots }
            };
            let launch = Launch {
                token: self.mint.next(&runner.name, ask.market, ask.count),
                runner: runner.name.clone(),
                count: ask.count,
                market: ask.market,
                offerings: ask.offerings,
                template: plan.template.clone(),
                config: plan.config.clone(),
                spot_max_price: runner.spot_max_price.clone(),
                tags: runner.tags.clone(),
                reason,
            };
            self.take_off(&launch);
            launches.push(launch);
        }
        if launches.is_empty() { Err(HeldBack::InFlight) } else { Ok(launches) }
    }

    fn place(&self, runner: &RunnerSettings, demand: &Demand, places: &[Place], workers: u32) -> Placement {
        let request = Request { urgent: demand.missing_for_jobs() > 0, ..Request::of(runner, workers) };
        place(places, request, self.cooldowns, self.prices, self.now)
    }

    fn nothing_to_ask_for(placement: &Placement) -> HeldBack {
        match (placement.opens_at, placement.over_price_cap.first()) {
            (None, Some(cheapest)) => HeldBack::OverPriceCap { cheapest: cheapest.clone() },
            (until, _) => HeldBack::NoOffering { until, said: placement.said.clone() },
        }
    }

    fn in_flight(&self, runner: &RunnerName, market: Market) -> bool {
        self.fleet.flights.values().any(|flight| flight.launch.runner == *runner && flight.launch.market == market)
    }

    fn take_off(&mut self, launch: &Launch) {
        self.cooldowns.probe(&launch.offerings, &launch.token);
        self.fleet.flights.insert(
            launch.token.clone(),
            Flight {
                launch: launch.clone(),
                decided_at: self.now,
                sending: Attempt::Asked(self.now),
                uncertain: false,
                seen: std::collections::BTreeSet::new(),
            },
        );
    }
}
