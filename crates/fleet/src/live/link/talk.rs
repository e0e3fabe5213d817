//! One connection to a worker, from the first packet to the last: reports come in, beats and commands go out.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::agenda::{Next, Outcome};
use super::house::Link;
use super::provision::Provision;
use super::retry::Ended;
use crate::ssh::error::plain;
use crate::ssh::stream::LineInput;
use crate::ssh::{HostPublicKey, LineStream, RunLimits, Session, SshError};
use runner_fleet_engine::{LinkFailure, LinkNews};
use runner_fleet_worker::agent::{self, AgentCommand, AgentExit};

/// Agent commands other than `watch` print a sentence at most.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Shells answer so when there is no such program, or it is not executable yet.
const NOT_FOUND: [u32; 2] = [127, 126];

/// Connects, talks until something ends it, and says what.
pub(super) async fn once(link: &Link, eager: bool) -> Ended {
    let mut ended = Ended { failure: LinkFailure::Unreachable(String::new()), was_up: false, heard: false };
    // Boxed, here and below: what is needed for a moment takes no room in a link that lives for days.
    let (session, login) = match Box::pin(connect(link, eager)).await {
        Ok(open) => open,
        Err(failure) => return Ended { failure, ..ended },
    };
    ended.was_up = true;
    debug!(worker.id = %link.worker, runner.name = %link.runner, "connected to {}", link.worker);
    link.outbox.post(LinkNews::Up);
    ended.failure = tokio::select! {
        failure = listen(link, &session, &login, &mut ended.heard) => failure,
        failure = carry_out(link, &session, &login) => failure,
    };
    ended
}

/// As whom the agent's commands run.
struct Login {
    user: String,
}

impl Login {
    fn line(&self, command: AgentCommand) -> String {
        command.line(&self.user)
    }
}

async fn connect(link: &Link, eager: bool) -> Result<(Session, Login), LinkFailure> {
    let house = &link.house;
    let Provision { user, port, host_key_public, bundle: _, sudo } =
        house.provisioner.provision(&link.runner, &link.worker).map_err(LinkFailure::Refused)?;
    let host_key = HostPublicKey::parse(&host_key_public)
        .ok_or_else(|| LinkFailure::Refused("the pinned host key is not an ed25519 key".into()))?;
    let address = SocketAddr::new(link.address, port);
    let after = if eager { house.pace.eager_connect } else { house.pace.ssh.connect };
    let stream = within(link, after, house.dialer.dial(address))
        .await
        .ok_or(SshError::Slow { what: "connecting", after })
        .and_then(|dialled| dialled.map_err(|source| SshError::Connect { address, source }))
        .map_err(failure)?;
    // After the dial, because addresses where nobody answers must not keep the others waiting.
    let turn = house.handshakes.acquire().await;
    let session = Session::over(stream, &user, &host_key, &house.key, &house.pace.ssh).await.map_err(failure)?;
    drop(turn);
    let agent_user = if sudo { user } else { "root".to_owned() };
    Ok((session, Login { user: agent_user }))
}

/// Keeps `agent watch` running; the agent may not be there yet when sshd already is.
async fn listen(link: &Link, session: &Session, login: &Login, heard: &mut bool) -> LinkFailure {
    let up_since = Instant::now();
    let pace = &link.house.pace;
    loop {
        match watch(link, session, login, heard).await {
            Watched::Ended(failure) => return failure,
            Watched::NoAgent if up_since.elapsed() > pace.silence => {
                let waited = pace.silence;
                return LinkFailure::Refused(format!("there is still no agent {waited:?} after the connection"));
            }
            Watched::NoAgent => {
                link.outbox.post(LinkNews::NoAgent);
                link.house.clock.sleep(pace.agent_missing).await;
            }
        }
    }
}

enum Watched {
    NoAgent,
    Ended(LinkFailure),
}

