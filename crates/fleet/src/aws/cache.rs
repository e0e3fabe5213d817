//! What a region is asked once: its images, and where its types can be had, neither of which changes.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::Mutex;

use runner_fleet_engine::{InstanceType, Zone};

/// An image, as far as a launch needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// `ami-…`.
    pub(crate) id: String,
    /// `arm64` or `x86_64`.
    pub(crate) architecture: String,
    /// Under which name the root volume is mapped.
    pub(crate) root_device: String,
    /// What the root volume must hold at least.
    pub(crate) root_size_gib: u32,
}

/// In which zones a type can be had.
pub(crate) type Offered = BTreeMap<InstanceType, BTreeSet<Zone>>;

/// What was asked once and does not change.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    pub(crate) images: Mutex<BTreeMap<String, Image>>,
    pub(crate) offered: Mutex<Offered>,
    /// Held while one runner looks at key pairs and templates and makes what it misses: of two that start at once, the
    /// second sees what the first has made.
    pub(crate) preparing: Mutex<()>,
}
