//! What a configuration needs around its policies: roles, profiles, parameters. Pure.

use std::collections::BTreeMap;

use runner_fleet_config::{Config, Runner, partition_of};

use super::super::CliError;
use super::aws_cli::{Identity, Named, Parameter, Setup};
use super::{IamPolicyArgs, Of, manager, registry, ssh_key, worker};

/// Reads it off. `own` is the region of runners that name none; `of` restricts it to the manager or the workers.
pub(super) fn setup(
    config: &Config,
    own: Option<&str>,
    of: Option<Of>,
    args: &IamPolicyArgs,
) -> Result<Setup, CliError> {
    let mut identities = Vec::new();
    let mut parameters = Vec::new();
    let mut key = None;
    if of != Some(Of::Worker) {
        identities.push(manager_identity(config, own, args));
        parameters = tokens(config, own);
        key = ssh_key(config, own);
    }
    if of != Some(Of::Manager) {
        identities.extend(worker_identities(config, args)?);
    }
    if identities.is_empty() {
        return Err(CliError::Failed("workers need no role: no runner names an instance_profile".into()));
    }
    Ok(Setup {
        manager: config.fleet.manager.clone(),
        partition: partition(config, own).to_owned(),
        region: first_region(config, own).map(str::to_owned),
        identities,
        parameters,
        ssh_key: key.map(|key| Parameter {
            region: key.region,
            name: key.name,
            what: "the manager's SSH key".to_owned(),
        }),
    })
}

fn manager_identity(config: &Config, own: Option<&str>, args: &IamPolicyArgs) -> Identity {
    let name = args.manager_role.clone().unwrap_or_else(|| format!("runner-fleet-{}", config.fleet.manager));
    Identity {
        whose: "The manager's host.".to_owned(),
        role: Named::of(&name),
        profile: Named::of(&name),
        policy: Some(manager(config, own, args)),
    }
}

/// One for each instance profile, with what the runners that share it need.
fn worker_identities(config: &Config, args: &IamPolicyArgs) -> Result<Vec<Identity>, CliError> {
    let mut profiles: BTreeMap<String, (Named, Vec<&Runner>)> = BTreeMap::new();
    for runner in &config.runners {
        if let Some(profile) = &runner.fleet.instance_profile {
            let named = Named::read(profile);
            profiles.entry(named.name().to_owned()).or_insert_with(|| (named, Vec::new())).1.push(runner);
        }
    }
    let given = match (args.worker_role.as_slice(), profiles.len()) {
        ([], _) => None,
        ([role], 0 | 1) => Some(Named::read(role)),
        _ => {
            let why = "--aws-cli cannot tell which --worker-role belongs to which instance profile; leave the option \
                       out: each role is then named like its profile";
            return Err(CliError::BadUsage(why.to_owned()));
        }
    };
    let identity = |(name, (profile, runners)): (String, (Named, Vec<&Runner>))| {
        let names = runners.iter().map(|runner| runner.name.as_str()).collect::<Vec<_>>().join(", ");
        Identity {
            whose: format!("The workers of {names}."),
            role: given.clone().unwrap_or_else(|| Named::of(&name)),
            profile,
            policy: worker(runners, args),
        }
    };
    Ok(profiles.into_iter().map(identity).collect())
}

/// The tokens that the configuration keeps in SSM, in its order; one that several runners share is asked for once.
fn tokens(config: &Config, own: Option<&str>) -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = Vec::new();
    for runner in &config.runners {
        let region = runner.fleet.region.as_deref().or(own).unwrap_or_default();
        let name = runner.name.as_str();
        let secrets = [
            (Some(&runner.token), format!("the runner authentication token (glrt-...) of {name}")),
            (runner.fleet.api_token.as_ref(), format!("the API token (glpat-...) of {name}")),
        ];
        for (secret, what) in secrets {
            let Some(parameter) = secret.and_then(|secret| secret.ssm_parameter()) else { continue };
            if !parameters.iter().any(|known| known.name == parameter && known.region == region) {
                parameters.push(Parameter { region: region.to_owned(), name: parameter.to_owned(), what });
            }
        }
    }
    parameters
}

fn first_region<'a>(config: &'a Config, own: Option<&'a str>) -> Option<&'a str> {
    config.runners.iter().find_map(|runner| runner.fleet.region.as_deref()).or(own)
}

/// Of the first region that is known, else of the registries, which lie where the workers do.
fn partition(config: &Config, own: Option<&str>) -> &'static str {
    if let Some(region) = first_region(config, own) {
        return partition_of(region);
    }
    let mut hosts =
        config.runners.iter().filter_map(|runner| runner.fleet.active_ecr()).flat_map(|ecr| &ecr.registries);
    hosts.find_map(registry).map_or("aws", |registry| partition_of(&registry.region))
}