async fn watch(link: &Link, session: &Session, login: &Login, heard: &mut bool) -> Watched {
    let mut lines = match session.stream(&login.line(AgentCommand::Watch), agent::LINE_MAX).await {
        Ok(lines) => lines,
        Err(error) => return Watched::Ended(failure(error)),
    };
    let input = lines.input();
    tokio::select! {
        watched = read(link, &mut lines, heard) => watched,
        never = beat(link, &input) => never,
    }
}

async fn read(link: &Link, lines: &mut LineStream, heard: &mut bool) -> Watched {
    let silence = link.house.pace.silence;
    loop {
        let line = match within(link, silence, lines.next_line()).await {
            None => return Watched::Ended(LinkFailure::Unreachable(format!("no report for {silence:?}"))),
            Some(Err(error)) => return Watched::Ended(failure(error)),
            Some(Ok(None)) => return why_it_ended(lines, *heard),
            Some(Ok(Some(line))) => line,
        };
        match agent::parse_line(&line) {
            Ok(report) => {
                *heard = true;
                link.agenda().heard(&report);
                link.changed.notify_one();
                link.outbox.post(LinkNews::Report(Box::new(report)));
                link.house.clock.sleep(link.house.pace.report_pause).await;
            }
            Err(error) => return Watched::Ended(LinkFailure::Refused(error.to_string())),
        }
    }
}

fn why_it_ended(lines: &LineStream, heard: bool) -> Watched {
    if is_missing(lines.status(), lines.stderr()) && !heard {
        return Watched::NoAgent;
    }
    let words = plain(&String::from_utf8_lossy(lines.stderr()));
    match lines.status() {
        Some(status) if !heard => Watched::Ended(LinkFailure::Refused(sentence("agent watch", status, &words))),
        // After having made sense it was ended by something else: a reboot, a shutdown, an upgrade.
        _ => Watched::Ended(LinkFailure::Unreachable("the agent's stream has ended".into())),
    }
}

/// Never ends: a beat that cannot be sent is noticed where the reports are awaited.
async fn beat(link: &Link, input: &LineInput) -> Watched {
    loop {
        let _ = within(link, link.house.pace.silence, input.send(agent::BEAT)).await;
        link.house.clock.sleep(link.house.pace.heartbeat).await;
    }
}

/// Does what the agenda says, one command at a time, until the connection is of no more use.
async fn carry_out(link: &Link, session: &Session, login: &Login) -> LinkFailure {
    let pace = &link.house.pace;
    loop {
        let next = link.agenda().next(pace, Instant::now());
        let errand = match next {
            Next::Nothing => {
                link.changed.notified().await;
                continue;
            }
            Next::At(at) => {
                let wait = at.saturating_duration_since(Instant::now());
                let _ = within(link, wait, link.changed.notified()).await;
                continue;
            }
            Next::Run(errand) => errand,
        };
        let outcome = match Box::pin(run(link, session, login, errand.command)).await {
            Ok(outcome) => outcome,
            Err(failure) => return failure,
        };
        let why = outcome.as_ref().err().cloned();
        let mut agenda = link.agenda();
        agenda.finished(errand, outcome.unwrap_or(Outcome::Failed), pace, Instant::now());
        let failures = agenda.failures();
        drop(agenda);
        if let Some(why) = why {
            let (worker, command) = (&link.worker, errand.command.name());
            warn!(worker.id = %worker, runner.name = %link.runner, "{worker} failed to {command}: {why}");
            if failures >= pace.command_failures_max {
                return LinkFailure::Refused(why);
            }
        }
    }
}

