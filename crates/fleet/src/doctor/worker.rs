//! One running worker as a sample: that the manager can reach it, and what its agent says.

use std::net::SocketAddr;
use std::time::Duration;

use crate::aws::{AddressKind, Aws};
use crate::live::births::is_young;
use crate::live::host_keys::host_keys;
use crate::ssh::{Limits, Output, RunLimits, Session, SshError, Target};
use runner_fleet_config::Address;
use runner_fleet_engine::snapshot::WorkerState;
use runner_fleet_engine::{Instance, InstanceState, Phase, Report, RunnerName, WorkerId};
use runner_fleet_worker::{AgentCommand, LINE_MAX, parse_line};

use super::context::CheckContext;
use super::finding::{Finding, Step};
use super::limit::{told, within};

/// The helper asks EC2's metadata service and ECR; both have their own time-outs below this.
const COMMAND: RunLimits = RunLimits { time: Duration::from_secs(25), stdout_bytes_max: LINE_MAX };

/// What came of looking for a worker.
pub(super) struct Sample {
    pub(super) findings: Vec<Finding>,
    /// The connection, if there is one.
    pub(super) session: Option<SampleWorker>,
}

/// A worker that we are connected to.
pub(super) struct SampleWorker {
    pub(super) id: String,
    user: String,
    session: Session,
}

impl SampleWorker {
    /// Runs a command as root. Its line is no secret; what it reads from `stdin` may be.
    pub(super) async fn as_root(&self, command: &str, stdin: &str) -> Result<Output, SshError> {
        let sudo = if self.user == "root" { "" } else { "sudo -n " };
        self.session.run(&format!("{sudo}{command}"), stdin.as_bytes(), COMMAND).await
    }
}

/// Finds a worker of this runner, connects, and asks its agent.
pub(super) async fn sample(context: &CheckContext<'_>, aws: &Aws) -> Sample {
    let nothing = |finding: Finding| Sample { findings: vec![finding], session: None };
    let instances = match within(aws.instances(&context.config.fleet.manager, &kinds(context), false)).await {
        Ok(Ok(instances)) => instances,
        Ok(Err(error)) => return nothing(Finding::failed_as_told(Step::Worker, told(&error))),
        Err(late) => return nothing(Finding::not_checked(Step::Worker, late)),
    };
    let Some(instance) = choose(context, instances) else {
        return nothing(Finding::not_checked(
            Step::Worker,
            "none of its workers runs now; call doctor again while one does",
        ));
    };
    let Some(key) = context.key else {
        return nothing(Finding::not_checked(Step::Worker, "without the manager's SSH key no worker can be reached"));
    };
    let fleet = &context.runner.fleet;
    let may_be_new = is_young(instance.launched_at, fleet, context.clock.now());
    let host_keys = host_keys(&context.runner.name, &instance.id, key, may_be_new);
    let (Ok(host_keys), Some(address)) = (host_keys.pinned(), instance.address) else {
        return nothing(Finding::not_checked(Step::Worker, format!("{} has no address yet", instance.id)));
    };
    let target = Target { address: SocketAddr::new(address, fleet.ssh_port), user: fleet.ssh_user.clone(), host_keys };
    match Session::connect(&target, key, &Limits::default()).await {
        Ok(session) => {
            let worker = SampleWorker { id: instance.id.to_string(), user: fleet.ssh_user.clone(), session };
            let finding = agent(&worker).await;
            Sample { findings: vec![finding], session: Some(worker) }
        }
        Err(error) => nothing(judge_connection(&instance, &target, &error)),
    }
}

fn kinds<'p>(context: &'p CheckContext<'_>) -> impl Fn(&RunnerName) -> AddressKind + Sync + use<'p> {
    let address = context.runner.fleet.address;
    move |_| match address {
        Address::Public => AddressKind::Public,
        Address::Private => AddressKind::Private,
    }
}

/// One that the service knows to be ready, else the oldest: it has had the most time to boot.
fn choose(context: &CheckContext<'_>, instances: Vec<Instance>) -> Option<Instance> {
    let is_ready = |instance: &Instance| {
        let workers = context.snapshot.map(|snapshot| snapshot.workers.as_slice()).unwrap_or_default();
        workers
            .iter()
            .any(|worker| worker.id == instance.id && matches!(worker.state, WorkerState::Idle | WorkerState::Busy))
    };
    instances
        .into_iter()
        .filter(|instance| instance.runner == context.runner.name && instance.state == InstanceState::Running)
        .filter(|instance| instance.address.is_some())
        .min_by_key(|instance| (!is_ready(instance), instance.launched_at, instance.id.clone()))
}

fn judge_connection(instance: &Instance, target: &Target, error: &SshError) -> Finding {
    let found = format!("{} at {}: {}", instance.id, target.address, told(error));
    let advice = if error.is_wrong_host_key() {
        "another machine answers there, or the manager's SSH key was replaced: workers of the old key end by themselves"
    } else if error.is_unreachable() {
        "let the manager's host reach that port: security group, routes, and `address` = private or public"
    } else {
        "check `ssh_user`, and the worker's log: its console output in EC2"
    };
    Finding::failed(Step::Worker, found, advice)
}

async fn agent(worker: &SampleWorker) -> Finding {
    let output = worker.session.run(&AgentCommand::Report.line(&worker.user), &[], COMMAND).await;
    match output {
        Ok(output) if output.status == Some(0) => match parse_line(&output.stdout, &WorkerId::new(&worker.id)) {
            Ok(report) => judge_report(&worker.id, &report),
            Err(error) => {
                Finding::failed(Step::Worker, format!("{}: {error}", worker.id), "replace the worker: drain it")
            }
        },
        Ok(output) => {
            let said = runner_fleet_worker::helper_log::scrubbed(&String::from_utf8_lossy(&output.stderr));
            let found = format!("{}: its agent does not answer: {said}", worker.id);
            Finding::failed(
                Step::Worker,
                found,
                "a worker that still boots has none yet; else `ssh_user` may not use sudo",
            )
        }
        Err(error) => Finding::failed_as_told(Step::Worker, format!("{}: {}", worker.id, told(&error))),
    }
}

fn judge_report(id: &str, report: &Report) -> Finding {
    match &report.phase {
        Phase::Ready => Finding::ok(Step::Worker, format!("{id} answers over SSH; its agent says: ready")),
        Phase::Booting { step } => {
            Finding::warning(Step::Worker, format!("{id} still boots: {step}"), "call doctor again when it is ready")
        }
        Phase::Failed { error } => Finding::failed(
            Step::Worker,
            format!("{id} failed to boot: {error}"),
            "mend that; the worker ends by itself",
        ),
    }
}
