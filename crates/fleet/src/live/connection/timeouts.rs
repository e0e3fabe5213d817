//! Every wait of a connection, in one value.

use std::time::Duration;

use crate::ssh;
use runner_fleet_engine::backoff::Doubling;

/// How fast a connection tries, speaks and gives up.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// Between two attempts while the worker has never been reached and is young: its sshd may come up any moment, and
    /// 2 s later its runner shall ask for jobs.
    pub eager_pause: Duration,
    /// For one TCP connection in that time: long enough for one repeated SYN (1 s), short enough not to miss the moment.
    pub eager_connect: Duration,
    /// How long that time lasts; the longest sensible `boot_timeout`.
    pub eager_for: Duration,
    /// Between two attempts after any other failure.
    pub backoff: Doubling,
    /// How often a failure that does not change is told again.
    pub repeat_down: Duration,
    /// How long a worker that was heard may be lost before the log is told: two of EC2's calm listings, so that one whose
    /// instance ends has been let go by then.
    pub lost_grace: Duration,
    /// Between two beats, the worker's sign that it still has a manager.
    pub heartbeat: Duration,
    /// How long the agent may say nothing: two of its 30 s reports missed, and some.
    pub silence: Duration,
    /// After each report: a worker that reports without pause is read at our timeouts, and has to wait.
    pub report_pause: Duration,
    /// Between two looks for an agent that cloud-init has not written yet.
    pub agent_missing: Duration,
    /// For one agent command; `stop` waits for the runner to exit.
    pub command: Duration,
    /// Before a failed command is tried again.
    pub command_retry: Doubling,
    /// How long after a command its effect may take to show in a report, before the command is repeated.
    pub command_effect: Duration,
    /// How many commands in a row may fail before the connection is given up and the worker told to refuse.
    pub command_failures_max: u32,
    /// Limits of the SSH connection.
    pub ssh: ssh::Limits,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            eager_pause: Duration::from_millis(500),
            eager_connect: Duration::from_millis(1500),
            eager_for: Duration::from_secs(600),
            backoff: Doubling { first: Duration::from_millis(500), longest: Duration::from_secs(10) },
            repeat_down: Duration::from_secs(30),
            lost_grace: Duration::from_secs(60),
            heartbeat: Duration::from_secs(10),
            silence: Duration::from_secs(75),
            report_pause: Duration::from_millis(20),
            agent_missing: Duration::from_millis(500),
            command: Duration::from_secs(60),
            command_retry: Doubling { first: Duration::from_secs(1), longest: Duration::from_secs(10) },
            command_effect: Duration::from_secs(30),
            command_failures_max: 5,
            ssh: ssh::Limits::default(),
        }
    }
}
