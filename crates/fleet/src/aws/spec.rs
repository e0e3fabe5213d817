//! What a runner's workers shall be made of, as the configuration says it. Plain data: nothing is resolved yet.

use std::collections::BTreeMap;

use serde::Serialize;

use runner_fleet_engine::{Arch, InstanceType, RunnerName, SubnetId, UsdPerHour};

/// Everything that a worker is made of and a launch needs.
#[derive(Clone, Debug, PartialEq)]
pub struct LaunchSpec {
    /// The owner's name in every tag.
    pub manager: String,
    /// Whose workers.
    pub runner: RunnerName,
    /// The machine image.
    pub ami: Ami,
    /// The architecture of all the instance types; an image of another one is an error.
    pub arch: Arch,
    /// In order of preference; at least one.
    pub instance_types: Vec<InstanceType>,
    /// At least one; those of one zone are alternatives.
    pub subnets: Vec<SubnetId>,
    /// Ids; at least one.
    pub security_groups: Vec<String>,
    /// Name or ARN; `None`: workers have no AWS rights.
    pub instance_profile: Option<String>,
    /// The manager's SSH key, one line in OpenSSH's format.
    pub public_key_openssh: String,
    /// Its fingerprint (`SHA256:…`): part of the key pair's name.
    pub key_fingerprint: String,
    /// The disk.
    pub root_volume: RootVolume,
    /// Hops that an answer of the instance metadata service survives: 1 stays on the host, 2 reaches containers.
    pub hop_limit: u32,
    /// The user's tags, added to instances and volumes.
    pub tags: BTreeMap<String, String>,
    /// User-data, at most 16,384 bytes after compression. Plain text is gzipped here; what is gzip already is taken
    /// as it is (but then a new compressor is drift: plain text is better).
    pub user_data: Vec<u8>,
    /// USD per hour for [`Aws::launch`](super::Aws::launch); `None`: the on-demand price is the limit. Not part of
    /// what a worker is made of.
    pub spot_max_price: Option<UsdPerHour>,
    /// Whether workers get a public address.
    pub public_address: bool,
    /// The hash of the runner's own configuration: goes into the config hash, not into the template.
    pub extra_hash: String,
}

/// Which machine image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ami {
    /// This one (`ami-…`).
    Id(String),
    /// The one that this SSM parameter names now (`/aws/service/debian/release/13/latest/arm64`).
    Parameter(String),
}

/// The disk that a worker boots from; it goes with the worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RootVolume {
    /// GiB; at least what the image needs.
    pub size_gib: u32,
    /// EBS volume type (`gp3`).
    pub kind: String,
    /// Encrypted at rest.
    pub encrypted: bool,
    /// Operations per second, where the type lets one choose.
    pub iops: Option<u32>,
    /// MiB per second, where the type lets one choose.
    pub throughput: Option<u32>,
    /// The key's id, alias or ARN; `None`: the account's default key for EBS.
    pub kms_key_id: Option<String>,
    /// The device name; `None`: what the image says.
    pub device: Option<String>,
}
