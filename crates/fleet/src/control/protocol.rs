//! What can be asked of the running service, and what it answers. Every message carries the version of these words.
//!
//! ```text
//! > {"version":1,"do":"drain","workers":["i-0abc"],"force":false}
//! < {"version":1,"answer":"done","told":"1 worker drains"}
//! ```

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::history::{EventsAnswer, EventsQuestion, HistoryAnswer, HistoryQuestion};
use runner_fleet_engine::ledger::{CostQuery, CostReport};
use runner_fleet_engine::snapshot::JobStatus;
use runner_fleet_engine::{
    Command, Explained, FleetSnapshot, JobId, JobReason, OverPriceCap, Reason, RunnerName, Termination, Want, WorkerId,
};

/// The version of the words below. Another one is refused with a sentence that names both.
pub const VERSION: u32 = 1;

/// How long a reload may take, which reads secrets from where they lie.
pub(super) const RELOAD_PATIENCE: Duration = Duration::from_secs(120);

/// Something asked at the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// The snapshot after the last step.
    Status,
    /// What a step taken now would do; changes nothing.
    Plan,
    /// What is known of one job: where it runs, or why it waits.
    Job {
        /// Its id.
        job: JobId,
        /// Its page in GitLab, to tell servers apart; `None`: on all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// What workers have cost, and whose cost that was.
    Costs {
        /// The question.
        query: CostQuery,
    },
    /// What the fleet looked like, minute by minute.
    History {
        /// Which rows.
        question: HistoryQuestion,
    },
    /// What has happened.
    Events {
        /// Which events.
        question: EventsQuestion,
    },
    /// Retire these workers.
    Drain {
        /// Which.
        #[serde(default)]
        workers: Vec<WorkerId>,
        /// All workers of this runner, too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runner: Option<RunnerName>,
        /// All workers that there are.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        all: bool,
        /// Whether running jobs may be killed.
        #[serde(default)]
        force: bool,
    },
    /// Let these workers stay that an operator has drained.
    Undrain {
        /// Which.
        workers: Vec<WorkerId>,
    },
    /// What kept this runner's launches back has been mended: forget the failures, and try at once.
    Retry {
        /// Which.
        runner: RunnerName,
    },
    /// Read the configuration again.
    Reload,
    /// Launch nothing more for this runner, and retire its idle workers.
    Pause {
        /// Which.
        runner: RunnerName,
    },
    /// Undo a pause.
    Resume {
        /// Which.
        runner: RunnerName,
    },
}

/// What the service answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Request::Status`].
    Status {
        /// The snapshot.
        snapshot: Box<FleetSnapshot>,
    },
    /// To [`Request::Plan`].
    Plan {
        /// The plan.
        plan: Plan,
    },
    /// To [`Request::Job`].
    Job {
        /// What is known, server by server.
        jobs: Vec<JobStatus>,
    },
    /// To [`Request::Costs`].
    Costs {
        /// The answer.
        report: Box<CostReport>,
    },
    /// To [`Request::History`].
    History {
        /// The rows.
        history: HistoryAnswer,
    },
    /// To [`Request::Events`].
    Events {
        /// The events.
        events: EventsAnswer,
    },
    /// The request was accepted.
    Done {
        /// One sentence for the operator.
        told: String,
        /// The workers that it concerns, where it concerns some.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        workers: Vec<WorkerId>,
    },
    /// The request was not accepted, and nothing was done.
    Refused {
        /// One sentence: what was wrong with it.
        why: String,
        /// What follows from that for the exit code.
        #[serde(default)]
        kind: RefusalKind,
    },
}

/// Why a request was not accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// It names a runner or a worker that there is not.
    UnknownName,
    /// The configuration has problems, or cannot follow on the present one.
    BadConfiguration,
    /// Anything else.
    #[default]
    #[serde(other)]
    Other,
}

impl Answer {
    /// Done, of which there is no more to say than this sentence.
    pub fn done(told: impl Into<String>) -> Self {
        Self::Done { told: told.into(), workers: Vec::new() }
    }

    /// Not done, for no reason that has a kind.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), kind: RefusalKind::Other }
    }

    /// Not done, because there is nothing of that name.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), kind: RefusalKind::UnknownName }
    }
}

/// What a step would do, and why it would not do more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Of this JSON form; 1.
    pub version: u32,
    /// The time it was made for.
    pub at: Timestamp,
    /// In the order in which they would be done.
    pub actions: Vec<Action>,
    /// Runners that want workers and get none, with the reason.
    pub held_back: Vec<Held>,
    /// Offers that are not asked for because of what they cost.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// Jobs that wait, with the reason.
    pub waiting: Vec<runner_fleet_engine::snapshot::JobSnapshot>,
}

/// A runner that gets no worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The runner.
    pub runner: RunnerName,
    /// Why not: it is held back, or its queue is not known.
    pub reason: Explained<JobReason>,
}

