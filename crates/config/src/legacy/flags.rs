//! The options that docker-machine knows, with their kind and the environment variable of their default.
//!
//! Sources: docker/machine `commands/create.go`, `drivers/amazonec2/amazonec2.go`; the fork of GitLab (metadata and
//! encryption options) and that of the CKI project (fleets).

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Boolean,
    /// May be repeated; the values add up.
    List,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) variable: Option<&'static str>,
}

const fn flag(name: &'static str, kind: Kind, variable: Option<&'static str>) -> Flag {
    Flag { name, kind, variable }
}

/// Every option; an unknown one makes docker-machine refuse the machine.
pub(crate) const FLAGS: &[Flag] = &[
    flag("amazonec2-access-key", Kind::Text, Some("AWS_ACCESS_KEY_ID")),
    flag("amazonec2-secret-key", Kind::Text, Some("AWS_SECRET_ACCESS_KEY")),
    flag("amazonec2-session-token", Kind::Text, Some("AWS_SESSION_TOKEN")),
    flag("amazonec2-region", Kind::Text, Some("AWS_DEFAULT_REGION")),
    flag("amazonec2-ami", Kind::Text, Some("AWS_AMI")),
    flag("amazonec2-vpc-id", Kind::Text, Some("AWS_VPC_ID")),
    flag("amazonec2-zone", Kind::Text, Some("AWS_ZONE")),
    // A list only in the CKI fork; elsewhere the last one wins.
    flag("amazonec2-subnet-id", Kind::List, Some("AWS_SUBNET_ID")),
    flag("amazonec2-security-group", Kind::List, Some("AWS_SECURITY_GROUP")),
    flag("amazonec2-security-group-readonly", Kind::Boolean, Some("AWS_SECURITY_GROUP_READONLY")),
    flag("amazonec2-open-port", Kind::List, None),
    // A list only in the CKI fork; elsewhere the last one wins.
    flag("amazonec2-instance-type", Kind::List, Some("AWS_INSTANCE_TYPE")),
    flag("amazonec2-request-spot-instance", Kind::Boolean, None),
    flag("amazonec2-spot-price", Kind::Text, None),
    flag("amazonec2-block-duration-minutes", Kind::Integer, None),
    flag("amazonec2-root-size", Kind::Integer, Some("AWS_ROOT_SIZE")),
    flag("amazonec2-volume-type", Kind::Text, Some("AWS_VOLUME_TYPE")),
    flag("amazonec2-volume-encrypted", Kind::Boolean, None),
    flag("amazonec2-volume-kms-key", Kind::Text, Some("AWS_VOLUME_KMS_KEY")),
    flag("amazonec2-device-name", Kind::Text, Some("AWS_DEVICE_NAME")),
    flag("amazonec2-iam-instance-profile", Kind::Text, Some("AWS_INSTANCE_PROFILE")),
    flag("amazonec2-tags", Kind::Text, Some("AWS_TAGS")),
    flag("amazonec2-userdata", Kind::Text, Some("AWS_USERDATA")),
    flag("amazonec2-metadata-token", Kind::Text, None),
    flag("amazonec2-metadata-token-response-hop-limit", Kind::Integer, None),
    flag("amazonec2-monitoring", Kind::Boolean, None),
    flag("amazonec2-use-ebs-optimized-instance", Kind::Boolean, None),
    flag("amazonec2-private-address-only", Kind::Boolean, None),
    flag("amazonec2-use-private-address", Kind::Boolean, None),
    flag("amazonec2-ssh-user", Kind::Text, Some("AWS_SSH_USER")),
    flag("amazonec2-ssh-port", Kind::Integer, Some("AWS_SSH_PORT")),
    flag("amazonec2-ssh-keypath", Kind::Text, Some("AWS_SSH_KEYPATH")),
    flag("amazonec2-keypair-name", Kind::Text, Some("AWS_KEYPAIR_NAME")),
    flag("amazonec2-retries", Kind::Integer, None),
    flag("amazonec2-endpoint", Kind::Text, Some("AWS_ENDPOINT")),
    flag("amazonec2-insecure-transport", Kind::Boolean, Some("AWS_INSECURE_TRANSPORT")),
    flag("amazonec2-use-fleet", Kind::Boolean, None),
    flag("amazonec2-launch-template", Kind::Text, None),
    flag("engine-install-url", Kind::Text, Some("MACHINE_DOCKER_INSTALL_URL")),
    flag("engine-opt", Kind::List, None),
    flag("engine-registry-mirror", Kind::List, Some("ENGINE_REGISTRY_MIRROR")),
    flag("engine-insecure-registry", Kind::List, None),
    flag("engine-label", Kind::List, None),
    flag("engine-storage-driver", Kind::Text, None),
    flag("engine-env", Kind::List, None),
    flag("tls-san", Kind::List, None),
    flag("swarm", Kind::Boolean, None),
    flag("swarm-master", Kind::Boolean, None),
    flag("swarm-experimental", Kind::Boolean, None),
    flag("swarm-image", Kind::Text, Some("MACHINE_SWARM_IMAGE")),
    flag("swarm-discovery", Kind::Text, None),
    flag("swarm-strategy", Kind::Text, None),
    flag("swarm-host", Kind::Text, None),
    flag("swarm-addr", Kind::Text, None),
    flag("swarm-opt", Kind::List, None),
    flag("swarm-join-opt", Kind::List, None),
];

/// The option of that name.
pub(crate) fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

/// Every option's name.
pub(crate) fn names() -> Vec<&'static str> {
    FLAGS.iter().map(|flag| flag.name).collect()
}
