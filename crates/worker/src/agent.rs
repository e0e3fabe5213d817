//! The manager's side of the agent: the commands to run over SSH, and the lines that come back.
//!
//! The other side is the POSIX shell script of the parts in `files/agent/`, installed as [`AGENT_PATH`]. A line of `agent watch` is the
//! worker's whole state as one JSON object; the format carries its version in `v`, and a line of another version is
//! refused rather than guessed at. Unknown fields are ignored, so that a newer worker of the same version still speaks.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;

use super::helper_log;
use runner_fleet_engine::text::one_line;
use runner_fleet_engine::{JobId, Phase, ProjectId, Report, RunnerState, Unfit, WorkerId};

/// Where user-data installs the agent on a worker.
pub const AGENT_PATH: &str = "/usr/local/lib/runner-fleet/agent";

/// The longest line that is read from an agent, in bytes. A line of a worker with 100 running jobs has about 1.5 KiB.
pub const LINE_MAX: usize = 64 * 1024;

/// What the manager writes into `agent watch`, every 10 seconds: the worker's sign that it still has a manager.
pub const BEAT: &[u8] = b"beat\n";

/// The version of the line format that this manager speaks.
const LINE_VERSION: u64 = 1;

/// The longest step or error text that is kept, in characters: enough for a sentence, too little to flood a log.
const TEXT_MAX: usize = 400;

/// What the manager asks of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentCommand {
    /// Stream a line on every change and every 30 seconds; takes [`BEAT`]s on stdin and ends when stdin closes.
    Watch,
    /// Take a [`host_key_bundle`](super::host_key_bundle()) on stdin, and let sshd show that key from now on. Idempotent.
    HostKey,
    /// Take a [`bundle`](super::bundle()) on stdin, install it, and start the runner. Idempotent; keeps a fence that is up.
    Configure,
    /// Let the runner ask for no further job.
    Fence,
    /// Take the fence down again.
    Unfence,
    /// End the runner process, but only if it is fenced and empty.
    Stop,
    /// End the runner process however it stands, as long as nothing shows a job: one step of it, to be called again.
    HardStop,
    /// Print one line and end.
    Report,
}

impl AgentCommand {
    /// The agent's subcommand.
    pub fn name(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::HostKey => "host-key",
            Self::Configure => "configure",
            Self::Fence => "fence",
            Self::Unfence => "unfence",
            Self::Stop => "stop",
            Self::HardStop => "hard-stop",
            Self::Report => "report",
        }
    }

    /// The command to run over SSH as this user: the agent needs root, which every other user gets by `sudo -n`
    /// (fails instead of asking for a password). Holds no secret.
    pub fn line(self, ssh_user: &str) -> String {
        let sudo = if ssh_user == "root" { "" } else { "sudo -n " };
        format!("{sudo}{AGENT_PATH} {}", self.name())
    }
}

/// What the exit code of an agent command means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentExit {
    /// 0: done, or there was nothing to do.
    Done,
    /// 3: `stop` found the runner unfenced, or its fence not yet taken up.
    NotFenced,
    /// 4: `stop` found a job running, or a request open that may still bring one.
    Busy,
    /// 5: the runner did not exit in time.
    TimedOut,
    /// 6: `unfence` or `configure` on a worker that is ending (stopping, stopped, interrupted, or single-use): there is
    /// no way back.
    Ending,
    /// 7: `configure` or `host-key` was given a cut or malformed bundle, or another instance's; nothing was changed.
    BadBundle,
    /// Any other code: the agent failed, is missing, or sudo refused; its stderr says which.
    Failed(u32),
}

impl AgentExit {
    /// Reads an exit code.
    pub fn of(code: u32) -> Self {
        match code {
            0 => Self::Done,
            3 => Self::NotFenced,
            4 => Self::Busy,
            5 => Self::TimedOut,
            6 => Self::Ending,
            7 => Self::BadBundle,
            other => Self::Failed(other),
        }
    }
}

/// Why a line is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentLineError {
    /// Longer than [`LINE_MAX`].
    #[error("the agent sent a line of {bytes} bytes, more than {LINE_MAX}")]
    TooLong {
        /// Its length so far.
        bytes: usize,
    },
    /// Not a JSON object of the expected shape.
    #[error("the agent sent a line that is no report: {reason}")]
    Malformed {
        /// What the parser found.
        reason: String,
    },
    /// A report of another worker.
    #[error("{instance} answers at its address")]
    AnotherInstance {
        /// Which.
        instance: String,
    },
    /// A report of another format version.
    #[error("the agent speaks version {found} of the report format, this manager {LINE_VERSION}; replace the worker")]
    Version {
        /// The version found.
        found: u64,
    },
}

