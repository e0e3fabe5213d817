//! The keys that GitLab Runner reads, table by table, in their canonical spelling; ours are those of `load`, `runner`
//! and `fleet`.
//!
//! Its TOML library takes a key in any case of letters where the key belongs to a struct (and lets chance decide when
//! two spellings of one stand side by side); in a map the user chooses the names, and their case counts.
//!
//! Sources: gitlab-runner 19.2, `common/config.go`, `cache/cacheconfig/cacheconfig.go`; github.com/BurntSushi/toml,
//! `decode.go` (`unifyStruct`).

/// What GitLab Runner reads in one of its tables.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Values, and maps whose names are the user's.
    values: &'static [&'static str],
    /// Tables, or lists of them.
    tables: &'static [(&'static str, &'static Keys)],
}

impl Keys {
    /// The canonical spelling of a key in any case of letters.
    pub(crate) fn canonical(&self, name: &str) -> Option<&'static str> {
        self.names().find(|known| is_same_key(known, name))
    }

    /// The keys of a table inside this one; `None`: what it holds is not GitLab Runner's to name.
    pub(crate) fn inside(&self, name: &str) -> Option<&'static Keys> {
        self.tables.iter().find(|(known, _)| *known == name).map(|(_, keys)| *keys)
    }

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.values.iter().copied().chain(self.tables.iter().map(|(name, _)| *name))
    }

    /// Every table inside this one, at any depth, with its path.
    pub(crate) fn tables_inside(&self, path: &str) -> Vec<(String, &'static Keys)> {
        let mut all = Vec::new();
        for (name, keys) in self.tables {
            let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
            all.push((path.clone(), *keys));
            all.extend(keys.tables_inside(&path));
        }
        all
    }
}

/// Whether two names are one key: equal but for the case of their letters, as Go's `strings.EqualFold` has it.
pub(crate) fn is_same_key(one: &str, other: &str) -> bool {
    one.chars().map(folded).eq(other.chars().map(folded))
}

/// Two letters beyond ASCII fold into ASCII's: the long s and the sign of Kelvin.
fn folded(c: char) -> char {
    match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    }
}

/// The whole file. What `[fleet]` holds is ours, and checked key by key when it is read.
pub(crate) const FILE: Keys = Keys {
    values: &[
        "listen_address",
        "concurrent",
        "check_interval",
        "log_level",
        "log_format",
        "user",
        "sentry_dsn",
        "connection_max_age",
        "shutdown_timeout",
        "labels",
        "fleet",
    ],
    tables: &[
        ("session_server", &SESSION_SERVER),
        ("machine", &Keys { values: &["shutdown_drain"], tables: &[] }),
        ("experimental", &EXPERIMENTAL),
        ("runners", &RUNNER),
    ],
};

const SESSION_SERVER: Keys = Keys { values: &["listen_address", "advertise_address", "session_timeout"], tables: &[] };

const EXPERIMENTAL: Keys = Keys {
    values: &["usage_logger"],
    tables: &[(
        "boot_verify",
        &Keys { values: &["enabled", "timeout", "acquire_min_backoff", "acquire_max_backoff"], tables: &[] },
    )],
};

/// `[[runners]]`. Executors that cannot be scaled here have tables that are handed on unread.
pub(crate) const RUNNER: Keys = Keys {
    values: &[
        "name",
        "url",
        "id",
        "token",
        "token_obtained_at",
        "token_expires_at",
        "tls-ca-file",
        "tls-cert-file",
        "tls-key-file",
        "limit",
        "output_limit",
        "request_concurrency",
        "strict_check_interval",
        "unhealthy_requests_limit",
        "unhealthy_interval",
        "job_status_final_update_retry_limit",
        "labels",
        "executor",
        "builds_dir",
        "cache_dir",
        "clone_url",
        "environment",
        "proxy_exec",
        // Until 15.0, and renamed then.
        "pre_clone_script",
        "post_clone_script",
        "pre_get_sources_script",
        "post_get_sources_script",
        "pre_build_script",
        "post_build_script",
        "prepare_timeout",
        "get_sources_timeout",
        "debug_trace_disabled",
        "safe_directory_checkout",
        "clean_git_config",
        "shell",
        "feature_flags",
        "use_slot_cgroups",
        "slot_cgroup_template",
        "step_runner_image",
        "ssh",
        "parallels",
        "virtualbox",
        "kubernetes",
        "custom",
        // Ours.
        "fleet",
    ],
    tables: &[
        ("docker", &DOCKER),
        ("cache", &CACHE),
        ("machine", &MACHINE),
        ("autoscaler", &AUTOSCALER),
        ("instance", &Keys { values: &["allowed_images"], tables: &[] }),
        ("custom_build_dir", &Keys { values: &["enabled"], tables: &[] }),
        ("artifact", &Keys { values: &["upload_timeout", "response_header_timeout"], tables: &[] }),
        ("referees", &REFEREES),
        ("monitoring", &MONITORING),
        ("experimental", &EXPERIMENTAL),
    ],
};

