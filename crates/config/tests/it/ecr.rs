//! Login to ECR as people have it already, in files of the shapes in which they have it: each is seen, and taken over or
//! left alone with a word at its place.

use runner_fleet_config::{Surroundings, migrate, parse_in};

/// A file of `cases`, with an absolute path to the script that it names.
fn case(name: &str) -> String {
    let dir = format!("{}/tests/it/cases", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(format!("{dir}/{name}")).unwrap();
    text.replace("=worker_setup.sh", &format!("={dir}/worker_setup.sh"))
        .replace("\"worker_setup_small.sh\"", &format!("\"{dir}/worker_setup_small.sh\""))
}

/// Path and text of all warnings.
fn warnings(text: &str) -> Vec<(String, String)> {
    let loaded =
        parse_in(text, "config.toml", &Surroundings::default()).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    loaded.warnings.into_iter().map(|warning| (warning.path, warning.message)).collect()
}

/// The warnings that are about logins: not that jobs own their worker, nor what a translation notes.
fn about_logins(text: &str) -> Vec<(String, String)> {
    let other = |message: &str| {
        ["makes jobs root", "left out: workers are named", "runs as setup_script"]
            .iter()
            .any(|known| message.contains(known))
    };
    warnings(text).into_iter().filter(|(_, message)| !other(message)).collect()
}

/// That exactly these places are warned of, each with these words.
fn warns(name: &str, text: &str, expected: &[(&str, &str)]) {
    let found = about_logins(text);
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    let wanted: Vec<&str> = expected.iter().map(|(path, _)| *path).collect();
    assert_eq!(paths, wanted, "{name}: {found:?}");
    for ((_, message), (_, words)) in found.iter().zip(expected) {
        assert!(message.contains(words), "{name}: {message}");
    }
}

fn problems(text: &str) -> Vec<(String, String)> {
    let problems = parse_in(text, "config.toml", &Surroundings::default()).unwrap_err();
    problems.list.into_iter().map(|problem| (problem.path, problem.message)).collect()
}

const HOST: &str = "111122223333.dkr.ecr.eu-central-1.amazonaws.com";
const ENVIRONMENT: &str = "runners[0].environment[0]";

#[test]
fn what_people_have_beside_the_table_is_told() {
    let cases: [(&str, &[(&str, &str)]); 13] = [
        (
            "02b-with-ecr.toml",
            &[("runners[0].docker.volumes[2]", "device or resource busy"), (ENVIRONMENT, "not needed")],
        ),
        ("02c-without-ecr.toml", &[(ENVIRONMENT, "nothing brings it")]),
        ("05-pwsh.toml", &[("runners[0].shell", "no login to ECR with \"pwsh\"")]),
        ("06-hop1-in-jobs.toml", &[("runners[0].fleet.metadata_hop_limit", "no job reaches the worker's role")]),
        ("08-mount-over-config.toml", &[("runners[0].docker.volumes[1]", "device or resource busy")]),
        ("09-mount-docker-dir-ro.toml", &[("runners[0].docker.volumes[1]", "can be saved")]),
        ("10-docker-auth-config-token.toml", &[(ENVIRONMENT, "a token for 1111")]),
        ("11-docker-auth-config-helpers-no-ecr.toml", &[(ENVIRONMENT, "nothing brings it")]),
        ("12-ignore-storage-off.toml", &[(ENVIRONMENT, "`true`")]),
        ("13-image-in-ecr-without-table.toml", &[("runners[0].docker.image", HOST)]),
        (
            "14-image-in-unlisted-registry.toml",
            &[("runners[0].docker.image", "444455556666.dkr.ecr.us-east-1.amazonaws.com")],
        ),
        (
            "16-aws-env.toml",
            &[(ENVIRONMENT, "before the worker's role"), ("runners[0].environment[1]", "keeps every job from")],
        ),
        ("19-china-and-public.toml", &[("runners[0].fleet.ecr.registries[1]", "no role in China can log in")]),
    ];
    for (name, expected) in cases {
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        let mut found = about_logins(&case(name));
        found.sort();
        assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
        for ((path, message), (wanted, words)) in found.iter().zip(&expected) {
            assert!(path == wanted && message.contains(words), "{name}: {path}: {message}");
        }
    }
    let with_script = about_logins(&case("02d-with-setup-and-ecr.toml"));
    assert!(with_script.iter().any(|(path, _)| path == "runners[0].fleet.setup_script"), "{with_script:?}");
    // A mirror alone needs no word.
    assert_eq!(about_logins(&case("17-mirror.toml")), []);
}

/// A section with the table, and these keys in `[[runners]]`, `[runners.docker]`, `[runners.fleet]` and the table.
fn section(runner: &str, docker: &str, fleet: &str, ecr: &str) -> String {
    format!(
        "concurrent = 10\n[fleet]\nmanager = \"ci\"\n[[runners]]\nname = \"spot\"\nurl = \"https://gitlab.example.com\"\n\
         token = \"glrt-invented\"\nexecutor = \"docker\"\nlimit = 10\n{runner}\n[runners.docker]\n{docker}\n[runners.fleet]\n\
         api_token = \"glpat-invented\"\nregion = \"eu-central-1\"\nami = \"ami-0a1b2c3d4e5f60718\"\n\
         instance_types = [\"c8g.large\"]\nsubnets = [\"subnet-0a1b2c3d4e5f60718\"]\n\
         security_groups = [\"sg-0a1b2c3d4e5f60718\"]\ninstance_profile = \"ci-worker\"\n{fleet}\n{ecr}\n"
    )
}

fn table() -> String {
    format!("[runners.fleet.ecr]\nregistries = [\"{HOST}\"]")
}

#[test]
fn every_place_of_an_image_is_looked_at() {
    let image = format!("{HOST}/ci/base@sha256:{}", "0".repeat(64));
    let cases = [
        ("image", "runners[0].docker.image", format!("image = \"{image}\"")),
        ("helper_image", "runners[0].docker.helper_image", format!("helper_image = \"{image}\"")),
        (
            "service",
            "runners[0].docker.services[1].name",
            format!(
                "[[runners.docker.services]]\nname = \"postgres\"\n[[runners.docker.services]]\nname = \"{image}\""
            ),
        ),
    ];
    for (name, path, docker) in cases {
        warns(name, &section("", &docker, "", ""), &[(path, HOST)]);
        let off = format!("{}\nenabled = false", table());
        warns(name, &section("", &docker, "", &off), &[(path, HOST)]);
        warns(name, &section("", &docker, "", &table()), &[]);
    }
    for other in ["public.ecr.aws/docker/library/alpine:3", "alpine", "$CI_REGISTRY/x", "registry.example.com/x"] {
        warns(other, &section("", &format!("image = \"{other}\""), "", ""), &[]);
    }
}

#[test]
fn a_mount_over_any_home_is_told() {
    let told = |runner: &str, volume: &str, ecr: &str| {
        let docker = format!("volumes = [\"/cache\", \"{volume}\"]");
        about_logins(&section(runner, &docker, "", ecr)).into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    let at = ["runners[0].docker.volumes[1]".to_owned()];
    for volume in [
        "/srv/c.json:/home/build/.docker/config.json",
        "/srv/docker:/var/lib/jenkins/.docker/:rw",
        "/root/.docker",
        "/x/.docker:/.docker:ro,z",
    ] {
        assert_eq!(told("", volume, &table()), at, "{volume}");
        assert_eq!(told("", volume, ""), at, "{volume}: without the table, too");
    }
    for volume in ["/cache2", "/root/.docker:/srv/seed:ro", "/x:/root/.docker/cli-plugins:ro", "/x:/root/.dockerx"] {
        assert_eq!(told("", volume, &table()), [""; 0], "{volume}");
    }
    let elsewhere = "environment = [\"DOCKER_CONFIG=/etc/docker-login/\"]";
    assert_eq!(told(elsewhere, "/srv:/etc/docker-login", &table()), at);
    assert_eq!(told(elsewhere, "/srv/c.json:/etc/docker-login/config.json:ro", &table()), at);
}

#[test]
fn variables_that_leave_the_role_alone_need_no_word() {
    let told = |environment: &str, fleet: &str, ecr: &str| {
        about_logins(&section(&format!("environment = [{environment}]"), "", fleet, ecr)).len()
    };
    for one in [
        "\"AWS_ENDPOINT_URL=http://localstack:4566\"",
        "\"AWS_ACCESS_KEY_ID=x\"",
        "\"HTTP_PROXY=http://proxy:3128\"",
        "\"http_proxy=http://proxy:3128\", \"NO_PROXY=.amazonaws.com,10.0.0.0/8\"",
        "\"AWS_ECR_IGNORE_CREDS_STORAGE=yes\"",
        "\"DOCKER_AUTH_CONFIG={\\\"credHelpers\\\":{\\\"444455556666.dkr.ecr.us-east-1.amazonaws.com\\\":\\\"ecr-login\\\"}}\"",
    ] {
        assert_eq!(told(one, "", &table()), 1, "{one}");
    }
    for none in [
        "\"AWS_REGION=eu-central-1\", \"AWS_EC2_METADATA_DISABLED=false\", \"AWS_ECR_IGNORE_CREDS_STORAGE=true\"",
        "\"HTTP_PROXY=http://proxy:3128\", \"NO_PROXY=169.254.0.0/16\"",
        "\"HTTPS_PROXY=http://proxy:3128\"",
        "\"AWS_PROFILE=\"",
        "\"DOCKER_AUTH_CONFIG={\\\"auths\\\":{\\\"registry.example.com\\\":{\\\"auth\\\":\\\"eA==\\\"}}}\"",
        "\"DOCKER_AUTH_CONFIG=$OTHER\"",
    ] {
        assert_eq!(told(none, "", &table()), 0, "{none}");
    }
    assert_eq!(told("\"AWS_PROFILE=x\"", "", ""), 0, "without a login there is nothing to take away");
    assert_eq!(told("\"AWS_PROFILE=x\"", "", &format!("{}\nin_jobs = false", table())), 0);
    assert_eq!(
        told("\"AWS_PROFILE=x\"", "metadata_hop_limit = 1", &table()),
        1,
        "the hop limit is the one thing to say"
    );
    let host_network = section("", "network_mode = \"host\"", "metadata_hop_limit = 1", &table());
    assert_eq!(about_logins(&host_network), [], "in the worker's own network one hop is enough");
}

#[test]
fn scripts_that_log_in_are_told() {
    let login = "aws ecr get-login-password | docker login --username AWS --password-stdin x";
    let cases = [
        (login, 1),
        ("mkdir -p ~/.docker && echo '{}' > ~/.docker/config.json", 1),
        ("# docker-credential-ecr-login was here\necho aws ecr describe-repositories", 0),
    ];
    for (script, count) in cases {
        let told = about_logins(&section(&format!("pre_build_script = {script:?}"), "", "", &table()));
        assert_eq!(told.len(), count, "{script}: {told:?}");
        assert!(told.iter().all(|(path, _)| path == "runners[0].pre_build_script"), "{told:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("setup.sh");
    let told = |script: &str, ecr: &str| {
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        about_logins(&section("", "", &format!("setup_script = \"{}\"", path.display()), ecr)).len()
    };
    assert_eq!((told(login, &table()), told(login, "")), (1, 1), "a login of the boot ends, with the table or without");
    let helper = "install -m755 docker-credential-ecr-login /usr/local/bin/";
    assert_eq!((told(helper, &table()), told(helper, "")), (1, 0));
}

#[test]
fn a_role_logs_in_to_its_own_part_of_aws() {
    let china = "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn";
    let both = format!("[runners.fleet.ecr]\nregistries = [\"{HOST}\", \"{china}\"]");
    let found = problems(&section("", "", "", &both));
    let [(path, message)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(path, "runners[0].fleet.ecr.registries[1]");
    assert!(message.contains("is in China, and the role of workers in the commercial regions"), "{message}");
    // Where no region is written, the first registry says where the workers are.
    let nowhere = section("", "", "", &both).replace("region = \"eu-central-1\"\n", "");
    assert_eq!(problems(&nowhere).len(), 1);
    let gov = format!("[runners.fleet.ecr]\nregistries = [\"{HOST}\"]");
    assert_eq!(problems(&section("", "", "", &gov).replace("\"eu-central-1\"", "\"us-gov-west-1\"")).len(), 1);
}

#[test]
fn a_registry_in_ecr_is_no_mirror() {
    for (fleet, ecr) in [
        (format!("registry_mirrors = [\"https://m.example.com\", \"https://{HOST}/docker-hub\"]"), String::new()),
        (String::new(), format!("[runners.fleet.docker_daemon]\nregistry-mirrors = [\"https://{HOST}\"]")),
        ("registry_mirrors = [\"https://public.ecr.aws\"]".to_owned(), String::new()),
    ] {
        let found = problems(&section("", "", &fleet, &ecr));
        let [(path, message)] = &found[..] else { panic!("{found:?}") };
        assert!(path.contains("mirrors["), "{path}");
        assert!(message.contains("into the image's name: \""), "{message}");
    }
}

#[test]
fn the_hand_made_login_becomes_the_table() {
    let old = case("02-docker-machine.toml");
    let new = migrate(&old, "old.toml", "ci", &Surroundings::default()).unwrap();
    assert!(!new.contains("TO DO: write `setup_script`"), "{new}");
    let migrated: toml::Table = new.parse().unwrap();
    let runner = &migrated["runners"][0];
    let hosts: Vec<&str> =
        runner["fleet"]["ecr"]["registries"].as_array().unwrap().iter().filter_map(toml::Value::as_str).collect();
    assert_eq!(hosts, [HOST, "public.ecr.aws"]);
    assert!(runner.get("environment").is_none() && !new.contains("credsStore"), "{new}");
    assert_eq!(runner["docker"]["volumes"].as_array().unwrap(), &[toml::Value::from("/cache")]);
    for note in [
        "environment[0]: what DOCKER_AUTH_CONFIG",
        "volumes[1]: left out",
        "volumes[2]: left out",
        "those lines are to go",
    ] {
        assert!(new.contains(note), "{note}: {new}");
    }
    // What only the administrator can do is told as long as it is there.
    warns("migrated", &new, &[("runners[0].fleet.setup_script", "those lines are to go")]);

    let [old, new] = [&old, &new].map(|text| parse_in(text, "x.toml", &Surroundings::default()).unwrap().config);
    assert_eq!(old, new, "the old file itself means the same");
}

/// The old section with another `DOCKER_AUTH_CONFIG`, and what becomes of it.
fn migrated_with(auth_config: &str, image: &str) -> (String, toml::Table) {
    let old = case("02-docker-machine.toml");
    let line = old.lines().find(|line| line.contains("DOCKER_AUTH_CONFIG=")).unwrap();
    let old = old.replace(line, &format!("environment = ['A=1', 'DOCKER_AUTH_CONFIG={auth_config}']"));
    let old = old.replace("alpine:latest", image);
    let new = migrate(&old, "old.toml", "ci", &Surroundings::default()).unwrap();
    let runner = new.parse::<toml::Table>().unwrap()["runners"][0].as_table().unwrap().clone();
    (new, runner)
}

#[test]
fn what_else_a_login_says_is_kept() {
    let (_, runner) = migrated_with(
        &format!(
            "{{\"auths\":{{\"{HOST}\":{{\"auth\":\"eA==\"}},\"r.example.com\":{{\"auth\":\"eQ==\"}}}},\"credHelpers\":{{\"{HOST}\":\"ecr-login\",\"gcr.io\":\"gcloud\"}}}}"
        ),
        "alpine",
    );
    let rest = "DOCKER_AUTH_CONFIG={\"auths\":{\"r.example.com\":{\"auth\":\"eQ==\"}},\"credHelpers\":{\"gcr.io\":\"gcloud\"}}";
    assert_eq!(runner["environment"].as_array().unwrap(), &[toml::Value::from("A=1"), toml::Value::from(rest)]);
    assert_eq!(runner["fleet"]["ecr"]["registries"].as_array().unwrap(), &[toml::Value::from(HOST)]);

    // A store names no registry; what the section pulls is known.
    let (_, runner) = migrated_with("{\"credsStore\":\"ecr-login\"}", &format!("{HOST}/x:1"));
    assert_eq!(runner["fleet"]["ecr"]["registries"].as_array().unwrap(), &[toml::Value::from(HOST)]);

    // Nothing that could be taken over: it stays, with a word.
    let (text, runner) = migrated_with("{\"credsStore\":\"ecr-login\"}", "alpine");
    assert!(runner["fleet"].get("ecr").is_none() && runner["docker"]["volumes"].as_array().unwrap().len() == 3);
    assert!(text.contains("nothing brings it to the workers"), "{text}");
    let (_, runner) = migrated_with("{\"auths\":{\"r.example.com\":{\"auth\":\"eQ==\"}}}", "alpine");
    assert!(runner["fleet"].get("ecr").is_none());
}

#[test]
fn a_proxy_of_docker_machine_becomes_the_workers() {
    let old = case("21-engine-env-proxy.toml");
    let new = migrate(&old, "old.toml", "ci", &Surroundings::default()).unwrap();
    assert!(!new.contains("proxies"), "{new}");
    assert!(new.contains("a role of the job's own"), "{new}");
    parse_in(&new, "new.toml", &Surroundings::default()).unwrap();
    let fleet = parse_in(&old, "old.toml", &Surroundings::default()).unwrap().config.runners.remove(0).fleet;
    let address = Some("http://proxy.example.com:3128".to_owned());
    assert_eq!((&fleet.proxy.http, &fleet.proxy.https), (&address, &address));
    assert_eq!((fleet.proxy.no_proxy, fleet.metadata_hop_limit), (vec![".amazonaws.com".to_owned()], 1));

    let bare = old.replace("HTTP_PROXY=http://proxy.example.com:3128", "http_proxy=proxy.example.com:3128");
    let bare = parse_in(&bare, "old.toml", &Surroundings::default()).unwrap().config.runners.remove(0).fleet;
    assert_eq!(bare.proxy.http, address, "a proxy without a scheme is one for http");

    let secret = old.replace("HTTP_PROXY=http://proxy", "HTTP_PROXY=http://me:hunter2@proxy");
    let refused = migrate(&secret, "old.toml", "ci", &Surroundings::default()).unwrap_err().to_string();
    assert!(refused.contains("every job can read it") && !refused.contains("hunter2"), "{refused}");
}

#[test]
fn a_mirror_that_was_none_is_left_out() {
    let old = case("21-engine-env-proxy.toml").replace(
        "\"engine-registry-mirror=https://mirror.example.com\"",
        &format!("\"engine-registry-mirror=https://{HOST}\", \"engine-opt=registry-mirror=https://public.ecr.aws\""),
    );
    let new = migrate(&old, "old.toml", "ci", &Surroundings::default()).unwrap();
    assert_eq!(new.matches("left out: ").count() - new.matches("MachineName: left out").count(), 2, "{new}");
    let fleet = parse_in(&new, "new.toml", &Surroundings::default()).unwrap().config.runners.remove(0).fleet;
    assert!(fleet.registry_mirrors.is_empty() && fleet.docker_daemon.is_empty());
}

#[test]
fn a_proxy_is_an_address_without_a_login() {
    let good = "[runners.fleet.proxy]\nhttps = \"socks5://10.0.0.1:1080\"\nno_proxy = [\".example.com\", \"[fd00::1]\", \"10.0.0.0/8\"]";
    assert_eq!(about_logins(&section("", "", "", good)), []);
    let none = "[runners.fleet.proxy]\nno_proxy = [\"x\"]";
    warns("no proxy", &section("", "", "", none), &[("runners[0].fleet.proxy.no_proxy", "no effect")]);
    for (bad, path) in [
        ("http = \"http://me:hunter2@proxy:3128\"", "http"),
        ("https = \"proxy:3128\"", "https"),
        ("no_proxy = [\"a, b\"]", "no_proxy[0]"),
        ("proxy = \"x\"", "proxy"),
    ] {
        let found = problems(&section("", "", "", &format!("[runners.fleet.proxy]\n{bad}")));
        let [(at, message)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(*at, format!("runners[0].fleet.proxy.{path}"));
        assert!(!message.contains("hunter2"), "{message}");
    }
    let daemon = "[runners.fleet.docker_daemon.proxies]\nhttp-proxy = \"http://proxy:3128\"";
    let at = "runners[0].fleet.docker_daemon.proxies";
    warns("daemon", &section("", "", "", daemon), &[(at, "[runners.fleet.proxy]")]);
}
