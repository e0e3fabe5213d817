//! To whom troubles are told, ready to be told.

use secrecy::ExposeSecret;

use runner_fleet_config::{Found, OnTrouble, Secret};
use runner_fleet_engine::{Failure, FailureClass};

use super::super::regions::Regions;
use super::program::Program;
use super::webhook::Webhook;

/// The key of the address.
pub(super) const URL: &str = "fleet.on_trouble.url";
/// The key of the program.
const COMMAND: &str = "fleet.on_trouble.command";

/// All that are to be told.
#[derive(Debug)]
pub struct Receivers {
    webhook: Option<Result<Webhook, Failure>>,
    program: Option<Program>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub enum Receiver<'a> {
    /// An address; or why it is not known.
    Webhook(&'a Result<Webhook, Failure>),
    /// A program.
    Program(&'a Program),
}

impl Receivers {
    /// Reads the address from where it lies; a parameter lies in `region`.
    pub async fn prepare(on_trouble: &OnTrouble, region: Option<&str>, regions: &Regions) -> Self {
        let webhook = match &on_trouble.url {
            Some(url) => Some(webhook(url, region, regions).await),
            None => None,
        };
        let program = on_trouble.command.split_first().map(|(program, args)| Program::new(program, args));
        Self { webhook, program }
    }

    /// Whether all of them can be told.
    pub(super) fn is_complete(&self) -> bool {
        self.missing().is_none()
    }

    /// Why the address is not known.
    pub(super) fn missing(&self) -> Option<&Failure> {
        self.webhook.as_ref().and_then(|webhook| webhook.as_ref().err())
    }

    /// Each of them.
    pub fn each(&self) -> impl Iterator<Item = Receiver<'_>> {
        let webhook = self.webhook.as_ref().map(Receiver::Webhook);
        webhook.into_iter().chain(self.program.as_ref().map(Receiver::Program))
    }
}

impl Receiver<'_> {
    /// Where it stands in the configuration.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Webhook(_) => URL,
            Self::Program(_) => COMMAND,
        }
    }

    /// Tells it once, within its time.
    ///
    /// # Errors
    /// It was not told, or it says so; no error holds the address.
    pub async fn tell(&self, body: &str) -> Result<(), Failure> {
        match self {
            Self::Webhook(Ok(webhook)) => webhook.tell(body).await,
            Self::Webhook(Err(failure)) => Err(failure.clone()),
            Self::Program(program) => program.tell(body).await,
        }
    }
}

async fn webhook(url: &Secret, region: Option<&str>, regions: &Regions) -> Result<Webhook, Failure> {
    let found = url.resolve_local().map_err(|error| Failure::of(FailureClass::NotFound, &error))?;
    let address = match found {
        Found::Here(address) => address,
        Found::InParameter(name) => {
            let failed = |error| Failure::of(crate::aws::AwsError::class(&error), &error);
            regions.of(region).await.map_err(failed)?.secret(name).await.map_err(failed)?
        }
    };
    Webhook::new(address.expose_secret())
}
