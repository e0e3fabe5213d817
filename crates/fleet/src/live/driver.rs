//! The loop: events in, one step, commands out, now and then a snapshot published. It waits for nothing but its own wake-ups.
//!
//! A step follows every event, but never sooner than [`GAP`] after the last one (a thousand workers that report at
//! once are one step, not a thousand), and at the latest [`TICK`] after it, because time alone decides things too.
//! Stopping means leaving: workers, jobs and launches in flight stay as they are, and the next start adopts them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::control::{Answer, ControlRequest, Request};
use runner_fleet_engine::laws::Laws;
use runner_fleet_engine::{Engine, Event, FleetSnapshot, Orders};

use super::clock::Clock;
use super::edge::Edge;
use super::journal;
use super::ledger::{CostsReader, LedgerOut};
use super::metrics::LoopMetrics;
use super::operator;
use super::recording::Recorder;
use super::systemd::SystemdNotifier;

/// The longest time without a step: every time-out of the engine is a matter of at least seconds.
pub const TICK: Duration = Duration::from_secs(1);
/// The shortest time between two steps: half of the 100 ms that a pending job may wait for its launch call.
pub const GAP: Duration = Duration::from_millis(50);
/// How old the snapshot may grow while there is something new. It is for people and scrapes, and one of 1,000 workers
/// costs more than the step behind it: made after every step, of which their reports set off 20 a second, it would be
/// most of the idle load.
pub const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);
/// Events taken into one step. Three times what 1,000 workers can say in one [`GAP`]; the rest waits for the next.
const BATCH_MAX: usize = 4096;

/// What the loop listens to and speaks to.
#[derive(Debug)]
pub struct Channels {
    /// Answers from the world.
    pub events: mpsc::Receiver<Event>,
    /// Questions and wishes from the control socket.
    pub control: mpsc::Receiver<ControlRequest>,
    /// The snapshot, at most [`SNAPSHOT_EVERY`] behind the last step.
    pub publish: watch::Sender<Arc<FleetSnapshot>>,
    /// Ends the loop at once.
    pub stop: CancellationToken,
    /// Counts what the loop does.
    pub metrics: LoopMetrics,
    /// What systemd is told.
    pub systemd: SystemdNotifier,
    /// What operators have ordered, for whoever keeps it over restarts.
    pub orders: watch::Sender<Orders>,
    /// The ledger, for whoever keeps it over restarts.
    pub ledger: LedgerOut,
    /// Answers questions about costs.
    pub costs: CostsReader,
    /// What remembers what happens.
    pub recorder: Recorder,
    /// Wishes for a reload, to be answered when the file was read.
    pub reload: mpsc::Sender<oneshot::Sender<Answer>>,
}

/// Steps until told to stop.
pub async fn drive(mut engine: Engine, mut edge: impl Edge, clock: Clock, mut channels: Channels) {
    let mut batch = Vec::new();
    let mut laws = Laws::new();
    let mut pictured_at = None;
    loop {
        let stepped_at = clock.now();
        take_waiting(&mut channels.events, &mut batch);
        step(&mut engine, &mut laws, &mut edge, stepped_at, &mut batch, &mut channels);
        let quiet = match snapshot_due(pictured_at, stepped_at) {
            None => {
                publish(&engine, &mut channels);
                pictured_at = Some(stepped_at);
                TICK
            }
            Some(left) => left,
        };
        channels.metrics.took(clock.now().duration_since(stepped_at));

        let asked = tokio::select! {
            biased;
            () = channels.stop.cancelled() => break,
            Some(request) = channels.control.recv() => Some(request),
            Some(event) = channels.events.recv() => { batch.push(event); None }
            () = clock.sleep(quiet) => None,
        };
        match asked {
            None => {}
            Some(ControlRequest { request: Request::Reload, by: _, reply }) => reload(&channels.reload, reply),
            Some(ControlRequest { request: Request::Costs { query }, by: _, reply }) => {
                channels.costs.reply(query, reply);
            }
            Some(ControlRequest { request, by, reply }) => {
                let (answer, wish) = operator::consider(&engine, clock.now(), request);
                if wish.is_some() {
                    tell_act(&answer, by);
                }
                batch.extend(wish.map(Event::Operator));
                // The operator may have gone: then nobody needs the answer.
                let _ = reply.send(answer);
            }
        }
        if channels.stop.run_until_cancelled(rest(&clock, stepped_at)).await.is_none() {
            break;
        }
    }
    publish(&engine, &mut channels);
    channels.ledger.last(&engine);
    channels.systemd.stopping();
    info!("stopping; workers and their jobs go on, and the next start adopts them");
}

