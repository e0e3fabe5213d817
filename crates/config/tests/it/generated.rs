//! Old files by chance: every place of a file, and what people write there.

use std::fmt::Write as _;

use proptest::prelude::*;

/// A place of a file.
pub(crate) struct Place {
    header: &'static str,
    /// Written whenever the place is.
    fixed: &'static str,
    /// Whether the place is written even with nothing chosen in it.
    is_required: bool,
    /// One line of each, at most. None says what its absence says, too.
    choices: &'static [&'static [&'static str]],
}

const fn place(
    header: &'static str,
    fixed: &'static str,
    is_required: bool,
    choices: &'static [&'static [&'static str]],
) -> Place {
    Place { header, fixed, is_required, choices }
}

const TOP: Place = place(
    "",
    "",
    true,
    &[&["concurrent = 12", "concurrent = 3", "concurrent = 200"], &["log_format = \"json\""], &["sentry_dsn = \"x\""]],
);
const SESSIONS: Place = place("[session_server]", "", false, &[&["listen_address = \"[::]:8093\""]]);
const OWNER: Place = place("[fleet]", "manager = \"ci\"", true, &[]);
const DOCKER: Place = place(
    "[runners.docker]",
    "image = \"alpine\"",
    false,
    &[&["privileged = true"], &["services = [\"mysql:8\"]"], &["tls_verify = false"], &["volumes = [\"/cache\"]"]],
);
const CACHE: Place = place(
    "[runners.cache]",
    "",
    false,
    &[&["Type = \"s3\"", "Type = \"gcs\""], &["BucketName = \"b\""], &["AccessKey = \"k\""], &["Shared = true"]],
);
const AROUND: &[&[&str]] = &[
    &["name = \"ci\"", "name = \"my runner\"", "name = \"other\""],
    &["limit = 10", "limit = 2", "limit = 40", "limit = -1"],
    &["pre_clone_script = \"a\""],
    &["pre_get_sources_script = \"b\""],
    &["tls-cert-file = \"/c\""],
    &["environment = [\"A=1\"]"],
];
const ANSWERS: &[&[&str]] = &[
    &["api_token = \"glpat-invented\""],
    &["ami = \"ami-1\""],
    &["subnets = [\"subnet-1\"]"],
    &["security_groups = [\"sg-1\"]"],
    &["instance_types = [\"c7g.large\"]"],
    &["capacity = 2", "capacity = 30"],
    &["max_workers = 4", "max_workers = 90"],
    &["idle_count = 5", "idle_count = \"auto\"", "idle_count = 60"],
    &["idle_count_min = 2"],
];
const VOLUME: Place =
    place("[runners.fleet.root_volume]", "", false, &[&["size_gib = 120"], &["type = \"gp3\""], &["throughput = 200"]]);
const DAEMON: Place = place(
    "[runners.fleet.docker_daemon]",
    "",
    false,
    &[&["mtu = 1300"], &["registry-mirrors = [\"https://new.example.com\"]"], &["flux = 1"]],
);
const TAGS: Place = place("[runners.fleet.tags]", "", false, &[&["team = \"new\""], &["Stage = \"prod\""]]);

const IDLE: &[&[&str]] = &[
    &["IdleCount = 1", "IdleCount = 30", "IdleCount = 4", "IdleCount = -3"],
    &["IdleCountMin = 2", "IdleCountMin = 50", "IdleCountMin = -1"],
    &["IdleScaleFactor = 0.5", "IdleScaleFactor = 2", "IdleScaleFactor = -1.0", "IdleScaleFactor = 900.0"],
    &["IdleTime = 600", "IdleTime = -5"],
];

/// Options of `MachineOptions`; those of one line exclude each other.
const OPTIONS: &[&[&str]] = &[
    &["amazonec2-region=eu-central-1"],
    &["amazonec2-instance-type=m6g.large", "amazonec2-instance-type=c7i.large"],
    &["amazonec2-ami=ami-0"],
    &["amazonec2-subnet-id=subnet-0", "amazonec2-subnet-id=net"],
    &["amazonec2-security-group=sg-0", "amazonec2-security-group=ci"],
    &["amazonec2-security-group=sg-2", "amazonec2-security-group=cache"],
    &["amazonec2-request-spot-instance"],
    &["amazonec2-spot-price=", "amazonec2-spot-price=0.03", "amazonec2-spot-price=much"],
    &["amazonec2-root-size=40"],
    &["amazonec2-volume-type=gp3", "amazonec2-volume-type=io1"],
    &["amazonec2-volume-encrypted"],
    &["amazonec2-volume-kms-key=alias/ci"],
    &["amazonec2-tags=team,old,gitlab-runner-parent-id,i-1", "amazonec2-tags=a,b,c"],
    &["amazonec2-userdata=/nonexistent/ud.sh"],
    &["amazonec2-launch-template=lt"],
    &["amazonec2-use-private-address"],
    &["amazonec2-ssh-user=admin", "amazonec2-ssh-user=A B"],
    &["engine-opt=mtu=1400"],
    &["engine-opt=default-ulimit=nofile=1024:2048"],
    &["engine-opt=flux=2"],
    &["engine-opt=registry-mirror=https://old.example.com"],
    &["engine-registry-mirror=https://older.example.com"],
];

const POLICY: &[&[&str]] = &[
    &["idle_count = 2", "idle_count = 70", "idle_count = -1"],
    &["idle_time = \"10m\"", "idle_time = \"1h30m\""],
    &["scale_factor = 0.5", "scale_factor = 2", "scale_factor = -1", "scale_factor = 500"],
    &["scale_factor_limit = 5", "scale_factor_limit = 91", "scale_factor_limit = -1"],
    &["periods = [\"* 8-17 * * mon-fri\"]", "periods = [\"0-30 13,16 * * SUN\"]", "periods = [\"1 * * * * *\"]"],
    &["timezone = \"Europe/Berlin\"", "timezone = \"Local\""],
    &["preemptive_mode = true"],
];

const MACHINE: &[Place] = &[
    TOP,
    SESSIONS,
    OWNER,
    place("[[runners]]", "url = \"https://g.example.com\"\ntoken = \"t\"\nexecutor = \"docker+machine\"", true, AROUND),
    DOCKER,
    CACHE,
    place("[runners.machine]", "MachineDriver = \"amazonec2\"\nMachineName = \"m-%s\"\nMaxBuilds = 10", true, IDLE),
    place("MachineOptions = [", "", true, OPTIONS),
    place("[[runners.machine.autoscaling]]", "Periods = [\"* * 9-17 * * mon-fri *\"]\nTimezone = \"UTC\"", false, IDLE),
    place("[[runners.machine.autoscaling]]", "Periods = [\"* * * * * sat,sun *\"]\nTimezone = \"UTC\"", false, IDLE),
    place("[runners.fleet]", "", false, ANSWERS),
    VOLUME,
    DAEMON,
    TAGS,
];

const AUTOSCALER: &[Place] = &[
    TOP,
    SESSIONS,
    OWNER,
    place(
        "[[runners]]",
        "url = \"https://g.example.com\"\ntoken = \"t\"\nexecutor = \"docker-autoscaler\"",
        true,
        AROUND,
    ),
    DOCKER,
    CACHE,
    place(
        "[runners.autoscaler]",
        "plugin = \"aws\"",
        true,
        &[
            &["capacity_per_instance = 4", "capacity_per_instance = 100", "capacity_per_instance = -2"],
            &["max_use_count = 1", "max_use_count = 50", "max_use_count = -1"],
            &["max_instances = 10", "max_instances = 1", "max_instances = 500"],
            &["update_interval = \"1m\""],
        ],
    ),
    place(
        "[runners.autoscaler.plugin_config]",
        "name = \"asg\"",
        true,
        &[&["region = \"eu-central-1\""], &["project = \"x\""]],
    ),
    place(
        "[runners.autoscaler.connector_config]",
        "",
        false,
        &[&["username = \"ubuntu\""], &["use_external_addr = true"]],
    ),
    place("[[runners.autoscaler.policy]]", "", false, POLICY),
    place("[[runners.autoscaler.policy]]", "", false, POLICY),
    place("[[runners.autoscaler.policy]]", "", false, POLICY),
    place("[runners.fleet]", "", false, ANSWERS),
    VOLUME,
    DAEMON,
    TAGS,
];

/// What is chosen at each place, in order.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    is_machine: bool,
    lines: Vec<usize>,
}

/// How many lines may be chosen in a file, at most.
fn count(places: &[Place]) -> usize {
    places.iter().map(|place| place.choices.len()).sum()
}

pub(crate) fn chosen() -> impl Strategy<Value = Chosen> {
    // Two of three are there: a file with an answer to everything is no rare one.
    let lines = prop::collection::vec(0_usize..9, count(MACHINE).max(count(AUTOSCALER)));
    (any::<bool>(), lines).prop_map(|(is_machine, lines)| Chosen { is_machine, lines })
}

impl Chosen {
    fn places(&self) -> &'static [Place] {
        if self.is_machine { MACHINE } else { AUTOSCALER }
    }

