//! A worker in a directory: the rendered scripts under their real names, systemd and gitlab-runner played by small
//! stand-ins that obey the same signals, the runner's metrics, Docker and the metadata service as real HTTP servers that
//! the real curl asks. The uptime is a file, so that time passes when a test says so.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use runner_fleet_engine::Report;
use runner_fleet_worker::{WorkerSpec, bundle, parse_line, runner_config};
use secrecy::ExposeSecret;

use super::rendered::written_files;
use super::specs::{token, worker};
use runner_fleet_testing::tools::{found, which};

/// What the servers answer: path to body; a path that is not here is a 404, an empty map a refused connection.
type Pages = Arc<Mutex<BTreeMap<String, String>>>;

pub(super) struct Machine {
    root: tempfile::TempDir,
    shell: Vec<String>,
    spec: WorkerSpec,
    pages: Pages,
    port: u16,
}

/// The tools of a stock image; neither dockerd nor gitlab-runner.
const TOOLS: &str = "sh env awk sed grep cut cat mv cp rm mkdir chmod head tail sha256sum curl uname date df wc tr cmp \
    sleep id flock ln readlink touch printf setsid sort timeout";

/// sh (dash on Debian) and busybox's, which has other tools and another opinion on what POSIX is.
pub(super) fn shells() -> Vec<Vec<String>> {
    let mut shells = vec![vec!["sh".to_owned()]];
    if let Some(busybox) = found("busybox", "the worker's scripts under busybox's shell") {
        shells.push(vec![busybox.display().to_string(), "sh".to_owned()]);
    }
    shells
}

/// Waits until something is so, looking 50 times a second; panics with its name after 20 s.
#[expect(clippy::disallowed_methods, reason = "a test that watches real processes has to look again")]
pub(super) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("waited 20 s for: {what}");
}

/// Runs a test on a fresh machine of each shell; on none where curl is missing, which the scripts stand on.
pub(super) fn on_each_shell(spec: &WorkerSpec, test: impl Fn(&Machine)) {
    if found("curl", "the worker's scripts").is_none() {
        return;
    }
    for shell in shells() {
        test(&Machine::new(spec, shell));
    }
}

/// Python itself: not a launcher that looks for it anew with each start.
static PYTHON: LazyLock<String> = LazyLock::new(|| {
    let said = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
});

impl Machine {
    fn new(spec: &WorkerSpec, shell: Vec<String>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let pages = Pages::default();
        let port = serve_http(Arc::clone(&pages));
        let machine = Self { root, shell, spec: spec.clone(), pages, port };
        for (path, (mode, content)) in written_files(spec) {
            machine.write(&path, &content);
            let mode = u32::from_str_radix(&mode, 8).unwrap();
            std::fs::set_permissions(machine.path(&path), PermissionsExt::from_mode(mode)).unwrap();
        }
        machine.write("/run/runner-fleet/.keep", "");
        let settings = format!(
            "metrics=http://127.0.0.1:{port}/metrics\nimds=http://127.0.0.1:{port}\nimds_seconds=0.1\nstop_seconds=10\n\
             fail_seconds=0\nretry_seconds=0\n"
        );
        machine.write("/etc/default/runner-fleet", &settings);
        machine.write("/etc/docker/.keep", "");
        machine.set_uptime(100);
        machine.install_tools();
        machine
    }

    fn install_tools(&self) {
        std::fs::create_dir_all(self.path("/bin")).unwrap();
        for tool in TOOLS.split_whitespace() {
            let found = which(tool).unwrap_or_else(|| panic!("{tool} is not installed"));
            symlink(found, self.path("/bin").join(tool)).unwrap();
        }
        symlink(&*PYTHON, self.path("/bin/python3")).unwrap();
        self.program("/bin/systemctl", include_str!("systemctl.sh"));
    }

    /// Puts the gitlab-runner stand-in onto the image.
    pub(super) fn with_runner(&self) -> &Self {
        // Isolated and without site packages: it is started a hundred times, and needs neither.
        self.program("/bin/gitlab-runner", &format!("#!{} -IS\n{}", *PYTHON, include_str!("gitlab-runner.py")));
        self
    }