/// An operator's act is a line of the log, with who it was.
fn tell_act(answer: &Answer, by: Option<u32>) {
    if let Answer::Done { told, workers: _ } = answer {
        let who = by.map_or_else(|| "an operator".to_owned(), |uid| format!("an operator (uid {uid})"));
        info!(event = "operator", operator.uid = by, "{who}: {}", told.replace('\n', "; "));
    }
}

/// Hands the wish on to whoever reads the configuration, and answers when it is read.
fn reload(to: &mpsc::Sender<oneshot::Sender<Answer>>, reply: oneshot::Sender<Answer>) {
    if let Err(mpsc::error::TrySendError::Full(reply) | mpsc::error::TrySendError::Closed(reply)) = to.try_send(reply) {
        let _ = reply.send(Answer::refused("the configuration is being read just now; try again in a moment"));
    }
}

/// Waits for what is left of the [`GAP`].
async fn rest(clock: &Clock, stepped_at: Timestamp) {
    let passed = Duration::try_from(clock.now().duration_since(stepped_at)).unwrap_or_default();
    if let Some(left) = GAP.checked_sub(passed) {
        clock.sleep(left).await;
    }
}

/// Takes all events that are there, up to [`BATCH_MAX`], without waiting.
fn take_waiting(events: &mut mpsc::Receiver<Event>, batch: &mut Vec<Event>) {
    while batch.len() < BATCH_MAX {
        match events.try_recv() {
            Ok(event) => batch.push(event),
            Err(_) => break,
        }
    }
}

/// One step, and all that follows from it.
fn step(
    engine: &mut Engine,
    laws: &mut Laws,
    edge: &mut impl Edge,
    now: Timestamp,
    batch: &mut Vec<Event>,
    channels: &mut Channels,
) {
    channels.metrics.stepping(batch.len());
    batch.iter().for_each(|event| laws.observe(now, event));
    for event in &*batch {
        if let Event::Configured(settings) = event {
            channels.metrics.configured(settings);
        }
    }
    let commands = engine.step(now, batch.drain(..));
    for violation in laws.judge(now, &commands) {
        // Said and counted, and yet carried out: to withhold a command that the engine believes given would be worse.
        error!(
            event = "law_broken",
            law = violation.law,
            "a law of the engine is broken, please report this: {violation}"
        );
        engine.law_broken(&violation.to_string());
    }
    engine.notes().iter().for_each(journal::tell);
    engine.measures().iter().for_each(|measure| channels.metrics.measured(measure));
    channels.recorder.note(now, engine.notes());
    keep_orders(engine, &channels.orders);
    channels.ledger.after_step(engine, now);
    for command in commands {
        journal::carry_out(&command);
        channels.metrics.commanded(&command);
        edge.execute(now, command);
    }
}

/// What operators have ordered goes to whoever keeps it, when it has changed.
fn keep_orders(engine: &Engine, orders: &watch::Sender<Orders>) {
    orders.send_if_modified(|kept| {
        let is_news = kept != engine.orders();
        if is_news {
            kept.clone_from(engine.orders());
        }
        is_news
    });
}

/// The time left until the next snapshot is due; `None`: now, also after the clock was set back.
fn snapshot_due(pictured_at: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let age = Duration::try_from(now.duration_since(pictured_at?)).ok()?;
    SNAPSHOT_EVERY.checked_sub(age).filter(|left| !left.is_zero())
}

/// Shows what the fleet looks like after the last step.
fn publish(engine: &Engine, channels: &mut Channels) {
    let snapshot = Arc::new(engine.snapshot());
    channels.systemd.after_step(&snapshot);
    channels.recorder.look(&snapshot);
    channels.publish.send_replace(snapshot);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_due_first_when_old_and_after_a_clock_change() {
        let then = Timestamp::UNIX_EPOCH;
        assert_eq!(snapshot_due(None, then), None);
        assert_eq!(snapshot_due(Some(then), then), Some(SNAPSHOT_EVERY));
        assert_eq!(snapshot_due(Some(then), then + SNAPSHOT_EVERY / 4), Some(SNAPSHOT_EVERY * 3 / 4));
        assert_eq!(snapshot_due(Some(then), then + SNAPSHOT_EVERY), None);
        assert_eq!(snapshot_due(Some(then), then - SNAPSHOT_EVERY), None);
    }
}
