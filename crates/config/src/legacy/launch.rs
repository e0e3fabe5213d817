//! `amazonec2-*`: what is launched, and how it is reached.

use super::super::files;
use super::super::names;
use super::super::node::{Item, Node, Table, shown_text};
use super::options::{Given, Options};
use super::translation::Pen;
use runner_fleet_engine::{Arch, InstanceType};

/// docker-machine's default image is an Ubuntu of years ago; this is a current one with the same login.
const UBUNTU: &str = "ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/";
/// docker-machine's defaults.
const DEFAULT_REGION: &str = "us-east-1";
const DEFAULT_TYPE: &str = "t2.micro";
const DEFAULT_USER: &str = "ubuntu";
const DEFAULT_SPOT_PRICE: &str = "0.50";
const DEFAULT_ROOT_GIB: i64 = 16;
const DEFAULT_VOLUME: &str = "gp2";
/// EC2's own bound of user-data, before encoding.
const USERDATA_BYTES_MAX: u64 = 16 * 1024;
const DEFAULT_DEVICE: &str = "/dev/sda1";

/// Translates all of them.
pub(crate) fn translate(options: &Options, pen: &mut Pen<'_>) {
    credentials(options, pen);
    image_and_types(options, pen);
    network(options, pen);
    market(options, pen);
    root_volume(options, pen);
    identity(options, pen);
    connection(options, pen);
    not_kept(options, pen);
}

fn credentials(options: &Options, pen: &mut Pen<'_>) {
    for name in ["amazonec2-access-key", "amazonec2-secret-key", "amazonec2-session-token"] {
        if let Some(given) = options.text(name) {
            pen.note(&given.at, format!("`{name}` is not taken over: give the manager a role, or set the standard AWS variables for its service"));
        }
    }
    match options.text("amazonec2-region") {
        Some(given) => pen.set_text("region", &given.at, &given.value),
        None if !pen.is_given("region") => {
            pen.set_default_text("region", &options.at, DEFAULT_REGION);
            pen.note(&options.at, format!("no amazonec2-region: docker-machine's default {DEFAULT_REGION} is kept"));
        }
        None => {}
    }
    if let Some(given) = options.text("amazonec2-endpoint") {
        pen.note(&given.at, "`amazonec2-endpoint` is not taken over: set AWS_ENDPOINT_URL for the service");
    }
    if let Some((at, true)) = options.boolean("amazonec2-insecure-transport") {
        if options.text("amazonec2-endpoint").is_some() {
            pen.note(&at, "`amazonec2-insecure-transport` is not taken over: AWS_ENDPOINT_URL says http or https");
        } else {
            pen.error(&at, "insecure transport needs an endpoint; remove it, or set amazonec2-endpoint");
        }
    } else if let Some((at, false)) = options.boolean("amazonec2-insecure-transport") {
        pen.note(&at, "`amazonec2-insecure-transport=false` is how it is anyway");
    }
}

fn image_and_types(options: &Options, pen: &mut Pen<'_>) {
    let template = options.text("amazonec2-launch-template");
    let types = options.all("amazonec2-instance-type");
    let types: Vec<&Given> = types.iter().filter(|given| !given.value.is_empty()).collect();
    match (types.as_slice(), template) {
        ([], Some(template)) => asks_template("instance_types", template, pen),
        ([], None) if pen.is_given("instance_types") => {}
        ([], None) => {
            pen.set_default("instance_types", &options.at, Item::Array(vec![Node::text(&options.at, DEFAULT_TYPE)]));
            pen.note(&options.at, format!("no amazonec2-instance-type: docker-machine's default {DEFAULT_TYPE} is kept; more types find more spot capacity"));
        }
        ([first, rest @ ..], _) => {
            if !rest.is_empty() && !options.is_on("amazonec2-use-fleet") {
                pen.note(
                    &first.at,
                    "all instance types are kept, in order; docker-machine without fleets used the last one only",
                );
            }
            pen.set(
                "instance_types",
                &first.at,
                Item::Array(types.iter().map(|given| Node::text(&given.at, &given.value)).collect()),
            );
        }
    }
    match (options.text("amazonec2-ami"), template) {
        (Some(given), _) => pen.set_text("ami", &given.at, &given.value),
        (None, Some(template)) => asks_template("ami", template, pen),
        (None, None) if pen.is_given("ami") => {}
        (None, None) => {
            let arch = if is_arm(types.first().copied(), pen) { "arm64" } else { "amd64" };
            let image = format!("{UBUNTU}{arch}/hvm/ebs-gp3/ami-id");
            pen.set_default_text("ami", &options.at, &image);
            pen.note(
                &options.at,
                format!("no amazonec2-ami: docker-machine's own image is years old, so {image} is used"),
            );
        }
    }
    if let Some((at, true)) = options.boolean("amazonec2-use-fleet") {
        pen.note(&at, "`amazonec2-use-fleet`: several types and subnets are always used here");
    }
    if let Some(given) = template {
        pen.note(&given.at, format!("the launch template {} is not read: what it says counts if it stands in [runners.fleet] (instance_profile, root_volume, market, tags, … too)", shown_text(&given.value)));
    }
}

