//! Which offerings are worth asking for: what failed is left alone for a while, then probed once, not stormed.
//!
//! Rule (architecture, "Placement"): a capacity error closes an offering for 3 minutes, growing on repeat; an interruption
//! closes it too; one probe at a time reopens it. Three minutes are what Karpenter uses
//! (`pkg/cache/unavailableofferings.go`); the probe is what its issue kubernetes-sigs/karpenter#3198 asks for, where every
//! expiry let the whole backlog in again. While jobs wait and everything is closed, one offering is tried all the same, every
//! half minute another one: capacity that has come back is worth more then than a call that is saved.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::backoff::Doubling;
use super::event::LaunchErrorClass;
use super::ids::{InstanceType, LaunchToken, SubnetId, Zone};
use super::offering::{Market, Offering, Place};
use super::time::after;
use super::worker::Instance;

/// None of that type in that zone: three minutes at first, half an hour at most.
const CAPACITY: Doubling = Doubling { first: Duration::from_secs(180), longest: Duration::from_secs(1800) };
/// Never offered there: a working day is long enough to ask again, short enough to notice when AWS adds it.
const UNSUPPORTED: Doubling =
    Doubling { first: Duration::from_secs(6 * 3600), longest: Duration::from_secs(24 * 3600) };
/// An account limit: a person has to act, but terminated workers free some of it at any moment.
const QUOTA: Doubling = Doubling { first: Duration::from_secs(120), longest: Duration::from_secs(900) };

/// Between two tries while everything is closed and jobs wait.
const EARLY: Duration = Duration::from_secs(30);

/// What runs out together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Offering(Market, InstanceType, Zone),
    Subnet(SubnetId),
    Market(Market),
}

#[derive(Clone, Debug)]
struct Closed {
    until: Timestamp,
    times: u32,
    probe: Option<LaunchToken>,
    /// What closed it last, and when that was.
    refusal: Refusal,
}

/// Why an offering was not given the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    at: Timestamp,
    /// Nobody can get it there, now or soon.
    unsupported: bool,
    /// In EC2's words: its error code, or what it said of an instance.
    said: String,
}

/// Whether an offering may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Openness {
    /// As much as is needed.
    Open,
    /// Its time is over, but it has not been seen to work again: one launch may try it.
    Probe,
    /// Not now.
    Closed {
        /// Until then; while a probe is out, until the present.
        until: Timestamp,
    },
}

/// Everything that failed lately.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cooldowns(BTreeMap<Key, Closed>);

impl Cooldowns {
    /// Whether `offering` may be asked for; the strictest of what is known of it, its subnet and its market.
    pub(crate) fn openness(&self, offering: &Offering, now: Timestamp) -> Openness {
        // The common day, on which nothing has failed, costs nothing.
        if self.0.is_empty() {
            return Openness::Open;
        }
        let mut verdict = Openness::Open;
        for key in keys(offering) {
            let Some(closed) = self.0.get(&key) else { continue };
            if closed.until > now {
                let until = match verdict {
                    Openness::Closed { until } => until.max(closed.until),
                    Openness::Open | Openness::Probe => closed.until,
                };
                verdict = Openness::Closed { until };
            } else if closed.probe.is_some() {
                verdict = match verdict {
                    Openness::Closed { until } => Openness::Closed { until },
                    Openness::Open | Openness::Probe => Openness::Closed { until: now },
                };
            } else if verdict == Openness::Open {
                verdict = Openness::Probe;
            }
        }
        verdict
    }

    /// EC2 would not give this offering.
    pub(crate) fn close(&mut self, offering: &Offering, class: LaunchErrorClass, said: &str, now: Timestamp) {
        let [own, subnet, market] = keys(offering);
        let (key, pace) = match class {
            LaunchErrorClass::Capacity => (own, CAPACITY),
            LaunchErrorClass::Unsupported => (own, UNSUPPORTED),
            LaunchErrorClass::Subnet => (subnet, CAPACITY),
            LaunchErrorClass::Quota => (market, QUOTA),
            // These say nothing about what EC2 has; the runner or the whole engine backs off instead.
            LaunchErrorClass::Slow | LaunchErrorClass::Denied | LaunchErrorClass::Invalid => return,
        };
        let unsupported = class == LaunchErrorClass::Unsupported;
        self.close_key(key, pace, Refusal { at: now, unsupported, said: said.to_owned() });
    }

