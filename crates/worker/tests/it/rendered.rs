//! Golden files of everything that is rendered, and the promises that a golden file cannot state.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use runner_fleet_engine::SystemId;
use runner_fleet_worker::{
    Proxy, USER_DATA_MAX, WorkerSpec, bundle, config_without_ecr, docker_config, fenced_config, render, runner_config,
    user_data, worker_name,
};
use secrecy::{ExposeSecret, SecretString};

use super::specs::{HOST_KEY, TOKEN, complete, minimal, token, worker};
use runner_fleet_testing::golden::compare;
use runner_fleet_testing::tools::{found, left_out};

/// Compares with a file of `tests/golden`.
fn golden(name: &str, made: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    compare(&path, made).unwrap_or_else(|difference| panic!("{difference}"));
}

/// The text inside user-data, as cloud-init unpacks it.
pub(super) fn cloud_config(spec: &WorkerSpec) -> String {
    let mut text = String::new();
    GzDecoder::new(user_data(spec).unwrap().as_bytes()).read_to_string(&mut text).unwrap();
    text
}

/// The files that cloud-init would write: path to mode and content. Reads the two kinds of YAML text that we write.
pub(super) fn written_files(spec: &WorkerSpec) -> BTreeMap<String, (String, String)> {
    let config = cloud_config(spec);
    let part = config.split("write_files:\n").nth(1).unwrap().split("runcmd:\n").next().unwrap();
    part.split("- path: ")
        .skip(1)
        .map(|file| {
            let (path, rest) = file.split_once("\n  permissions: '").unwrap();
            let (mode, rest) = rest.split_once("'\n  content: ").unwrap();
            let content = match rest.strip_prefix("|\n") {
                Some(block) => {
                    block.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect()
                }
                None => serde_json::from_str(rest.trim_end()).unwrap(),
            };
            (path.to_owned(), (mode.to_owned(), content))
        })
        .collect()
}

#[test]
fn what_is_rendered_is_what_was_reviewed() {
    for (name, spec) in [("minimal", minimal()), ("complete", complete())] {
        let config = runner_config(&spec, &token(), &worker());
        golden(&format!("{name}.config.toml"), config.expose_secret());
        golden(&format!("{name}.fenced.toml"), &fenced_config(&spec));
        let rendered = render(&spec, &worker());
        golden(&format!("{name}.masked.toml"), &rendered.config_toml);
        golden(&format!("{name}.docker.json"), &docker_config(&spec));
        // The scripts are in the repository, with their comments; what is around them is golden.
        let mut around = rendered.user_data;
        for script in scripts() {
            let text = std::fs::read_to_string(format!("{}/src/files/{script}", env!("CARGO_MANIFEST_DIR"))).unwrap();
            let is_comment = |line: &str| {
                line.trim().starts_with('#') && !["#!", "# shellcheck"].iter().any(|kept| line.contains(kept))
            };
            let is_code = |line: &&str| !line.is_empty() && !is_comment(line);
            let block: String = text.lines().filter(is_code).map(|line| format!("    {line}\n")).collect();
            assert!(around.contains(&block), "{script}'s code is not in the user-data as it is");
            around = around.replace(&block, &format!("    (files/{script})\n"));
        }
        golden(&format!("{name}.user-data.yaml"), &around);
    }
}