/// An offer that a runner's launches leave out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The runner.
    pub runner: RunnerName,
    /// What it costs, and what it may cost.
    pub offer: Explained<OverPriceCap>,
}

/// One thing that would be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The kind of command (`launch`, `terminate`, …).
    pub kind: String,
    /// What, in words.
    pub what: String,
    /// Why; absent where the command is mere observation.
    pub reason: Option<Explained<Reason>>,
}

impl Action {
    /// The actions that a command stands for; one per worker where it names several.
    pub fn of(command: &Command) -> Vec<Self> {
        let action = |what: String, reason: Option<Reason>| {
            let reason = reason.map(|reason| Explained { text: reason.to_string(), reason });
            Self { kind: command.kind().into(), what, reason }
        };
        match command {
            Command::ListInstances { with_health: _ } => vec![action("list the instances".into(), None)],
            Command::Launch(launch) => {
                let offerings = launch.offerings.iter().map(|o| format!("{} in {}", o.instance_type, o.zone));
                let what = format!(
                    "launch {} {} worker{} for {}: {}",
                    launch.count,
                    launch.market,
                    if launch.count == 1 { "" } else { "s" },
                    launch.runner,
                    offerings.collect::<Vec<_>>().join(", ")
                );
                vec![action(what, Some(launch.reason.clone().into()))]
            }
            Command::Connect { worker, runner, address, want: _ } => {
                vec![action(format!("connect to {worker} of {runner} at {address}"), None)]
            }
            Command::Disconnect { worker } => vec![action(format!("disconnect from {worker}"), None)],
            Command::Want { worker, want } => {
                let what = match want {
                    Want::Serve => format!("let {worker} take jobs again"),
                    Want::Fence { .. } => format!("let {worker} take no more jobs"),
                    Want::Stop { .. } => format!("stop the runner on {worker}"),
                    Want::HardStop { .. } => format!("make the runner on {worker} exit"),
                };
                vec![action(what, want.reason())]
            }
            Command::Terminate(terminations) => {
                let end =
                    |one: &Termination| action(format!("terminate {}", one.worker), Some(one.reason.clone().into()));
                terminations.iter().map(end).collect()
            }
            Command::Forget { worker, runner, system_id } => {
                let what = format!("delete the row {system_id} of {worker} from {runner} in GitLab");
                vec![action(what, None)]
            }
            Command::LookForJobs { worker, runner, runner_id: _, system_id: _ } => {
                vec![action(format!("look in GitLab for jobs of {runner} that run on {worker}"), None)]
            }
            Command::Retry { worker, runner: _, runner_id: _, server, project, job } => {
                let what = format!(
                    "retry job {job} of project {project} on {server}, if it failed because EC2 took {worker} back"
                );
                vec![action(what, None)]
            }
        }
    }
}

/// A request on its way from the socket to the loop, which answers it.
#[derive(Debug)]
pub struct ControlRequest {
    /// What is asked.
    pub request: Request,
    /// The user id of whoever asks, where the system tells.
    pub by: Option<u32>,
    /// Where the answer goes; nobody may be waiting there any more.
    pub reply: oneshot::Sender<Answer>,
}

/// A message with its version, as one line.
pub(super) fn to_line<T: Serialize>(message: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut value = serde_json::to_value(message)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("version".into(), VERSION.into());
    }
    let mut line = serde_json::to_vec(&value)?;
    line.push(b'\n');
    Ok(line)
}

/// Reads a line back; the error is a sentence for the other side.
pub(super) fn from_line<T: for<'de> Deserialize<'de>>(line: &str) -> Result<T, String> {
    let value: serde_json::Value =
        serde_json::from_str(line).map_err(|error| format!("this is no JSON object: {error}"))?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => return Err(format!("version {version} is not spoken here, only {VERSION}")),
        None => return Err(format!("there is no \"version\"; write {VERSION}")),
    }
    serde_json::from_value(value).map_err(|error| format!("this is not understood: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_the_line() {
        let workers = vec![WorkerId::new("i-1")];
        let request = Request::Drain { workers, runner: None, all: false, force: true };
        let line = String::from_utf8(to_line(&request).unwrap()).unwrap();
        assert_eq!(line, "{\"do\":\"drain\",\"force\":true,\"version\":1,\"workers\":[\"i-1\"]}\n");
        assert_eq!(from_line::<Request>(&line), Ok(request));
    }

    #[test]
    fn what_is_not_spoken_here_is_refused_in_words() {
        let refusals = ["", "\u{0}\u{1}", "[]", "{\"do\":\"status\"}", "{\"version\":2,\"do\":\"status\"}"]
            .map(|line| from_line::<Request>(line).unwrap_err());
        assert!(refusals.iter().all(|why| !why.is_empty()));
        assert_eq!(refusals[4], "version 2 is not spoken here, only 1");
        assert!(from_line::<Request>("{\"version\":1,\"do\":\"explode\"}").unwrap_err().contains("explode"));
    }
}
