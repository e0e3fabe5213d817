//! Variables that take the helper in every job away from the worker's role. The list is that of the helper of jobs
//! (`crates/worker/src/files/docker-credential-runner-fleet-ecr.sh`), which says the same of a job's own variables.

use std::net::Ipv4Addr;

use super::super::node::At;
use super::found::Variable;

/// Other credentials, or another place to ask. Source: AWS SDK for Go v2, `config/env_config.go`.
const AWS: [&str; 14] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_ACCESS_KEY",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_ECR",
    "AWS_ENDPOINT_URL_ECR_PUBLIC",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
];

/// Where the worker's role is asked for.
const METADATA_SERVICE: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// What to say about a section's variables, where login in jobs is the worker's.
pub(super) fn warnings<'t>(environment: &[Variable<'t>]) -> Vec<(&'t At, String)> {
    let mut warnings = Vec::new();
    let is_direct = environment
        .iter()
        .any(|variable| matches!(variable.name, "NO_PROXY" | "no_proxy") && covers_metadata(variable.value));
    for Variable { at, name, value } in environment {
        if value.is_empty() {
            continue;
        }
        if AWS.contains(name) {
            let text = format!(
                "counts before the worker's role in every job: logins to ECR are made with it; leave it to the jobs that need \
                 it, or write `env -u {name} docker pull …` in the others"
            );
            warnings.push((*at, text));
        } else if *name == "AWS_EC2_METADATA_DISABLED" && value.eq_ignore_ascii_case("true") {
            let text = "keeps every job from the worker's role: none can log in to ECR with it; remove it, or write \
                        in_jobs = false in [runners.fleet.ecr]";
            warnings.push((*at, text.to_owned()));
        } else if matches!(*name, "HTTP_PROXY" | "http_proxy") && !is_direct {
            let text = "in jobs the worker's role is asked for at 169.254.169.254, and so of this proxy; write \
                        \"NO_PROXY=169.254.169.254\" beside it";
            warnings.push((*at, text.to_owned()));
        }
    }
    warnings
}

/// Whether the metadata service is among these exceptions. Source: Go, `golang.org/x/net/http/httpproxy`.
fn covers_metadata(no_proxy: &str) -> bool {
    no_proxy.split(',').map(str::trim).any(|entry| {
        if entry == "*" || entry.parse() == Ok(METADATA_SERVICE) {
            return true;
        }
        let Some((network, bits)) = entry.split_once('/') else { return false };
        let (Ok(network), Ok(bits @ 0..=32)) = (network.parse::<Ipv4Addr>(), bits.parse::<u32>()) else { return false };
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        u32::from(network) & mask == u32::from(METADATA_SERVICE) & mask
    })
}

#[cfg(test)]
mod tests {
    use super::covers_metadata;

    #[test]
    fn exceptions_are_read_as_go_reads_them() {
        for good in
            ["169.254.169.254", "a.example, 169.254.169.254", "169.254.0.0/16", "0.0.0.0/0", "*", "169.254.169.254/32"]
        {
            assert!(covers_metadata(good), "{good}");
        }
        for bad in
            ["", "169.254.169.25", "169.254.169.0/30", ".amazonaws.com", "169.254.169.254/33", "10.0.0.0/8", "x/y"]
        {
            assert!(!covers_metadata(bad), "{bad}");
        }
    }
}
