//! One connection to a worker, from the first packet to the last: reports come in, beats and commands go out.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::answer::{ANSWER_BYTES_MAX, failure, is_missing, sentence, without_secrets};
use super::command_queue::{Next, Outcome};
use super::first_contact::hand_over;
use super::provision::Provision;
use super::retry::Ended;
use super::worker::WorkerConnection;
use crate::ssh::error::plain;
use crate::ssh::greeting::greeted;
use crate::ssh::stream::LineInput;
use crate::ssh::{LineStream, RunLimits, Session, SshError};
use runner_fleet_engine::{ConnectionFailure, WorkerEvent};
use runner_fleet_worker::agent::{self, AgentCommand, AgentExit};

/// How a connection ended.
pub(super) enum End {
    /// As the next one shall begin: the worker has its own host key now, and shows it from then on.
    Handover,
    /// Otherwise.
    Failure(Ended),
}

/// Connects, talks until something ends it, and says what.
pub(super) async fn run(connection: &WorkerConnection, eager: bool) -> End {
    let mut ended = Ended { failure: ConnectionFailure::Unreachable(String::new()), was_up: false, heard: false };
    // Boxed, here and below: what is needed for a moment takes no room in a connection that lives for days.
    let Open { session, user, handover } = match Box::pin(connect(connection, eager)).await {
        Ok(open) => open,
        Err(failure) => return End::Failure(Ended { failure, ..ended }),
    };
    ended.was_up = true;
    debug!(worker.id = %connection.worker, runner.name = %connection.runner, "connected to {}", connection.worker);
    connection.outbox.post(WorkerEvent::Connected);
    if let Some(handover) = handover {
        return match Box::pin(hand_over(connection, &session, &user, &handover)).await {
            Ok(()) => End::Handover,
            Err(failure) => End::Failure(Ended { failure, ..ended }),
        };
    }
    ended.failure = tokio::select! {
        failure = listen(connection, &session, &user, &mut ended.heard) => failure,
        failure = carry_out(connection, &session, &user) => failure,
    };
    End::Failure(ended)
}

/// A connection that has just come about.
struct Open {
    session: Session,
    user: String,
    /// The worker still shows the host key of its launch template: this is what it is told, and nothing else.
    handover: Option<SecretString>,
}

async fn connect(connection: &WorkerConnection, eager: bool) -> Result<Open, ConnectionFailure> {
    let refused = |why: &str| ConnectionFailure::Refused(why.to_owned());
    let shared = &connection.shared;
    let Provision { user, port, mut host_keys, bundle: _ } =
        shared.provisioner.provision(&connection.runner, &connection.worker).map_err(ConnectionFailure::Refused)?;
    if connection.has_own_key() {
        host_keys.first_contact = None;
    }
    let (own, pinned) = (host_keys.own().map_err(refused)?, host_keys.pinned().map_err(refused)?);
    let address = SocketAddr::new(connection.address, port);
    let after = if eager { shared.timeouts.eager_connect } else { shared.timeouts.ssh.connect };
    let stream = within(connection, after, shared.dialer.dial(address))
        .await
        .ok_or(SshError::Slow { what: "connecting", after })
        .and_then(|dialled| dialled.map_err(|source| SshError::Connect { address, source }))
        .map_err(failure)?;
    let stream = greeted(stream, shared.timeouts.ssh.greeting).await.map_err(failure)?;
    // Only now, because addresses where nobody answers, and servers that hang, must not keep the others waiting.
    let turn = shared.handshakes.acquire().await;
    let session = Session::over(stream, &user, &pinned, &shared.key, &shared.timeouts.ssh).await.map_err(failure)?;
    drop(turn);
    if session.is_with(&own) {
        connection.shows_own_key();
        return Ok(Open { session, user, handover: None });
    }
    Ok(Open { session, user, handover: host_keys.first_contact.map(|first| first.handover) })
}

/// Keeps `agent watch` running; the agent may not be there yet when sshd already is.
async fn listen(connection: &WorkerConnection, session: &Session, user: &str, heard: &mut bool) -> ConnectionFailure {
    let up_since = Instant::now();
    let timeouts = &connection.shared.timeouts;
    loop {
        match watch(connection, session, user, heard).await {
            Watched::Ended(failure) => return failure,
            Watched::NoAgent if up_since.elapsed() > timeouts.silence => {
                let waited = timeouts.silence;
                return ConnectionFailure::Refused(format!("there is still no agent {waited:?} after the connection"));
            }
            Watched::NoAgent => {
                connection.outbox.post(WorkerEvent::NoAgent);
                connection.shared.clock.sleep(timeouts.agent_missing).await;
            }
        }
    }
}

enum Watched {
    NoAgent,
    Ended(ConnectionFailure),
}

async fn watch(connection: &WorkerConnection, session: &Session, user: &str, heard: &mut bool) -> Watched {
    let mut lines = match session.stream(&AgentCommand::Watch.line(user), agent::LINE_MAX).await {
        Ok(lines) => lines,
        Err(error) => return Watched::Ended(failure(error)),
    };
    let input = lines.input();
    tokio::select! {
        watched = read(connection, &mut lines, heard) => watched,
        never = beat(connection, &input) => never,
    }
}

