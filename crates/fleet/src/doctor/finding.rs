//! What a step found, for people and for programs.

use serde::Serialize;

use runner_fleet_engine::RunnerName;

/// One question to the environment. The names are part of `doctor --json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The file is good; does it warn of something?
    Configuration,
    /// The manager's SSH key.
    SshKey,
    /// The running service.
    Service,
    /// Tokens can be read from where the configuration says.
    Secrets,
    /// GitLab can be reached, and accepts the runner token.
    RunnerToken,
    /// GitLab accepts the api token, and its scope is large enough.
    ApiToken,
    /// The runner's projects and their waiting jobs are seen.
    Queue,
    /// AWS accepts our credentials.
    Credentials,
    /// The image exists and has the right architecture.
    Image,
    /// The subnets exist and have room.
    Subnets,
    /// The security groups exist, in the subnets' VPC.
    SecurityGroups,
    /// The key pair is there, or may be imported.
    KeyPair,
    /// A launch would be allowed.
    Launch,
    /// The account's quota is large enough.
    Quota,
    /// The instance profile exists and holds a role for EC2.
    WorkerRole,
    /// The workers' role may log in to ECR and pull.
    EcrRights,
    /// The workers' role may use the cache in S3.
    CacheRights,
    /// A running worker can be reached.
    Worker,
    /// The credential helper is on the worker, new enough, and runs there.
    EcrHelper,
    /// The helper gets credentials for a registry.
    EcrLogin,
}

impl Step {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::SshKey => "ssh-key",
            Self::Service => "service",
            Self::Secrets => "secrets",
            Self::RunnerToken => "runner-token",
            Self::ApiToken => "api-token",
            Self::Queue => "queue",
            Self::Credentials => "credentials",
            Self::Image => "image",
            Self::Subnets => "subnets",
            Self::SecurityGroups => "security-groups",
            Self::KeyPair => "key-pair",
            Self::Launch => "launch",
            Self::Quota => "quota",
            Self::WorkerRole => "worker-role",
            Self::EcrRights => "ecr-rights",
            Self::CacheRights => "cache-rights",
            Self::Worker => "worker",
            Self::EcrHelper => "ecr-helper",
            Self::EcrLogin => "ecr-login",
        }
    }
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but a person should know.
    Warning,
    /// Does not work.
    Failed,
    /// Could not be looked at: neither good nor bad.
    NotChecked,
}

impl Verdict {
    /// As in the text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::NotChecked => "not checked",
        }
    }
}

/// One step's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[must_use = "a finding that nobody is told was not worth the look"]
pub struct Finding {
    /// Whose; absent for what concerns the manager as a whole.
    pub runner: Option<RunnerName>,
    /// Which question.
    pub step: Step,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found, in one sentence; never a secret.
    pub found: String,
    /// What to do; absent where there is nothing, or where `found` says it.
    pub advice: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(step: Step, found: impl Into<String>) -> Self {
        Self::new(step, Verdict::Ok, found.into(), None)
    }

    /// Works, but.
    pub fn warning(step: Step, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(step, Verdict::Warning, found.into(), Some(advice.into()))
    }

    /// Does not work.
    pub fn failed(step: Step, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(step, Verdict::Failed, found.into(), Some(advice.into()))
    }

    /// Does not work, and the error itself says what to do.
    pub fn failed_as_told(step: Step, found: impl Into<String>) -> Self {
        Self::new(step, Verdict::Failed, found.into(), None)
    }

    /// Could not be looked at.
    pub fn not_checked(step: Step, why: impl Into<String>) -> Self {
        Self::new(step, Verdict::NotChecked, why.into(), None)
    }

    fn new(step: Step, verdict: Verdict, found: String, advice: Option<String>) -> Self {
        Self { runner: None, step, verdict, found, advice }
    }

    /// The same, about a runner.
    pub(crate) fn of(self, runner: &RunnerName) -> Self {
        Self { runner: Some(runner.clone()), ..self }
    }
}

/// All findings. Its JSON form is `doctor --json`: stable, and versioned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Of this JSON form; 1.
    pub version: u32,
    /// The owner's name in every tag.
    pub manager: String,
    /// In the order in which they were found: the manager first, then runner by runner, each from the ground up.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// How many findings there are of a kind.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// The first thing that does not work: steps go from the ground up, so that it may be why others fail.
    pub fn first_to_mend(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.verdict == Verdict::Failed)
    }

    /// Whether something does not work.
    pub fn has_failed(&self) -> bool {
        self.count(Verdict::Failed) > 0
    }
}
