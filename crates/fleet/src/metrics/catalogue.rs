//! Every family of `/metrics`: name, type, labels, meaning.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Metric, Registry};
use strum::IntoStaticStr;

/// A family of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Without the prefix `runner_fleet_`, and without what its type appends (`_total`).
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The names of its labels, in the order in which they are written.
    pub labels: &'static [&'static str],
    /// Its meaning.
    pub help: &'static str,
}

/// The types of families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Kind {
    /// A number of now.
    Gauge,
    /// A number since the start.
    Counter,
    /// A distribution since the start, in buckets.
    Histogram,
    /// A 1 whose labels are what it says.
    Info,
}

impl Described {
    /// The name under which it is found: with the prefix, and with what its type appends.
    pub fn full_name(&self) -> String {
        let prefix = if self.name.starts_with("process_") { "" } else { "runner_fleet_" };
        let suffix = match self.kind {
            Kind::Gauge | Kind::Histogram => "",
            Kind::Counter => "_total",
            Kind::Info => "_info",
        };
        format!("{prefix}{}{suffix}", self.name)
    }

    /// The unit of its numbers; nothing where they count something.
    pub fn unit(&self) -> &'static str {
        const UNITS: [(&str, &str); 5] = [
            ("usd_per_hour", "USD per hour"),
            ("usd", "USD"),
            ("seconds", "seconds"),
            ("bytes", "bytes"),
            ("ratio", "0 to 1"),
        ];
        UNITS.iter().find(|(sign, _)| self.name.contains(sign)).map_or("", |(_, unit)| unit)
    }

    /// Begins it where gauges are read from a snapshot.
    ///
    /// # Errors
    /// As the writer's.
    pub fn begin<'e>(&self, encoder: &'e mut DescriptorEncoder<'_>) -> Result<MetricEncoder<'e>, fmt::Error>
    where
        Self: 'e,
    {
        encoder.encode_descriptor(self.name, self.help, None, self.metric_type())
    }

    /// Registers what counts it.
    pub fn register(&self, registry: &mut Registry, metric: impl Metric) {
        registry.register(self.name, self.help, metric);
    }

    fn metric_type(&self) -> MetricType {
        match self.kind {
            Kind::Gauge => MetricType::Gauge,
            Kind::Counter => MetricType::Counter,
            Kind::Histogram => MetricType::Histogram,
            Kind::Info => MetricType::Info,
        }
    }
}

macro_rules! catalogue {
    ($($group:literal: $($id:ident = $name:literal, $kind:ident, [$($label:literal),*], $help:literal;)*)*) => {
        $($(
            #[doc = $help]
            pub const $id: Described =
                Described { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };
        )*)*

        /// All of them, in groups, in the order of docs/metrics.md.
        pub const ALL: &[(&str, &[Described])] = &[$(($group, &[$($id),*])),*];
    };
}

