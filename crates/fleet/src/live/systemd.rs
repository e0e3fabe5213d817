//! What systemd is told: ready after the first full look, a sentence for `systemctl status`, and the watchdog's sign of
//! life, which comes from the loop itself and from nowhere else.

use jiff::{SignedDuration, Timestamp};
use sd_notify::NotifyState;
use tracing::{debug, info, warn};

use runner_fleet_engine::FleetSnapshot;
use runner_fleet_engine::snapshot::WorkerState;

/// Ready by then at the latest, even if EC2 does not answer: the unit must not be restarted for somebody else's
/// outage, which a restart cannot mend. Below systemd's `TimeoutStartSec` of 90 s.
const READY_AT_LATEST: SignedDuration = SignedDuration::from_secs(60);

/// What systemd knows of us.
#[derive(Debug)]
pub struct SystemdNotifier {
    started_at: Timestamp,
    ready: bool,
    told: String,
    send: fn(&[NotifyState<'_>]),
}

impl SystemdNotifier {
    /// Speaks to the systemd that started us; to nobody when none did.
    pub fn to_systemd(started_at: Timestamp) -> Self {
        Self { started_at, ready: false, told: String::new(), send: notify }
    }

    /// Speaks to nobody.
    pub fn to_nobody(started_at: Timestamp) -> Self {
        Self { started_at, ready: false, told: String::new(), send: |_| {} }
    }

    /// The loop is alive, and the fleet is so.
    pub fn after_step(&mut self, snapshot: &FleetSnapshot) {
        let became_ready = self.tell(snapshot, sentence(snapshot));
        if became_ready && snapshot.ec2.is_known() {
            info!(workers = snapshot.workers.len(), "ready: {}", self.told);
        } else if became_ready {
            warn!("started, but EC2 has not answered yet: nothing is launched or ended until it does");
        }
    }

    /// Something that the service cannot begin without is awaited, for the reason that EC2 is unknown in this snapshot.
    pub fn before_start(&mut self, snapshot: &FleetSnapshot) {
        let why = snapshot.ec2.failure().map(|failure| failure.text.clone()).unwrap_or_default();
        self.tell(snapshot, why);
    }

    /// The sign of life; the sentence where it is another one; and once, that we are ready: whether this was the time.
    fn tell(&mut self, snapshot: &FleetSnapshot, sentence: String) -> bool {
        let becomes_ready = !self.ready && is_ready(self.started_at, snapshot);
        let mut say = vec![NotifyState::Watchdog];
        if becomes_ready {
            say.push(NotifyState::Ready);
        }
        if sentence != self.told {
            say.push(NotifyState::Status(&sentence));
        }
        (self.send)(&say);
        self.ready |= becomes_ready;
        self.told = sentence;
        becomes_ready
    }

    /// The service leaves.
    pub fn stopping(&self) {
        (self.send)(&[NotifyState::Stopping]);
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!("systemd could not be told: {error}");
    }
}

fn is_ready(started_at: Timestamp, snapshot: &FleetSnapshot) -> bool {
    snapshot.ec2.is_known() || snapshot.at.duration_since(started_at) >= READY_AT_LATEST
}

/// The fleet in one sentence.
pub fn sentence(snapshot: &FleetSnapshot) -> String {
    let count = |state| snapshot.workers.iter().filter(|worker| worker.state == state).count();
    let (busy, idle, booting) = (count(WorkerState::Busy), count(WorkerState::Idle), count(WorkerState::Booting));
    let total = snapshot.workers.len();
    let s = if total == 1 { "" } else { "s" };
    // Unknown is not zero.
    let waiting = match (snapshot.waiting.complete, snapshot.waiting.total) {
        (true, total) => total.to_string(),
        (false, 0) => "unknown".to_owned(),
        (false, total) => format!("lately {total}"),
    };
    let mut said = format!("{total} worker{s} ({busy} busy, {idle} idle, {booting} booting), {waiting} waiting jobs");
    if !snapshot.ec2.is_known() {
        said.push_str("; EC2 does not answer");
    }
    if let Some(blind) = snapshot.runners.iter().find(|runner| !runner.queue.is_known()) {
        said.push_str(&format!("; the queue of {} is not known", blind.name));
    }
    if let Some(held) =
        snapshot.runners.iter().find_map(|runner| runner.held_back.as_ref().map(|why| (&runner.name, why)))
    {
        said.push_str(&format!("; {}: {}", held.0, held.1));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_engine::Engine;
    use runner_fleet_engine::Knowledge;

    #[test]
    fn ready_after_the_first_full_look_or_after_a_minute() {
        let start = Timestamp::UNIX_EPOCH;
        let mut snapshot = Engine::new("ci", 1, start).snapshot();
        assert!(!is_ready(start, &snapshot));
        snapshot.at = start + READY_AT_LATEST;
        assert!(is_ready(start, &snapshot));
        snapshot.at = start;
        snapshot.ec2 = Knowledge::Known;
        assert!(is_ready(start, &snapshot));
    }

    #[test]
    fn the_sentence_says_what_is_wrong() {
        let snapshot = Engine::new("ci", 1, Timestamp::UNIX_EPOCH).snapshot();
        assert_eq!(
            sentence(&snapshot),
            "0 workers (0 busy, 0 idle, 0 booting), unknown waiting jobs; EC2 does not answer"
        );
    }
}
