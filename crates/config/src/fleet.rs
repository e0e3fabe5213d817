//! `[runners.fleet]`: every key of our table, read and checked.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::key::{Key, Kind, words};
use super::node::{Node, Table};
use super::pins::GITLAB_RUNNER;
use super::problems::Report;
use super::reader::Reader;
use super::secret::TokenOf;
use super::sizes::{self, Around};
use super::tool::{self, ToolKeys};
use super::{
    Address, Proxy, RootVolume, RunnerFleet, SetupScript, budget, doubts, duration, ecr, ecr_wiring, files, ids, names,
    proxy, schedule, trust, values, volume,
};
use runner_fleet_engine::Market;
use runner_fleet_engine::settings::BOOT_TIMEOUT;

/// The keys of the table, in the order of the documentation.
pub(crate) const KEYS: &[Key] = &[
    Key::optional("api_token", Kind::Text),
    Key::optional("projects", Kind::List(&Kind::IdOrPath)),
    Key::optional("groups", Kind::List(&Kind::IdOrPath)),
    Key::optional("retry_interrupted", Kind::Boolean),
    Key::optional("region", ids::REGION),
    Key::required("ami", ids::AMI),
    Key::required("instance_types", Kind::SomeOf(&Kind::Text)),
    Key::optional("market", Kind::Word(&[&words(&MARKETS)])),
    Key::optional("on_demand_fallback", Kind::Boolean),
    Key::optional("spot_max_price", Kind::Price),
    Key::optional("budget", Kind::Table(budget::KEYS)),
    Key::required("subnets", Kind::SomeOf(&ids::SUBNET)),
    Key::required("security_groups", Kind::SomeOf(&ids::SECURITY_GROUP)),
    Key::optional("instance_profile", Kind::Text),
    Key::optional("address", Kind::Word(&[&words(&ADDRESSES)])),
    Key::optional("ssh_user", Kind::Like("^[a-z_][a-z0-9_.-]*$")),
    Key::optional("ssh_port", Kind::Whole(1, PORT_MAX)),
    Key::optional("root_volume", Kind::Table(volume::KEYS)),
    Key::optional("metadata_hop_limit", Kind::Whole(1, HOPS_MAX)),
    Key::optional("tags", names::TAGS),
    Key::optional("max_workers", values::POSITIVE),
    Key::optional("capacity", values::POSITIVE),
    Key::optional("max_jobs", values::COUNT),
    Key::optional("max_age", Kind::Time),
    Key::optional("idle_count", Kind::IdleCount),
    Key::optional("idle_time", Kind::IdleTime),
    Key::optional("target_wait", Kind::Time),
    Key::optional("idle_count_min", values::COUNT),
    Key::optional("idle_count_max", values::COUNT),
    Key::optional("idle_scale_factor", values::FACTOR),
    Key::optional("max_booting", values::COUNT),
    Key::optional("boot_timeout", Kind::Time),
    Key::optional("orphan_timeout", Kind::Time),
    Key::optional("setup_script", Kind::Text),
    Key::optional("registry_mirrors", Kind::List(&values::WEB_ADDRESS)),
    Key::optional("docker_daemon", Kind::AnyTable),
    Key::optional("proxy", Kind::Table(proxy::KEYS)),
    Key::optional("runner_version", tool::VERSION),
    Key::optional("runner_url", values::WEB_ADDRESS),
    Key::optional("runner_sha256", tool::SHA256),
    Key::optional("schedule", Kind::Tables(schedule::KEYS)),
    Key::optional("ecr", Kind::Table(ecr::KEYS)),
];

const RUNNER: ToolKeys = ToolKeys { version: "runner_version", url: "runner_url", sha256: "runner_sha256" };

const MARKETS: [(&str, Market); 2] = [("spot", Market::Spot), ("on-demand", Market::OnDemand)];
const ADDRESSES: [(&str, Address); 2] = [("private", Address::Private), ("public", Address::Public)];

const DEFAULT_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_ORPHAN_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// The manager is heard every 10 s; one lost line must not end a worker.
const ORPHAN_TIMEOUT_MIN: Duration = Duration::from_secs(15);
/// EC2's own bound of `HttpPutResponseHopLimit`.
const HOPS_MAX: u32 = 64;
const PORT_MAX: u32 = 65_535;
/// A setup script travels to every worker.
const SETUP_SCRIPT_BYTES_MAX: u64 = 64 * 1024;

/// What the table is read with.
pub(crate) struct Context<'a> {
    pub(crate) around: Around,
    /// Where relative paths start.
    pub(crate) directory: &'a Path,
    /// Required keys whose absence a translation has reported already.
    pub(crate) excused: &'a [&'static str],
}