const REFEREES: Keys = Keys {
    values: &[],
    tables: &[("metrics", &Keys { values: &["prometheus_address", "query_interval", "queries"], tables: &[] })],
};

const MONITORING: Keys = Keys {
    values: &[],
    tables: &[(
        "job_queuing_durations",
        &Keys { values: &["periods", "timezone", "threshold", "jobs_running_for_project"], tables: &[] },
    )],
};

const DOCKER: Keys = Keys {
    values: &[
        "host",
        "tls_cert_path",
        "tls_verify",
        "hostname",
        "image",
        "runtime",
        "memory",
        "memory_swap",
        "memory_reservation",
        "cgroup_parent",
        "cpuset_cpus",
        "cpuset_mems",
        "cpus",
        "cpu_shares",
        "dns",
        "dns_search",
        "privileged",
        "services_privileged",
        "disable_entrypoint_overwrite",
        "user",
        "allowed_users",
        "group_add",
        "userns_mode",
        "cap_add",
        "cap_drop",
        "oom_kill_disable",
        "oom_score_adjust",
        "security_opt",
        "services_security_opt",
        "devices",
        "device_cgroup_rules",
        "gpus",
        "services_devices",
        "disable_cache",
        "volumes",
        "volume_keep",
        "volume_driver",
        "volume_driver_ops",
        "cache_dir",
        "extra_hosts",
        "volumes_from",
        "network_mode",
        "pid_mode",
        "ipcmode",
        "mac_address",
        "links",
        "services_limit",
        "service_memory",
        "service_memory_swap",
        "service_memory_reservation",
        "service_cgroup_parent",
        "service_slot_cgroup_template",
        "service_cpuset_cpus",
        "service_cpus",
        "service_cpu_shares",
        "service_gpus",
        "wait_for_services_timeout",
        "allowed_images",
        "allowed_privileged_images",
        "allowed_privileged_services",
        "allowed_pull_policies",
        "allowed_services",
        "pull_policy",
        "isolation",
        "shm_size",
        "tmpfs",
        "services_tmpfs",
        "sysctls",
        "helper_image",
        "helper_image_flavor",
        "helper_image_autoset_arch_and_os",
        "container_labels",
        "enable_ipv6",
        "ulimit",
        "network_mtu",
        "log_options",
    ],
    tables: &[(
        "services",
        &Keys {
            values: &["name", "alias", "command", "entrypoint", "environment", "variables", "suspend_data_path"],
            tables: &[],
        },
    )],
};

const CACHE: Keys = Keys {
    values: &["Type", "Path", "Shared", "MaxUploadedArchiveSize", "RedactURL"],
    tables: &[("s3", &CACHE_S3), ("gcs", &CACHE_GCS), ("azure", &CACHE_AZURE)],
};

const CACHE_S3: Keys = Keys {
    values: &[
        "ServerAddress",
        "AccessKey",
        "SecretKey",
        "SessionToken",
        "BucketName",
        "BucketLocation",
        "Insecure",
        "AuthenticationType",
        "ServerSideEncryption",
        "ServerSideEncryptionKeyID",
        "DualStack",
        "PathStyle",
        "Accelerate",
        "RoleARN",
        "UploadRoleARN",
        "AssumeRoleMaxConcurrency",
        "DisableAssumeRoleCredentialsCaching",
    ],
    tables: &[],
};

