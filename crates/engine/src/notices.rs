//! What workers say that EC2 is about to take back. A worker's word is its own: only where a second one of the same market,
//! type and zone says so too is that place left alone, for all. (What EC2 itself says of an ended instance needs no second.)

use std::time::Duration;

use jiff::Timestamp;

use super::time::since;
use super::worker::Instance;

/// How long the first waits for the second. EC2 that empties a pool does so within seconds; a notice itself is two minutes.
const TOGETHER: Duration = Duration::from_secs(120);

/// The notices of the last minutes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notices(Vec<(Instance, Timestamp)>);

impl Notices {
    /// Takes in that this worker has a notice; whether another one from the same place has one, too.
    pub(crate) fn is_confirmed(&mut self, instance: &Instance, now: Timestamp) -> bool {
        let place = |of: &Instance| (of.market, of.instance_type.clone(), of.zone.clone());
        self.0.retain(|(other, at)| since(now, *at) < TOGETHER && other.id != instance.id);
        let confirmed = self.0.iter().any(|(other, _)| place(other) == place(instance));
        self.0.push((instance.clone(), now));
        confirmed
    }
}