/// Reads the table.
#[expect(clippy::too_many_lines, reason = "one key after the other, in the order of the documentation")]
pub(crate) fn read(table: &Table, context: &Context<'_>, report: &mut Report) -> Option<RunnerFleet> {
    let reader = Reader::new(table, KEYS).excusing(context.excused);
    let r = &reader;

    let api_token = r.or("api_token", None, report, |node| values::token(node, TokenOf::Api).map(Some));
    let sees_queue = r.has("api_token") || context.excused.contains(&"api_token");
    let around = Around { sees_queue, ..context.around };
    let projects = r.list_or_empty("projects", report, values::id_or_path);
    let groups = r.list_or_empty("groups", report, values::id_or_path);
    let retry_interrupted = r.or("retry_interrupted", false, report, values::boolean);
    check_token_users(r, retry_interrupted, report);

    let region = r.or("region", None, report, |node| ids::region(node).map(Some));
    let ami = r.required("ami", "ami = \"ami-…\" or \"ssm:/path/of/parameter\"", report, ids::ami);
    let types = r.required_list("instance_types", "instance_types = [\"c8g.large\"]", report, ids::instance_type);
    let types = types.zip(r.node("instance_types")).and_then(|(types, at)| ids::one_architecture(at, types, report));
    let arch = types.as_ref().map(|(_, arch)| *arch);
    let market = r.or("market", Market::Spot, report, |node| values::word(node, &MARKETS));
    let on_demand_fallback = r.or("on_demand_fallback", true, report, values::boolean);
    let spot_max_price = r.or("spot_max_price", None, report, |node| values::price(node).map(Some));
    let budget = r.table_or("budget", None, report, |table, report| budget::read(table, report).map(Some));
    let subnets = r.required_list("subnets", "subnets = [\"subnet-…\"]", report, ids::subnet);
    let groups_example = "security_groups = [\"sg-…\"]";
    let security_groups = r.required_list("security_groups", groups_example, report, ids::security_group);
    let instance_profile = r.or("instance_profile", None, report, |node| ids::instance_profile(node).map(Some));
    let address = r.or("address", Address::Private, report, |node| values::word(node, &ADDRESSES));
    let ssh_user = r.or("ssh_user", "admin".to_owned(), report, ssh_user);
    let ssh_port = r.or("ssh_port", 22, report, port);
    let root_volume = r.table_or("root_volume", RootVolume::default(), report, volume::read);
    let tags = r.table_or("tags", BTreeMap::new(), report, names::tags);

    let sizes = sizes::read(r, around, report);
    let second = Duration::from_secs(1);
    let max_age = r.or("max_age", DEFAULT_MAX_AGE, report, |node| duration::at_least(node, second));
    let boot_timeout = r.or("boot_timeout", BOOT_TIMEOUT, report, |node| duration::at_least(node, second));
    let orphan_timeout =
        r.or("orphan_timeout", DEFAULT_ORPHAN_TIMEOUT, report, |node| duration::at_least(node, ORPHAN_TIMEOUT_MIN));

    let setup_script = r.or("setup_script", None, report, |node| script(node, context.directory).map(Some));
    let registry_mirrors = r.list_or_empty("registry_mirrors", report, trust::mirror);
    let docker_daemon = r.table_or("docker_daemon", toml::Table::new(), report, |table, _| Some(table.to_toml()));
    check_mirrors(r, report);
    let proxy = r.table_or("proxy", Proxy::default(), report, proxy::read);
    warn_of_daemon_proxies(r, report);
    let gitlab_runner = tool::read(r, RUNNER, &GITLAB_RUNNER, arch, report);
    let ecr = r.table_or("ecr", None, report, |table, report| {
        ecr::read(table, arch, region.as_ref().and_then(Option::as_deref), report).map(Some)
    });
    let in_jobs = ecr.as_ref().is_some_and(|ecr| ecr.as_ref().is_some_and(|ecr| ecr.enabled && ecr.in_jobs));
    if let Some(Some(ecr)) = &ecr
        && ecr.needs_role()
        && !r.has("instance_profile")
    {
        let told = "the workers have no role to log in with; write instance_profile = \"…\", whose role has the policy \
                    that `runner-fleet iam-policy --worker` prints";
        report.warn(&r.at("ecr"), told);
    }
    doubts::in_fleet(r, arch, report);
    if let Some(Some(script)) = &setup_script {
        let has_table = ecr.as_ref().is_some_and(|ecr| ecr.as_ref().is_some_and(|ecr| ecr.enabled));
        let told = ecr_wiring::setup_script(&script.content, has_table);
        told.into_iter().for_each(|told| report.warn(&r.at("setup_script"), told));
    }
    let hops = r.or("metadata_hop_limit", if in_jobs { 2 } else { 1 }, report, hop_limit);
    reader.finish(report);

    let (instance_types, arch) = types?;
    let sizes = sizes?;
    Some(RunnerFleet {
        api_token: api_token?,
        projects: projects?,
        groups: groups?,
        retry_interrupted: retry_interrupted?,
        region: region?,
        ami: ami?,
        instance_types,
        arch,
        market: market?,
        on_demand_fallback: on_demand_fallback?,
        spot_max_price: spot_max_price?,
        budget: budget?,
        subnets: subnets?,
        security_groups: security_groups?,
        instance_profile: instance_profile?,
        address: address?,
        ssh_user: ssh_user?,
        ssh_port: ssh_port?,
        root_volume: root_volume?,
        metadata_hop_limit: hops?,
        tags: tags?,
        max_workers: sizes.max_workers,
        capacity: sizes.capacity,
        max_jobs: sizes.max_jobs,
        max_age: max_age?,
        idle_count: sizes.idle_count,
        idle_time: sizes.idle_time,
        target_wait: sizes.target_wait,
        idle_count_min: sizes.idle_count_min,
        idle_count_max: sizes.idle_count_max,
        idle_scale_factor: sizes.idle_scale_factor,
        max_booting: sizes.max_booting,
        boot_timeout: boot_timeout?,
        orphan_timeout: orphan_timeout?,
        setup_script: setup_script?,
        registry_mirrors: registry_mirrors?,
        docker_daemon: docker_daemon?,
        proxy: proxy?,
        gitlab_runner: gitlab_runner?,
        schedule: sizes.schedule,
        ecr: ecr?,
    })
}