    fn close_key(&mut self, key: Key, pace: Doubling, refusal: Refusal) {
        let now = refusal.at;
        let closed =
            self.0.entry(key).or_insert_with(|| Closed { until: now, times: 0, probe: None, refusal: refusal.clone() });
        closed.refusal = refusal;
        // Several errors of one call are one refusal: what is closed already is not closed for longer.
        if closed.until > now {
            closed.probe = None;
            return;
        }
        closed.times = closed.times.saturating_add(1);
        closed.until = after(now, pace.wait(closed.times));
        closed.probe = None;
    }

    /// EC2 takes capacity back from where this worker runs, or may soon: the same as being given none there.
    pub(crate) fn close_where(&mut self, instance: &Instance, said: &str, now: Timestamp) {
        let Instance { market, instance_type, zone, .. } = instance;
        let refusal = Refusal { at: now, unsupported: false, said: said.to_owned() };
        self.close_key(Key::Offering(*market, instance_type.clone(), zone.clone()), CAPACITY, refusal);
    }

    /// A launch that asks for these offerings is on its way: what of them is closed is being probed by it.
    pub(crate) fn probe<'a>(&mut self, offerings: impl IntoIterator<Item = &'a Offering>, token: &LaunchToken) {
        for key in offerings.into_iter().flat_map(keys) {
            if let Some(closed) = self.0.get_mut(&key) {
                closed.probe = Some(token.clone());
            }
        }
    }

    /// EC2 gave this offering to this launch: it works again.
    pub(crate) fn reopen(&mut self, offering: &Offering, token: &LaunchToken, now: Timestamp) {
        for key in keys(offering) {
            // What another call closed a moment ago stays closed: this success may be older.
            if self.0.get(&key).is_some_and(|closed| closed.until <= now || closed.probe.as_ref() == Some(token)) {
                self.0.remove(&key);
            }
        }
    }

    /// Of these offerings, all of which are closed, the one to try all the same, and from when on: half a minute after the last
    /// try of any, the one whose own is the longest ago. None that nobody can get, and none while a try is on its way.
    pub(crate) fn early<'a>(&self, offerings: &'a [Offering]) -> Option<(&'a Offering, Timestamp)> {
        let mut tried: Vec<(Timestamp, &Offering)> = Vec::new();
        for offering in offerings {
            let closed: Vec<&Closed> = keys(offering).iter().filter_map(|key| self.0.get(key)).collect();
            if closed.iter().any(|closed| closed.probe.is_some()) {
                return None;
            }
            if closed.iter().all(|closed| !closed.refusal.unsupported) {
                tried.extend(closed.iter().map(|closed| closed.refusal.at).max().map(|at| (at, offering)));
            }
        }
        let last = tried.iter().map(|(at, _)| *at).max()?;
        tried.into_iter().min().map(|(_, offering)| (offering, after(last, EARLY)))
    }

    /// What EC2 said when it gave none of these the last time.
    pub(crate) fn said(&self, offerings: &[Offering]) -> Option<String> {
        let failures = offerings.iter().flat_map(keys).filter_map(|key| self.0.get(&key)).map(|closed| &closed.refusal);
        failures.max_by_key(|refusal| refusal.at).map(|refusal| refusal.said.clone())
    }

    /// Whatever failed at these places, on either market, is forgotten.
    pub(crate) fn forget(&mut self, places: &[Place]) {
        for place in places {
            for market in [Market::Spot, Market::OnDemand] {
                keys(&place.on(market)).iter().for_each(|key| drop(self.0.remove(key)));
            }
        }
    }

    /// The launch is answered: its probes are over, whatever they showed.
    pub(crate) fn end_probes(&mut self, token: &LaunchToken) {
        for closed in self.0.values_mut() {
            if closed.probe.as_ref() == Some(token) {
                closed.probe = None;
            }
        }
    }

    /// When the first of `offerings` may be asked for again, if all are closed.
    pub(crate) fn opens_at(&self, offerings: &[Offering], now: Timestamp) -> Option<Timestamp> {
        offerings
            .iter()
            .map(|offering| match self.openness(offering, now) {
                Openness::Open | Openness::Probe => now,
                Openness::Closed { until } => until,
            })
            .min()
    }
}

