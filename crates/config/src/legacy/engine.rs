//! `engine-*`, `swarm-*`, `tls-san`: how docker-machine set up Docker; here it becomes the worker's daemon.json.
//!
//! Source of the names: Docker docs, "dockerd", daemon configuration file.

use super::super::node::{At, Item, Node, Table, shown_text};
use super::super::{EcrHost, proxy, trust};
use super::options::{Given, Options};
use super::translation::Pen;

/// What a dockerd flag becomes in daemon.json.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Number,
    Boolean,
    /// Repeatable: a list under the plural key.
    List(&'static str),
    /// Repeatable `name=value`: a table under the plural key.
    Map(&'static str),
}

/// dockerd's flags that have a key in daemon.json; those not listed are refused, because dockerd refuses unknown keys.
const DOCKERD: &[(&str, Shape)] = &[
    ("bip", Shape::Text),
    ("bridge", Shape::Text),
    ("cgroup-parent", Shape::Text),
    ("data-root", Shape::Text),
    ("debug", Shape::Boolean),
    ("default-address-pool", Shape::List("default-address-pools")),
    ("default-shm-size", Shape::Text),
    ("default-ulimit", Shape::Map("default-ulimits")),
    ("dns", Shape::List("dns")),
    ("dns-opt", Shape::List("dns-opts")),
    ("dns-search", Shape::List("dns-search")),
    ("exec-opt", Shape::List("exec-opts")),
    ("experimental", Shape::Boolean),
    ("fixed-cidr", Shape::Text),
    ("fixed-cidr-v6", Shape::Text),
    ("icc", Shape::Boolean),
    ("insecure-registry", Shape::List("insecure-registries")),
    ("ip", Shape::Text),
    ("ip-forward", Shape::Boolean),
    ("ip-masq", Shape::Boolean),
    ("iptables", Shape::Boolean),
    ("ipv6", Shape::Boolean),
    ("label", Shape::List("labels")),
    ("live-restore", Shape::Boolean),
    ("log-driver", Shape::Text),
    ("log-level", Shape::Text),
    ("log-opt", Shape::Map("log-opts")),
    ("max-concurrent-downloads", Shape::Number),
    ("max-concurrent-uploads", Shape::Number),
    ("max-download-attempts", Shape::Number),
    ("mtu", Shape::Number),
    ("no-new-privileges", Shape::Boolean),
    ("registry-mirror", Shape::List("registry-mirrors")),
    ("selinux-enabled", Shape::Boolean),
    ("shutdown-timeout", Shape::Number),
    ("storage-driver", Shape::Text),
    ("storage-opt", Shape::List("storage-opts")),
    ("userland-proxy", Shape::Boolean),
    ("userns-remap", Shape::Text),
];

/// Storage drivers that Docker has removed.
const GONE_DRIVERS: [&str; 3] = ["aufs", "devicemapper", "overlay"];

const DEFAULT_INSTALL_URL: &str = "https://get.docker.com";

/// Translates all of them.
pub(crate) fn translate(options: &Options, pen: &mut Pen<'_>) {
    let mut daemon = Table::empty(&options.at);
    for given in options.all("engine-opt") {
        engine_opt(given, &mut daemon, pen);
    }
    for (option, key) in [("engine-insecure-registry", "insecure-registries"), ("engine-label", "labels")] {
        for given in options.all(option) {
            add_to_list(&mut daemon, key, &given.at, &given.value);
        }
    }
    if let Some(given) = options.text("engine-storage-driver") {
        storage_driver(given, &mut daemon, pen);
    }
    let mut proxies = Table::empty(&options.at);
    for given in options.all("engine-env") {
        engine_env(given, &mut proxies, pen);
    }
    if let Some((_, first)) = proxies.entries.first() {
        let at = first.at.clone();
        pen.set("proxy", &at, Item::Table(proxies));
    }
    mirrors(options, &mut daemon, pen);
    if !daemon.entries.is_empty() {
        let at = daemon.entries.first().map_or_else(|| options.at.clone(), |(_, node)| node.at.clone());
        pen.set("docker_daemon", &at, Item::Table(daemon));
    }
    if let Some(given) = options.text("engine-install-url").filter(|given| given.value != DEFAULT_INSTALL_URL) {
        pen.note(
            &given.at,
            "`engine-install-url` is left out: Docker comes with the image or from the distribution's packages",
        );
    }
    for given in options.all("tls-san") {
        pen.note(&given.at, "`tls-san` is left out: Docker has no TCP port here, and no certificate");
    }
    swarm(options, pen);
}

/// Whether it can be a mirror at all; one that cannot was none before either.
fn is_mirror(given: &Given, pen: &mut Pen<'_>) -> bool {
    let (_, address) = given.value.split_once('=').unwrap_or(("", &given.value));
    let registry = EcrHost::in_text(address);
    if let Some(registry) = &registry {
        pen.note(&given.at, format!("left out: {}", trust::no_mirror(registry)));
    }
    registry.is_none()
}

fn mirrors(options: &Options, daemon: &mut Table, pen: &mut Pen<'_>) {
    let mirrors: Vec<&Given> =
        options.all("engine-registry-mirror").iter().filter(|given| !given.value.is_empty()).collect();
    let mirrors: Vec<&Given> = mirrors.into_iter().filter(|given| is_mirror(given, pen)).collect();
    let Some(first) = mirrors.first() else { return };
    // One place only: dockerd does not start with two.
    if daemon.get("registry-mirrors").is_some() {
        for given in &mirrors {
            add_to_list(daemon, "registry-mirrors", &given.at, &given.value);
        }
        return;
    }
    let nodes = mirrors.iter().map(|given| Node::text(&given.at, &given.value)).collect();
    pen.set("registry_mirrors", &first.at, Item::Array(nodes));
}

/// `X=Y`, as dockerd's `--X=Y`.
fn engine_opt(given: &Given, daemon: &mut Table, pen: &mut Pen<'_>) {
    let at = &given.at;
    let (name, value) =
        given.value.split_once('=').map_or((given.value.as_str(), None), |(name, value)| (name, Some(value)));
    let known = DOCKERD.iter().find(|(flag, _)| *flag == name.trim_start_matches('-'));
    let Some((key, shape)) = known else {
        pen.error(at, format!("{} is no dockerd option that daemon.json takes; remove it, or write it in [runners.fleet.docker_daemon]", shown_text(name)));
        return;
    };
    let text = value.unwrap_or("true");
    let item = match shape {
        Shape::Text => Some(Item::String(text.to_owned())),
        Shape::Number => text.parse().ok().map(Item::Integer),
        Shape::Boolean => text.parse().ok().map(Item::Boolean),
        Shape::List(plural) if *plural == "default-address-pools" => {
            pen.error(
                at,
                "address pools are a list of tables in daemon.json; write them in [runners.fleet.docker_daemon]",
            );
            return;
        }
        Shape::List("registry-mirrors") if !is_mirror(given, pen) => return,
        Shape::List(plural) => {
            add_to_list(daemon, plural, at, text);
            return;
        }
        Shape::Map(plural) if *plural == "default-ulimits" => {
            pen.error(
                at,
                "limits are tables in daemon.json; write them in [runners.fleet.docker_daemon.default-ulimits]",
            );
            return;
        }
        Shape::Map(plural) => match text.split_once('=') {
            Some((name, value)) => {
                add_to_map(daemon, plural, at, name, value);
                return;
            }
            None => None,
        },
    };
    match item {
        Some(item) => put(daemon, key, Node::new(at, item)),
        None => pen.error(at, format!("{} is not a value of dockerd's {key}", shown_text(text))),
    }
}

fn storage_driver(given: &Given, daemon: &mut Table, pen: &mut Pen<'_>) {
    if GONE_DRIVERS.contains(&given.value.as_str()) {
        pen.error(
            &given.at,
            format!("Docker has no storage driver {} any more; remove the option", shown_text(&given.value)),
        );
    } else if given.value == "overlay2" {
        pen.note(&given.at, "`engine-storage-driver=overlay2` is left out: it is Docker's default");
    } else {
        put(daemon, "storage-driver", Node::text(&given.at, &given.value));
    }
}

/// Proxies have a table of ours, which every release of Docker follows; any other variable has none.
fn engine_env(given: &Given, proxies: &mut Table, pen: &mut Pen<'_>) {
    let (name, value) = given.value.split_once('=').unwrap_or((given.value.as_str(), ""));
    let key = match name.to_ascii_uppercase().as_str() {
        "HTTP_PROXY" => "http",
        "HTTPS_PROXY" => "https",
        "NO_PROXY" => {
            let (good, bad): (Vec<&str>, Vec<&str>) = value
                .split(',')
                .map(str::trim)
                .filter(|host| !host.is_empty())
                .partition(|host| proxy::is_exception(host));
            for host in bad {
                pen.note(&given.at, format!("{} is no host, and left out of no_proxy", shown_text(host)));
            }
            let nodes = good.into_iter().map(|host| Node::text(&given.at, host)).collect();
            put(proxies, "no_proxy", Node::new(&given.at, Item::Array(nodes)));
            return;
        }
        _ => {
            pen.note(
                &given.at,
                format!(
                    "the variable {} of dockerd is left out: set it in a setup_script, or in the image",
                    shown_text(name)
                ),
            );
            return;
        }
    };
    if value.is_empty() {
        return;
    }
    let address = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    if trust::has_login(&address) {
        if pen.is_given("proxy") {
            pen.note(&given.at, format!("{name} is left out: {}", proxy::LOGIN));
        } else {
            pen.error(&given.at, format!("{}, or write [runners.fleet.proxy] and leave this out", proxy::LOGIN));
        }
        return;
    }
    put(proxies, key, Node::text(&given.at, address));
}

fn swarm(options: &Options, pen: &mut Pen<'_>) {
    for name in ["swarm", "swarm-master", "swarm-experimental"] {
        match options.boolean(name) {
            Some((at, true)) => pen.error(&at, format!("`{name}`: standalone Swarm is no more; remove it")),
            Some((at, false)) => pen.note(&at, format!("`{name}` is left out: standalone Swarm is no more")),
            None => {}
        }
    }
    for name in
        ["swarm-image", "swarm-discovery", "swarm-strategy", "swarm-host", "swarm-addr", "swarm-opt", "swarm-join-opt"]
    {
        if let Some(given) = options.raw(name) {
            pen.note(&given.at, format!("`{name}` is left out: standalone Swarm is no more"));
        }
    }
}

/// Sets a key; a repeated one is replaced, as the last flag wins.
fn put(daemon: &mut Table, key: &str, node: Node) {
    daemon.entries.retain(|(other, _)| other != key);
    daemon.push(key, node);
}

fn add_to_list(daemon: &mut Table, key: &str, at: &At, value: &str) {
    let node = Node::text(at, value);
    if let Some((_, Node { item: Item::Array(nodes), .. })) = daemon.entries.iter_mut().find(|(other, _)| other == key)
    {
        nodes.push(node);
    } else {
        daemon.push(key, Node::new(at, Item::Array(vec![node])));
    }
}

fn add_to_map(daemon: &mut Table, key: &str, at: &At, name: &str, value: &str) {
    let node = Node::text(at, value);
    if let Some((_, Node { item: Item::Table(table), .. })) = daemon.entries.iter_mut().find(|(other, _)| other == key)
    {
        put(table, name, node);
    } else {
        let mut table = Table::empty(at);
        table.push(name, node);
        daemon.push(key, Node::new(at, Item::Table(table)));
    }
}
