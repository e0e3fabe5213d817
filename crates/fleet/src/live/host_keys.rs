//! By which host keys a worker is known.

use super::connection::{FirstContact, HostKeys};
use super::worker_spec;
use crate::ssh::ManagerKey;
use runner_fleet_engine::{RunnerName, WorkerId};
use runner_fleet_worker::{HostKey, host_key_bundle};

/// Its own, and while it `may_be_new` also that of its launch template. Both follow from the manager's key, so that a manager
/// that has been started again knows them.
pub fn host_keys(runner: &RunnerName, worker: &WorkerId, key: &ManagerKey, may_be_new: bool) -> HostKeys {
    let own = key.worker_host_key(runner.as_str(), worker.as_str());
    let own = HostKey { private: own.private_openssh, public: own.public_openssh };
    let first_contact = may_be_new.then(|| FirstContact {
        template_public: worker_spec::host_key(runner, key).public,
        handover: host_key_bundle(&own, worker),
    });
    HostKeys { own_public: own.public, first_contact }
}
