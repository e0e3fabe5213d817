//! What a simulation takes for granted: every number that no workload and no configuration gives, with its source.

use std::time::Duration;

use serde::Serialize;

/// The numbers. The defaults are what their doc comments say.
#[derive(Clone, Debug, PartialEq)]
pub struct Assumptions {
    /// From launch to Docker and gitlab-runner being there, for the median boot; others take 0.7 to 2 times as long.
    /// 45 s: a plain Debian image that installs both, or a large prepared one.
    pub boot: Duration,
    /// Spot interruptions for each machine and hour. 0.005: somewhat above what AWS' Spot Instance Advisor calls the lowest
    /// class (below 5 % a month) for machines that live for hours.
    pub interruptions_per_hour: f64,
    /// How often a job that its machine took down is queued again: `retry: 1` with `runner_system_failure` in the job's YAML.
    pub retries: u32,
    /// The share of launches that one spot offering refuses for want of capacity.
    pub no_capacity: f64,
    /// The share of EC2 calls that are throttled.
    pub throttled: f64,
    /// Whether a job request that hangs when a job is queued comes back empty, and its runner asks again on its next round, up
    /// to 3 s later; otherwise it brings the job at once. True: GitLab Workhorse answers 204 when the queue has changed.
    pub held_end_empty: bool,
    /// The others only: job requests that a section has open at one time. 1: gitlab-runner's default.
    pub request_concurrency: u32,
    /// docker-autoscaler only: whether jobs are asked for only with a free slot. None: as its `idle_count` says, or, where
    /// policies are tuned, the better of both.
    pub preemptive: Option<bool>,
    /// docker+machine only: what it does on a booted machine over ssh before that takes a job, in about 20 connections one
    /// after the other: `apt-get update`, certificates, two restarts of Docker.
    pub machine_provisioning: Duration,
    /// docker+machine only: the processes that it runs on the manager between taking a job and beginning with it.
    pub machine_use: Duration,
    /// docker-autoscaler only: from a changed desired capacity to the group's launch.
    pub group_delay: (Duration, Duration),
    /// docker-autoscaler only: from a booted machine to one that is known and reached over ssh.
    pub group_ready: (Duration, Duration),
}

impl Default for Assumptions {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            boot: seconds(45),
            interruptions_per_hour: 0.005,
            retries: 1,
            held_end_empty: true,
            request_concurrency: 1,
            preemptive: None,
            no_capacity: 0.02,
            throttled: 0.002,
            machine_provisioning: seconds(64),
            machine_use: seconds(2),
            group_delay: (seconds(5), seconds(15)),
            group_ready: (seconds(2), seconds(5)),
        }
    }
}

/// One assumption, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assumed {
    /// What.
    pub what: &'static str,
    /// The number.
    pub value: String,
    /// Where it comes from.
    pub source: &'static str,
}

impl Assumptions {
    /// All of them, in words.
    pub fn list(&self, root_volume_gib: u32) -> Vec<Assumed> {
        [self.of_ec2(root_volume_gib), self.of_gitlab(), self.of_docker_machine(), self.of_docker_autoscaler()].concat()
    }

    fn of_ec2(&self, root_volume_gib: u32) -> Vec<Assumed> {
        vec![
            one("median boot, all policies", seconds(self.boot), "--boot; others take 0.7 to 2 times as long"),
            one("interruptions per spot machine and hour", self.interruptions_per_hour.to_string(), "--interruptions"),
            one(
                "a job lost with its machine is queued again",
                format!("{} times", self.retries),
                "retry: in the job's YAML",
            ),
            one(
                "spot offerings without capacity",
                percent(self.no_capacity),
                "assumed; at each launch, for each offering",
            ),
            one("EC2 calls throttled", percent(self.throttled), "assumed; runner-fleet only, the others are spared"),
            one("list prices", "eu-central-1, Linux".into(), "aws.amazon.com/ec2/pricing/on-demand"),
            one(
                "spot price",
                "35 % of the list price, ±15 % by type, zone and day".into(),
                "the usual discount; the same for all policies",
            ),
            one("EBS", format!("{root_volume_gib} GiB gp3 at 0.0952 USD a month"), "aws.amazon.com/ebs/pricing"),
        ]
    }

    fn of_gitlab(&self) -> Vec<Assumed> {
        vec![
            one("GitLab hands out a job", "20 to 400 ms after a free slot asks".into(), "the same for all policies"),
            one(
                "a job's own overhead",
                "0.6 to 5 s on its machine".into(),
                "the same for all policies; pulling its image",
            ),
            one(
                "a job request that hangs when a job is queued",
                if self.held_end_empty { "comes back empty; asked again within 3 s" } else { "brings the job at once" }
                    .into(),
                "--held-requests; GitLab Workhorse answers 204 when the queue has changed; the same for all policies",
            ),
            one("requests that collide (409)", "none".into(), "no rule is known; the same for all policies"),
            one("zones", "every subnet lies in a zone of its own".into(), "a configuration names no zones"),
            one("tags", "every runner may take every job".into(), "unless --tags says otherwise"),
            one(
                "the others: job requests open at one time",
                self.request_concurrency.to_string(),
                "--request-concurrency; request_concurrency of a section, 1 unless it is written",
            ),
        ]
    }

    fn of_docker_machine(&self) -> Vec<Assumed> {
        vec![
            one(
                "docker+machine: provisioning over ssh",
                seconds(self.machine_provisioning),
                "--machine-provisioning; 109 s from create to ready reported on AWS (gitlab-runner issue 28840), less the boot of 45 s",
            ),
            one(
                "docker+machine: from taking a job to beginning",
                seconds(self.machine_use),
                "8 docker-machine processes: config, url, inspect",
            ),
            one(
                "docker+machine: jobs at one time on a machine",
                "1, whatever capacity says".into(),
                "its executor knows no more",
            ),
            one(
                "docker+machine: type and zone",
                "the first of the configuration".into(),
                "its driver takes one of each",
            ),
            one(
                "docker+machine: EC2 calls",
                "15 to create, 3 to use, 4 to remove".into(),
                "docker-machine's amazonec2 driver, GitLab's fork",
            ),
        ]
    }

    fn of_docker_autoscaler(&self) -> Vec<Assumed> {
        vec![
            one(
                "docker-autoscaler: the group launches after",
                between(self.group_delay),
                "--group-delay; no source: EC2 Auto Scaling promises no time",
            ),
            one(
                "docker-autoscaler: preemptive_mode",
                match self.preemptive {
                    None => "on where idle slots are kept; tuned: the better of both",
                    Some(true) => "on",
                    Some(false) => "off",
                }
                .into(),
                "--preemptive-mode; PreemptiveModeEnabled in gitlab-runner's common/config.go",
            ),
            one(
                "docker-autoscaler: seen and reached after",
                between(self.group_ready),
                "update_interval_when_expecting = 2 s, a static ssh key",
            ),
        ]
    }
}

fn one(what: &'static str, value: String, source: &'static str) -> Assumed {
    Assumed { what, value, source }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

fn between((least, most): (Duration, Duration)) -> String {
    format!("{} to {} s", least.as_secs(), most.as_secs())
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1000.0).round() / 10.0)
}