    /// The file. A line that is taken out leaves an empty one, so that all others stand where they stood.
    pub(crate) fn text(&self) -> String {
        let mut chosen = self.lines.iter();
        let mut text = String::new();
        for place in self.places() {
            let is_list = place.header.ends_with('[');
            let lines: Vec<&str> = place
                .choices
                .iter()
                .map(|lines| chosen.next().filter(|index| **index < 6).map_or("", |index| lines[index % lines.len()]))
                .collect();
            if !place.is_required && lines.iter().all(|line| line.is_empty()) {
                continue;
            }
            writeln!(text, "{}\n{}", place.header, place.fixed).unwrap();
            for line in lines {
                let line = if is_list && !line.is_empty() { format!("{line:?},") } else { line.to_owned() };
                writeln!(text, "{line}").unwrap();
            }
            if is_list {
                writeln!(text, "]").unwrap();
            }
        }
        text
    }

    /// The same files without one line each, and the line.
    pub(crate) fn without_each(&self) -> Vec<(&'static str, Self)> {
        let groups = self.places().iter().flat_map(|place| place.choices);
        let with_index = groups.zip(&self.lines).enumerate().filter(|(_, (_, index))| **index < 6);
        with_index
            .map(|(place, (lines, index))| {
                let mut less = self.clone();
                less.lines[place] = usize::MAX;
                (lines[index % lines.len()], less)
            })
            .collect()
    }
}
