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
    // One place only: dockerd does not start with two. What the user wrote has the choice.
    if let Some(flags) = daemon.get("registry-mirrors").filter(|_| pen.is_given("registry_mirrors")) {
        let nodes = flags.as_array().unwrap_or_default();
        nodes.iter().for_each(|node| pen.gives_way(&node.at, "registry_mirrors"));
        daemon.entries.retain(|(key, _)| key != "registry-mirrors");
    }
    let mirrors: Vec<&Given> = mirrors.into_iter().filter(|given| is_mirror(given, pen)).collect();
    let Some(first) = mirrors.first() else { return };
    let in_daemon = pen.given("docker_daemon").and_then(Node::as_table).and_then(|table| table.get("registry-mirrors"));
    if in_daemon.is_some() {
        mirrors.iter().for_each(|given| pen.gives_way(&given.at, "docker_daemon.registry-mirrors"));
        return;
    }
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
    let name = name.trim_start_matches('-');
    let Some((key, shape)) = DOCKERD.iter().find(|(flag, _)| *flag == name) else {
        unknown_flag(name, at, pen);
        return;
    };
    let text = value.unwrap_or("true");
    let wrong = format!("{} is not a value of dockerd's {key}", shown_text(text));
    let item = match shape {
        Shape::Text => Some(Item::String(text.to_owned())),
        Shape::Number => text.parse().ok().map(Item::Integer),
        Shape::Boolean => text.parse().ok().map(Item::Boolean),
        Shape::List("registry-mirrors") if !is_mirror(given, pen) => return,
        Shape::List(plural) => {
            match (*plural, address_pool(text, at)) {
                ("default-address-pools", Some(pool)) => add_node(daemon, plural, pool),
                ("default-address-pools", None) => {
                    pen.error(at, format!("{wrong}; write \"base=10.10.0.0/16,size=24\""))
                }
                _ => add_to_list(daemon, plural, at, text),
            }
            return;
        }
        Shape::Map(plural) => {
            match (*plural, text.split_once('=')) {
                ("default-ulimits", limit) => match limit.and_then(|(name, limit)| ulimit(name, limit, at)) {
                    Some((name, limit)) => add_to_map(daemon, plural, name, limit),
                    None => pen.error(at, format!("{wrong}; write \"nofile=65536:65536\"")),
                },
                (_, Some((name, value))) => add_to_map(daemon, plural, name, Node::text(at, value)),
                (_, None) => pen.error(at, wrong),
            }
            return;
        }
    };
    match item {
        Some(item) => put(daemon, key, Node::new(at, item)),
        None => pen.error(at, wrong),
    }
}

/// dockerd refuses a key that it does not know, so an unknown flag is refused here, unless the user says it otherwise.
fn unknown_flag(name: &str, at: &At, pen: &mut Pen<'_>) {
    let user = pen.given("docker_daemon").and_then(Node::as_table);
    let given =
        user.and_then(|daemon| daemon.entries.iter().find(|(key, _)| key == name || *key == format!("{name}s")));
    match given {
        Some((key, _)) => pen.gives_way(at, &format!("docker_daemon.{key}")),
        None => pen.error(
            at,
            format!(
                "{} is no dockerd option that daemon.json takes; remove it, or write it in [runners.fleet.docker_daemon]",
                shown_text(name)
            ),
        ),
    }
}

/// `base=10.10.0.0/16,size=24`. Source: dockerd's `--default-address-pool`.
fn address_pool(text: &str, at: &At) -> Option<Node> {
    let mut pool = Table::empty(at);
    for part in text.split(',') {
        match part.trim().split_once('=')? {
            ("base", base) => pool.push("base", Node::text(at, base)),
            ("size", size) => pool.push("size", Node::new(at, Item::Integer(size.parse().ok()?))),
            _ => return None,
        }
    }
    (pool.entries.len() == 2).then(|| Node::new(at, Item::Table(pool)))
}

/// `nofile=SOFT[:HARD]`. Source: dockerd's `--default-ulimit`, and its key in daemon.json.
fn ulimit<'t>(name: &'t str, limits: &str, at: &At) -> Option<(&'t str, Node)> {
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let mut limit = Table::empty(at);
    limit.push("Name", Node::text(at, name));
    limit.push("Soft", Node::new(at, Item::Integer(soft.parse().ok()?)));
    limit.push("Hard", Node::new(at, Item::Integer(hard.parse().ok()?)));
    Some((name, Node::new(at, Item::Table(limit))))
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
    add_node(daemon, key, Node::text(at, value));
}

fn add_node(daemon: &mut Table, key: &str, node: Node) {
    if let Some(Node { item: Item::Array(nodes), .. }) = daemon.get_mut(key) {
        nodes.push(node);
    } else {
        let at = node.at.clone();
        daemon.push(key, Node { at, item: Item::Array(vec![node]) });
    }
}

fn add_to_map(daemon: &mut Table, key: &str, name: &str, node: Node) {
    if let Some(Node { item: Item::Table(table), .. }) = daemon.get_mut(key) {
        put(table, name, node);
    } else {
        // At the place of all options, so that it can be told from what stands at one of them.
        let at = node.at.clone();
        let mut table = Table::empty(&daemon.at);
        table.push(name, node);
        daemon.push(key, Node { at, item: Item::Table(table) });
    }
}