    pub(super) fn program(&self, path: &str, text: &str) {
        self.write(path, text);
        std::fs::set_permissions(self.path(path), PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// A setting of the agent, which holds from the next call on.
    pub(super) fn set(&self, setting: &str) {
        let path = "/etc/default/runner-fleet";
        self.write(path, &format!("{}{setting}\n", self.read(path)));
    }

    /// Makes a tool fail, as on a full disk, for every file below this path. A function, because busybox's shell prefers its
    /// own tools to what lies in the path.
    pub(super) fn fails_below(&self, tool: &str, path: &str) {
        let path = self.path(path).display().to_string();
        self.set(&format!("{tool}() {{ case \"$*\" in *{path}/*) return 1 ;; esac; command {tool} \"$@\"; }}"));
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The text of a file; empty if there is none.
    pub(super) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// The names in a directory, sorted.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(path)).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    pub(super) fn mode(&self, path: &str) -> u32 {
        std::fs::metadata(self.path(path)).unwrap().permissions().mode() & 0o777
    }

    /// Whether two names are those of one file.
    pub(super) fn is_same_file(&self, one: &str, other: &str) -> bool {
        let [one, other] = [one, other].map(|path| std::fs::metadata(self.path(path)).unwrap());
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    }

    pub(super) fn set_uptime(&self, seconds: u64) {
        self.write("/proc/uptime.new", &format!("{seconds}.25 1.00\n"));
        std::fs::rename(self.path("/proc/uptime.new"), self.path("/proc/uptime")).unwrap();
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn page(&self, path: &str, body: impl Into<String>) {
        self.pages.lock().unwrap().insert(path.to_owned(), body.into());
    }

    /// What was asked for by POST.
    pub(super) fn posted(&self) -> String {
        self.pages.lock().unwrap().get("posted").cloned().unwrap_or_default()
    }

    pub(super) fn no_page(&self, path: &str) {
        self.pages.lock().unwrap().remove(path);
    }

    /// What df shows of a disk: free and total MiB, free inodes and all.
    pub(super) fn disk(&self, mib: (u64, u64), inodes: (u64, u64)) {
        let shown = |free: u64, total: u64| format!("Filesystem 1 2 3 4 5\n/dev/x {total} 1 {free} 9% /");
        let (blocks, inodes) = (shown(mib.0 * 1024, mib.1 * 1024), shown(inodes.0, inodes.1));
        self.set(&format!("df() {{ case $1 in *i*) echo '{inodes}' ;; *) echo '{blocks}' ;; esac; }}"));
    }

    /// As [`Self::metrics`], of a runner some of whose jobs have failed for its own reasons, and for others.
    pub(super) fn failed_jobs(&self, started: u32, by_runner: u32, by_script: u32) {
        self.metrics(0, 1, started, 1);
        let reasons = [("runner_system_failure", by_runner), ("script_failure", by_script)];
        let mut pages = self.pages.lock().unwrap();
        for (reason, jobs) in reasons {
            let line =
                format!("gitlab_runner_failed_jobs_total{{failure_reason=\"{reason}\",runner=\"abc\"}} {jobs}\n");
            pages.entry("/metrics".to_owned()).or_default().push_str(&line);
        }
    }

    /// The runner's metrics, in the words of gitlab-runner.
    pub(super) fn metrics(&self, jobs: u32, requests: u32, started: u32, loaded: u32) {
        let labels = "runner=\"abc\",runner_name=\"graviton-spot i-0\",system_id=\"r_0\"";
        self.page(
            "/metrics",
            format!(
                "# HELP gitlab_runner_jobs The current number of running builds.\n\
                 # TYPE gitlab_runner_jobs gauge\n\
                 gitlab_runner_jobs{{executor_stage=\"idle\",{labels},stage=\"idle\",state=\"idle\"}} 0\n\
                 gitlab_runner_jobs{{executor_stage=\"docker_run\",{labels},stage=\"step_script\",state=\"running\"}} {jobs}\n\
                 gitlab_runner_jobs_total{{{labels}}} {started}\n\
                 gitlab_runner_job_queue_size{{{labels}}} 7\n\
                 gitlab_runner_request_concurrency{{{labels}}} {requests}\n\
                 gitlab_runner_request_concurrency_hard_limit{{{labels}}} 9\n\
                 gitlab_runner_configuration_loaded_total {loaded}\n"
            ),
        );
    }

    /// Starts a Docker that runs a build and a helper container for each of these jobs.
    pub(super) fn docker(&self, jobs: &[u64]) {
        let container = |job: &u64, kind: &str| {
            let (label, project) = ("com.gitlab.gitlab-runner", job % 1000);
            format!(
                r#"{{"Id":"c{job}","Labels":{{"{label}.job.id":"{job}","{label}.job.ref":"x\"{label}.job.id\":\"99\"","{label}.managed":"true","{label}.pipeline.id":"5","{label}.project.id":"{project}","{label}.project.runner_id":"3","{label}.type":"{kind}"}}}}"#
            )
        };
        let all: Vec<String> =
            jobs.iter().flat_map(|job| [container(job, "build"), container(job, "predefined")]).collect();
        self.page("/containers/json", format!("[{}]", all.join(",")));
        self.page("/_ping", "OK");
        let socket = self.path("/var/run/docker.sock");
        if !socket.exists() {
            std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
            let listener = UnixListener::bind(socket).unwrap();
            let pages = Arc::clone(&self.pages);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    answer(&pages, BufReader::new(stream.try_clone().unwrap()), stream);
                }
            });
        }
    }