/// Every part of the agent, so that none can be forgotten, and the bootstrap.
fn scripts() -> Vec<String> {
    let parts = std::fs::read_dir(format!("{}/src/files/agent", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut scripts: Vec<_> =
        parts.map(|part| format!("agent/{}", part.unwrap().file_name().to_string_lossy())).collect();
    scripts.push("bootstrap.sh".into());
    scripts
}

#[test]
fn user_data_fits_is_deterministic_and_holds_no_secret() {
    let spec = complete();
    let data = user_data(&spec).unwrap();

    assert!(data.as_bytes().len() < USER_DATA_MAX, "{} bytes", data.as_bytes().len());
    assert_eq!(data, user_data(&spec).unwrap());
    assert_eq!(&data.as_bytes()[4..8], &[0, 0, 0, 0], "gzip's time stamp");
    let text = cloud_config(&spec);
    assert!(!text.contains(TOKEN) && !text.contains("hunter2"));
    assert!(!format!("{data:?} {spec:?}").contains("PRIVATE"));
}

#[test]
fn too_large_user_data_is_refused_with_the_part_to_shorten() {
    // Noise, so that gzip cannot make it small.
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{state:016x}")
    };
    let script: String = (0..2000).map(|_| noise()).collect();
    let error = user_data(&WorkerSpec { setup_script: Some(script), ..minimal() }).unwrap_err();

    assert!(error.bytes >= USER_DATA_MAX);
    assert!(error.to_string().contains("shorten setup_script (32000 bytes)"), "{error}");
}

#[test]
fn what_is_shown_to_people_masks_every_secret() {
    let rendered = render(&complete(), &worker());

    let all = format!("{rendered:?}");
    for secret in [TOKEN, "hunter2", "HUNTER2", HOST_KEY.lines().nth(1).unwrap()] {
        assert!(!all.contains(secret), "{secret} is shown");
    }
    assert!(all.contains("LANG=C.UTF-8"));
}

/// The user's section as a worker gets it, as a table.
fn section_of(spec: &WorkerSpec) -> toml::Table {
    let config: toml::Table = toml::from_str(runner_config(spec, &token(), &worker()).expose_secret()).unwrap();
    config["runners"][0].as_table().unwrap().clone()
}

#[test]
fn the_users_section_is_kept_value_for_value_and_in_order() {
    let spec = WorkerSpec { ecr: None, ..complete() };
    let mut wanted = spec.section.clone();
    wanted.remove("token_expires_at");
    wanted.insert("name".into(), worker_name(&spec, &worker()).into());
    wanted.insert("limit".into(), 4.into());

    let mut section = section_of(&spec);

    assert_eq!(section.remove("token"), Some(TOKEN.into()));
    assert_eq!(section, wanted);
    let user_keys = |table: &toml::Table| -> Vec<String> {
        let ours = ["name", "url", "token", "limit", "request_concurrency"];
        table.keys().filter(|key| !ours.contains(&key.as_str())).cloned().collect()
    };
    // TOML itself wants plain values before tables, so each kind keeps its own order.
    let (section, wanted) = (user_keys(&section), user_keys(&wanted));
    assert_eq!(section, wanted);
}

#[test]
fn wiring_only_where_it_belongs() {
    let keys = |spec: &WorkerSpec| {
        let section = section_of(spec);
        let volumes = section["docker"].get("volumes").map_or(0, |volumes| volumes.as_array().unwrap().len());
        (section.contains_key("environment"), section.contains_key("pre_build_script"), volumes)
    };
    let ecr = complete().ecr.unwrap();
    let with = |enabled, in_jobs| {
        let ecr = runner_fleet_worker::EcrSpec { enabled, in_jobs, ..ecr.clone() };
        WorkerSpec { ecr: Some(ecr), ..minimal() }
    };

    assert_eq!(keys(&with(true, true)), (true, true, 3));
    assert_eq!(keys(&with(true, false)), (false, false, 0));
    assert_eq!(keys(&with(false, true)), (false, false, 0));
    assert_eq!(keys(&minimal()), (false, false, 0));
    let mut privileged = with(true, true);
    privileged.section["docker"].as_table_mut().unwrap().insert("privileged".into(), true.into());
    assert_eq!(keys(&privileged), (true, true, 4));
    let mut shell = with(true, true);
    shell.section.insert("executor".into(), "shell".into());
    assert_eq!(keys(&shell), (false, false, 0));
}

/// In the runner's own shells for PowerShell the lines of ours would end each job at once.
#[test]
fn the_seed_is_for_posix_shells() {
    for (shell, seeded) in [("sh", true), ("bash", true), ("pwsh", false), ("powershell", false), ("cmd", false)] {
        let mut spec = complete();
        spec.section.insert("shell".into(), shell.into());
        let script = section_of(&spec)["pre_build_script"].as_str().unwrap().to_owned();
        assert_eq!(script.contains("/etc/runner-fleet/docker-config.json"), seeded, "{shell}");
        assert!(script.contains("user's own"), "{shell}: what the user wrote is there all the same");
        spec.section.remove("pre_build_script");
        assert_eq!(section_of(&spec).contains_key("pre_build_script"), seeded, "{shell}");
    }
}

#[test]
fn at_hop_limit_one_jobs_do_not_look_for_the_role() {
    let variables = |hops, change: &dyn Fn(&mut WorkerSpec)| -> Vec<String> {
        let mut spec = complete();
        spec.ecr.as_mut().unwrap().metadata_hop_limit = hops;
        change(&mut spec);
        let environment = section_of(&spec)["environment"].as_array().unwrap().clone();
        let named = environment.iter().filter_map(|value| value.as_str()).filter(|text| text.contains("METADATA"));
        named.map(str::to_owned).collect()
    };
    assert_eq!(variables(1, &|_| {}), ["AWS_EC2_METADATA_DISABLED=true"]);
    assert_eq!(variables(2, &|_| {}), [""; 0]);
    let set = |spec: &mut WorkerSpec| {
        let own = toml::Value::from("AWS_EC2_METADATA_DISABLED=false");
        spec.section["environment"].as_array_mut().unwrap().push(own);
    };
    assert_eq!(variables(1, &set), ["AWS_EC2_METADATA_DISABLED=false"], "what the user says holds");
    let host = |spec: &mut WorkerSpec| {
        spec.section["docker"].as_table_mut().unwrap().insert("network_mode".into(), "host".into());
    };
    assert_eq!(variables(1, &host), [""; 0], "in the worker's own network one hop is enough");
}

#[test]
fn a_proxy_reaches_all_that_pulls_and_downloads() {
    let address = Some("http://proxy.example.com:3128".to_owned());
    let proxy = Proxy { http: address.clone(), https: address, no_proxy: vec![".amazonaws.com".into()] };
    let files = written_files(&WorkerSpec { proxy, ..minimal() });
    let expected = "[Service]\nEnvironment=\"HTTP_PROXY=http://proxy.example.com:3128\"\n\
                    Environment=\"HTTPS_PROXY=http://proxy.example.com:3128\"\n\
                    Environment=\"NO_PROXY=.amazonaws.com,169.254.169.254\"\n";
    for unit in ["docker", "runner-fleet-bootstrap", "runner-fleet-runner"] {
        assert_eq!(files[&format!("/etc/systemd/system/{unit}.service.d/runner-fleet-proxy.conf")].1, expected);
    }
    assert!(!files.contains_key("/etc/runner-fleet/daemon.json"), "which Docker before 23 does not take");
    assert!(!written_files(&minimal()).keys().any(|path| path.contains("proxy")));
}

/// docs/ecr.md tells people to mount it into jobs, for Docker-in-Docker.
#[test]
fn mirrors_lie_where_jobs_can_have_them() {
    let spec = WorkerSpec { registry_mirrors: vec!["https://mirror.example.com".into()], ..minimal() };
    let (mode, text) = &written_files(&spec)["/etc/runner-fleet/daemon.json"];
    let file: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        (mode.as_str(), file),
        ("0644", serde_json::json!({"registry-mirrors": ["https://mirror.example.com"]}))
    );
}