/// Runs one command; the inner error is a sentence about its failure, the outer one says that the connection is gone.
async fn run(
    link: &Link,
    session: &Session,
    login: &Login,
    command: AgentCommand,
) -> Result<Result<Outcome, String>, LinkFailure> {
    let bundle = match command {
        AgentCommand::Configure => match link.house.provisioner.provision(&link.runner, &link.worker) {
            Ok(provision) => provision.bundle,
            Err(why) => return Ok(Err(why)),
        },
        _ => SecretString::default(),
    };
    let stdin = bundle.expose_secret();
    let limits = RunLimits { time: link.house.pace.command, stdout_bytes_max: ANSWER_BYTES_MAX };
    match session.run(&login.line(command), stdin.as_bytes(), limits).await {
        Ok(output) => {
            let words = without_secrets(&plain(&String::from_utf8_lossy(&output.stderr)), stdin);
            Ok(judge(link, command, output.status, &words))
        }
        Err(error) if session.is_closed() => Err(failure(error)),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// What a finished command means, or one sentence about its failure.
fn judge(link: &Link, command: AgentCommand, status: Option<u32>, words: &str) -> Result<Outcome, String> {
    let (worker, name) = (&link.worker, command.name());
    let Some(status) = status else { return Err(format!("agent {name} was ended by a signal")) };
    match AgentExit::of(status) {
        AgentExit::Done => {
            info!(worker.id = %worker, runner.name = %link.runner, "{worker} did {name}");
            Ok(Outcome::Settled)
        }
        AgentExit::Ending => {
            info!(worker.id = %worker, runner.name = %link.runner, "{worker} is ending: no use to {name}");
            Ok(Outcome::Settled)
        }
        AgentExit::NotFenced | AgentExit::Busy | AgentExit::TimedOut => {
            debug!(worker.id = %worker, runner.name = %link.runner, "{worker} is not ready to {name} yet");
            Ok(Outcome::Later)
        }
        AgentExit::BadBundle | AgentExit::Failed(_) => Err(sentence(&format!("agent {name}"), status, words)),
    }
}

/// An agent that complains about its input may quote it; then its words go nowhere.
fn without_secrets(words: &str, stdin: &str) -> String {
    const LONG_ENOUGH_TO_MATTER: usize = 8;
    let secretlike = |text: &str| text.len() >= LONG_ENOUGH_TO_MATTER && text.chars().any(|c| c.is_ascii_digit());
    let split = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if words.split(split).filter(|word| secretlike(word)).any(|word| stdin.contains(word)) {
        return "(its message repeats the configuration and is not shown)".into();
    }
    words.to_owned()
}

fn sentence(what: &str, status: u32, words: &str) -> String {
    if words.is_empty() {
        format!("{what} ended with status {status}")
    } else {
        format!("{what} ended with status {status}: {words}")
    }
}

/// sudo answers 1 and its own words when there is no such program.
pub(super) fn is_missing(status: Option<u32>, stderr: &[u8]) -> bool {
    let words = String::from_utf8_lossy(stderr);
    status.is_some_and(|status| NOT_FOUND.contains(&status))
        || ["command not found", "No such file", ": not found"].iter().any(|sign| words.contains(sign))
}

pub(super) fn failure(error: SshError) -> LinkFailure {
    let text = error.to_string();
    if error.is_wrong_host_key() {
        LinkFailure::WrongHostKey(text)
    } else if error.is_refused() {
        LinkFailure::Refused(text)
    } else {
        LinkFailure::Unreachable(text)
    }
}

/// `None` when it takes longer.
async fn within<T>(link: &Link, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = link.house.clock.sleep(limit) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_agent_differs_from_a_refusing_one() {
        assert!(is_missing(Some(127), b""));
        assert!(is_missing(Some(126), b""));
        assert!(is_missing(Some(1), b"sudo: /usr/local/lib/runner-fleet/agent: command not found\n"));
        assert!(!is_missing(Some(1), b"sudo: a password is required\n"));
        assert!(!is_missing(None, b""));
    }

    #[test]
    fn words_that_repeat_the_configuration_are_not_shown() {
        let stdin = "token = \"glrt-abc123DEF456\"\nurl = \"https://gitlab.example.com\"";

        assert_eq!(without_secrets("config.toml: no space left", stdin), "config.toml: no space left");
        assert_eq!(without_secrets("bad line: token = \"glrt-abc123DEF456\"", stdin).find("glrt"), None);
    }
}
