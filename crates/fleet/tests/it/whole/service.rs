//! The service between its doubles, and what can be seen of it from outside.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::types::Filter;
use runner_fleet::aws::Aws;
use runner_fleet::control::{self, Answer, Request};
use runner_fleet::live::clock::Clock;
use runner_fleet::live::regions::Regions;
use runner_fleet::live::service::{Outside, ServiceError, serve_until_stopped};
use runner_fleet::ssh::ManagerKey;
use runner_fleet_engine::FleetSnapshot;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::gitlab::{GitLab, RUNNER_TOKEN};
use super::workers::{Worker, Workers};
use crate::aws;
use crate::config_file::ConfigFile;
use crate::log::Log;

/// Generous: only a broken service ever waits this long.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at what cannot be subscribed to.
const LOOK_EVERY: Duration = Duration::from_millis(25);
const RUNNER: &str = "arm";

pub(super) struct Service {
    pub(super) clock: Clock,
    pub(super) gitlab: GitLab,
    pub(super) workers: Workers,
    pub(super) log: Log,
    ec2: aws::World,
    ec2_client: aws_sdk_ec2::Client,
    browser: reqwest::Client,
    folder: tempfile::TempDir,
    listens_at: SocketAddr,
    running: Option<Running>,
}

struct Running {
    stop: CancellationToken,
    reload: mpsc::Sender<()>,
    ends: JoinHandle<Result<(), ServiceError>>,
}

/// An instance of ours as EC2 shows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) address: Option<std::net::IpAddr>,
    pub(super) tags: std::collections::BTreeMap<String, String>,
}

impl Service {
    /// With nothing to do, a region to itself, and a time that passes so many times as fast as the world's.
    pub(super) async fn start(region: &str, speed: f64) -> Self {
        let (log, folder, ec2) = (Log::start(), tempfile::tempdir().unwrap(), aws::World::new(region).await);
        let key = ManagerKey::load_or_create(&folder.path().join("state")).unwrap();
        let clock = Clock::faster(speed);
        let mut service = Self {
            clock,
            gitlab: GitLab::start().await,
            workers: Workers::new(key, RUNNER, clock),
            log,
            ec2_client: aws_sdk_ec2::Client::new(&ec2.settings),
            ec2,
            browser: reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            folder,
            listens_at: aws::free_address(),
            running: None,
        };
        service.write_token(RUNNER_TOKEN);
        service.configure(0);
        service.begin();
        service.until("the service is ready", async |service| service.page("/readyz").await == "ready\n").await;
        service
    }

    /// As `runner-fleet run` does.
    pub(super) fn begin(&mut self) {
        let loaded = runner_fleet_config::load(&self.path()).unwrap_or_else(|problems| panic!("{problems}"));
        let (stop, (reload, reload_asked)) = (CancellationToken::new(), mpsc::channel(1));
        let outside = Outside {
            clock: self.clock,
            stop: stop.clone(),
            reload: reload_asked,
            regions: Regions::at_home_in(Aws::from_sdk_config(&self.ec2.settings).unwrap()),
            dialer: Arc::new(self.workers.clone()),
        };
        let ends = tokio::spawn(serve_until_stopped(self.path(), loaded.config, outside));
        self.running = Some(Running { stop, reload, ends });
    }

    /// As SIGTERM does; what the service ends with.
    pub(super) async fn stop(&mut self) -> Result<(), ServiceError> {
        let Running { stop, reload: _, ends } = self.running.take().unwrap();
        stop.cancel();
        timeout(DEADLINE, ends).await.expect("the service does not stop").expect("the service has panicked")
    }