#[test]
fn a_section_that_is_wired_already_is_not_wired_again() {
    let first = section_of(&complete());
    let spec = WorkerSpec { section: first.clone(), ..complete() };

    assert_eq!(section_of(&spec), first);
}

#[test]
fn nothing_of_ecr_reaches_a_worker_when_it_is_off() {
    let mut spec = complete();
    spec.ecr.as_mut().unwrap().enabled = false;

    let without = WorkerSpec { ecr: None, ..complete() };
    assert_eq!(user_data(&spec), user_data(&without), "a worker is the same as without the table");
    assert_eq!(section_of(&spec), section_of(&without));
    let files = written_files(&spec);

    assert!(!files.contains_key("/etc/runner-fleet/docker-config.json"));
    assert!(files["/etc/runner-fleet/worker.env"].1.contains("\necr=false\n"));
    assert!(!files["/etc/runner-fleet/worker.env"].1.contains("helper"));
}

/// The one difference is three mounts: what the rest of the wiring does depends on the files.
#[test]
fn a_worker_without_the_ecr_files_mounts_none() {
    let [full, without] = [runner_config(&complete(), &token(), &worker()), without_ecr(&complete()).unwrap()]
        .map(|config| config.expose_secret().parse::<toml::Table>().unwrap());
    let mut expected = full.clone();
    let volumes = expected["runners"][0]["docker"]["volumes"].as_array_mut().unwrap();
    volumes.retain(|volume| !volume.as_str().unwrap().ends_with(":ro"));
    assert_eq!(volumes.len(), 2);
    assert_eq!(without, expected);

    let mut in_jobs_off = complete();
    in_jobs_off.ecr.as_mut().unwrap().in_jobs = false;
    for spec in [minimal(), in_jobs_off] {
        assert!(without_ecr(&spec).is_none(), "there is nothing to leave out");
    }
}

