//! Who logs in to ECR in a job gets what he logged in with; else the worker's role answers, and what takes a job away from
//! it is told. Tried with the real docker CLI, whose daemon is played: it notes with which login it is asked for what.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use runner_fleet_testing::tools::found;
use serde_json::Value;

use super::job::{Job, REGISTRY, as_nobody, job_shells, shown};

/// What the daemon was asked: "push HOST user:password".
type Calls = Arc<Mutex<Vec<String>>>;

/// A daemon that pulls and pushes whatever it is asked.
fn daemon(job: &Job) -> Calls {
    let calls = Calls::default();
    let listener = UnixListener::bind(job.path("docker.sock")).unwrap();
    let noted = Arc::clone(&calls);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let noted = Arc::clone(&noted);
            std::thread::spawn(move || answer(&stream, &noted));
        }
    });
    calls
}

/// Answers the one request of a connection.
fn answer(stream: &UnixStream, calls: &Calls) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    let mut login = String::new();
    let mut length = 0;
    reader.read_line(&mut first).ok().filter(|bytes| *bytes > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "x-registry-auth" => login = decoded(value),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = first.split_whitespace().nth(1)?;
    if path.contains("/images/") {
        let verb = if path.contains("/push") { "push" } else { "pull" };
        let host = [REGISTRY, "registry.example.com", "public.ecr.aws"].into_iter().find(|host| path.contains(host))?;
        calls.lock().unwrap().push(format!("{verb} {host} {login}"));
    }
    let body = match first.split_whitespace().next() {
        Some("HEAD") => "",
        _ if path.ends_with("/auth") => "{\"Status\":\"Login Succeeded\"}",
        _ => "{}",
    };
    let mut stream = stream;
    let head =
        "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nOstype: linux\r\nContent-Type: application/json\r\nConnection: close";
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()
}

/// `X-Registry-Auth`, in either alphabet of base64 for addresses: "user:password".
fn decoded(header: &str) -> String {
    let json = URL_SAFE.decode(header).or_else(|_| URL_SAFE_NO_PAD.decode(header)).unwrap();
    let login: Value = serde_json::from_slice(&json).unwrap();
    let field = |name: &str| login[name].as_str().unwrap_or_default().to_owned();
    format!("{}:{}", field("username"), field("password"))
}

/// The variables of a job with the docker CLI of this machine and that daemon.
fn with_docker(job: &Job, cli: &std::path::Path) -> Vec<(&'static str, String)> {
    let mut variables = job.variables();
    std::os::unix::fs::symlink(cli, job.path("bin/docker")).unwrap();
    variables.push(("DOCKER_HOST", format!("unix://{}", shown(&job.path("docker.sock")))));
    variables
}

#[test]
fn a_login_of_the_job_goes_before_the_workers_role() {
    let Some(cli) = found("docker", "logins of a job with the docker CLI") else { return };
    for shell in job_shells() {
        let job = Job::new();
        let calls = daemon(&job);
        let variables = with_docker(&job, &cli);
        let script = format!(
            "docker pull {REGISTRY}/team/app:1
             echo token-of-push-role | docker login --username AWS --password-stdin {REGISTRY}
             docker push {REGISTRY}/team/app:1
             docker pull public.ecr.aws/x/y:1
             echo other | docker login --username me --password-stdin registry.example.com
             docker pull registry.example.com/x:1
             docker logout {REGISTRY}
             docker pull {REGISTRY}/team/app:1
             docker pull registry.example.com/x:1
             docker logout registry.example.com
             docker pull registry.example.com/x:1\n"
        );
        let said = job.script(&shell, &variables, &script);
        assert!(said.success, "{} {}", said.stdout, said.stderr);

        let worker = "AWS:token-of-the-worker";
        let expected = [
            format!("pull {REGISTRY} {worker}"),
            format!("push {REGISTRY} AWS:token-of-push-role"),
            format!("pull public.ecr.aws {worker}"),
            "pull registry.example.com me:other".to_owned(),
            format!("pull {REGISTRY} {worker}"),
            "pull registry.example.com me:other".to_owned(),
            "pull registry.example.com :".to_owned(),
        ];
        let seen: Vec<String> = calls
            .lock()
            .unwrap()
            .iter()
            .map(|call| if call.ends_with("com ") { format!("{call}:") } else { call.clone() })
            .collect();
        assert_eq!(seen, expected, "{shell:?}");
        assert!(said.ours().is_empty(), "{}", said.stderr);
    }
}