const CACHE_GCS: Keys =
    Keys { values: &["CredentialsFile", "AccessID", "PrivateKey", "BucketName", "UniverseDomain"], tables: &[] };

const CACHE_AZURE: Keys =
    Keys { values: &["AccountName", "AccountKey", "ContainerName", "StorageDomain"], tables: &[] };

/// `[runners.machine]`, the docker+machine executor.
pub(crate) const MACHINE: Keys = Keys {
    values: &[
        "IdleCount",
        "IdleCountMin",
        "IdleScaleFactor",
        "IdleTime",
        "MaxBuilds",
        "MaxGrowthRate",
        "MachineDriver",
        "MachineName",
        "MachineOptions",
        "MachineOptionsWithName",
        "MaxRemovalAttempts",
        "OffPeakPeriods",
        "OffPeakTimezone",
        "OffPeakIdleCount",
        "OffPeakIdleTime",
    ],
    tables: &[("autoscaling", &AUTOSCALING)],
};

/// `[[runners.machine.autoscaling]]`.
pub(crate) const AUTOSCALING: Keys =
    Keys { values: &["Periods", "Timezone", "IdleCount", "IdleCountMin", "IdleScaleFactor", "IdleTime"], tables: &[] };

const AUTOSCALER: Keys = Keys {
    values: &[
        "plugin",
        "capacity_per_instance",
        "max_use_count",
        "max_instances",
        // The plugin's own, as is what it reads of this table.
        "plugin_config",
        "instance_ready_command",
        "instance_acquire_timeout",
        "update_interval",
        "update_interval_when_expecting",
        "deletion_retry_interval",
        "shutdown_deletion_interval",
        "shutdown_deletion_retries",
        "delete_instances_on_shutdown",
        "failure_threshold",
        "reservation_throttling",
        "log_internal_ip",
        "log_external_ip",
        "instance_operation_time_buckets",
        "instance_creation_time_buckets",
        "instance_is_running_time_buckets",
        "instance_deletion_time_buckets",
        "instance_readiness_time_buckets",
        "instance_life_duration_buckets",
    ],
    tables: &[
        ("connector_config", &CONNECTOR),
        ("policy", &POLICY),
        ("scale_throttle", &Keys { values: &["limit", "burst"], tables: &[] }),
        ("state_storage", &Keys { values: &["enabled", "dir", "keep_instance_with_acquisitions"], tables: &[] }),
        (
            "vm_isolation",
            &Keys {
                values: &["enabled", "nesting_host", "nesting_config", "image"],
                tables: &[("connector_config", &CONNECTOR)],
            },
        ),
    ],
};

const CONNECTOR: Keys = Keys {
    values: &[
        "os",
        "arch",
        "protocol",
        "protocol_port",
        "username",
        "password",
        "key_path",
        "use_static_credentials",
        "keepalive",
        "timeout",
        "use_external_addr",
    ],
    tables: &[],
};

/// `[[runners.autoscaler.policy]]`.
pub(crate) const POLICY: Keys = Keys {
    values: &[
        "periods",
        "timezone",
        "idle_count",
        "idle_time",
        "scale_factor",
        "scale_factor_limit",
        "preemptive_mode",
    ],
    tables: &[],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_in_any_case_of_letters() {
        for name in ["token_expires_at", "Token_Expires_At", "TOKEN_EXPIRES_AT", "to\u{212a}en_expire\u{17f}_at"] {
            assert_eq!(RUNNER.canonical(name), Some("token_expires_at"), "{name}");
        }
        for name in ["token-expires-at", "tokenexpiresat", "TOKEN_EXPIRES_AT ", "tökEN_EXPIRES_AT"] {
            assert_eq!(RUNNER.canonical(name), None, "{name}");
        }
    }

    #[test]
    fn no_table_has_a_key_twice() {
        let all = FILE.tables_inside("");
        assert!(all.len() > 15, "{}", all.len());
        for (path, keys) in all {
            let names: Vec<&str> = keys.names().collect();
            for (index, name) in names.iter().enumerate() {
                assert!(!names[..index].iter().any(|other| is_same_key(other, name)), "{path}.{name}");
            }
        }
    }
}
