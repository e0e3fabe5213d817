//! What was told of troubles, and what is to be told next.

use std::time::Duration;

use jiff::Timestamp;

use runner_fleet_config::OnTrouble;
use runner_fleet_engine::{FleetSnapshot, Trouble};

use super::message::{News, Occasion};

/// How long after a start a trouble that was told before it may need to show again: three boots that fail, or a shortage that
/// has to last. What has not come back by then is over.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(15 * 60);

/// The troubles that were told and are not over.
#[derive(Debug, Default)]
pub(super) struct Told {
    entries: Vec<Entry>,
    /// When those of before the start that have not come back are over.
    settled_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Entry {
    /// As it was told.
    trouble: Trouble,
    /// An earlier life of the service told it, and this one has not seen it yet.
    is_of_before: bool,
}

impl Told {
    /// What was told before the start.
    pub(super) fn before(troubles: Vec<Trouble>) -> Self {
        let entries = troubles.into_iter().map(|trouble| Entry { trouble, is_of_before: true });
        Self { entries: entries.collect(), settled_at: None }
    }

    /// What was told and is not over, to be kept.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        self.entries.iter().map(|entry| entry.trouble.clone()).collect()
    }

    /// Nobody is to be told any more; whether that changes anything.
    pub(super) fn forget(&mut self) -> bool {
        !std::mem::take(&mut self.entries).is_empty()
    }

    /// What to tell next: first what is over, then what is worse or new, the oldest first.
    pub(super) fn news(&mut self, snapshot: &FleetSnapshot, on_trouble: &OnTrouble) -> Option<News> {
        let (at, present) = (snapshot.at, &snapshot.verdict.troubles);
        let find = |trouble: &Trouble| present.iter().find(|other| other.is_the_same_as(trouble));
        // Before the engine knows what is configured, it has nothing to say.
        self.settled_at = match self.settled_at {
            _ if snapshot.runners.is_empty() => None,
            None => Some(at.saturating_add(COMES_BACK_WITHIN).unwrap_or(Timestamp::MAX)),
            known => known,
        };
        for entry in &mut self.entries {
            entry.is_of_before &= find(&entry.trouble).is_none();
        }
        let is_settled = self.settled_at.is_some_and(|settled_at| settled_at <= at);
        let over = |entry: &&Entry| find(&entry.trouble).is_none() && (is_settled || !entry.is_of_before);
        if let Some(entry) = self.entries.iter().find(over) {
            return Some(News { event: Occasion::Over, trouble: entry.trouble.clone() });
        }
        let mut oldest: Vec<&Trouble> = present.iter().collect();
        oldest.sort_by_key(|trouble| trouble.since);
        oldest.into_iter().find_map(|trouble| {
            let entry = self.entries.iter().find(|entry| entry.trouble.is_the_same_as(trouble));
            let event = match entry {
                Some(entry) if trouble.severity > entry.trouble.severity => Occasion::Worse,
                Some(_) => return None,
                None => Occasion::Began,
            };
            let lasted = Duration::try_from(at.duration_since(trouble.since)).unwrap_or_default();
            let is_wanted = trouble.severity >= on_trouble.severity && lasted >= on_trouble.after;
            // A trouble is one from its first message on, over restarts too.
            let since = entry.map_or(trouble.since, |entry| entry.trouble.since);
            is_wanted.then(|| News { event, trouble: Trouble { since, ..trouble.clone() } })
        })
    }