fn without_ecr(spec: &WorkerSpec) -> Option<SecretString> {
    config_without_ecr(spec, &token(), &worker())
}

#[test]
fn the_bundle_is_a_header_and_whole_files() {
    let mut spec = complete();
    spec.section.insert("comment".into(), "\u{fc}: one character, two bytes".into());
    let config = runner_config(&spec, &token(), &worker());
    let files =
        [config.expose_secret(), without_ecr(&spec).unwrap().expose_secret(), &fenced_config(&spec)].map(str::to_owned);
    let [full, without, fenced] = files.each_ref().map(String::len);

    let expected = format!(
        "runner-fleet-bundle 2\nsystem-id {}\nworker-name graviton-spot i-0123456789abcdef0\nconfig-bytes {full}\n\
         without-ecr-bytes {without}\nfenced-bytes {fenced}\n{}",
        SystemId::of(&worker()),
        files.concat()
    );
    assert_eq!(bundle(&spec, &token(), &worker()).expose_secret(), expected);
    let small = bundle(&minimal(), &token(), &worker());
    assert!(small.expose_secret().contains("\nwithout-ecr-bytes 0\n"));
}

#[test]
fn times_reach_the_units() {
    let seconds = std::time::Duration::from_secs;
    let files = written_files(&WorkerSpec { boot_timeout: seconds(77), orphan_timeout: seconds(100), ..minimal() });

    let unit = |name: &str| files[&format!("/etc/systemd/system/runner-fleet-{name}")].1.clone();
    assert!(unit("bootstrap.service").contains("TimeoutStartSec=77\n"));
    assert!(unit("deadman.timer").contains("OnUnitInactiveSec=25\n"));
    assert!(files["/etc/runner-fleet/worker.env"].1.contains("orphan_seconds=100\n"));
    assert!(!files.values().any(|(_, content)| content.contains("_seconds@")), "a placeholder is left");
}