/// Keys that need the queue to be seen.
fn check_token_users(reader: &Reader<'_>, retry_interrupted: Option<bool>, report: &mut Report) {
    if reader.has("api_token") {
        return;
    }
    if retry_interrupted == Some(true) {
        report.problem(
            &reader.at("retry_interrupted"),
            "retrying a job needs api_token with the scope `api`; write api_token, or false",
        );
    }
    for key in ["projects", "groups"] {
        if reader.has(key) {
            report.warn(&reader.at(key), "has no effect without api_token");
        }
    }
}

/// dockerd refuses to start when a setting is given twice; and no login belongs in either.
fn check_mirrors(reader: &Reader<'_>, report: &mut Report) {
    let Some(daemon) = reader.node("docker_daemon").and_then(Node::as_table) else { return };
    let Some(mirrors) = daemon.get("registry-mirrors") else { return };
    if reader.has("registry_mirrors") {
        report.problem(&mirrors.at, "also given as registry_mirrors; write the mirrors in one place");
    }
    trust::check_daemon_mirrors(mirrors, report);
}

/// The key of Docker 23 and later stops every earlier dockerd.
fn warn_of_daemon_proxies(reader: &Reader<'_>, report: &mut Report) {
    let daemon = reader.node("docker_daemon").and_then(Node::as_table);
    if let Some(proxies) = daemon.and_then(|daemon| daemon.get("proxies")) {
        let told = "Docker before 23 does not start with this key, and gitlab-runner and the boot's downloads know nothing of \
                    it; write [runners.fleet.proxy] instead";
        report.warn(&proxies.at, told);
    }
}

/// A login name as useradd(8) takes it.
fn ssh_user(node: &Node) -> Result<String, String> {
    let name = values::text(node)?;
    let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let rest = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.'));
    if first && rest && name.len() <= 32 {
        Ok(name)
    } else {
        Err(format!("{} is not a login name; write one like \"admin\", \"ubuntu\" or \"ec2-user\"", node.shown()))
    }
}

fn port(node: &Node) -> Result<u16, String> {
    let number = values::whole(node, 1, PORT_MAX)?;
    u16::try_from(number).map_err(|_| format!("{number} is not a port"))
}

fn hop_limit(node: &Node) -> Result<u8, String> {
    let number = values::whole(node, 1, HOPS_MAX)?;
    u8::try_from(number).map_err(|_| format!("{number} is too many hops"))
}

fn script(node: &Node, directory: &Path) -> Result<SetupScript, String> {
    let path = directory.join(values::text(node)?);
    match files::read_small(&path, SETUP_SCRIPT_BYTES_MAX) {
        Ok(content) => Ok(SetupScript { path, content }),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}
