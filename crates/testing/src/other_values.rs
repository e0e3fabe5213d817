//! Another value for every key of our tables: what a test needs that asks whether a key is alive.

use toml::{Table, Value};

/// One key, and a value that `config/complete.toml` does not give it.
#[derive(Clone, Copy, Debug)]
pub struct Other {
    /// The table, by its path; empty for the file itself.
    pub table: &'static str,
    /// The key.
    pub key: &'static str,
    /// As TOML.
    pub value: &'static str,
}

const fn other(table: &'static str, key: &'static str, value: &'static str) -> Other {
    Other { table, key, value }
}

/// All of them.
pub const OTHERS: &[Other] = &[
    other("fleet", "manager", "'other'"),
    other("fleet", "state_dir", "'/other'"),
    other("fleet", "ssh_key", "'ssm:/other'"),
    other("fleet", "control_socket", "'/other'"),
    other("fleet", "page_hosts", "['other.example']"),
    other("fleet", "on_trouble", "{ url = 'https://other.example' }"),
    other("fleet.on_trouble", "command", "['/bin/other']"),
    other("fleet.on_trouble", "url", "'https://other.example'"),
    other("fleet.on_trouble", "severity", "'critical'"),
    other("fleet.on_trouble", "after", "'7m'"),
    other("fleet", "otlp", "'http://other.example:4318'"),
    other("runners.fleet", "api_token", "'glpat-other'"),
    other("runners.fleet", "projects", "[7]"),
    other("runners.fleet", "groups", "[7]"),
    other("runners.fleet", "retry_interrupted", "false"),
    other("runners.fleet", "region", "'us-east-1'"),
    other("runners.fleet", "ami", "'ami-1'"),
    other("runners.fleet", "instance_types", "['m8g.large']"),
    other("runners.fleet", "market", "'spot'"),
    other("runners.fleet", "on_demand_fallback", "true"),
    other("runners.fleet", "spot_max_price", "0.06"),
    other("runners.fleet", "budget", "{ usd = 70 }"),
    other("runners.fleet", "subnets", "['subnet-1']"),
    other("runners.fleet", "security_groups", "['sg-1']"),
    other("runners.fleet", "instance_profile", "'other'"),
    other("runners.fleet", "address", "'private'"),
    other("runners.fleet", "ssh_user", "'other'"),
    other("runners.fleet", "ssh_port", "23"),
    other("runners.fleet", "root_volume", "{ size_gib = 31 }"),
    other("runners.fleet", "metadata_hop_limit", "4"),
    other("runners.fleet", "tags", "{ other = 'x' }"),
    other("runners.fleet", "max_workers", "9"),
    other("runners.fleet", "capacity", "3"),
    other("runners.fleet", "max_jobs", "7"),
    other("runners.fleet", "max_age", "'7h'"),
    other("runners.fleet", "idle_count", "5"),
    other("runners.fleet", "idle_time", "7"),
    other("runners.fleet", "target_wait", "'20s'"),
    other("runners.fleet", "idle_count_min", "2"),
    other("runners.fleet", "idle_count_max", "9"),
    other("runners.fleet", "idle_scale_factor", "0.7"),
    other("runners.fleet", "max_booting", "7"),
    other("runners.fleet", "boot_timeout", "'9m'"),
    other("runners.fleet", "orphan_timeout", "'9m'"),
    other("runners.fleet", "setup_script", "'Cargo.toml'"),
    other("runners.fleet", "registry_mirrors", "['http://other']"),
    other("runners.fleet", "docker_daemon", "{ debug = true }"),
    other("runners.fleet", "proxy", "{ https = 'http://other:3128' }"),
    other("runners.fleet", "runner_version", "'19.3.0'"),
    other("runners.fleet", "runner_url", "'https://other'"),
    other("runners.fleet", "runner_sha256", "'abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd'"),
    other("runners.fleet", "schedule", "[{ periods = ['* * * * *'], idle_count = 1, idle_count_min = 1 }]"),
    other("runners.fleet", "ecr", "{ registries = ['public.ecr.aws'] }"),
    other("runners.fleet.root_volume", "size_gib", "61"),
    other("runners.fleet.root_volume", "type", "'io2'"),
    other("runners.fleet.root_volume", "encrypted", "false"),
    other("runners.fleet.root_volume", "iops", "4001"),
    other("runners.fleet.root_volume", "throughput", "251"),
    other("runners.fleet.root_volume", "kms_key_id", "'alias/other'"),
    other("runners.fleet.root_volume", "device", "'/dev/sda1'"),
    other("runners.fleet.schedule", "periods", "['* 9 * * *']"),
    other("runners.fleet.schedule", "timezone", "'Asia/Tokyo'"),
    other("runners.fleet.schedule", "idle_count", "9"),
    other("runners.fleet.schedule", "idle_count_min", "3"),
    other("runners.fleet.schedule", "idle_scale_factor", "2"),
    other("runners.fleet.schedule", "idle_time", "'21m'"),
    other("runners.fleet.schedule", "max_workers", "11"),
    other("runners.fleet.proxy", "http", "'http://other:3128'"),
    other("runners.fleet.proxy", "https", "'http://other:3128'"),
    other("runners.fleet.proxy", "no_proxy", "['other.example']"),
    other("runners.fleet.budget", "usd", "70"),
    other("runners.fleet.budget", "per", "'month'"),
    other("runners.fleet.ecr", "registries", "['public.ecr.aws']"),
    other("runners.fleet.ecr", "enabled", "false"),
    other("runners.fleet.ecr", "in_jobs", "false"),
    other("runners.fleet.ecr", "helper_version", "'0.10.1'"),
    other("runners.fleet.ecr", "helper_url", "'https://other'"),
    other("runners.fleet.ecr", "helper_sha256", "'abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd'"),
    other("", "concurrent", "51"),
    other("", "check_interval", "6"),
    other("", "listen_address", "''"),
    other("", "log_level", "'warn'"),
    other("", "log_format", "'text'"),
];

/// A change that only makes sense without another key.
const WITHOUT: &[(&str, &str)] = &[("type", "throughput"), ("encrypted", "kms_key_id")];

impl Other {
    /// The document with this value. `None`: it has no such table.
    pub fn in_place_of(&self, document: &Table) -> Option<Table> {
        let mut changed = document.clone();
        let value = format!("value = {}", self.value).parse::<Table>().ok()?.remove("value")?;
        let place = table(&mut changed, self.table)?;
        place.insert(self.key.to_owned(), value);
        let companions = WITHOUT.iter().filter(|(with, _)| *with == self.key && self.table.ends_with("root_volume"));
        for (_, companion) in companions {
            place.remove(*companion);
        }
        Some(changed)
    }
}

/// The table at a path; the first element of a list of tables.
pub fn table<'t>(document: &'t mut Table, path: &str) -> Option<&'t mut Table> {
    path.split('.').filter(|key| !key.is_empty()).try_fold(document, |table, key| match table.get_mut(key)? {
        Value::Table(table) => Some(table),
        Value::Array(tables) => tables.first_mut()?.as_table_mut(),
        _ => None,
    })
}