/// Reads one line of `agent watch` or `agent report`, with or without its newline, that is taken to come from this worker.
///
/// EC2 gives an address to another instance as soon as the first one has let it go: the line says whose it is.
pub fn parse_line(line: &[u8], worker: &WorkerId) -> Result<Report, AgentLineError> {
    if line.len() > LINE_MAX {
        return Err(AgentLineError::TooLong { bytes: line.len() });
    }
    let Version { v } = serde_json::from_slice(line).map_err(malformed)?;
    if v != LINE_VERSION {
        return Err(AgentLineError::Version { found: v });
    }
    let line: Line = serde_json::from_slice(line).map_err(malformed)?;
    match &line.instance {
        Some(instance) if instance != worker && !instance.as_str().is_empty() => {
            Err(AgentLineError::AnotherInstance { instance: clip(instance.as_str()) })
        }
        Some(_) | None => Ok(line.into_report()),
    }
}

fn malformed(error: serde_json::Error) -> AgentLineError {
    AgentLineError::Malformed { reason: clip(&error.to_string()) }
}

/// Cuts a text and blanks its control characters, so that a worker cannot forge log lines.
fn clip(text: &str) -> String {
    one_line(text, TEXT_MAX)
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// The line as it is on the wire.
#[derive(Deserialize)]
struct Line {
    phase: LinePhase,
    #[serde(default)]
    step: String,
    #[serde(default)]
    error: String,
    runner: RunnerState,
    jobs_metrics: u32,
    jobs_docker: u32,
    job_ids: BTreeSet<JobId>,
    /// Absent from the lines of agents that were installed by an older manager.
    #[serde(default)]
    projects: BTreeMap<JobId, ProjectId>,
    requests: u32,
    started: u64,
    idle_seconds: u64,
    queue_size: Option<u32>,
    disk_free_mib: Option<u64>,
    /// As the next two, absent from the lines of older agents.
    #[serde(default)]
    unfit: Option<Unfit>,
    #[serde(default)]
    instance: Option<WorkerId>,
    interruption: Option<Timestamp>,
    rebalance: bool,
    /// A line of the ECR helper's log, as it is; agents of older releases do not send it.
    #[serde(default)]
    ecr_error: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LinePhase {
    Booting,
    Ready,
    Failed,
}

impl Line {
    fn into_report(self) -> Report {
        let phase = match self.phase {
            LinePhase::Booting => Phase::Booting { step: clip(&self.step) },
            LinePhase::Ready => Phase::Ready,
            LinePhase::Failed => Phase::Failed { error: clip(&self.error) },
        };
        Report {
            phase,
            runner: self.runner,
            jobs_by_metrics: self.jobs_metrics,
            jobs_by_docker: self.jobs_docker,
            job_ids: self.job_ids,
            projects: self.projects,
            open_requests: self.requests,
            jobs_started: self.started,
            idle_seconds: self.idle_seconds,
            queue_size: self.queue_size,
            disk_free_mib: self.disk_free_mib,
            unfit: self.unfit,
            interruption: self.interruption,
            rebalance: self.rebalance,
            ecr_error: helper_log::error_of(&self.ecr_error),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = r#"{"v":1,"phase":"ready","step":"","error":"","runner":"serving","jobs_metrics":1,"jobs_docker":2,"job_ids":[7,8],"projects":{"7":70},"requests":1,"started":9,"idle_seconds":0,"queue_size":4,"disk_free_mib":1000,"interruption":"2026-01-02T03:04:05Z","rebalance":true,"new":{}}"#;

    fn read(line: &[u8]) -> Result<Report, AgentLineError> {
        parse_line(line, &WorkerId::new("i-0123456789abcdef0"))
    }

    #[test]
    fn a_line_of_another_worker_is_refused() {
        let of = |instance: &str| LINE.replace("\"new\":{}", &format!("\"instance\":\"{instance}\""));
        assert!(read(of("i-0123456789abcdef0").as_bytes()).is_ok());
        assert!(read(of("").as_bytes()).is_ok(), "it does not know");
        let error = read(of("i-0fedcba9876543210").as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "i-0fedcba9876543210 answers at its address");
    }

    #[test]
    fn why_it_is_unfit_is_read_even_if_nobody_here_knows_it() {
        let unfit = |why: &str| read(LINE.replace("\"new\":{}", &format!("\"unfit\":{why}")).as_bytes()).unwrap().unfit;
        assert_eq!(unfit("null"), None);
        assert_eq!(unfit("\"system-failures\""), Some(Unfit::SystemFailures));
        assert_eq!(unfit("\"rust\""), Some(Unfit::Other));
    }

    #[test]
    fn a_full_line_is_read_and_unknown_fields_are_ignored() {
        let report = read(LINE.as_bytes()).unwrap();

        assert_eq!(report.phase, Phase::Ready);
        assert_eq!(report.runner, RunnerState::Serving);
        assert_eq!((report.jobs(), report.open_requests, report.jobs_started), (2, 1, 9));
        assert_eq!(report.job_ids, BTreeSet::from([JobId(7), JobId(8)]));
        assert_eq!(report.projects, BTreeMap::from([(JobId(7), ProjectId(70))]));
        let old = read(LINE.replace("\"projects\":{\"7\":70},", "").as_bytes()).unwrap();
        assert!(old.projects.is_empty() && old.job_ids == report.job_ids);
        assert_eq!(report.interruption, Some("2026-01-02T03:04:05Z".parse().unwrap()));
        assert!(report.rebalance);
        assert_eq!(report.ecr_error, None, "an older agent does not send it");
    }

    #[test]
    fn the_helpers_last_error_is_read_or_none() {
        let with = |text: &str| LINE.replace("\"new\":{}", &format!("\"ecr_error\":{}", serde_json::json!(text)));
        let line = with("time=2026-01-02T03:04:05Z level=ERROR msg=\"Error retrieving credentials\" error=\"no role\"");
        let error = read(line.as_bytes()).unwrap().ecr_error.unwrap();
        assert_eq!(error.text, "Error retrieving credentials: no role");
        assert_eq!(error.at, Some("2026-01-02T03:04:05Z".parse().unwrap()));
        assert_eq!(read(with("rubbish").as_bytes()).unwrap().ecr_error, None);
    }

    #[test]
    fn what_is_no_report_is_refused_with_its_reason() {
        let version = read(LINE.replace("\"v\":1", "\"v\":2").as_bytes());
        assert_eq!(version, Err(AgentLineError::Version { found: 2 }));

        let long = vec![b' '; LINE_MAX + 1];
        assert_eq!(read(&long), Err(AgentLineError::TooLong { bytes: LINE_MAX + 1 }));

        for bad in ["", "{}", "null", "\u{0}\u{1}", "Permission denied", r#"{"v":1}"#, r#"{"v":1,"phase":"odd"}"#] {
            assert!(matches!(read(bad.as_bytes()), Err(AgentLineError::Malformed { .. })), "{bad:?}");
        }
        let negative = LINE.replace("\"requests\":1", "\"requests\":-1");
        assert!(matches!(read(negative.as_bytes()), Err(AgentLineError::Malformed { .. })));
    }

    #[test]
    fn a_failure_text_cannot_forge_log_lines() {
        let line = LINE
            .replace("\"phase\":\"ready\"", "\"phase\":\"failed\"")
            .replace("\"error\":\"\"", &format!("\"error\":\"a\\nb\\u001b{}\"", "x".repeat(1000)));
        let Phase::Failed { error } = read(line.as_bytes()).unwrap().phase else { panic!("not failed") };
        assert!(error.starts_with("a b xxx"), "{error}");
        assert_eq!(error.chars().count(), TEXT_MAX);
    }

    #[test]
    fn commands_use_sudo_unless_the_user_is_root() {
        assert_eq!(AgentCommand::Watch.line("admin"), "sudo -n /usr/local/lib/runner-fleet/agent watch");
        assert_eq!(AgentCommand::Stop.line("root"), "/usr/local/lib/runner-fleet/agent stop");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = read(&bytes);
        }

        #[test]
        fn no_change_of_a_good_line_makes_the_parser_panic(at in 0..LINE.len(), byte in any::<u8>(), cut in 0..LINE.len()) {
            let mut bytes = LINE.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = read(&bytes);
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