catalogue! {
    "Jobs":
    JOBS_RUNNING = "jobs_running", Gauge, ["runner"], "Jobs that run";
    JOBS_WAITING = "jobs_waiting", Gauge, ["runner"],
        "Jobs that wait and are counted for this runner; NaN while its queue is not known";
    JOBS_UNMATCHED = "jobs_unmatched", Gauge, [],
        "Waiting jobs that no runner here may take; NaN while a queue is not known";
    JOB_WAIT_SECONDS_MAX = "job_wait_seconds_max", Gauge, [],
        "The longest wait of a job that waits now; NaN while a queue is not known";
    JOB_WAIT_SECONDS = "job_wait_seconds", Histogram, ["runner"],
        "How long jobs were queued until a worker's runner took them; of a job that no look at the queue has shown, at most";
    JOBS_PROMISED = "jobs_promised", Counter, ["runner", "promise"],
        "Jobs whose wait was measured, and whether it was within target_wait: kept or broken";
    PROMISE_KEPT_RATIO = "promise_kept_ratio", Gauge, ["runner"],
        "Share of the jobs of the last week that waited no longer than target_wait, since the start alone; NaN without jobs";
    PROMISE_SECONDS = "promise_seconds", Gauge, ["runner"], "The promise: target_wait of the configuration";
    JOBS_TAKEN = "jobs_taken", Counter, ["runner"],
        "Jobs that workers have taken, by their runners' own counters; those beyond job_wait_seconds have an unknown wait";
    JOBS_LOST = "jobs_lost", Counter, ["runner"], "Jobs that ended with their worker, by its last report";
    JOBS_RETRIED = "jobs_retried", Counter, ["runner"],
        "Jobs that an interruption killed and that were queued again";

    "Verdict":
    VERDICT = "verdict", Gauge, [], "How bad it is: 0 nothing is wrong, 1 warning, 2 critical";
    TROUBLE = "trouble", Gauge, ["runner", "kind", "severity"],
        "Troubles of this kind and severity; runner is empty where one concerns all; absent where there is none";

    "Runners":
    IDLE_WANTED = "idle_wanted", Gauge, ["runner"], "Free job slots that the idle policy wants now";
    IDLE_READY = "idle_ready", Gauge, ["runner"], "Free job slots that are ready now";
    FORECAST_SLOTS = "forecast_slots", Gauge, ["runner"],
        "Free job slots that the forecast wants, before limits; absent without one";
    WORKERS_MAX = "workers_max", Gauge, ["runner"], "Workers that the runner may have now";
    HELD_BACK = "held_back", Gauge, ["runner", "kind"], "1 when a worker is wanted and none is launched, and why";
    BREAKER_OPEN = "breaker_open", Gauge, ["runner"],
        "1 while nothing is launched because workers in a row were of no use";
    OFFERINGS = "offerings", Gauge, ["runner"], "Types in zones that a launch may ask for";
    OFFERINGS_COOLING = "offerings_cooling", Gauge, ["runner"],
        "Those of them that are left alone for a while because EC2 gave none";
    PAUSED = "paused", Gauge, ["runner"], "1 when an operator has paused the runner";
    QUEUE_KNOWN = "queue_known", Gauge, ["runner"], "1 when the last poll of the queue is recent";
    PROJECTS_BLIND = "projects_blind", Gauge, ["runner"],
        "Projects of its server that the api token may not see: jobs there wait unseen";
    FACTS_KNOWN = "facts_known", Gauge, ["runner"], "1 when GitLab's last answer about the runner was good";
    LAUNCH_PLAN_KNOWN = "launch_plan_known", Gauge, ["runner"], "1 when the last preparation of launches was good";
    TOKEN_EXPIRES_SECONDS = "token_expires_seconds", Gauge, ["runner", "token"],
        "Seconds until the first of the runner's tokens ends, which GitLab refuses from then on; absent where none ends";

    "Workers":
    WORKERS = "workers", Gauge, ["runner", "state", "market"], "Workers, by runner, state and market";
    WORKERS_BY_TYPE = "workers_by_type", Gauge, ["type", "zone", "market"],
        "Workers, by instance type, zone and market; absent where there is none";
    WORKERS_UNPRICED = "workers_unpriced", Gauge, [], "Workers whose price is not known, and which the cost lacks";
    LAUNCHES = "launches", Counter, ["runner", "market", "reason"],
        "Launch calls, by the kind of their reason; launch-unanswered repeats one that got no answer";
    LAUNCHES_SHORT = "launches_short", Counter, [],
        "Launch calls that gave fewer workers than asked for, or none";
    WORKERS_LAUNCHED = "workers_launched", Counter, [], "Workers that the launch calls gave";
    BOOT_SECONDS = "boot_seconds", Histogram, ["runner", "type"],
        "From the decision to launch a worker until it is ready for jobs; of those that are";
    BOOT_PHASE_SECONDS = "boot_phase_seconds", Histogram, ["runner", "phase"],
        "The phases of boots, one after the other: launch-call, running, sshd, bootstrap, configured, first-request";
    BOOT_STEP_SECONDS = "boot_step_seconds", Histogram, ["runner", "step"],
        "The steps of the phase bootstrap; of the first, what was left of it when the worker could be reached";
    BOOTS_FAILED = "boots_failed", Counter, ["runner", "step"],
        "Boots that failed, by the step of the bootstrap, or the phase, at which they stood";
    WORKERS_UNFIT = "workers_unfit", Counter, [], "Workers that were unfit to run jobs";
    INTERRUPTIONS = "interruptions", Counter, ["runner"], "Spot interruption notices";
    WORKERS_ENDED = "workers_ended", Counter, ["runner", "reason"],
        "Workers that are gone, by the kind of the reason; taken-back (by EC2) and by-itself where the manager gave none";
    WORKERS_TERMINATED = "workers_terminated", Counter, [], "Workers whose end the manager asked EC2 for";
    DISOBEYED = "disobeyed", Counter, ["reason"],
        "Workers that did not do as they were told, by what they did not do: fence-failed, request-stuck, stop-failed";

    "Cost":
    COST_USD_PER_HOUR = "cost_usd_per_hour", Gauge, [],
        "What the workers of known price cost now; an estimate, instances alone";
    COST_USD = "cost_usd", Counter, ["runner", "account", "market"],
        "What workers have cost since the manager's start, in USD, as far as the price is known; docs/costs.md";
    COST_ON_DEMAND_USD = "cost_on_demand_usd", Counter, ["runner", "account", "market"],
        "What the same time would have cost on demand, in USD";
    PAID_SECONDS = "paid_seconds", Counter, ["runner", "account", "market"], "Workers' time that was paid for";
    UNPRICED_SECONDS = "unpriced_seconds", Counter, ["runner", "account", "market"],
        "That part of it whose price is not known";
    PROJECT_COST_USD = "project_cost_usd", Gauge, ["project"],
        "What jobs, and boots for them, have cost this month (UTC) so far: the dearest projects and the rest";
    MARKET_USD_PER_HOUR = "market_usd_per_hour", Gauge, ["runner", "market"],
        "The same by runner and market";

    "APIs":
    API_REQUESTS = "api_requests", Counter, ["api", "operation", "outcome"],
        "Requests on the wire, repetitions by the SDK included, and what came of them: ok, or the class of the failure";
    API_REQUEST_SECONDS = "api_request_seconds", Histogram, ["api", "operation"], "How long they took";
    EC2_KNOWN = "ec2_known", Gauge, [], "1 when the last listing of EC2 is recent";
    EC2_STALE_SECONDS = "ec2_stale_seconds", Gauge, [],
        "Age of the last listing once it is no longer recent; NaN before the first";
    FAILURE = "failure", Gauge, ["of", "name", "class"],
        "1 for what could not be read lately (ec2, queue, facts, launch-plan, prices), by the class of the last failure";

    "The manager":
    BUILD = "build", Info, ["version", "commit", "date"], "Which build this is";
    LAST_STEP = "last_step_timestamp_seconds", Gauge, [], "When the loop stepped last";
    STEP_SECONDS = "step_seconds", Histogram, [], "Time that a step took, with all it set off";
    EVENTS = "events", Counter, [], "Answers from the world taken in";
    COMMANDS = "commands", Counter, ["kind"], "Commands given, by kind";
    LAWS_BROKEN = "laws_broken", Counter, [], "Laws of the engine seen broken: anything above 0 is a bug";
    PROCESS_CPU = "process_cpu_seconds", Counter, [], "Processor time of the manager, user and system";
    PROCESS_RESIDENT = "process_resident_memory_bytes", Gauge, [], "Its resident memory";
    PROCESS_VIRTUAL = "process_virtual_memory_bytes", Gauge, [], "Its virtual memory";
    PROCESS_THREADS = "process_threads", Gauge, [], "Its threads";
    PROCESS_FDS = "process_open_fds", Gauge, [], "Its open files and sockets";
    PROCESS_FDS_MAX = "process_max_fds", Gauge, [], "How many it may open";
    PROCESS_START = "process_start_time_seconds", Gauge, [], "When it was started";
}