/// Whether workers are of the arm64 kind: by what the user wrote, else by the options.
fn is_arm(first: Option<&Given>, pen: &Pen<'_>) -> bool {
    let user = pen.given("instance_types").and_then(Node::as_array).and_then(|nodes| nodes.first()?.as_str());
    let name = user.or(first.map(|given| given.value.as_str()));
    name.is_some_and(|name| Arch::of(&InstanceType::new(name)) == Some(Arch::Arm64))
}

fn asks_template(key: &'static str, template: &Given, pen: &mut Pen<'_>) {
    let why = format!("the launch template {} cannot be read here: look it up there", shown_text(&template.value));
    pen.missing(key, &template.at, why);
}

fn network(options: &Options, pen: &mut Pen<'_>) {
    let template = options.text("amazonec2-launch-template");
    let subnets: Vec<&Given> =
        options.all("amazonec2-subnet-id").iter().filter(|given| !given.value.is_empty()).collect();
    match (subnets.first(), template) {
        (Some(first), _) => {
            pen.set("subnets", &first.at, Item::Array(subnets.iter().map(|given| Node::text(&given.at, &given.value)).collect()));
        }
        (None, Some(template)) => asks_template("subnets", template, pen),
        (None, None) => pen.missing("subnets", &options.at, "without amazonec2-subnet-id docker-machine took the first subnet of VPC and zone; here their ids are needed"),
    }
    if let Some(given) = options.text("amazonec2-vpc-id") {
        pen.note(&given.at, "`amazonec2-vpc-id` is not needed: the subnets say which VPC");
    }
    if let Some(given) = options.text("amazonec2-zone") {
        pen.note(&given.at, "`amazonec2-zone` is not needed: the subnets say which zones");
    }
    security_groups(options, template, pen);
    if let Some((at, _)) = options.boolean("amazonec2-security-group-readonly") {
        pen.note(&at, "`amazonec2-security-group-readonly`: security groups are never changed here; the group must let the manager reach the SSH port");
    }
    for given in options.all("amazonec2-open-port") {
        pen.note(
            &given.at,
            format!("port {} is not opened: add the rule to your security group", shown_text(&given.value)),
        );
    }
}

/// Ids are kept. One name among them, and the list is the administrator's to write: with all that is known told there.
fn security_groups(options: &Options, template: Option<&Given>, pen: &mut Pen<'_>) {
    let groups = options.all("amazonec2-security-group").iter().filter(|given| !given.value.is_empty());
    let (ids, names): (Vec<&Given>, Vec<&Given>) = groups.partition(|given| given.value.starts_with("sg-"));
    let list = |groups: &[&Given]| groups.iter().map(|given| shown_text(&given.value)).collect::<Vec<_>>().join(", ");
    match (names.as_slice(), ids.first(), template) {
        ([_, ..], _, _) if pen.is_given("security_groups") => {
            names.iter().chain(&ids).for_each(|given| pen.gives_way(&given.at, "security_groups"));
        }
        ([first, others @ ..], _, _) => {
            let (is_name, ids_are) = if others.is_empty() {
                ("is the name of a security group", "ids are needed")
            } else {
                ("are names of security groups", "their ids are needed")
            };
            let known = if ids.is_empty() { String::new() } else { format!(", beside [{}]", list(&ids)) };
            let why = format!("{} {is_name}; here {ids_are}{known}", list(&names));
            pen.missing("security_groups", &first.at, why);
        }
        ([], Some(first), _) => pen.set(
            "security_groups",
            &first.at,
            Item::Array(ids.iter().map(|given| Node::text(&given.at, &given.value)).collect()),
        ),
        ([], None, Some(template)) => asks_template("security_groups", template, pen),
        ([], None, None) => pen.missing(
            "security_groups",
            &options.at,
            "docker-machine made and used a security group named docker-machine; none is made here, and ids are needed",
        ),
    }
}

