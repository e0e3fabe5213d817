//! `iam-policy`: the least rights that this configuration needs.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::aws::{ManagerPolicy, PrivateRegistry, SshKeyParameter, WorkerPolicy, manager_policy, worker_policy};
use crate::config::{Ami, Config, EcrHost, partition_of};
use crate::live::regions::Regions;

use super::output::write_json;
use super::{CliError, Global, service};

/// Print the least-privilege IAM policies of the manager and of the workers.
///
/// Made from the configuration: its regions, parameters, instance profiles, keys and registries. What the configuration
/// does not tell and had to be assumed is said on stderr.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet iam-policy --manager --account 123456789012 > manager.json\n  \
                        aws iam create-policy --policy-name runner-fleet --policy-document file://manager.json\n  \
                        runner-fleet iam-policy --worker --repositories team base/images > worker.json")]
pub(super) struct IamPolicyArgs {
    /// Print the policy for the role of the host that runner-fleet runs on, as IAM takes it; both policies as one JSON
    /// object when neither is asked for.
    #[arg(long, conflicts_with_all = ["worker", "of"])]
    manager: bool,
    /// Print the policy for the role in `instance_profile`, as IAM takes it.
    #[arg(long, conflicts_with = "of")]
    worker: bool,
    /// The same as --manager or --worker.
    #[arg(long, value_enum, hide = true)]
    of: Option<Of>,
    /// The account's 12 digits; any account when absent.
    #[arg(long)]
    account: Option<String>,
    /// The workers' role, by name or ARN, where it has another name than its instance profile; may be repeated.
    #[arg(long, value_name = "ROLE")]
    worker_role: Vec<String>,
    /// Let the manager's role also look at what `doctor` looks at: the workers' role, quotas, security groups.
    #[arg(long)]
    doctor: bool,
    /// Workers: only these repositories, each with all below it; wildcards as IAM has them. All when absent.
    #[arg(long, value_name = "PREFIX", num_args = 1..)]
    repositories: Vec<String>,
    /// Workers: let jobs push with the worker's role, too. Better, a job that pushes assumes a role of its own.
    #[arg(long)]
    push: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    /// The role of the host that runner-fleet runs on.
    Manager,
    /// The role in `instance_profile`.
    Worker,
}

/// Renders and prints.
pub(super) fn run(
    global: &Global,
    args: &IamPolicyArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    check(args)?;
    let of = match (args.manager, args.worker) {
        (true, _) => Some(Of::Manager),
        (_, true) => Some(Of::Worker),
        (false, false) => args.of,
    };
    let config = service::load(global)?.config;
    let regions = regions(&config)?;
    let manager = manager_policy(&manager_input(&config, regions, ssh_key(&config)?, args));
    let worker = worker_policy(&worker_input(&config, args));
    let printed = match of {
        None => json!({ "version": 1, "manager": manager, "worker": worker }),
        Some(Of::Manager) => manager,
        Some(Of::Worker) => worker.unwrap_or(Value::Null),
    };
    if printed.is_null() {
        return Err(CliError::Failed("workers need no rights: no runner names an ECR registry".into()));
    }
    write_json(out, &printed)?;
    if of != Some(Of::Worker) {
        tell_assumptions(&config, args, err)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &IamPolicyArgs) -> Result<(), CliError> {
    if args.account.as_ref().is_some_and(|id| id.len() != 12 || !id.bytes().all(|digit| digit.is_ascii_digit())) {
        return Err(CliError::BadUsage("--account takes the 12 digits of an AWS account".into()));
    }
    let letters = |c: char| c.is_ascii_alphanumeric() || "._-/*?".contains(c);
    if let Some(bad) = args.repositories.iter().find(|name| name.is_empty() || !name.chars().all(letters)) {
        let why = format!("{bad:?} is no repository; write its name without the registry, like team/app, or team/*");
        return Err(CliError::BadUsage(why));
    }
    let role = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-:/".contains(c);
    if let Some(bad) = args.worker_role.iter().find(|name| name.is_empty() || !name.chars().all(role)) {
        return Err(CliError::BadUsage(format!("{bad:?} is no role; write its name or its ARN")));
    }
    Ok(())
}

/// What the configuration does not tell. A wrong guess is an `iam:PassRole` that is denied at the first launch.
fn tell_assumptions(config: &Config, args: &IamPolicyArgs, err: &mut dyn Write) -> Result<(), CliError> {
    let profiles: BTreeSet<&str> =
        config.runners.iter().filter_map(|runner| runner.fleet.instance_profile.as_deref()).collect();
    if !profiles.is_empty() && args.worker_role.is_empty() {
        let names = profiles.into_iter().collect::<Vec<_>>().join(", ");
        writeln!(
            err,
            "note: the workers' role is taken to be named like the instance profile ({names}); where it is not, write \
             --worker-role NAME"
        )?;
    }
    Ok(())
}

fn regions(config: &Config) -> Result<BTreeSet<String>, CliError> {
    config.runners.iter().map(|runner| region(runner.fleet.region.as_deref())).collect()
}

fn region(named: Option<&str>) -> Result<String, CliError> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    let own = service::block_on(async { Regions::default().of(None).await })?;
    own.map(|aws| aws.region().to_owned()).map_err(|error| CliError::failed("find the manager's region", &error))
}

fn ssh_key(config: &Config) -> Result<Option<SshKeyParameter>, CliError> {
    let parameter = config.ssh_key_parameter();
    parameter.map(|key| Ok(SshKeyParameter { region: region(key.region)?, name: key.name.to_owned() })).transpose()
}

fn manager_input(
    config: &Config,
    regions: BTreeSet<String>,
    ssh_key: Option<SshKeyParameter>,
    args: &IamPolicyArgs,
) -> ManagerPolicy {
    let fleets = || config.runners.iter().map(|runner| &runner.fleet);
    let secrets = config.runners.iter().flat_map(|runner| [Some(&runner.token), runner.fleet.api_token.as_ref()]);
    let images = fleets().filter_map(|fleet| match &fleet.ami {
        Ami::Parameter(name) => Some(name.clone()),
        Ami::Id(_) => None,
    });
    ManagerPolicy {
        partition: regions.first().map_or("aws", |region| partition_of(region)).to_owned(),
        account: args.account.clone(),
        regions,
        manager: config.fleet.manager.clone(),
        parameters: images.collect(),
        secrets: secrets.flatten().filter_map(|secret| secret.ssm_parameter()).map(str::to_owned).collect(),
        ssh_key,
        instance_profiles: fleets().filter_map(|fleet| fleet.instance_profile.clone()).collect(),
        roles: args.worker_role.iter().cloned().collect(),
        kms_keys: fleets().filter_map(|fleet| fleet.root_volume.kms_key_id.clone()).collect(),
        with_doctor: args.doctor,
    }
}

fn worker_input(config: &Config, args: &IamPolicyArgs) -> WorkerPolicy {
    let hosts = || config.runners.iter().filter_map(|runner| runner.fleet.active_ecr()).flat_map(|ecr| &ecr.registries);
    WorkerPolicy {
        registries: hosts().filter_map(registry).collect(),
        public: hosts().any(|host| host.account_and_region().is_none()),
        repositories: args.repositories.iter().cloned().collect(),
        push: args.push,
    }
}

fn registry(host: &EcrHost) -> Option<PrivateRegistry> {
    let (account, region) = host.account_and_region()?;
    let partition = host.partition().unwrap_or("aws").to_owned();
    Some(PrivateRegistry { partition, region: region.to_owned(), account: account.to_owned() })
}
