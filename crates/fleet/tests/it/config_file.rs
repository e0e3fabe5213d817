//! Configurations for tests: the smallest that runs, and what the test is about.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::aws::World;

/// A configuration of one runner. Its setters replace a key, or add one.
#[derive(Clone)]
pub(crate) struct ConfigFile {
    global: Table,
    fleet: Table,
    runner: Table,
    workers: Table,
}

impl ConfigFile {
    /// The runner `spot` with up to three workers in Frankfurt; all that the manager writes lies in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        let at = |name: &str| Value::from(folder.join(name).to_str().unwrap());
        let docker = Table::from_iter([("image".to_owned(), Value::from("alpine"))]);
        let empty = Self { global: Table::new(), fleet: Table::new(), runner: Table::new(), workers: Table::new() };
        empty
            .global("concurrent", 10)
            .fleet("manager", "ci")
            .fleet("state_dir", at("state"))
            .fleet("control_socket", at("control.sock"))
            .runner("name", "spot")
            .runner("url", "https://gitlab.example.com")
            .runner("token", "glrt-sesame-sesame-sesame")
            .runner("executor", "docker")
            .runner("limit", 3)
            .runner("docker", docker)
            .workers("api_token", "glpat-read")
            .workers("region", "eu-central-1")
            .workers("ami", "ami-0123456789abcdef0")
            .workers("instance_types", vec!["c8g.large"])
            .workers("subnets", vec!["subnet-0a1b2c3d4e5f60718"])
            .workers("security_groups", vec!["sg-0a1b2c3d4e5f60718"])
    }

    /// A key above all tables.
    pub(crate) fn global(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.global.insert(key.to_owned(), value.into());
        self
    }

    /// A key of `[fleet]`.
    pub(crate) fn fleet(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.fleet.insert(key.to_owned(), value.into());
        self
    }

    /// A key of `[[runners]]`.
    pub(crate) fn runner(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.runner.insert(key.to_owned(), value.into());
        self
    }

    /// A key of `[runners.fleet]`.
    pub(crate) fn workers(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.workers.insert(key.to_owned(), value.into());
        self
    }

    /// Workers in this emulated account; in which region is the environment's to say.
    pub(crate) fn workers_in(mut self, ec2: &World) -> Self {
        self.workers.remove("region");
        self.workers("ami", ec2.image.as_str())
            .workers("instance_types", vec!["c7g.large"])
            .workers("subnets", vec![ec2.subnets[0].as_str()])
            .workers("security_groups", vec![ec2.group.as_str()])
    }

    /// As it stands in a file.
    pub(crate) fn text(&self) -> String {
        let (mut all, mut runner) = (self.global.clone(), self.runner.clone());
        runner.insert("fleet".to_owned(), Value::Table(self.workers.clone()));
        all.insert("fleet".to_owned(), Value::Table(self.fleet.clone()));
        all.insert("runners".to_owned(), Value::Array(vec![Value::Table(runner)]));
        toml::to_string(&all).unwrap()
    }

    /// Writes it into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("config.toml");
        std::fs::write(&path, self.text()).unwrap();
        path
    }
}