/// cloud-init reads YAML with PyYAML, so that has to see what we mean.
#[test]
fn cloud_init_reads_what_we_mean() {
    let has_yaml = Command::new("python3").args(["-c", "import yaml"]).stderr(Stdio::null()).status();
    if !has_yaml.is_ok_and(|status| status.success()) {
        left_out("whether cloud-init reads what we mean", "Python with PyYAML");
        return;
    }
    let odd = "  indented\u{7f}, \u{e9}\u{4e2d}\u{1f600} \"quoted\" \\ \u{1}\r\n\n";
    for script in [odd, "#!/bin/sh\necho ok\n", "", "no newline", "a\n   \nb\n", "two\n\n"] {
        let spec = WorkerSpec { setup_script: Some(script.into()), ..complete() };
        let files = written_files(&spec);
        assert_eq!(files["/usr/local/lib/runner-fleet/setup"].1, script);
        let read = "import json,sys,yaml; json.dump(yaml.safe_load(sys.stdin.buffer.read()), sys.stdout)";
        let mut python =
            Command::new("python3").args(["-c", read]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        python.stdin.take().unwrap().write_all(cloud_config(&spec).as_bytes()).unwrap();
        let yaml: serde_json::Value = serde_json::from_slice(&python.wait_with_output().unwrap().stdout).unwrap();
        let seen: BTreeMap<String, (String, String)> = yaml["write_files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| {
                let text = |key: &str| file[key].as_str().unwrap().to_owned();
                (text("path"), (text("permissions"), text("content")))
            })
            .collect();
        assert_eq!(seen, files);
        assert_eq!(yaml["ssh_keys"]["ed25519_private"], HOST_KEY);
        assert_eq!(yaml["ssh_keys"]["ed25519_public"], complete().host_key.public);
        assert_eq!(yaml["ssh_deletekeys"], true);
        assert!(yaml["runcmd"].as_array().unwrap().iter().all(serde_json::Value::is_string));
    }
}

#[test]
fn shellcheck_passes_on_every_script_as_rendered() {
    if found("shellcheck", "the worker's scripts with shellcheck").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, spec) in [("minimal", minimal()), ("complete", complete())] {
        let files = written_files(&spec);
        let section = section_of(&spec);
        let seed = section.get("pre_build_script").map_or("", |script| script.as_str().unwrap());
        let helper = files.get("/usr/local/bin/docker-credential-runner-fleet-ecr");
        let scripts = [
            ("helper", helper.map_or("", |(_, text)| text.as_str())),
            ("agent", files["/usr/local/lib/runner-fleet/agent"].1.as_str()),
            ("bootstrap", files["/usr/local/lib/runner-fleet/bootstrap"].1.as_str()),
            ("seed", seed),
        ];
        for (script, text) in scripts {
            let path = dir.path().join(format!("{name}-{script}"));
            std::fs::write(&path, text).unwrap();
            let output = Command::new("shellcheck").args(["-s", "sh"]).arg(&path).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
        // Assignments only, read by the scripts: unused here is what they are for.
        let path = dir.path().join(format!("{name}-env"));
        std::fs::write(&path, &files["/etc/runner-fleet/worker.env"].1).unwrap();
        let output = Command::new("shellcheck").args(["-s", "sh", "-e", "SC2034"]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn top_level_keys_of_gitlab_runner_and_the_ca_reach_the_worker() {
    let globals: toml::Table =
        "connection_max_age = \"30m\"\nshutdown_timeout = 60\n[session_server]\nsession_timeout = 900".parse().unwrap();
    let mut section = minimal().section;
    section.insert("tls-ca-file".into(), "/etc/runner-fleet/ca.pem".into());
    let spec = WorkerSpec { globals, tls_ca: Some("a certificate\n".into()), section, ..minimal() };

    let config = runner_config(&spec, &token(), &worker());
    let config: toml::Table = config.expose_secret().parse().unwrap();
    assert_eq!(config["connection_max_age"].as_str(), Some("30m"));
    assert_eq!(config["shutdown_timeout"].as_integer(), Some(60), "the user's word holds");
    assert_eq!(config["session_server"]["session_timeout"].as_integer(), Some(900));
    assert_eq!(config["concurrent"].as_integer(), Some(1), "and ours is not lost");
    let ca = config["runners"][0]["tls-ca-file"].as_str().unwrap();
    assert_eq!(written_files(&spec)[ca].1, "a certificate\n", "the path on the worker, not the one on the manager");
}