fn market(options: &Options, pen: &mut Pen<'_>) {
    let spot = options.is_on("amazonec2-request-spot-instance");
    let at = options.boolean("amazonec2-request-spot-instance").map_or_else(|| options.at.clone(), |(at, _)| at);
    if spot {
        pen.set_text("market", &at, "spot");
    } else {
        pen.set_default_text("market", &at, "on-demand");
    }
    let cki = options.is_on("amazonec2-use-fleet") || options.text("amazonec2-launch-template").is_some();
    match (spot, options.raw("amazonec2-spot-price")) {
        (true, given) => {
            if !pen.is_given("on_demand_fallback") {
                pen.set_default("on_demand_fallback", &at, Item::Boolean(false));
                pen.note(
                    &at,
                    "on_demand_fallback = false, as docker-machine has none; true lets jobs run when spot has no capacity",
                );
            }
            match given {
                Some(given) if given.value.is_empty() => {
                    pen.note(&given.at, "an empty spot price is the on-demand price, which is the default here");
                }
                Some(given) => pen.set_text("spot_max_price", &given.at, &given.value),
                None if cki || pen.is_given("spot_max_price") => {}
                None => {
                    pen.set_default_text("spot_max_price", &at, DEFAULT_SPOT_PRICE);
                    pen.note(&at, format!("no amazonec2-spot-price: docker-machine's default of {DEFAULT_SPOT_PRICE} USD is kept; without a limit fewer launches fail"));
                }
            }
        }
        (false, Some(given)) => {
            pen.note(&given.at, "`amazonec2-spot-price` has no effect without amazonec2-request-spot-instance")
        }
        (false, None) => {}
    }
    if let Some((at, minutes)) =
        options.integer("amazonec2-block-duration-minutes").filter(|(_, minutes)| *minutes != 0)
    {
        pen.note(
            &at,
            format!("`amazonec2-block-duration-minutes={minutes}` is left out: AWS ended spot blocks in 2022"),
        );
    }
}

fn root_volume(options: &Options, pen: &mut Pen<'_>) {
    let at = |given: Option<&Given>| given.map_or_else(|| options.at.clone(), |given| given.at.clone());
    let mut volume = Table::empty(&options.at.clone());
    let size = options.integer("amazonec2-root-size").map_or(DEFAULT_ROOT_GIB, |(_, size)| size);
    volume.push("size_gib", Node::new(&at(options.raw("amazonec2-root-size")), Item::Integer(size)));
    let kind = options.text("amazonec2-volume-type");
    volume.push("type", Node::text(&at(kind), kind.map_or(DEFAULT_VOLUME, |given| &given.value)));
    let encrypted = options.is_on("amazonec2-volume-encrypted");
    volume.push("encrypted", Node::new(&at(options.raw("amazonec2-volume-encrypted")), Item::Boolean(encrypted)));
    if let Some(given) = options.text("amazonec2-volume-kms-key") {
        volume.push("kms_key_id", Node::text(&given.at, &given.value));
    }
    let speeds = |table: &&Table| table.get("iops").is_some() || table.get("throughput").is_some();
    let user = pen.given("root_volume").and_then(Node::as_table);
    if kind.is_none() && user.as_ref().is_some_and(speeds) {
        // What has a speed of its own is no gp2.
        volume.entries.retain(|(key, _)| key != "type");
    }
    if let Some(given) = options.text("amazonec2-device-name") {
        if given.value == DEFAULT_DEVICE {
            pen.note(&given.at, "`amazonec2-device-name` is not needed: the image says its root device");
        } else {
            pen.note(&given.at, format!("`amazonec2-device-name={}` is left out: the image says its root device, and another one would be a second disk", given.value));
        }
    }
    let place = options.at.clone();
    pen.set("root_volume", &place, Item::Table(volume));
    plain_volume(options, pen);
}

/// docker-machine's volume is an old type, and in clear.
fn plain_volume(options: &Options, pen: &mut Pen<'_>) {
    let volume = pen.fleet().get("root_volume").and_then(Node::as_table);
    let is_plain = volume.is_some_and(|volume| {
        volume.get("type").and_then(Node::as_str) == Some(DEFAULT_VOLUME)
            || volume.get("encrypted").is_some_and(|node| matches!(node.item, Item::Boolean(false)))
    });
    if is_plain {
        pen.note(
            &options.at,
            "the root volume is kept as docker-machine makes it; type = \"gp3\" and encrypted = true are better",
        );
    }
}

fn identity(options: &Options, pen: &mut Pen<'_>) {
    if let Some(given) = options.text("amazonec2-iam-instance-profile") {
        pen.set_text("instance_profile", &given.at, &given.value);
    }
    if let Some(given) = options.text("amazonec2-tags") {
        tags(given, options, pen);
    }
    if let Some(given) = options.text("amazonec2-userdata") {
        userdata(given, pen);
    }
    if let Some(given) = options.text("amazonec2-metadata-token").filter(|given| given.value != "required") {
        pen.note(&given.at, "IMDSv2 is always required here; programs that only know IMDSv1 get no credentials");
    }
    if let Some((at, hops)) = options.integer("amazonec2-metadata-token-response-hop-limit") {
        pen.set("metadata_hop_limit", &at, Item::Integer(hops));
        if hops == 1 {
            let told = "kept: no job in a container reaches the worker's role then, so that `docker pull` from ECR in a job needs a \
                        role of the job's own; write 2 to let jobs have the worker's";
            pen.note(&at, told);
        }
    }
}