async fn read(connection: &WorkerConnection, lines: &mut LineStream, heard: &mut bool) -> Watched {
    let silence = connection.shared.timeouts.silence;
    loop {
        let line = match within(connection, silence, lines.next_line()).await {
            None => return Watched::Ended(ConnectionFailure::Unreachable(format!("no report for {silence:?}"))),
            Some(Err(error)) => return Watched::Ended(failure(error)),
            Some(Ok(None)) => return why_it_ended(lines, *heard),
            Some(Ok(Some(line))) => line,
        };
        match agent::parse_line(&line, &connection.worker) {
            Ok(report) => {
                *heard = true;
                connection.heard();
                connection.commands().heard(&report);
                connection.changed.notify_one();
                connection.outbox.post(WorkerEvent::Report(Box::new(report)));
                connection.shared.clock.sleep(connection.shared.timeouts.report_pause).await;
            }
            Err(error) => return Watched::Ended(ConnectionFailure::Refused(error.to_string())),
        }
    }
}

fn why_it_ended(lines: &LineStream, heard: bool) -> Watched {
    if is_missing(lines.status(), lines.stderr()) && !heard {
        return Watched::NoAgent;
    }
    let words = plain(&String::from_utf8_lossy(lines.stderr()));
    match lines.status() {
        Some(status) if !heard => Watched::Ended(ConnectionFailure::Refused(sentence("agent watch", status, &words))),
        // After having made sense it was ended by something else: a reboot, a shutdown, an upgrade.
        _ => Watched::Ended(ConnectionFailure::Unreachable("the agent's stream has ended".into())),
    }
}

/// Never ends: a beat that cannot be sent is noticed where the reports are awaited.
async fn beat(connection: &WorkerConnection, input: &LineInput) -> Watched {
    loop {
        let _ = within(connection, connection.shared.timeouts.silence, input.send(agent::BEAT)).await;
        connection.shared.clock.sleep(connection.shared.timeouts.heartbeat).await;
    }
}

/// Does what the commands says, one command at a time, until the connection is of no more use.
async fn carry_out(connection: &WorkerConnection, session: &Session, user: &str) -> ConnectionFailure {
    let timeouts = &connection.shared.timeouts;
    loop {
        let next = connection.commands().next(timeouts, Instant::now());
        let command = match next {
            Next::Nothing => {
                connection.changed.notified().await;
                continue;
            }
            Next::At(at) => {
                let wait = at.saturating_duration_since(Instant::now());
                let _ = within(connection, wait, connection.changed.notified()).await;
                continue;
            }
            Next::Run(command) => command,
        };
        let outcome = match Box::pin(execute(connection, session, user, command.command)).await {
            Ok(outcome) => outcome,
            Err(failure) => return failure,
        };
        let why = outcome.as_ref().err().cloned();
        let mut commands = connection.commands();
        commands.finished(command, outcome.unwrap_or(Outcome::Failed), timeouts, Instant::now());
        let failures = commands.failures();
        drop(commands);
        if let Some(why) = why {
            let (worker, command) = (&connection.worker, command.command.name());
            warn!(worker.id = %worker, runner.name = %connection.runner, "{worker} failed to {command}: {why}");
            if failures >= timeouts.command_failures_max {
                return ConnectionFailure::Refused(why);
            }
        }
    }
}

/// Runs one command; the inner error is a sentence about its failure, the outer one says that the connection is gone.
async fn execute(
    connection: &WorkerConnection,
    session: &Session,
    user: &str,
    command: AgentCommand,
) -> Result<Result<Outcome, String>, ConnectionFailure> {
    let bundle = match command {
        AgentCommand::Configure => {
            match connection.shared.provisioner.provision(&connection.runner, &connection.worker) {
                Ok(provision) => provision.bundle,
                Err(why) => return Ok(Err(why)),
            }
        }
        _ => SecretString::default(),
    };
    let stdin = bundle.expose_secret();
    let limits = RunLimits { time: connection.shared.timeouts.command, stdout_bytes_max: ANSWER_BYTES_MAX };
    match session.run(&command.line(user), stdin.as_bytes(), limits).await {
        Ok(output) => {
            let words = without_secrets(&plain(&String::from_utf8_lossy(&output.stderr)), stdin);
            Ok(judge(connection, command, output.status, &words))
        }
        Err(error) if session.is_closed() => Err(failure(error)),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// What a finished command means, or one sentence about its failure.
fn judge(
    connection: &WorkerConnection,
    command: AgentCommand,
    status: Option<u32>,
    words: &str,
) -> Result<Outcome, String> {
    let (worker, name) = (&connection.worker, command.name());
    let Some(status) = status else { return Err(format!("agent {name} was ended by a signal")) };
    match AgentExit::of(status) {
        AgentExit::Done => {
            info!(worker.id = %worker, runner.name = %connection.runner, "{worker} did {name}");
            Ok(Outcome::Settled)
        }
        AgentExit::Ending => {
            info!(worker.id = %worker, runner.name = %connection.runner, "{worker} is ending: no use to {name}");
            Ok(Outcome::Settled)
        }
        AgentExit::NotFenced | AgentExit::Busy | AgentExit::TimedOut => {
            debug!(worker.id = %worker, runner.name = %connection.runner, "{worker} is not ready to {name} yet");
            Ok(Outcome::Later)
        }
        AgentExit::BadBundle | AgentExit::Failed(_) => Err(sentence(&format!("agent {name}"), status, words)),
    }
}

/// `None` when it takes longer.
async fn within<T>(connection: &WorkerConnection, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = connection.shared.clock.sleep(limit) => None,
    }
}