    fn command(&self, script: &str, args: &[&str]) -> Command {
        let mut command = Command::new(&self.shell[0]);
        command.args(&self.shell[1..]).arg(self.path(script)).args(args);
        command.env_clear().env("PATH", self.path("/bin")).env("RUNNER_FLEET_ROOT", self.root.path());
        command.env("SHELL_UNDER_TEST", self.shell.join(" "));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(super) fn agent_command(&self, args: &[&str]) -> Command {
        self.command("/usr/local/lib/runner-fleet/agent", args)
    }

    pub(super) fn bootstrap(&self) -> Output {
        self.bootstrap_with(&[])
    }

    /// The same with further variables, as drop-ins give them to the unit.
    pub(super) fn bootstrap_with(&self, variables: &[(&str, String)]) -> Output {
        let mut command = self.command("/usr/local/lib/runner-fleet/bootstrap", &[]);
        command.envs(variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null()).output().unwrap()
    }

    pub(super) fn agent_with(&self, args: &[&str], stdin: &[u8]) -> (i32, String) {
        let mut child = self.agent_command(args).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), text)
    }

    /// Runs an agent command that has to succeed.
    pub(super) fn agent(&self, command: &str) -> String {
        let (code, text) = self.agent_with(&[command], b"");
        assert_eq!(code, 0, "agent {command}: {text}");
        text
    }

    pub(super) fn report(&self) -> Report {
        let text = self.agent("report");
        parse_line(text.lines().next().unwrap_or_default().as_bytes(), &worker())
            .unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The config.toml that the manager would push.
    pub(super) fn config(&self) -> String {
        runner_config(&self.spec, &token(), &worker()).expose_secret().to_owned()
    }

    pub(super) fn bundle(&self) -> String {
        bundle(&self.spec, &token(), &worker()).expose_secret().to_owned()
    }

    /// Pushes the configuration, as to a worker that has what it mounts, and waits until the runner runs.
    pub(super) fn configure(&self) {
        self.write("/usr/local/bin/docker-credential-ecr-login", "");
        let (code, text) = self.agent_with(&["configure"], self.bundle().as_bytes());
        assert_eq!(code, 0, "{text}");
        wait_for("the runner to start", || self.exists("/runner.args"));
    }

    /// A worker whose runner has been up for a while and asks for jobs.
    pub(super) fn serving(&self) -> &Self {
        self.with_runner();
        self.write("/run/runner-fleet/phase", "ready\n");
        self.metrics(0, 1, 0, 1);
        self.configure();
        self.set_uptime(200);
        self
    }

    /// The signals that the runner has got.
    pub(super) fn signals(&self) -> String {
        self.read("/signals").split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.write("/end", "");
    }
}

fn serve_http(pages: Pages) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(&pages, BufReader::new(stream.try_clone().unwrap()), stream);
        }
    });
    port
}

fn answer(pages: &Pages, mut request: BufReader<impl Read>, mut stream: impl Write) {
    let mut line = String::new();
    let _ = request.read_line(&mut line);
    let mut header = String::new();
    while request.read_line(&mut header).is_ok_and(|bytes| bytes > 2) {
        header.clear();
    }
    let path = line.split_whitespace().nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
    if line.starts_with("POST ") {
        pages.lock().unwrap().entry("posted".to_owned()).or_default().push_str(&format!("{path} "));
    }
    let (status, body) = match pages.lock().unwrap().get(path) {
        Some(body) => ("200 OK", body.clone()),
        None => ("404 Not Found", "nothing here".to_owned()),
    };
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
}