/// `k1,v1,k2,v2`
fn tags(given: &Given, options: &Options, pen: &mut Pen<'_>) {
    let words: Vec<&str> = given.value.split(',').map(str::trim).collect();
    let mut table = Table::empty(&options.at);
    for pair in words.chunks(2) {
        match pair {
            [key, _] if *key == "Name" => pen.note(&given.at, "the tag `Name` is left out: every worker gets its own"),
            [key, _] if names::whose_tag(key).is_some() => {
                let whose = names::whose_tag(key).unwrap_or_default();
                pen.note(&given.at, format!("the tag {} is left out: {whose}", shown_text(key)));
            }
            [key, value] => {
                table.entries.retain(|(other, _)| other != key);
                table.push(key, Node::text(&given.at, *value));
            }
            _ => pen.note(
                &given.at,
                format!("{} in amazonec2-tags has no value and was never set", shown_text(&pair.concat())),
            ),
        }
    }
    pen.set("tags", &given.at, Item::Table(table));
}

/// A script can run here as well, at the end of boot; a cloud-config document cannot.
fn userdata(given: &Given, pen: &mut Pen<'_>) {
    if pen.is_given("setup_script") {
        pen.gives_way(&given.at, "setup_script");
        return;
    }
    let path = &given.value;
    let whole = pen.outside().directory.join(path);
    match files::read_small(&whole, USERDATA_BYTES_MAX).map(|content| content.starts_with("#!")) {
        Ok(true) => {
            pen.set_text("setup_script", &given.at, path);
            pen.note(&given.at, "`amazonec2-userdata` runs as setup_script, at the end of boot, as root");
        }
        Ok(false) => {
            let script = format!("{path}.sh");
            let why = format!(
                "{} is no script (#!) and cannot be merged with our user-data; write what it does as a script, say {}",
                shown_text(path),
                shown_text(&script)
            );
            pen.missing_but("setup_script", &given.at, why, script);
        }
        Err(error) => {
            let why = format!("cannot read the user-data file {}: {error}", shown_text(path));
            pen.missing_but("setup_script", &given.at, why, path.clone());
        }
    }
}

fn connection(options: &Options, pen: &mut Pen<'_>) {
    let only = options.boolean("amazonec2-private-address-only").filter(|(_, on)| *on);
    let used = options.boolean("amazonec2-use-private-address").filter(|(_, on)| *on);
    match (only, used) {
        (Some((at, _)), _) => pen.set_text("address", &at, "private"),
        (None, Some((at, _))) => {
            pen.set_text("address", &at, "private");
            pen.note(&at, "workers get no public address here; with docker-machine each had one, unused and paid for");
        }
        (None, None) => pen.set_default_text("address", &options.at, "public"),
    }
    match options.text("amazonec2-ssh-user") {
        Some(given) => pen.set_text("ssh_user", &given.at, &given.value),
        None => pen.set_default_text("ssh_user", &options.at, DEFAULT_USER),
    }
    if let Some((at, port)) = options.integer("amazonec2-ssh-port") {
        pen.set("ssh_port", &at, Item::Integer(port));
    }
    let key = options.text("amazonec2-ssh-keypath");
    if let Some(given) = key {
        pen.note(&given.at, "`amazonec2-ssh-keypath` is not used: the manager makes one key of its own");
    }
    if let Some(given) = options.text("amazonec2-keypair-name") {
        if key.is_some() {
            pen.note(&given.at, "`amazonec2-keypair-name` is not used: the manager makes one key of its own");
        } else {
            pen.error(&given.at, "a key pair needs amazonec2-ssh-keypath, as in docker-machine; remove it: the manager makes one key of its own");
        }
    }
}

fn not_kept(options: &Options, pen: &mut Pen<'_>) {
    let mut note = |name: &str, text: &str, when: fn(bool) -> bool| {
        if let Some((at, _)) = options.boolean(name).filter(|(_, on)| when(*on)) {
            pen.note(&at, format!("`{name}` {text}"));
        }
    };
    note("amazonec2-monitoring", "is left out: detailed monitoring is not switched on here", |on| on);
    note("amazonec2-use-ebs-optimized-instance", "is left out: all current types are EBS optimised", |on| on);
    if let Some((at, _)) = options.integer("amazonec2-retries") {
        pen.note(&at, "`amazonec2-retries` is left out: retries, rate limit and back-off are built in");
    }
}
