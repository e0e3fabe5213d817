//! What was decided and what happened, as sentences for people; and how often.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::command::Command;
use super::view::{Decision, Totals, View};

/// The newest sentences and the counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    decisions: VecDeque<Decision>,
    /// Counters since the start.
    pub(crate) totals: Totals,
}

impl Journal {
    /// Notes a sentence.
    pub(crate) fn note(&mut self, at: Timestamp, text: String) {
        if self.decisions.len() >= View::DECISIONS_MAX {
            self.decisions.pop_front();
        }
        self.decisions.push_back(Decision { at, text });
    }

    /// Notes a command, if people want to hear of it, and counts it.
    pub(crate) fn command(&mut self, at: Timestamp, command: &Command) {
        match command {
            Command::Launch(launch) => {
                self.totals.launches += 1;
                self.note(
                    at,
                    format!("launch {} {} for {}: {}", launch.count, launch.market, launch.runner, launch.reason),
                );
            }
            Command::Terminate(terminations) => {
                for termination in terminations {
                    self.totals.workers_terminated += 1;
                    self.note(at, format!("terminate {}: {}", termination.worker, termination.reason));
                }
            }
            Command::Fence { worker, reason } => self.note(at, format!("fence {worker}: {reason}")),
            Command::Unfence { worker, reason } => self.note(at, format!("unfence {worker}: {reason}")),
            Command::Stop { .. }
            | Command::ListInstances { .. }
            | Command::Connect { .. }
            | Command::Disconnect { .. }
            | Command::Forget { .. }
            | Command::Retry { .. } => {}
        }
    }

    /// The newest sentences, newest last.
    pub(crate) fn newest(&self) -> Vec<Decision> {
        self.decisions.iter().cloned().collect()
    }
}
