//! What systemd is told: ready after the first full look, a sentence for `systemctl status`, and the watchdog's sign of
//! life, which comes from the loop itself and from nowhere else.

use jiff::{SignedDuration, Timestamp};
use sd_notify::NotifyState;
use tracing::{debug, info, warn};

use runner_fleet_engine::View;
use runner_fleet_engine::view::WorkerState;

/// Ready by then at the latest, even if EC2 does not answer: the unit must not be restarted for somebody else's
/// outage, which a restart cannot mend. Below systemd's `TimeoutStartSec` of 90 s.
const READY_AT_LATEST: SignedDuration = SignedDuration::from_secs(60);

/// What systemd knows of us.
#[derive(Debug)]
pub struct Standing {
    started_at: Timestamp,
    ready: bool,
    told: String,
    send: fn(&[NotifyState<'_>]),
}

impl Standing {
    /// Speaks to the systemd that started us; to nobody when none did.
    pub fn to_systemd(started_at: Timestamp) -> Self {
        Self { started_at, ready: false, told: String::new(), send: notify }
    }

    /// Speaks to nobody.
    pub fn to_nobody(started_at: Timestamp) -> Self {
        Self { started_at, ready: false, told: String::new(), send: |_| {} }
    }

    /// The loop is alive, and the fleet is so.
    pub fn after_step(&mut self, view: &View) {
        let became_ready = self.tell(view, sentence(view));
        if became_ready && view.ec2.is_known() {
            info!(workers = view.workers.len(), "ready: {}", self.told);
        } else if became_ready {
            warn!("started, but EC2 has not answered yet: nothing is launched or ended until it does");
        }
    }

    /// Something that the service cannot begin without is awaited, for the reason that EC2 is unknown in this picture.
    pub fn before_start(&mut self, view: &View) {
        let why = view.ec2.trouble().map(|trouble| trouble.text.clone()).unwrap_or_default();
        self.tell(view, why);
    }

    /// The sign of life; the sentence where it is another one; and once, that we are ready: whether this was the time.
    fn tell(&mut self, view: &View, sentence: String) -> bool {
        let becomes_ready = !self.ready && is_ready(self.started_at, view);
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

fn is_ready(started_at: Timestamp, view: &View) -> bool {
    view.ec2.is_known() || view.at.duration_since(started_at) >= READY_AT_LATEST
}

/// The fleet in one sentence.
pub fn sentence(view: &View) -> String {
    let count = |state| view.workers.iter().filter(|worker| worker.state == state).count();
    let (busy, idle, booting) = (count(WorkerState::Busy), count(WorkerState::Idle), count(WorkerState::Booting));
    let total = view.workers.len();
    let s = if total == 1 { "" } else { "s" };
    let mut said =
        format!("{total} worker{s} ({busy} busy, {idle} idle, {booting} booting), {} waiting jobs", view.waiting.total);
    if !view.ec2.is_known() {
        said.push_str("; EC2 does not answer");
    }
    if let Some(blind) = view.runners.iter().find(|runner| !runner.queue.is_known()) {
        said.push_str(&format!("; the queue of {} is not known", blind.name));
    }
    if let Some(held) = view.runners.iter().find_map(|runner| runner.held_back.as_ref().map(|why| (&runner.name, why)))
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
        let mut view = Engine::new("ci", 1, start).view();
        assert!(!is_ready(start, &view));
        view.at = start + READY_AT_LATEST;
        assert!(is_ready(start, &view));
        view.at = start;
        view.ec2 = Knowledge::Known;
        assert!(is_ready(start, &view));
    }

    #[test]
    fn the_sentence_says_what_is_wrong() {
        let view = Engine::new("ci", 1, Timestamp::UNIX_EPOCH).view();
        assert_eq!(sentence(&view), "0 workers (0 busy, 0 idle, 0 booting), 0 waiting jobs; EC2 does not answer");
    }
}
