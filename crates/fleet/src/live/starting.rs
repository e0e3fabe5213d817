//! The time before the loop. What the service cannot begin without may not be there yet: a region, a secret, the SSH key.
//! It is tried again with growing pauses, and at once when a reload is asked for, until it is there; meanwhile systemd,
//! operators and the pages hear what is awaited. To end instead would make systemd start us every two seconds, for ever.

use std::error::Error;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::control::{Answer, ControlRequest, Request};
use runner_fleet_config::Config;
use runner_fleet_engine::failure::chain;
use runner_fleet_engine::{Failure, FailureClass, FleetSnapshot, Knowledge, Severity, Trouble, TroubleReason, Verdict};

use super::clock::Clock;
use super::complaint::Pauses;
use super::driver::TICK;
use super::reload;
use super::systemd::SystemdNotifier;

/// The longest pause between two attempts: whoever has mended what was missing waits no longer than this, and a
/// parameter that is asked for once a minute costs nobody anything.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How long something may be missing before it is a trouble: an address of the metadata service, or a network, comes up.
const TROUBLE_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Who hears what is awaited: the same channels that the loop has afterwards.
#[derive(Debug)]
pub struct Starting<'a> {
    /// Paces the attempts.
    pub clock: Clock,
    /// Ends the wait at once.
    pub stop: &'a CancellationToken,
    /// Operators: their `status` is answered, everything else refused.
    pub control: &'a mut mpsc::Receiver<ControlRequest>,
    /// The snapshot, with a fresh time every [`TICK`]: EC2 is unknown in it, for what is awaited.
    pub publish: &'a watch::Sender<Arc<FleetSnapshot>>,
    /// What systemd is told.
    pub systemd: &'a mut SystemdNotifier,
    /// Operators who want the file to be read again, and wait for what comes of it.
    pub wishes: Wishes,
    /// Since when something is missing.
    pub missing_since: Option<Timestamp>,
}

/// Operators who wait for a reload.
#[derive(Debug, Default)]
pub struct Wishes {
    came: Arc<Notify>,
    replies: Vec<oneshot::Sender<Answer>>,
}

fn not_started(now: Timestamp, since: Timestamp, failure: &Failure) -> Trouble {
    let reason = TroubleReason::NotStarted { failure: failure.clone() };
    Trouble::at(now, Severity::Critical, None, since, None, reason)
}

impl Starting<'_> {
    /// Tries until it works; `None` when the service is told to stop first.
    ///
    /// A reload reads `path` again, and a file that is refused changes nothing.
    pub async fn until_it_works<T, E: Error, F: Future<Output = Result<T, E>>>(
        mut self,
        mut config: Config,
        path: &Path,
        reload: &mut mpsc::Receiver<()>,
        attempt: impl Fn(Config) -> F,
    ) -> Option<T> {
        let clock = self.clock;
        let mut pauses = Pauses::default();
        let mut awaited = String::new();
        loop {
            let why = match self.meanwhile(attempt(config.clone())).await? {
                Ok(there) => {
                    for reply in self.wishes.replies.drain(..) {
                        let _ = reply.send(Answer::done("the service has started"));
                    }
                    return Some(there);
                }
                Err(error) => chain(&error),
            };
            if why != awaited {
                warn!("not started yet: cannot {why}; trying again, at least every {} s", PAUSE_MAX.as_secs());
                self.tell(&why);
                awaited = why;
            }
            let pause = pauses.next().min(PAUSE_MAX);
            let wished = Arc::clone(&self.wishes.came);
            let reloaded = self.meanwhile(async {
                tokio::select! {
                    Some(()) = reload.recv() => true,
                    () = wished.notified() => true,
                    () = clock.sleep(pause) => false,
                }
            });
            if reloaded.await? {
                let answer = match reload::reread(path, &config) {
                    Ok((fresh, remarks)) => {
                        config = fresh;
                        let told = format!("reread {}; not started yet: cannot {awaited}", path.display());
                        Answer::done(std::iter::once(told).chain(remarks).collect::<Vec<_>>().join("\n"))
                    }
                    Err(refused) => {
                        error!("configuration not reloaded, keeping the previous one: {}", refused.why());
                        refused.answer()
                    }
                };
                for reply in self.wishes.replies.drain(..) {
                    let _ = reply.send(answer.clone());
                }
            }
        }
    }

    /// Waits for something, and answers whoever asks in the meantime; `None`: told to stop.
    async fn meanwhile<F: Future>(&mut self, awaited: F) -> Option<F::Output> {
        let mut awaited = std::pin::pin!(awaited);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                output = &mut awaited => return Some(output),
                Some(asked) = self.control.recv() => self.answer(asked),
                () = self.clock.sleep(TICK) => {}
            }
            self.alive();
        }
    }

    /// What the service cannot begin without.
    fn tell(&mut self, why: &str) {
        let failure = Failure::new(FailureClass::Awaited, format!("not started yet: cannot {why}"));
        self.publish.send_modify(|snapshot| Arc::make_mut(snapshot).ec2 = Knowledge::Unknown { failure });
        self.alive();
    }

    /// The snapshot is of now, and systemd gets its sign of life.
    fn alive(&mut self) {
        let now = self.clock.now();
        let missing_since = *self.missing_since.get_or_insert(now);
        self.publish.send_modify(|snapshot| {
            let snapshot = Arc::make_mut(snapshot);
            snapshot.at = now;
            let failure = snapshot.ec2.failure().filter(|_| now.duration_since(missing_since) >= TROUBLE_AFTER);
            snapshot.verdict =
                Verdict::of(failure.map(|failure| not_started(now, missing_since, failure)).into_iter().collect());
        });
        self.systemd.before_start(&self.publish.borrow());
    }

    fn answer(&mut self, asked: ControlRequest) {
        if asked.request == Request::Reload {
            self.wishes.replies.push(asked.reply);
            self.wishes.came.notify_one();
            return;
        }
        let snapshot = FleetSnapshot::clone(&self.publish.borrow());
        let answer = match (asked.request, &snapshot.ec2) {
            (Request::Status, _) => Answer::Status { snapshot: Box::new(snapshot) },
            (_, Knowledge::Unknown { failure }) => Answer::refused(failure.text.clone()),
            (_, Knowledge::Known | Knowledge::Stale { .. }) => Answer::refused("not started yet"),
        };
        // The operator may have gone: then nobody needs the answer.
        let _ = asked.reply.send(answer);
    }
}
