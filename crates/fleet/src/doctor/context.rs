//! What the steps have in common: the runner that they look at, and what to do where they may not look.

use crate::live::clock::Clock;
use crate::ssh::ManagerKey;
use runner_fleet_config::{Config, Runner};
use runner_fleet_engine::FleetSnapshot;

/// How to let `doctor` see what the service itself never looks at.
pub(super) const STATEMENT: &str =
    "to let doctor look, add the statements that \"runner-fleet iam-policy --manager --doctor\" prints";

/// A runner, and what is known of its surroundings.
pub(super) struct CheckContext<'c> {
    pub(super) config: &'c Config,
    pub(super) runner: &'c Runner,
    pub(super) key: Option<&'c ManagerKey>,
    /// The running service's snapshot, if there is one.
    pub(super) snapshot: Option<&'c FleetSnapshot>,
    pub(super) clock: Clock,
}