    /// As SIGHUP does.
    pub(super) async fn reload(&self) {
        self.running.as_ref().unwrap().reload.send(()).await.unwrap();
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Puts this token where the configuration says that it lies.
    pub(super) fn write_token(&self, token: &str) {
        std::fs::write(self.token_file(), token).unwrap();
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    /// Writes the file, with this number of idle workers.
    pub(super) fn configure(&self, idle_count: impl Into<toml::Value>) {
        self.config_file(idle_count).write(self.folder.path());
    }

    /// Writes the file, with two idle workers, and never more.
    pub(super) fn configure_pair(&self) {
        self.config_file(2).workers("max_workers", 2).write(self.folder.path());
    }

    /// Writes the file, with somebody who is told of troubles: at this address, which stands in a file, and by this program.
    pub(super) fn tell_of_troubles(&self, address: &str, program: &Path) {
        let secret = self.folder.path().join("address");
        std::fs::write(&secret, address).unwrap();
        let mut on_trouble = toml::Table::new();
        on_trouble.insert("url".to_owned(), format!("file:{}", secret.display()).into());
        on_trouble.insert("command".to_owned(), vec![program.to_str().unwrap().to_owned()].into());
        self.config_file(0).fleet("on_trouble", on_trouble).write(self.folder.path());
    }

    /// Where it is kept of which troubles somebody was told.
    pub(super) fn kept(&self) -> PathBuf {
        self.folder.path().join("state").join("troubles.json")
    }

    fn config_file(&self, idle_count: impl Into<toml::Value>) -> ConfigFile {
        ConfigFile::new(self.folder.path())
            .global("concurrent", 4)
            .global("check_interval", 3)
            .global("listen_address", self.listens_at.to_string())
            .fleet("manager", "whole")
            .runner("name", RUNNER)
            .runner("url", self.gitlab.url())
            .runner("token", format!("file:{}", self.token_file().display()))
            .runner("limit", 4)
            .workers_in(&self.ec2)
            .workers("market", "on-demand")
            .workers("idle_time", 10)
            .workers("idle_count", idle_count)
    }

    /// What `status` shows.
    pub(super) async fn status(&self) -> FleetSnapshot {
        match control::ask(&self.socket(), &Request::Status).await.unwrap() {
            Answer::Status { snapshot } => *snapshot,
            other => panic!("{other:?}"),
        }
    }

    /// The body of a page; empty while nobody listens.
    pub(super) async fn page(&self, path: &str) -> String {
        match self.browser.get(format!("http://{}{path}", self.listens_at)).send().await {
            Ok(answer) => answer.text().await.unwrap(),
            Err(_) => String::new(),
        }
    }

    /// All that ever were, as EC2 itself says.
    pub(super) async fn instances(&self) -> Vec<Instance> {
        let ours = Filter::builder().name("tag:runner-fleet:manager").values("whole").build();
        let answer = self.ec2_client.describe_instances().filters(ours).send().await.unwrap();
        let instance = |instance: &aws_sdk_ec2::types::Instance| Instance {
            id: instance.instance_id().unwrap().to_owned(),
            state: instance.state().and_then(|state| state.name()).unwrap().as_str().to_owned(),
            address: instance.private_ip_address().and_then(|address| address.parse().ok()),
            tags: instance
                .tags()
                .iter()
                .map(|tag| (tag.key().unwrap().to_owned(), tag.value().unwrap().to_owned()))
                .collect(),
        };
        answer.reservations().iter().flat_map(|reservation| reservation.instances()).map(instance).collect()
    }

    pub(super) fn worker(&self, instance: &Instance) -> Worker {
        self.workers.at(instance.address.expect("an instance without an address"))
    }

    /// Waits for something; a service that ends, and a deadline, are failures which show the log.
    pub(super) async fn until(&mut self, what: impl Display, happens: impl AsyncFn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while !happens(self).await {
            if let Some(Running { ends, .. }) = &mut self.running
                && ends.is_finished()
            {
                panic!("{what} did not happen: the service ended with {:?}\n{}", ends.await, self.log);
            }
            assert!(tokio::time::Instant::now() < deadline, "{what} did not happen within {DEADLINE:?}\n{}", self.log);
            sleep(LOOK_EVERY).await;
        }
    }

    /// The only instance, once its worker serves.
    pub(super) async fn first_worker(&mut self) -> (Instance, Worker) {
        self.until("a worker is configured", async |service| {
            let instances = service.instances().await;
            instances.iter().any(|instance| service.worker(instance).bundle().is_some())
        })
        .await;
        let [instance] = <[Instance; 1]>::try_from(self.instances().await).expect("one instance");
        let worker = self.worker(&instance);
        (instance, worker)
    }
}
