//! What loading says of files as people have them: keys in other letters and misspelt ones, values that cannot be
//! meant, caches whose rights are missing, and text that is no TOML.

use super::gitlab_keys::{FILE, Keys, RUNNER};
use super::legacy::Surroundings;
use super::{Loaded, Problem, Problems, migrate, parse_in};

const MINIMAL: &str = include_str!("../../../config/minimal.toml");
const S3_CACHE: &str = include_str!("told/s3-cache-iam.toml");
const OTHER_CASE: &str = include_str!("told/ecr-docker-case.toml");
const TERRAFORM: &str = include_str!("told/terraform-machine.toml");

fn read(text: &str) -> Result<Loaded, Problems> {
    parse_in(text, "config.toml", &Surroundings::default())
}

fn good(text: &str) -> Loaded {
    read(text).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn refused(text: &str) -> Problems {
    read(text).map(|loaded| loaded.warnings).expect_err(text)
}

/// Messages about one key path.
fn about<'m>(told: &'m [Problem], path: &str) -> Vec<&'m str> {
    told.iter().filter(|one| one.path == path).map(|one| one.message.as_str()).collect()
}

/// The minimal file with a line more below a line of it.
fn with(below: &str, line: &str) -> String {
    assert!(MINIMAL.contains(below), "{below}");
    MINIMAL.replacen(below, &format!("{below}\n{line}"), 1)
}

const TOP: &str = "concurrent = 10";
const RUNNERS: &str = "limit = 10";
const DOCKER: &str = "  image = \"alpine:latest\"";

#[test]
fn a_key_in_other_letters_is_the_same_key() {
    let runner = good(OTHER_CASE).config.runners.remove(0);
    let keys: Vec<&str> = runner.section.keys().map(String::as_str).collect();
    assert_eq!(keys, ["name", "url", "executor", "environment", "pre_build_script", "docker"]);
    let docker: Vec<&str> = runner.section["docker"].as_table().unwrap().keys().map(String::as_str).collect();
    assert_eq!(docker, ["image", "privileged", "volumes"]);

    let upper = OTHER_CASE
        .replace("[[runners]]", "[[Runners]]")
        .replace("[runners.", "[Runners.")
        .replace("\n[fleet]", "\n[Fleet]")
        .replace("concurrent", "Concurrent")
        .replace("\ntoken =", "\nTOKEN =")
        .replace("executor", "Executor");
    assert_eq!(good(&upper).config.runners[0].section, runner.section);
}

