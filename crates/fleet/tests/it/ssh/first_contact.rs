//! A worker's first contact: by the host key of its launch template it is given one of its own, and nothing else; from then on
//! only that one is taken for it.

use std::sync::atomic::Ordering;

use runner_fleet::live::connection::HostKeys;
use runner_fleet::live::host_keys::host_keys;
use runner_fleet::ssh::ManagerKey;
use runner_fleet_engine::{ConnectionFailure, RunnerState, SystemId, WorkerEvent};
use russh::keys::PrivateKey;
use secrecy::ExposeSecret;
use tracing::Level;

use super::agent::Say;
use super::connections::{SECRET, World, this_runner, this_worker};
use super::server::handed_over;
use crate::log::Log;

fn keys(manager: &ManagerKey, may_be_new: bool) -> HostKeys {
    host_keys(&this_runner(), &this_worker(), manager, may_be_new)
}

fn key(of: &runner_fleet::ssh::HostKey) -> PrivateKey {
    PrivateKey::from_openssh(of.private_openssh.expose_secret()).unwrap()
}

/// What every job of the runner may have read in some worker's user-data.
fn of_template(world: &World) -> PrivateKey {
    key(&world.manager.host_key(this_runner().as_str()))
}

fn own(world: &World) -> PrivateKey {
    key(&world.manager.worker_host_key(this_runner().as_str(), this_worker().as_str()))
}

/// A worker that shows the launch template's host key, to a manager for which it may be new or not.
fn world(may_be_new: bool) -> World {
    let world = World::new(Say::Runner("absent"));
    world.worker.shows(of_template(&world));
    world.expects(keys(&world.manager, may_be_new));
    world
}

impl World {
    fn expects(&self, keys: HostKeys) {
        if let Ok(provision) = &mut *self.provision.lock().unwrap() {
            provision.host_keys = keys;
        }
    }

    /// Up to its configuration; fails if it is told anything else on the way.
    async fn is_met(&mut self) {
        let handover = self.told.next().await;
        let header = format!("host-key runner-fleet-host-key 1\nsystem-id {}\n", SystemId::of(&this_worker()));
        assert!(handover.starts_with(&header), "{handover}");
        assert_eq!(handed_over(&format!("{handover}\n")).public_key().key_data(), own(self).public_key().key_data());
        assert_eq!(self.told.next().await, format!("configure {SECRET}"));
        self.reported(RunnerState::Serving).await;
    }

    async fn is_refused_by_its_key(&mut self) {
        let failure = self.down().await;
        assert!(matches!(&failure, ConnectionFailure::WrongHostKey(_)), "{failure:?}");
        assert!(self.told.is_silent(), "somebody was told something");
    }
}

#[tokio::test]
async fn a_new_worker_gets_its_own_host_key_before_all_else() {
    let log = Log::start();
    let mut world = world(true);
    world.connect();

    world.up().await; // by the template's
    world.up().await; // by its own, and no failure between
    world.is_met().await;

    let private = own(&world).to_openssh(russh::keys::ssh_key::LineEnding::LF).unwrap();
    for secret in private.lines().filter(|line| !line.starts_with('-')) {
        assert!(!log.to_string().contains(secret), "the private half is in the log");
    }
    assert!(log.with(Level::WARN, "").is_empty(), "{log}");
    world.ends().await;
}

#[tokio::test]
async fn a_thief_of_the_templates_key_is_refused_afterwards() {
    let mut world = world(true);
    world.connect();
    world.up().await;
    world.up().await;
    world.is_met().await;

    world.worker.shows(of_template(&world));
    world.worker.cut();
    assert!(matches!(world.down().await, ConnectionFailure::Unreachable(_)));
    world.is_refused_by_its_key().await;

    // Nor does another address help.
    world.connections.connect(this_worker(), this_runner(), [10, 0, 0, 2].into(), None);
    world.is_refused_by_its_key().await;

    world.worker.shows(own(&world));
    world.up().await;
    world.reported(RunnerState::Serving).await;
    world.ends().await;
}

#[tokio::test]
async fn a_new_manager_knows_an_old_worker_by_its_own_key() {
    let mut world = world(false);
    world.connect();
    world.is_refused_by_its_key().await;
    assert_eq!(world.worker.logins(), 0);

    world.worker.shows(own(&world));

    world.up().await;
    world.reported(RunnerState::Absent).await;
    assert_eq!(world.told.next().await, format!("configure {SECRET}"));
}

/// A second manager, or one that was started again at once.
#[tokio::test]
async fn a_young_worker_with_its_own_key_is_not_given_it_again() {
    let mut world = world(true);
    world.worker.shows(own(&world));
    world.connect();
    world.up().await;
    world.reported(RunnerState::Absent).await;
    assert_eq!(world.told.next().await, format!("configure {SECRET}"));
    world.reported(RunnerState::Serving).await;
    world.ends().await;
}

#[tokio::test]
async fn a_worker_that_cannot_take_it_says_why_and_gets_no_token() {
    let mut world = world(true);
    *world.worker.answers.lock().unwrap() = (1, "runner-fleet: cannot write the host key; it stays".into());
    world.connect();
    for _ in 0..3 {
        let ConnectionFailure::Refused(why) = world.down_after_up().await else { panic!("another failure") };
        assert!(why.contains("agent host-key ended with status 1") && why.contains("cannot write"), "{why}");
        assert!(world.told.next().await.starts_with("host-key "), "it was told something else");
    }

    *world.worker.answers.lock().unwrap() = (0, String::new());

    while !matches!(world.event().await, WorkerEvent::Report(_)) {}
    loop {
        let told = world.told.next().await;
        if told == format!("configure {SECRET}") {
            break;
        }
        assert!(told.starts_with("host-key "), "{told}");
    }
}

/// As after an exchange that was cut in the middle.
#[tokio::test]
async fn an_agent_that_was_cut_short_is_given_it_again() {
    let mut world = world(true);
    world.worker.keeps_key.store(true, Ordering::Relaxed);
    world.connect();
    assert!(world.told.next().await.starts_with("host-key "));
    world.worker.keeps_key.store(false, Ordering::Relaxed);
    world.worker.cut();
    while !matches!(world.event().await, WorkerEvent::Report(_)) {}
    loop {
        match world.told.next().await {
            told if told == format!("configure {SECRET}") => return,
            told => assert!(told.starts_with("host-key "), "{told}"),
        }
    }
}

#[tokio::test]
async fn an_sshd_that_goes_on_showing_the_templates_gets_no_token() {
    let mut world = world(true);
    world.worker.keeps_key.store(true, Ordering::Relaxed);
    world.connect();

    let failure = world.down_after_up().await;

    assert!(matches!(&failure, ConnectionFailure::Refused(why) if why.contains("still shows")), "{failure:?}");
    for _ in 0..4 {
        assert!(world.told.next().await.starts_with("host-key "));
    }
}

#[tokio::test]
async fn an_agent_that_is_not_there_yet_is_given_it_later() {
    let mut world = world(true);
    world.worker.missing.store(3, Ordering::Relaxed);
    world.connect();
    world.up().await;
    for _ in 0..3 {
        assert_eq!(world.event().await, WorkerEvent::NoAgent);
    }
    world.up().await;
    world.is_met().await;
    world.ends().await;
}