    /// This was told, or given up.
    pub(super) fn was_told(&mut self, news: News) {
        self.entries.retain(|entry| !entry.trouble.is_the_same_as(&news.trouble));
        match news.event {
            Occasion::Over | Occasion::Test => {}
            Occasion::Began | Occasion::Worse => {
                self.entries.push(Entry { trouble: news.trouble, is_of_before: false })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_engine::{Engine, RunnerName, Severity, TroubleReason, Verdict};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn trouble(runner: &str, severity: Severity, since: u64) -> Trouble {
        let reason = TroubleReason::Paused;
        let since = NOW + Duration::from_secs(since);
        Trouble::at(since, severity, Some(RunnerName::new(runner)), since, Some(1), reason)
    }

    fn shown(at: u64, troubles: Vec<Trouble>) -> FleetSnapshot {
        let mut snapshot = Engine::new("ci", 1, NOW).snapshot();
        snapshot.at = NOW + Duration::from_secs(at);
        let json = serde_json::json!({ "name": "one", "queue": { "state": "known" }, "facts": { "state": "known" },
            "launch_plan": { "state": "known" }, "running": 0, "waiting": 0, "idle_wanted": 0, "idle_ready": 0, "workers": 0,
            "max_workers": 1, "held_back": null, "paused": false, "forecast": null, "over_price_cap": [] });
        snapshot.runners.push(serde_json::from_value(json).unwrap());
        snapshot.verdict = Verdict::of(troubles);
        snapshot
    }

    fn wish(severity: Severity, after: u64) -> OnTrouble {
        OnTrouble { command: Vec::new(), url: None, severity, after: Duration::from_secs(after) }
    }

    /// All that is told of this snapshot, in order.
    fn all(told: &mut Told, snapshot: &FleetSnapshot, on_trouble: &OnTrouble) -> Vec<(&'static str, String)> {
        let mut said = Vec::new();
        while let Some(news) = told.news(snapshot, on_trouble) {
            said.push((news.event.into(), news.trouble.runner.as_ref().unwrap().to_string()));
            told.was_told(news);
        }
        said
    }

    fn words(expected: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        expected.iter().map(|(event, runner)| (*event, (*runner).to_owned())).collect()
    }

    #[test]
    fn each_is_told_once_and_once_when_over() {
        let (mut told, all_of) = (Told::default(), wish(Severity::Warning, 0));
        let (one, two) = (trouble("one", Severity::Warning, 20), trouble("two", Severity::Critical, 10));
        let both = shown(30, vec![one.clone(), two.clone()]);
        assert_eq!(all(&mut told, &both, &all_of), words(&[("began", "two"), ("began", "one")]));
        assert_eq!(all(&mut told, &both, &all_of), words(&[]));
        let worse = shown(40, vec![Trouble { severity: Severity::Critical, ..one.clone() }, two]);
        assert_eq!(all(&mut told, &worse, &all_of), words(&[("worse", "one")]));
        assert_eq!(all(&mut told, &shown(50, vec![one]), &all_of), words(&[("over", "two")]));
        assert_eq!(all(&mut told, &shown(60, vec![]), &all_of), words(&[("over", "one")]));
    }

    #[test]
    fn only_what_is_wanted_is_told() {
        let (mut told, critical) = (Told::default(), wish(Severity::Critical, 60));
        let one = trouble("one", Severity::Warning, 0);
        let worse = Trouble { severity: Severity::Critical, ..one.clone() };
        assert_eq!(all(&mut told, &shown(90, vec![one.clone()]), &critical), words(&[]));
        assert_eq!(all(&mut told, &shown(59, vec![worse.clone()]), &critical), words(&[]));
        assert_eq!(all(&mut told, &shown(60, vec![worse]), &critical), words(&[("began", "one")]));
        assert_eq!(all(&mut told, &shown(90, vec![one]), &critical), words(&[]), "it is not over");
        assert_eq!(all(&mut told, &shown(90, vec![]), &critical), words(&[("over", "one")]));
    }

    #[test]
    fn a_restart_tells_nothing_twice_and_ends_what_is_over() {
        let (old, all_of) = (trouble("old", Severity::Critical, 5), wish(Severity::Warning, 0));
        let mut told = Told::before(vec![old.clone(), trouble("gone", Severity::Critical, 6)]);
        let mut unborn = shown(1_000, vec![]);
        unborn.runners.clear();
        assert_eq!(all(&mut told, &unborn, &all_of), words(&[]));
        assert_eq!(all(&mut told, &shown(2_000, vec![]), &all_of), words(&[]), "it may come back");
        let back = trouble("old", Severity::Critical, 2_100);
        assert_eq!(all(&mut told, &shown(2_200, vec![back]), &all_of), words(&[]));
        assert_eq!(told.troubles()[0].since, old.since, "it has lasted since before the restart");
        assert_eq!(all(&mut told, &shown(2_300, vec![]), &all_of), words(&[("over", "old")]));
        assert_eq!(all(&mut told, &shown(2_900, vec![]), &all_of), words(&[("over", "gone")]));
    }
}