/// Every key of every table of a section, in a spelling that nobody uses, comes to a worker in the canonical one.
#[test]
fn every_key_is_handed_on_in_one_spelling() {
    fn odd(name: &str) -> String {
        name.chars()
            .enumerate()
            .map(|(at, c)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect()
    }
    fn table(path: &str, keys: &'static Keys, without: &[&str], respelt: bool, text: &mut String) {
        let spelt = |name: &str| if respelt { odd(name) } else { name.to_owned() };
        let plain = keys.names().filter(|name| keys.inside(name).is_none() && !without.contains(name));
        plain.for_each(|name| text.push_str(&format!("{} = 1\n", spelt(name))));
        for name in keys.names().filter(|name| !without.contains(name)) {
            let Some(inside) = keys.inside(name) else { continue };
            let path = format!("{path}.{}", spelt(name));
            text.push_str(&format!("[{path}]\n"));
            table(&path, inside, &[], respelt, text);
        }
    }
    let ours = ["name", "url", "token", "executor", "limit", "tls-ca-file", "fleet", "machine", "autoscaler"];
    let section = |respelt: bool| {
        let mut text = "x = [1]\n".to_owned();
        table("runners", &RUNNER, &ours, respelt, &mut text);
        let (values, tables) = text.split_once("[runners.").unwrap();
        let text = with(RUNNERS, values)
            .replace("  [runners.docker]\n  image = \"alpine:latest\"\n  volumes = [\"/cache\"]\n", "");
        good(&format!("{text}\n[runners.{tables}")).config.runners.remove(0).section
    };
    let (plain, respelt) = (section(false), section(true));
    assert!(plain["docker"].as_table().unwrap().len() > 70 && plain["cache"]["s3"].as_table().unwrap().len() > 15);
    assert_eq!(respelt, plain);
}

#[test]
fn a_key_in_two_spellings_is_a_problem_with_both_lines() {
    let cases = [
        (with(RUNNERS, "Limit = 3"), "runners[0].limit", "limit", 13),
        (
            with(RUNNERS, "token_expires_at = 1\nToken_Expires_At = 2"),
            "runners[0].token_expires_at",
            "token_expires_at",
            14,
        ),
        (with(DOCKER, "  Image = \"x\""), "runners[0].docker.image", "image", 16),
        (with(TOP, "CONCURRENT = 3"), "concurrent", "concurrent", 4),
        (format!("{MINIMAL}\n[runners.Docker]\nmemory = \"1g\""), "runners[0].docker", "docker", 14),
        (format!("{MINIMAL}\n[Fleet]\nmanager = \"x\""), "fleet", "fleet", 6),
    ];
    for (text, path, key, _) in &cases {
        let problems = refused(text);
        let [told] = about(&problems.list, path)[..] else { panic!("{problems}") };
        let first = text
            .lines()
            .position(|line| line.contains(&format!("{key} =")) || line.contains(&format!("{key}]")))
            .unwrap()
            + 1;
        assert!(told.starts_with(&format!("already written as `{key}` in line {first}:")), "{told}");
        assert!(told.ends_with(&format!("as `{key}`")), "{told}");
        let second = problems.list.iter().find(|one| one.path == *path).unwrap().line;
        assert!(second > Some(first), "{problems}");
        assert!(migrate(text, "config.toml", "ci", &Surroundings::default()).is_err());
    }
    // In a map the names are the user's, and so is their case.
    good(&format!(
        "{MINIMAL}\n[runners.feature_flags]\nFF_A = true\nff_a = false\n[runners.docker.tmpfs]\n\"/A\" = \"\"\n\"/a\" = \"\""
    ));
}

#[test]
fn a_misspelt_key_is_told_with_the_near_one() {
    let s3 = "[runners.cache.s3]\nBuketName = \"b\"";
    let cases = [
        (with(TOP, "concurent = 3"), "concurent", "did you mean `concurrent`?"),
        (with(RUNNERS, "limt = 3"), "runners[0].limt", "did you mean `limit`?"),
        (with(RUNNERS, "enviroment = []"), "runners[0].enviroment", "did you mean `environment`?"),
        (with(DOCKER, "  privilged = true"), "runners[0].docker.privilged", "did you mean `privileged`?"),
        (with(DOCKER, "  voluems = []"), "runners[0].docker.voluems", "did you mean `volumes`?"),
        (with(DOCKER, "  [[runners.docker.services]]\n  nam = \"x\""), "runners[0].docker.services[0].nam", "`name`"),
        (format!("{MINIMAL}\n[runners.cache]\nTyp = \"s3\""), "runners[0].cache.Typ", "did you mean `Type`?"),
        (format!("{MINIMAL}\n{s3}"), "runners[0].cache.s3.BuketName", "did you mean `BucketName`?"),
        (format!("{MINIMAL}\n[runners.cach]\nx = 1"), "runners[0].cach", "did you mean `cache`?"),
        (format!("{MINIMAL}\n[sesion_server]\nx = 1"), "sesion_server", "did you mean `session_server`?"),
        (
            format!("{MINIMAL}\n[session_server]\nadvertize_address = 1"),
            "session_server.advertize_address",
            "`advertise_address`",
        ),
        // In the wrong table.
        (with(RUNNERS, "privileged = true"), "runners[0].privileged", "write `privileged` in [runners.docker]"),
        (with(DOCKER, "  request_concurrency = 3"), "runners[0].docker.request_concurrency", "in [[runners]]"),
        (with(TOP, "executor = \"docker\""), "executor", "write `executor` in [[runners]]"),
        (with(RUNNERS, "max_workers = 3"), "runners[0].max_workers", "in [runners.fleet]"),
        (with(DOCKER, "  idle_count = 3"), "runners[0].docker.idle_count", "in [runners.fleet]"),
        (
            format!("{MINIMAL}\n[runners.cache]\nbucketname = \"b\""),
            "runners[0].cache.bucketname",
            "in [runners.cache.s3]",
        ),
        // Like nothing.
        (with(TOP, "zzz = 1"), "zzz", "neither runner-fleet nor GitLab Runner is known to read this"),
        (with(RUNNERS, "zzz = 1"), "runners[0].zzz", "GitLab Runner is not known to read this key here"),
    ];
    for (text, path, expected) in &cases {
        let warnings = good(text).warnings;
        let told = about(&warnings, path);
        assert!(matches!(told[..], [one] if one.contains(expected)), "{path}: {told:?}, expected {expected}");
    }
    assert_eq!(good(MINIMAL).warnings, []);
}

#[test]
fn near_misses_in_tables_that_are_translated_are_told_too() {
    let machine =
        TERRAFORM.replace("MaxGrowthRate = 0", "MaxGrowthRat = 0").replace("      IdleTime = 60", "      IdleTim = 60");
    let autoscaler = "executor = \"docker-autoscaler\"\n[runners.autoscaler]\nplugin = \"aws\"\nmax_instance = 3\n\
                      [[runners.autoscaler.policy]]\nidle_cont = 1";
    let autoscaler = MINIMAL.replace("executor = \"docker\"", autoscaler);
    let cases = [
        (machine.clone(), "runners[0].machine.MaxGrowthRat", "`MaxGrowthRate`"),
        (machine, "runners[0].machine.autoscaling[0].IdleTim", "`IdleTime`"),
        (autoscaler.clone(), "runners[0].autoscaler.max_instance", "`max_instances`"),
        (autoscaler, "runners[0].autoscaler.policy[0].idle_cont", "`idle_count`"),
    ];
    for (text, path, near) in cases {
        let warnings = match read(&text) {
            Ok(loaded) => loaded.warnings,
            Err(problems) => problems.warnings,
        };
        let told = about(&warnings, path);
        assert!(told.iter().any(|one| one.contains(&format!("did you mean {near}?"))), "{path}: {told:?}");
    }
}

#[test]
fn a_file_with_problems_tells_its_warnings_too() {
    let problems = refused(&MINIMAL.replace("concurrent", "concurent"));
    assert_eq!(about(&problems.list, "concurrent").len(), 1);
    let [near] = about(&problems.warnings, "concurent")[..] else { panic!("{problems}") };
    assert!(near.contains("did you mean `concurrent`?"), "{near}");
    assert!(problems.to_string().contains("\n1 warning\n  line 4  concurent: "), "{problems}");
}

#[test]
fn every_key_of_gitlab_runner_passes_without_a_word() {
    for (path, keys) in FILE.tables_inside("") {
        for name in keys.names() {
            assert_eq!(keys.canonical(name), Some(name), "{path}");
        }
    }
    let text = with(RUNNERS, "unhealthy_interval = \"1m\"\nstep_runner_image = \"x\"\nlabels = { a = \"b\" }");
    assert_eq!(good(&format!("{text}\n[runners.custom_build_dir]\nenabled = true")).warnings, []);
}

#[test]
fn values_that_can_hardly_be_meant_are_warnings() {
    let change = |from: &str, to: &str| {
        assert!(MINIMAL.contains(from), "{from}");
        MINIMAL.replace(from, to)
    };
    let fleet = |line: &str| with("  [runners.fleet]", line);
    let cases = [
        (fleet("region = \"eu-centrl-1\""), "region", "did you mean \"eu-central-1\"?"),
        (change("c8g.large", "c8g.lrage"), "instance_types[0]", "did you mean \"c8g.large\"?"),
        (change("latest/arm64", "latest/amd64"), "ami", "its name says amd64, but the instance types are arm64"),
        (change("\"subnet-0a1b2c3d4e5f60718\"", "\"subnet-1\""), "subnets[0]", "8 or 17 hexadecimal digits"),
        (change("\"sg-0a1b2c3d4e5f60718\"", "\"sg-0a1b\""), "security_groups[0]", "8 or 17 hexadecimal digits"),
        (change("ssm:/aws/service/debian/release/13/latest/arm64", "ami-1"), "ami", "8 or 17 hexadecimal digits"),
    ];
    for (text, key, expected) in &cases {
        let warnings = good(text).warnings;
        let told = about(&warnings, &format!("runners[0].fleet.{key}"));
        assert!(matches!(told[..], [one] if one.contains(expected)), "{key}: {told:?}");
    }
    let helper = with(DOCKER, "  helper_image = \"gitlab/gitlab-runner-helper:x86_64-v19.2.0\"");
    assert_eq!(about(&good(&helper).warnings, "runners[0].docker.helper_image").len(), 1);
    let zone = refused(&fleet("region = \"eu-central-1a\""));
    assert!(about(&zone.list, "runners[0].fleet.region")[0].contains("is a zone; write its region, \"eu-central-1\""));
}

#[test]
fn a_token_of_another_kind_is_a_problem() {
    let cases = [
        ("ssm:/ci/runner-token", "GR1348941verysecret", "runners[0].token", "a registration token"),
        ("ssm:/ci/runner-token", "glpat-verysecret", "runners[0].token", "belongs to `api_token`"),
        ("ssm:/ci/read-api-token", "glrt-verysecret", "runners[0].fleet.api_token", "belongs to `token`"),
        ("ssm:/ci/read-api-token", "gldt-verysecret", "runners[0].fleet.api_token", "a deploy token"),
        ("ssm:/ci/runner-token", "glrt-very secret", "runners[0].token", "the token holds a space;"),
    ];
    for (from, to, path, expected) in cases {
        let problems = refused(&MINIMAL.replace(from, to));
        let told = about(&problems.list, path);
        assert!(matches!(told[..], [one] if one.contains(expected)), "{to}: {told:?}");
        assert!(!format!("{problems} {problems:?}").contains("verysecret"), "{problems}");
    }
}

#[test]
fn a_cache_that_the_workers_sign_for_needs_their_role() {
    let about_cache = |text: &str| {
        let warnings = good(text).warnings;
        about(&warnings, "runners[0].cache.s3").iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()
    };
    let told = about_cache(S3_CACHE);
    assert!(matches!(&told[..], [one] if one.contains("have no role to sign with")), "{told:?}");

    let profile = "  region = \"eu-central-1\"\n  instance_profile = \"ci-worker\"";
    let with_profile = S3_CACHE.replace("  region = \"eu-central-1\"", profile);
    assert_eq!(about_cache(&with_profile), Vec::<String>::new());

    let with_keys = S3_CACHE.replace("AuthenticationType = \"iam\"", "AccessKey = \"AKIAX\"\n    SecretKey = \"s\"");
    let told = about_cache(&with_keys);
    assert!(matches!(&told[..], [one] if one.contains("its keys lie on every worker")), "{told:?}");

    let other_letters = S3_CACHE
        .replace("Type = ", "type = ")
        .replace("runners.cache", "runners.Cache")
        .replace("Cache.s3", "Cache.S3");
    assert_eq!(about_cache(&other_letters).len(), 1);
}

#[test]
fn the_old_managers_rights_on_the_cache_are_said_to_move() {
    let moves = |told: &str| told.contains("must move from the manager's role to that of ci-docker-machine-profile");
    let loaded = good(TERRAFORM);
    let told = about(&loaded.warnings, "runners[0].cache.s3");
    assert!(matches!(told[..], [one] if moves(one)), "{told:?}");
    let migrated = migrate(TERRAFORM, "old.toml", "ci", &Surroundings::default()).unwrap();
    let comments: Vec<&str> = migrated.lines().filter(|line| line.starts_with('#') && moves(line)).collect();
    assert!(matches!(comments[..], [one] if one.contains("runners[0].cache.s3: ")), "{migrated}");
}

/// The only problem of a file that is not TOML: line, column, message, excerpt.
fn syntax(text: &str) -> (Option<usize>, Option<usize>, String, String) {
    let problems = refused(text);
    let [one] = &problems.list[..] else { panic!("{problems}") };
    assert!(one.path.is_empty() && problems.warnings.is_empty(), "{problems}");
    (one.line, one.column, one.message.clone(), one.excerpt.clone().unwrap_or_else(|| panic!("{problems}")))
}

#[test]
fn what_is_not_toml_is_one_error_with_its_place() {
    let (line, column, message, excerpt) = syntax("concurrent = 10\n[fleet]\nmanager == \"ci\"\n");
    assert_eq!((line, column), (Some(3), Some(10)), "{message}");
    assert_eq!(excerpt, "  |\n3 | manager == \"ci\"\n  |          ^", "{message}");

    let complete =
        include_str!("../../../config/complete.toml").replace("volumes = [\"/cache\"]", "volumes = [\"/cache\"");
    let opened = complete.lines().position(|line| line.contains("volumes = [")).unwrap() + 1;
    let (line, _, message, excerpt) = syntax(&complete);
    assert!(message.contains(&format!("the list that begins in line {opened} is not closed; write `]`")), "{message}");
    assert!(line >= Some(opened) && excerpt.contains('^'), "{line:?} {excerpt}");

    let (line, _, message, _) = syntax("a = [\n  1,\n  2,\nb = 3\n");
    assert!(line == Some(4) && message.contains("the list that begins in line 1 is not closed"), "{line:?} {message}");
    let (line, _, message, _) = syntax("token = \"\"\"\nglrt-verysecret\n\n");
    assert!(
        line > Some(1) && message.contains("the text that begins in line 1 is not closed; write `\"\"\"`"),
        "{message}"
    );
    let (_, _, message, _) = syntax("a = [\n  1,\n");
    assert!(message.contains("the list that begins in line 1 is not closed"), "{message}");
    let (line, column, message, _) = syntax("a = \"\"\"\nx\n\\q\n\"\"\"\n");
    assert!((line, column) >= (Some(3), Some(1)) && !message.contains("not closed"), "{line:?} {column:?} {message}");
    let (line, column, message, excerpt) = syntax("\u{feff}a = = 1\n");
    assert_eq!((line, column, message.as_str()), (Some(1), Some(5), "not TOML: extra `=`"));
    assert_eq!(excerpt, "  |\n1 | a = = 1\n  |     ^");
    let (_, _, message, _) = syntax("a = [1, = 2]\nb = 3\n");
    assert!(!message.contains("not closed"), "{message}");
}

#[test]
fn a_key_that_stands_twice_is_told_with_both_lines() {
    let cases = [
        ("a = 1\nb = 2\na = 3\n", 3, 1, "a", 1),
        ("[[runners]]\nname = \"x\"\n[[runners]]\nname = \"y\"\nlimit = 1\nname = \"z\"\n", 6, 1, "name", 4),
        ("[fleet]\nmanager = \"x\"\n\n[fleet]\nmanager = \"y\"\n", 4, 2, "fleet", 1),
        ("x = { a = 1, a = 2 }\n", 1, 14, "a", 1),
    ];
    for (text, line, column, key, first) in cases {
        let (at, in_column, message, excerpt) = syntax(text);
        assert_eq!((at, in_column), (Some(line), Some(column)), "{text}: {message}");
        assert!(message.contains(&format!("`{key}` is already written in line {first};")), "{text}: {message}");
        assert!(excerpt.ends_with(&"^".repeat(key.len())), "{excerpt}");
    }
}

#[test]
fn no_excerpt_shows_a_secret() {
    let texts = [
        MINIMAL.replace("\"ssm:/ci/runner-token\"", "\"glrt-verysecret"),
        MINIMAL.replace("\"ssm:/ci/runner-token\"", "glrt-verysecret"),
        MINIMAL.replace("token = \"ssm:/ci/runner-token\"", "token glrt-verysecret"),
        MINIMAL.replace("token = \"ssm:/ci/runner-token\"", "tokn = glrt-verysecret"),
        with(RUNNERS, "environment = [\"PASSWORD=verysecret\" \"A=b\"]"),
        with(RUNNERS, "pre_build_script = '''\nexport PASSWORD=verysecret\n''' verysecret"),
        with(RUNNERS, "environment = [\n\"PASSWORD=verysecret\"\n\"A=verysecret\"\n]"),
    ];
    for text in texts {
        let problems = refused(&text);
        assert!(!format!("{problems} {problems:?}").contains("verysecret"), "{problems}");
    }
}

#[test]
fn what_this_shell_cannot_see_is_a_warning_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let swapped = folder.path().join("swapped");
    std::fs::write(&swapped, "glrt-verysecret\n").unwrap();
    let ca = "tls-ca-file = \"/nonexistent/ca.pem\"";
    let text = with(RUNNERS, ca)
        .replace("ssm:/ci/runner-token", "env:NO_SUCH_VARIABLE_HERE")
        .replace("ssm:/ci/read-api-token", &format!("file:{}", swapped.display()));
    let told = good(&text).unresolved();
    let shown: Vec<_> = told.iter().map(|one| (one.line, one.path.as_str(), one.message.as_str())).collect();
    let [
        (Some(12), "runners[0].token", token),
        (Some(15), "runners[0].tls-ca-file", ca),
        (Some(22), "runners[0].fleet.api_token", api),
    ] = shown[..]
    else {
        panic!("{shown:?}")
    };
    assert!(
        token.starts_with("as seen from this shell: environment variable NO_SUCH_VARIABLE_HERE is not set"),
        "{token}"
    );
    assert_eq!(ca, "as seen from this shell: cannot read /nonexistent/ca.pem: No such file or directory");
    assert!(api.contains("which belongs to `token`") && !api.contains("verysecret"), "{api}");
    assert_eq!(good(MINIMAL).unresolved(), [], "what lies in SSM is not asked for");
}

#[test]
fn messages_are_written_as_compilers_write_them() {
    let problems = refused(&MINIMAL.replace("limit = 10", "limit = -1"));
    let lines: Vec<String> = problems.list.iter().map(|one| one.in_file("c.toml", "error")).collect();
    assert!(
        matches!(&lines[..], [one] if one.starts_with("c.toml:14:1: error: runners[0].limit: -1 is not")),
        "{lines:?}"
    );
    let missing = refused("").list.iter().map(|one| one.in_file("c.toml", "error")).collect::<Vec<_>>();
    assert!(missing[0].starts_with("c.toml: error: concurrent: missing"), "{missing:?}");
}
