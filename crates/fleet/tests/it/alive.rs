//! Every key of our tables is alive: another value has another effect. An effect is what the engine is told, what workers are
//! launched from and configured with, how they are reached, or what GitLab and EC2 are asked with; not that another value
//! was read, which would be true of a key that is dropped after that.

use runner_fleet::live::regions::Regions;
use runner_fleet::live::setup::Setup;
use runner_fleet::live::worker_spec::launch_spec;
use runner_fleet::live::world::provision;
use runner_fleet::ssh::ManagerKey;
use runner_fleet_config::{Surroundings, parse_in};
use runner_fleet_engine::WorkerId;
use runner_fleet_testing::other_values::OTHERS;
use secrecy::{ExposeSecret, SecretString};

use crate::ssh::server::manager_key;

/// Keys of the process itself, and what they are for: nothing that is launched, told or asked follows from them.
const OF_THE_PROCESS: &[(&str, &str, &str)] = &[
    ("", "listen_address", "where the pages are"),
    ("", "log_level", "what is logged"),
    ("", "log_format", "how it is logged"),
    ("fleet", "state_dir", "where the SSH key lies"),
    ("fleet", "ssh_key", "where the SSH key lies as well"),
    ("fleet", "control_socket", "where operators are answered"),
    ("fleet", "page_hosts", "under which names the pages are shown"),
    ("fleet", "on_trouble", "who is told of troubles"),
    ("fleet.on_trouble", "command", "who is told of troubles"),
    ("fleet.on_trouble", "url", "who is told of troubles"),
    ("fleet.on_trouble", "severity", "of which troubles they are told"),
    ("fleet.on_trouble", "after", "when they are told"),
    ("fleet", "otlp", "who is told of metrics and jobs"),
];

#[tokio::test]
async fn another_value_of_any_key_has_another_effect() {
    let (key, regions) = (manager_key(), Regions::default());
    let complete = complete();
    let base = effects(&complete, &key, &regions).await;
    assert_eq!(effects(&complete, &key, &regions).await, base, "the same file has the same effects");
    for other in OTHERS {
        let changed = effects(&other.in_place_of(&complete).unwrap(), &key, &regions).await;
        let is_of_the_process = OF_THE_PROCESS.iter().any(|(table, key, _)| (*table, *key) == (other.table, other.key));
        assert_eq!(changed == base, is_of_the_process, "{other:?}");
    }
}

/// The complete example, without what only lies on an administrator's machine.
fn complete() -> toml::Table {
    let text = include_str!("../../../../config/complete.toml");
    let mut document: toml::Table = text.parse().unwrap();
    let runner = document["runners"][0].as_table_mut().unwrap();
    runner.insert("token".to_owned(), "glrt-AbCdEfGhIjKlMnOpQrSt".into());
    runner["fleet"].as_table_mut().unwrap().insert("api_token".to_owned(), "glpat-AbCdEfGhIjKlMnOp1234".into());
    runner.remove("tls-ca-file").unwrap();
    document
}

/// All that follows from a configuration, by where it goes.
async fn effects(document: &toml::Table, key: &ManagerKey, regions: &Regions) -> [(&'static str, String); 5] {
    let text = toml::to_string(document).unwrap();
    let loaded = parse_in(&text, "config.toml", &Surroundings::default()).unwrap_or_else(|why| panic!("{why}\n{text}"));
    let setup = Setup::prepare(loaded.config, None, regions, 1).await.unwrap();
    let runner = &setup.runners[0];
    let launch = launch_spec(&setup.config, &runner.runner, key).unwrap();
    let reached = provision(&setup.config, runner, key, &WorkerId::new("i-1"), false);
    let login = (&reached.user, reached.port, &reached.host_keys.own_public);
    let token = runner.api_token.as_ref().map(SecretString::expose_secret);
    [
        ("the engine is told", format!("{:?}", setup.settings)),
        ("workers are launched from", format!("{launch:?} in {}", runner.aws.region())),
        ("workers are reached by", format!("{login:?}")),
        ("workers are configured with", reached.bundle.expose_secret().to_owned()),
        ("GitLab is asked with", format!("{token:?} {:?}", runner.restriction())),
    ]
}
