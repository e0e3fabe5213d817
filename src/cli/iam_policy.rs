//! `iam-policy`: the least rights that this configuration needs.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::aws::{ManagerPolicy, manager_policy, worker_policy};
use crate::config::{Ami, Config};
use crate::live::regions::Regions;

use super::output::write_json;
use super::{CliError, Global, service};

/// Print the least-privilege IAM policies of the manager and of the workers.
///
/// Made from the configuration: its regions, parameters, instance profiles and registries.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet iam-policy --of manager --account 123456789012 > manager.json\n  \
                        aws iam create-policy --policy-name runner-fleet --policy-document file://manager.json")]
pub(super) struct IamPolicyArgs {
    /// Print one of the two, as IAM takes it; both as one JSON object when absent.
    #[arg(long, value_enum)]
    of: Option<Of>,
    /// The account's 12 digits; any account when absent.
    #[arg(long)]
    account: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// The role of the host that runner-fleet runs on.
    Manager,
    /// The role in `instance_profile`.
    Worker,
}

/// Renders and prints.
pub(super) fn run(global: &Global, args: &IamPolicyArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    if args.account.as_ref().is_some_and(|id| id.len() != 12 || !id.bytes().all(|digit| digit.is_ascii_digit())) {
        return Err(CliError::BadUsage("--account takes the 12 digits of an AWS account".into()));
    }
    let config = service::load(global)?.config;
    let regions = regions(&config)?;
    let partition = regions.first().map_or("aws", |region| partition(region));
    let manager = manager_policy(&input(&config, partition, regions.clone(), args.account.clone()));
    let worker = worker_policy(partition, &registries(&config));
    let printed = match args.of {
        None => json!({ "version": 1, "manager": manager, "worker": worker }),
        Some(Of::Manager) => manager,
        Some(Of::Worker) => worker.unwrap_or(Value::Null),
    };
    if printed.is_null() {
        return Err(CliError::Failed("workers need no rights: no runner names a private ECR registry".into()));
    }
    write_json(out, &printed)?;
    Ok(ExitCode::SUCCESS)
}

fn regions(config: &Config) -> Result<BTreeSet<String>, CliError> {
    let mut names = BTreeSet::new();
    for runner in &config.runners {
        match &runner.fleet.region {
            Some(region) => names.insert(region.clone()),
            None => {
                let own = service::block_on(async { Regions::default().of(None).await })?;
                names.insert(
                    own.map_err(|error| CliError::failed("find the manager's region", &error))?.region().to_owned(),
                )
            }
        };
    }
    Ok(names)
}

fn input(config: &Config, partition: &str, regions: BTreeSet<String>, account: Option<String>) -> ManagerPolicy {
    let fleets = || config.runners.iter().map(|runner| &runner.fleet);
    let secrets = config.runners.iter().flat_map(|runner| [Some(&runner.token), runner.fleet.api_token.as_ref()]);
    let images = fleets().filter_map(|fleet| match &fleet.ami {
        Ami::Parameter(name) => Some(name.as_str()),
        Ami::Id(_) => None,
    });
    let keys = fleets().filter_map(|fleet| fleet.root_volume.kms_key_id.clone());
    ManagerPolicy {
        partition: partition.to_owned(),
        account,
        regions,
        manager: config.fleet.manager.clone(),
        parameters: secrets
            .flatten()
            .filter_map(|secret| secret.ssm_parameter())
            .chain(images)
            .map(str::to_owned)
            .collect(),
        instance_profiles: fleets().filter_map(|fleet| fleet.instance_profile.clone()).collect(),
        kms_keys: keys.filter(|key| key.starts_with("arn:")).collect(),
    }
}

fn registries(config: &Config) -> Vec<String> {
    let hosts = config.runners.iter().filter_map(|runner| runner.fleet.active_ecr()).flat_map(|ecr| &ecr.registries);
    hosts.map(|host| host.as_str().to_owned()).collect::<BTreeSet<_>>().into_iter().collect()
}

fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_partition_follows_from_the_region() {
        let found = ["eu-central-1", "us-east-1", "us-gov-west-1", "cn-north-1"].map(super::partition);
        assert_eq!(found, ["aws", "aws", "aws-us-gov", "aws-cn"]);
    }
}