/// Docker's own plugins, which are found in its configuration's directory alone.
#[test]
fn plugins_of_an_unwritable_home_still_work() {
    let Some(cli) = found("docker", "plugins of the docker CLI in an unwritable home") else { return };
    for shell in job_shells() {
        let job = Job::new();
        let variables = with_docker(&job, &cli);
        let plugin = "#!/bin/sh\ncase $1 in\ndocker-cli-plugin-metadata) echo '{\"SchemaVersion\":\"0.1.0\",\"Vendor\":\"x\",\
                      \"Version\":\"1\"}' ;;\n*) echo hello from the plugin ;;\nesac\n";
        job.program("home/.docker/cli-plugins/docker-hello", plugin);
        std::fs::set_permissions(job.path("home/.docker"), PermissionsExt::from_mode(0o555)).unwrap();
        let nobody = as_nobody(&shell);
        let said = job.plain(&nobody, &variables, "docker hello\n");
        assert_eq!(said.stdout, "hello from the plugin\n", "{}", said.stderr);

        let said = job.script(&nobody, &variables, "echo \"$DOCKER_CONFIG\"\ndocker hello\n");
        assert!(said.stdout.ends_with("\nhello from the plugin\n"), "{} {}", said.stdout, said.stderr);
        std::fs::remove_dir_all(said.stdout.lines().rev().nth(1).unwrap()).unwrap();
        std::fs::set_permissions(job.path("home/.docker"), PermissionsExt::from_mode(0o755)).unwrap();
    }
}

/// Docker's own words; the secret comes back byte for byte.
#[test]
fn logins_are_kept_by_host_until_the_logout() {
    for shell in job_shells() {
        let job = Job::new();
        let variables = job.variables();
        let get = |url: &str| job.helper(&shell, "get", &format!("{url}\n"), &variables).stdout;
        let login = "{\"ServerURL\":\"https://HOST/v2/\",\"Username\":\"AWS\",\"Secret\":\"a\\\\b\\\"ServerURL\\\":\\\"x\\u003c %s $HOME\"}";
        let login = login.replace("HOST", REGISTRY);

        assert!(job.helper(&shell, "store", &login, &variables).success);
        for url in [REGISTRY.to_owned(), format!("https://{REGISTRY}"), format!("http://{REGISTRY}/v1/")] {
            assert_eq!(get(&url), format!("{login}\n"), "{shell:?}");
        }
        assert!(get("public.ecr.aws").contains("token-of-the-worker"), "another host");
        let kept = job.path(&format!("home/.docker/ecr-logins/{REGISTRY}"));
        let mode = std::fs::metadata(kept).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for _ in 0..2 {
            assert!(job.helper(&shell, "erase", &format!("https://{REGISTRY}\n"), &variables).success);
            assert!(get(REGISTRY).contains("token-of-the-worker"), "{shell:?}");
        }
        assert_eq!(job.helper(&shell, "list", "", &variables).stdout, "not implemented\n", "the helper's own answer");
        assert!(!job.helper(&shell, "store", "{}", &variables).success, "a login without a host is not kept");
    }
}

#[test]
fn a_login_that_cannot_be_kept_is_an_error() {
    let job = Job::new();
    job.write("file", "");
    for shell in job_shells() {
        let mut variables = job.variables();
        variables.extend([("DOCKER_CONFIG", "/proc/x".to_owned()), ("TMPDIR", shown(&job.path("file")))]);
        let login = format!("{{\"ServerURL\":\"{REGISTRY}\",\"Username\":\"AWS\",\"Secret\":\"s\"}}");
        let said = job.helper(&shell, "store", &login, &variables);
        assert!(!said.success && said.stdout.contains("cannot be kept"), "{}{}", said.stdout, said.stderr);
    }
}

/// The helper on a worker whose role it may not ask.
const SILENT: &str = "#!/bin/sh\nexit 2\n";