fn keys(offering: &Offering) -> [Key; 3] {
    [
        Key::Offering(offering.market, offering.instance_type.clone(), offering.zone.clone()),
        Key::Subnet(offering.subnet.clone()),
        Key::Market(offering.market),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(instance_type: &str, zone: &str) -> Offering {
        Offering {
            market: Market::Spot,
            instance_type: InstanceType::new(instance_type),
            zone: Zone::new(zone),
            subnet: SubnetId::new(format!("subnet-{zone}")),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_capacity_error_closes_one_offering_then_one_probe() {
        let mut cooldowns = Cooldowns::default();
        let (gone, other) = (offering("c7g.large", "a"), offering("c7g.large", "b"));
        cooldowns.close(&gone, LaunchErrorClass::Capacity, "no", at(0));

        assert_eq!(cooldowns.openness(&gone, at(179)), Openness::Closed { until: at(180) });
        assert_eq!(cooldowns.openness(&other, at(1)), Openness::Open);
        assert_eq!(cooldowns.openness(&gone, at(180)), Openness::Probe);

        let token = LaunchToken::new("t");
        cooldowns.probe([&gone], &token);
        assert_eq!(cooldowns.openness(&gone, at(181)), Openness::Closed { until: at(181) }, "one probe at a time");
        cooldowns.end_probes(&token);
        assert_eq!(cooldowns.openness(&gone, at(182)), Openness::Probe, "an answer that says nothing leaves it due");
        cooldowns.reopen(&gone, &token, at(183));
        assert_eq!(cooldowns.openness(&gone, at(183)), Openness::Open);
    }

    #[test]
    fn repeats_close_for_longer_and_errors_of_a_call_count_once() {
        let mut cooldowns = Cooldowns::default();
        let gone = offering("c7g.large", "a");
        cooldowns.close(&gone, LaunchErrorClass::Capacity, "no", at(0));
        cooldowns.close(&gone, LaunchErrorClass::Capacity, "no", at(1));
        assert_eq!(cooldowns.openness(&gone, at(2)), Openness::Closed { until: at(180) });
        cooldowns.close(&gone, LaunchErrorClass::Capacity, "no", at(200));
        assert_eq!(cooldowns.openness(&gone, at(201)), Openness::Closed { until: at(560) });
    }

    #[test]
    fn a_full_subnet_closes_its_types_and_a_quota_the_market() {
        let mut cooldowns = Cooldowns::default();
        cooldowns.close(&offering("c7g.large", "a"), LaunchErrorClass::Subnet, "no", at(0));
        assert!(matches!(cooldowns.openness(&offering("m8g.large", "a"), at(1)), Openness::Closed { .. }));
        assert_eq!(cooldowns.openness(&offering("m8g.large", "b"), at(1)), Openness::Open);

        cooldowns.close(&offering("c7g.large", "b"), LaunchErrorClass::Quota, "no", at(0));
        assert!(matches!(cooldowns.openness(&offering("m8g.large", "b"), at(1)), Openness::Closed { .. }));
        let on_demand = Offering { market: Market::OnDemand, ..offering("m8g.large", "b") };
        assert_eq!(cooldowns.openness(&on_demand, at(1)), Openness::Open);
    }

    #[test]
    fn where_all_is_closed_another_one_is_tried_every_half_minute() {
        let mut cooldowns = Cooldowns::default();
        let all = ["a", "b", "c"].map(|zone| offering("c7g.large", zone));
        cooldowns.close(&all[0], LaunchErrorClass::Capacity, "InsufficientInstanceCapacity", at(0));
        cooldowns.close(&all[1], LaunchErrorClass::Capacity, "InsufficientInstanceCapacity", at(1));
        cooldowns.close(&all[2], LaunchErrorClass::Unsupported, "Unsupported", at(0));
        assert_eq!(cooldowns.early(&all), Some((&all[0], at(31))), "never what is not offered there");
        assert_eq!(cooldowns.said(&all).as_deref(), Some("InsufficientInstanceCapacity"));

        let token = LaunchToken::new("t");
        cooldowns.probe([&all[0]], &token);
        assert_eq!(cooldowns.early(&all), None, "one try at a time");
        cooldowns.close(&all[0], LaunchErrorClass::Capacity, "InsufficientInstanceCapacity", at(32));
        assert_eq!(
            cooldowns.openness(&all[0], at(33)),
            Openness::Closed { until: at(180) },
            "the pause is no longer for it"
        );
        assert_eq!(cooldowns.early(&all), Some((&all[1], at(62))));

        cooldowns.probe([&all[1]], &token);
        cooldowns.reopen(&all[1], &token, at(64));
        assert_eq!(cooldowns.openness(&all[1], at(64)), Openness::Open);
    }
}
