//! The names of things: one newtype per kind, so that a zone cannot stand where a subnet is meant.
//!
//! A name is copied into every listing, command and reason, and every step looks workers up by name: short texts (an
//! instance id, a type, a zone) lie in the name itself, long ones are shared.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// Wraps the text as it is; the room that reads it from outside has checked it.
            pub fn new(text: impl Into<String>) -> Self {
                Self(SmolStr::from(text.into()))
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }
    };
}

name! {
    /// A worker, named by its EC2 instance id (`i-0abc…`).
    WorkerId
}
name! {
    /// A `[[runners]]` section, named by its `name`; unique within one configuration.
    RunnerName
}
name! {
    /// A GitLab server, named by its base URL without a trailing slash (`https://gitlab.example.com`).
    Server
}
name! {
    /// An EC2 instance type (`c8g.large`).
    InstanceType
}
name! {
    /// An availability zone (`eu-central-1a`).
    Zone
}
name! {
    /// A subnet id (`subnet-0abc…`).
    SubnetId
}
name! {
    /// The hash of all that makes a worker what it is: image, user-data, network, disk, runner configuration.
    /// Written into the tag `runner-fleet:config`; another value on a running worker is drift.
    ConfigHash
}
name! {
    /// A launch template's name; its content hash is part of it, so equal names mean equal content.
    TemplateName
}
name! {
    /// An EC2 key pair's name; the key's fingerprint is part of it, so equal names mean equal keys.
    KeyPairName
}
name! {
    /// EC2's `ClientToken` of one launch decision: up to 64 ASCII characters; the same token never launches twice.
    LaunchToken
}
name! {
    /// A job's name in its pipeline (`rspec 3/8`).
    JobName
}
name! {
    /// What GitLab knows a worker's runner process by: the content of `.runner_system_id` (`r_` and 12 characters).
    SystemId
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number! {
    /// A GitLab job; unique within one [`Server`].
    JobId
}
number! {
    /// A GitLab project; unique within one [`Server`].
    ProjectId
}