/// Variables of a job, and what its log says of them; never a value, as it may be a secret.
const ELSEWHERE: [(&[(&str, &str)], &str); 11] = [
    (
        &[("AWS_PROFILE", "x-value")],
        "AWS_PROFILE of this job takes the helper away from the worker's role; as the worker: env -u AWS_PROFILE docker pull ...",
    ),
    (
        &[("AWS_ACCESS_KEY_ID", "x-value"), ("AWS_ENDPOINT_URL", "http://x-value:4566")],
        "AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL of this job takes the helper away from the worker's role; as the worker: env -u AWS_ACCESS_KEY_ID -u AWS_ENDPOINT_URL docker pull ...",
    ),
    (
        &[("AWS_WEB_IDENTITY_TOKEN_FILE", "the.text.itself.x-value")],
        "AWS_WEB_IDENTITY_TOKEN_FILE has to name a file that holds the token",
    ),
    (
        &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/bin/sh"), ("AWS_ROLE_ARN", "x-value")],
        "env -u AWS_WEB_IDENTITY_TOKEN_FILE docker pull",
    ),
    (&[("AWS_CA_BUNDLE", "/nowhere/x-value")], "env -u AWS_CA_BUNDLE docker pull"),
    (&[("AWS_CONFIG_FILE", "/bin/sh")], "env -u AWS_CONFIG_FILE docker pull"),
    (&[("HTTP_PROXY", "http://x-value:3128")], "NO_PROXY=169.254.169.254 docker pull ..."),
    (&[("http_proxy", "http://x-value:3128"), ("NO_PROXY", "example.com")], "NO_PROXY=169.254.169.254 docker pull ..."),
    (&[("AWS_EC2_METADATA_DISABLED", "True")], "id_tokens"),
    (&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://x-value")], "AWS_CONTAINER_CREDENTIALS_FULL_URI of this job"),
    (&[("AWS_DEFAULT_PROFILE", "x-value")], "AWS_DEFAULT_PROFILE of this job"),
];

/// Variables with which the role is asked all the same.
const HARMLESS: [&[(&str, &str)]; 5] = [
    &[("AWS_REGION", "eu-central-1"), ("AWS_ROLE_ARN", "x"), ("AWS_EC2_METADATA_DISABLED", "false")],
    &[("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"), ("AWS_PROFILE", "")],
    &[("AWS_CA_BUNDLE", "/bin/sh")],
    &[("HTTP_PROXY", "http://proxy:3128"), ("NO_PROXY", ".amazonaws.com,169.254.169.254")],
    &[("HTTPS_PROXY", "http://proxy:3128")],
];

#[test]
fn what_takes_a_job_from_the_role_is_told() {
    for shell in job_shells() {
        for (extra, told) in ELSEWHERE {
            let job = Job::new();
            let mut variables = job.variables();
            variables.extend(extra.iter().map(|(name, value)| (*name, (*value).to_owned())));
            let get = || job.helper(&shell, "get", &format!("{REGISTRY}\n"), &variables);

            let said = get();
            let [line] = said.ours()[..] else { panic!("{extra:?}: {}", said.stderr) };
            assert!(said.success && said.stdout.contains("token-of-the-worker"), "{extra:?}");
            assert!(line.starts_with(&format!("ECR login for {REGISTRY}: ")) && line.contains(told), "{line}");
            assert_eq!(get().stderr, "", "that something else answers is told once");

            job.program("bin/docker-credential-ecr-login", SILENT);
            for _ in 0..2 {
                let said = get();
                let [line] = said.ours()[..] else { panic!("{extra:?}: {}", said.stderr) };
                assert!(line.starts_with(&format!("no ECR login for {REGISTRY}: ")) && line.contains(told), "{line}");
                assert!(!said.stderr.contains("x-value"), "{line}");
                // By these words Docker goes on without a login; any other answer ends a build.
                assert_eq!(said.stdout, "credentials not found in native keychain\n");
                assert!(!said.success);
            }
        }
    }
}

/// What the helper says reaches the job's log, and the pull goes on without a login.
#[test]
fn docker_hands_the_reason_on_to_the_jobs_log() {
    let Some(cli) = found("docker", "the helper's reasons in the log of the docker CLI") else { return };
    for shell in job_shells() {
        let job = Job::new();
        let calls = daemon(&job);
        job.program("bin/docker-credential-ecr-login", SILENT);
        let variables = with_docker(&job, &cli);
        let script = format!("export AWS_PROFILE=deploy\ndocker pull {REGISTRY}/team/app:1\n");
        let said = job.script(&shell, &variables, &script);
        assert!(said.success, "{}", said.stderr);
        let [line] = said.ours()[..] else { panic!("{}", said.stderr) };
        assert!(line.starts_with(&format!("no ECR login for {REGISTRY}: AWS_PROFILE of this job")), "{line}");
        let calls = calls.lock().unwrap();
        assert!(matches!(&calls[..], [one] if !one.contains("token")), "{calls:?}");
    }
}

#[test]
fn where_nothing_is_in_the_way_nothing_is_told() {
    for shell in job_shells() {
        for extra in HARMLESS {
            let job = Job::new();
            let mut variables = job.variables();
            variables.extend(extra.iter().map(|(name, value)| (*name, (*value).to_owned())));
            let said = job.helper(&shell, "get", &format!("{REGISTRY}\n"), &variables);
            assert_eq!((said.success, said.stderr.as_str()), (true, ""), "{extra:?}");

            job.program("bin/docker-credential-ecr-login", "#!/bin/sh\necho the reason\nexit 1\n");
            let said = job.helper(&shell, "get", &format!("{REGISTRY}\n"), &variables);
            assert!(said.ours()[0].contains("/.ecr/log/ecr-login.log"), "{}", said.stderr);
            assert_eq!(said.stdout, "the reason\n");
        }
    }
}

#[test]
fn credentials_in_the_jobs_home_are_told() {
    for shell in job_shells() {
        let job = Job::new();
        job.write("home/.aws/credentials", "[default]\naws_access_key_id = AKIAINVENTED\n");
        let said = job.helper(&shell, "get", &format!("{REGISTRY}\n"), &job.variables());
        assert!(said.ours()[0].contains("AWS_SHARED_CREDENTIALS_FILE=/dev/null docker pull"), "{}", said.stderr);
        job.write("home/.aws/credentials", "[other]\naws_access_key_id = AKIAINVENTED\n");
        let said = job.helper(&shell, "get", &format!("{REGISTRY}\n"), &job.variables());
        assert_eq!(said.stderr, "");
    }
}
