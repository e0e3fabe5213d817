//! One step: fold the events into what is known, look at everything, decide.

use jiff::Timestamp;

use super::command::Command;
use super::event::Event;
use super::job::Knowledge;
use super::view::{Totals, View};

/// The state machine. What it holds cannot be read again from the world (launches in flight, cool-downs, idle-since),
/// and all of it is safe to lose.
#[derive(Clone, Debug)]
pub struct Engine {
    view: View,
}

impl Engine {
    /// An engine that knows nothing yet. `manager` is the owner name in the tags, `seed` feeds the jitter of back-offs
    /// and makes launch tokens of different starts differ.
    pub fn new(_manager: &str, _seed: u64, started_at: Timestamp) -> Self {
        Self {
            view: View {
                version: 1,
                at: started_at,
                ec2: Knowledge::Unknown { why: "not asked yet".into() },
                runners: Vec::new(),
                workers: Vec::new(),
                jobs: Vec::new(),
                decisions: Vec::new(),
                totals: Totals::default(),
            },
        }
    }

    /// Takes in what happened, and says what is to be done now.
    pub fn step(&mut self, now: Timestamp, _events: impl IntoIterator<Item = Event>) -> Vec<Command> {
        self.view.at = now;
        Vec::new()
    }

    /// The picture after the last step.
    pub fn view(&self) -> &View {
        &self.view
    }
}
