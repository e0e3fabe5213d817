//! The seam between the driver and the world: commands go out here, events come back through a channel.

use jiff::Timestamp;

use runner_fleet_engine::Command;

/// Whatever stands for the world: GitLab, EC2 and SSH in the service, one simulated world in the demo.
///
/// What an edge watches on its own account (queues, launch preparations) it reports as events without being asked.
pub trait Edge: Send {
    /// Starts carrying out a command and returns at once; the answer comes as an event.
    fn execute(&mut self, now: Timestamp, command: Command);
}
