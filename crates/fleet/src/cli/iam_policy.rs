//! `iam-policy`: the least rights that this configuration needs.

mod aws_cli;
mod setup;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::aws::{ManagerPolicy, PrivateRegistry, SshKeyParameter, WorkerPolicy, manager_policy, worker_policy};
use crate::doctor::cache_rights;
use crate::live::regions::Regions;
use runner_fleet_config::{Ami, Config, EcrHost, Runner, is_region, partition_of};

use self::setup::setup;
use super::output::write_json;
use super::{CliError, Global, service};

/// Print the least-privilege IAM policies of the manager and of the workers.
///
/// Made from the configuration: its regions, parameters, instance profiles, keys and registries. What the configuration
/// does not tell and had to be assumed is said on stderr.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet iam-policy --manager --account 123456789012 > manager.json\n  \
                        runner-fleet iam-policy --aws-cli --account 123456789012 > roles.sh\n  \
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
    /// Print a shell script instead, whose `aws` commands make roles with these policies, instance profiles, and the
    /// SSM parameters of the tokens, which it asks for.
    #[arg(long, conflicts_with = "of")]
    aws_cli: bool,
    /// Print the script that removes what the one of --aws-cli has made.
    #[arg(long, requires = "aws_cli")]
    remove: bool,
    /// The name of the manager's role and instance profile in the script; `runner-fleet-` and the manager's name when
    /// absent.
    #[arg(long, value_name = "NAME", requires = "aws_cli")]
    manager_role: Option<String>,
    /// The region of runners that name none; when absent, the one of the AWS environment, profile or instance metadata.
    #[arg(long)]
    region: Option<String>,
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
    /// Workers: let pulls through the cache rules with these prefixes make their repositories; ROOT for a rule without one.
    #[arg(long, value_name = "PREFIX", num_args = 1..)]
    pull_through_cache: Vec<String>,
    /// Workers: let jobs push with the worker's role, too. Better, a job that pushes assumes a role of its own.
    #[arg(long)]
    push: bool,
    /// Workers: let the role be used only through VPC endpoints of the VPC that the worker is in, so that credentials
    /// that a job takes elsewhere are worth nothing. Needs the endpoints ecr.api and ecr.dkr, with private DNS.
    #[arg(long)]
    vpc_endpoints: bool,
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
    let own = own_region(&config, of, args)?;
    if args.aws_cli {
        let setup = setup(&config, own.as_deref(), of, args)?;
        write!(out, "{}", if args.remove { setup.removal() } else { setup.script() })?;
        return Ok(ExitCode::SUCCESS);
    }
    let printed = match of {
        None => {
            let (manager, worker) = (manager(&config, own.as_deref(), args), worker(&config.runners, args));
            json!({ "version": 1, "manager": manager, "worker": worker })
        }
        Some(Of::Manager) => manager(&config, own.as_deref(), args),
        Some(Of::Worker) => worker(&config.runners, args).unwrap_or(Value::Null),
    };
    if printed.is_null() {
        return Err(CliError::Failed(
            "workers need no rights: no runner has an ECR registry, or a cache in S3 that its role signs for".into(),
        ));
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
    let prefix = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
    let is_prefix = |text: &String| text == "ROOT" || (!text.trim_matches('/').is_empty() && text.chars().all(prefix));
    if let Some(bad) = args.pull_through_cache.iter().find(|text| !is_prefix(text)) {
        let why =
            format!("{bad:?} is no prefix of a cache rule; write it as the rule has it, like docker-hub, or ROOT");
        return Err(CliError::BadUsage(why));
    }
    if let Some(bad) = args.region.iter().find(|name| !is_region(name)) {
        return Err(CliError::BadUsage(format!("{bad:?} is no region; write its name, like eu-central-1")));
    }
    let name = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    if let Some(bad) = args.manager_role.iter().find(|bad| bad.is_empty() || bad.len() > 64 || !bad.chars().all(name)) {
        return Err(CliError::BadUsage(format!(
            "{bad:?} is no name for a role: at most 64 letters, digits, or +=,.@_-"
        )));
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

/// The region of runners that name none. Only the manager's policy needs it.
fn own_region(config: &Config, of: Option<Of>, args: &IamPolicyArgs) -> Result<Option<String>, CliError> {
    let nameless = config.runners.iter().find(|runner| runner.fleet.region.is_none());
    match (nameless, &args.region) {
        (_, Some(region)) => Ok(Some(region.clone())),
        (None, None) => Ok(None),
        (Some(_), None) if of == Some(Of::Worker) => Ok(None),
        (Some(runner), None) => match service::block_on(async { Regions::default().of(None).await })? {
            Ok(own) => Ok(Some(own.region().to_owned())),
            Err(_) => Err(CliError::BadUsage(format!(
                "the region of the runner {name} is not known; call with --region NAME, or write region = \"NAME\" into \
                 its [runners.fleet]",
                name = runner.name
            ))),
        },
    }
}

fn manager(config: &Config, own: Option<&str>, args: &IamPolicyArgs) -> Value {
    let region = |runner: &Runner| runner.fleet.region.as_deref().or(own).map(str::to_owned);
    let regions = config.runners.iter().filter_map(region).collect();
    manager_policy(&manager_input(config, regions, ssh_key(config, own), args))
}

fn worker<'a>(runners: impl IntoIterator<Item = &'a Runner>, args: &IamPolicyArgs) -> Option<Value> {
    worker_policy(&worker_input(&runners.into_iter().collect::<Vec<_>>(), args))
}

/// The parameter that keeps the SSH key, in the region where it lies.
fn ssh_key(config: &Config, own: Option<&str>) -> Option<SshKeyParameter> {
    let key = config.ssh_key_parameter()?;
    Some(SshKeyParameter { region: key.region.or(own)?.to_owned(), name: key.name.to_owned() })
}

fn manager_input(
    config: &Config,
    regions: BTreeSet<String>,
    ssh_key: Option<SshKeyParameter>,
    args: &IamPolicyArgs,
) -> ManagerPolicy {
    let fleets = || config.runners.iter().map(|runner| &runner.fleet);
    let secrets = config.runners.iter().flat_map(|runner| [Some(&runner.token), runner.fleet.api_token.as_ref()]);
    let secrets = secrets.chain([config.fleet.on_trouble.as_ref().and_then(|told| told.url.as_ref())]);
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
        images: fleets()
            .filter_map(|fleet| match &fleet.ami {
                Ami::Id(id) => Some(id.to_string()),
                Ami::Parameter(_) => None,
            })
            .collect(),
        instance_types: fleets().flat_map(|fleet| &fleet.instance_types).map(ToString::to_string).collect(),
        secrets: secrets.flatten().filter_map(|secret| secret.ssm_parameter()).map(str::to_owned).collect(),
        ssh_key,
        instance_profiles: fleets().filter_map(|fleet| fleet.instance_profile.clone()).collect(),
        roles: args.worker_role.iter().cloned().collect(),
        kms_keys: fleets().filter_map(|fleet| fleet.root_volume.kms_key_id.clone()).collect(),
        with_doctor: args.doctor,
    }
}

fn worker_input(runners: &[&Runner], args: &IamPolicyArgs) -> WorkerPolicy {
    let hosts = || runners.iter().filter_map(|runner| runner.fleet.active_ecr()).flat_map(|ecr| &ecr.registries);
    WorkerPolicy {
        registries: hosts().filter_map(registry).collect(),
        public: hosts().any(|host| host.account_and_region().is_none()),
        repositories: args.repositories.iter().cloned().collect(),
        pull_through: args.pull_through_cache.iter().cloned().collect(),
        push: args.push,
        caches: runners.iter().filter_map(|runner| cache_rights(runner, args.region.as_deref())).collect(),
        vpc_endpoints: args.vpc_endpoints,
    }
}

fn registry(host: &EcrHost) -> Option<PrivateRegistry> {
    let (account, region) = host.account_and_region()?;
    let partition = host.partition().unwrap_or("aws").to_owned();
    Some(PrivateRegistry { partition, region: region.to_owned(), account: account.to_owned() })
}
