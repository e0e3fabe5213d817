#!/bin/sh
# Makes a stock Debian, Ubuntu or Amazon Linux image a runner-fleet worker. Run once per boot by
# runner-fleet-bootstrap.service; repeating it changes nothing that is already right. Every step writes its name to
# /run/runner-fleet/phase; the first failure writes its reason there and ends the bootstrap.
set -eu
ROOT=${RUNNER_FLEET_ROOT:-}
RUN=$ROOT/run/runner-fleet
ETC=$ROOT/etc/runner-fleet
LIB=$ROOT/usr/local/lib/runner-fleet
BIN=$ROOT/usr/local/bin
LOG=$ROOT/var/log/runner-fleet-bootstrap.log
DOCKER_SOCKET=$ROOT/var/run/docker.sock
DOCKER_PROXY=$ROOT/etc/systemd/system/docker.service.d/runner-fleet-proxy.conf
HOME=$ROOT/root
PATH=$BIN:$PATH
DEBIAN_FRONTEND=noninteractive
export HOME PATH DEBIAN_FRONTEND
# The unit has the large letters; package managers read the small ones, and so does curl.
if [ -n "${HTTP_PROXY:-}" ]; then export http_proxy="$HTTP_PROXY"; fi
if [ -n "${HTTPS_PROXY:-}" ]; then export https_proxy="$HTTPS_PROXY"; fi
if [ -n "${NO_PROXY:-}" ]; then export no_proxy="$NO_PROXY"; fi

ecr=false in_jobs=false
runner_version='' runner_url='' runner_sha256='' runner_list_url='' runner_list_sha256='' runner_list_entry=''
helper_version='' helper_url='' helper_sha256='' helper_needed='' ecr_hosts=''
retry_seconds=2
ecr_seconds=20
public_seconds=5
# shellcheck source=/dev/null
. "$ETC/worker.env"
# shellcheck source=/dev/null
[ ! -r "$ROOT/etc/default/runner-fleet" ] || . "$ROOT/etc/default/runner-fleet"

# phase TEXT: in one step, as the agent may read it at any moment.
phase() {
    printf '%s\n' "$*" >"$RUN/phase.new"
    mv -f "$RUN/phase.new" "$RUN/phase"
    echo "runner-fleet: $*"
}

# say TEXT: for the log and the journal.
say() { run echo "runner-fleet: $*"; }

step() {
    current=$1
    phase "booting $1"
}

fail() {
    phase "failed $*"
    exit 1
}

# What was not foreseen still gets its reason: the step and the last thing that a program said.
ended() {
    code=$?
    read -r word _ <"$RUN/phase" || word=''
    if [ "$code" -ne 0 ] && [ "$word" != failed ]; then
        phase "failed $current: exit code $code: $(grep -v '^[[:space:]]*$' "$LOG" | tail -n 1)"
    fi
}

# run COMMAND...: its output goes to the log and the journal, and its last line into the reason if it fails.
run() {
    code=0
    "$@" >"$LOG.step" 2>&1 || code=$?
    cat "$LOG.step" >>"$LOG"
    cat "$LOG.step"
    rm -f "$LOG.step"
    return "$code"
}

# retry COMMAND...: 5 times, waiting 2, 4, 8 and 16 s between; mirrors and package locks have bad moments at boot.
attempts=5
retry() {
    wait_seconds=$retry_seconds attempt=0
    while :; do
        attempt=$((attempt + 1)) code=0
        run "$@" || code=$?
        if [ "$code" -eq 0 ] || [ "$attempt" -ge "$attempts" ]; then return "$code"; fi
        sleep "$wait_seconds"
        wait_seconds=$((wait_seconds * 2))
    done
}

have() { command -v "$1" >/dev/null 2>&1; }

# install_packages DEB RPM
install_packages() {
    if have apt-get; then
        retry apt-get -qq -o DPkg::Lock::Timeout=120 update
        retry apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 install "$1"
    elif have dnf; then
        retry dnf -q -y install "$2"
    else
        fail "$current: this image has neither apt-get nor dnf; use an image that has $1"
    fi
}

# download FILE URL SHA256: FILE is there only if its bytes are the expected ones; nothing unverified is ever run.
download() {
    retry curl -fsSL --connect-timeout 10 --max-time 300 -o "$1.new" "$2"
    sum=$(sha256sum <"$1.new" | cut -d ' ' -f 1)
    if [ "$sum" != "$3" ]; then
        rm -f "$1.new"
        fail "$current: $2 has sha256 $sum, expected is $3"
    fi
    mv -f "$1.new" "$1"
}

# A release's own list of checksums, verified itself, says what the binary must hash to.
look_up_the_runner() {
    download "$LOG.list" "$runner_list_url" "$runner_list_sha256"
    runner_sha256=$(awk -v entry="$runner_list_entry" '
        { name = $2; sub(/^\*/, "", name); sub(/^\.\//, "", name) }
        name == entry { print $1; exit }' "$LOG.list")
    [ -n "$runner_sha256" ] || fail "$current: $runner_list_url does not list $runner_list_entry"
}

# merge FILE ADDITION: deep-merges a JSON object into FILE, the addition wins, and takes away where it says null; prints
# "changed" if FILE is another then. A FILE of several objects, as `>>` makes them, becomes one.
merge() {
    python3 - "$1" "$2" <<'EOT'
import json, os, sys

def merge(base, addition):
    for key, value in addition.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        elif value is None:
            base.pop(key, None)
        else:
            base[key] = value

path, addition = sys.argv[1:]
text = ""
if os.path.exists(path):
    with open(path, encoding="utf-8") as file:
        text = file.read().strip()
base, count = {}, 0
while text:
    value, end = json.JSONDecoder().raw_decode(text)
    if not isinstance(value, dict):
        sys.exit(path + " is no JSON object")
    merge(base, value)
    text, count = text[end:].lstrip(), count + 1
before = json.dumps(base)
with open(addition, encoding="utf-8") as file:
    merge(base, json.load(file))
if json.dumps(base) != before or count != 1:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(json.dumps(base, indent=2) + "\n")
    os.replace(path + ".new", path)
    print("changed")
EOT
}

docker_answers() { [ -S "$DOCKER_SOCKET" ] && curl -fsS -m 5 --noproxy '*' --unix-socket "$DOCKER_SOCKET" http://docker/_ping; }

set_up_docker() {
    changed=''
    # Before the installation, as Debian's package starts the daemon by itself.
    if [ -e "$ETC/daemon.json" ]; then
        changed=$(merge "$ROOT/etc/docker/daemon.json" "$ETC/daemon.json" 2>"$LOG.merge") ||
            fail "configuring docker: /etc/docker/daemon.json: $(tail -n 1 "$LOG.merge")"
    fi
    # A daemon that the image has started did not know the proxy yet.
    if [ -e "$DOCKER_PROXY" ] && ! cmp -s "$DOCKER_PROXY" "$ETC/docker-proxy.seen"; then
        changed=proxy
        cp "$DOCKER_PROXY" "$ETC/docker-proxy.seen"
    fi
    if ! have dockerd; then
        step "installing docker"
        install_packages docker.io docker
        changed=''
    fi
    step "starting docker"
    run systemctl enable docker.service || true
    if [ -n "$changed" ]; then
        run systemctl restart docker.service
    else
        run systemctl start docker.service
    fi
    retry docker_answers
}

set_up_runner() {
    # The image's own service would take jobs beside ours and hold the metrics port.
    run systemctl disable --now gitlab-runner.service || true
    if have gitlab-runner; then
        run gitlab-runner --version || fail "$current: the image's $(command -v gitlab-runner) does not run on $(uname -m)"
    else
        step "installing gitlab-runner $runner_version"
        [ -n "$runner_sha256" ] || look_up_the_runner
        download "$BIN/gitlab-runner" "$runner_url" "$runner_sha256"
        chmod 755 "$BIN/gitlab-runner"
        run gitlab-runner --version || fail "$current: the downloaded gitlab-runner does not run on $(uname -m)"
    fi
}

# is_static PROGRAM: it needs no library, so that it runs in any container; else the path of its loader stands in it.
is_static() { ! grep -q -e '/ld-linux' -e '/ld-musl' "$1"; }

# helper_serves PROGRAM: it runs here, is not older than the registries need, and runs in jobs where it is to.
helper_serves() {
    found=$("$1" -v 2>/dev/null) || return 1
    found=$(echo "$found" | sed -n 's/^Version:[[:space:]]*v\{0,1\}//p')
    [ "$(printf '%s\n' "$helper_needed" "$found" | sort -V | head -n 1)" = "$helper_needed" ] || return 1
    ! $in_jobs || is_static "$1"
}

# ecr_answers HOST: its output is a secret.
ecr_answers() { echo "$1" | timeout "$seconds" "$helper" get >/dev/null; }

# ecr_reason CODE: the reason of a failure stands in the helper's log alone; one that had to be ended has not said it there.
ecr_reason() {
    if [ "$1" -ge 124 ]; then
        echo "ECR's API has not answered in $seconds s; the worker needs a way to it (NAT or the VPC endpoint ecr.api)"
        return
    fi
    sed -n 's/.*level=error.* error="\{0,1\}\(.*[^"]\)"\{0,1\}$/\1/Ip' "$HOME/.ecr/log/ecr-login.log" 2>/dev/null | tail -n 1
}

helper=$BIN/docker-credential-ecr-login
kept=$LIB/docker-credential-ecr-login

set_up_helper() {
    if helper_serves "$helper"; then return; fi
    step "installing the ECR helper $helper_version"
    packaged=$(command -v docker-credential-ecr-login) || packaged=''
    # What the last boot left here may have been the wrong one, and would be found before the image's own.
    if [ "$packaged" = "$helper" ]; then packaged=$ROOT/usr/bin/docker-credential-ecr-login; fi
    if [ -e "$kept" ] && helper_serves "$kept"; then
        cp "$kept" "$helper"
    elif helper_serves "$packaged"; then
        cp "$packaged" "$helper"
    else
        download "$helper" "$helper_url" "$helper_sha256"
        chmod 755 "$helper"
        ! $in_jobs || is_static "$helper" ||
            fail "$current: the downloaded helper is dynamically linked, and would not run in every job's image"
    fi
    run "$helper" -v || fail "$current: the downloaded helper does not run on $(uname -m)"
}

# The host's own pulls use root's Docker configuration, jobs the other, which they have mounted. A host that is refused has
# no place in either: its pulls are anonymous then, and ask nobody first.
refused=''
set_up_logins() {
    entries=''
    for host in $ecr_hosts; do
        case " $refused " in
        *" $host "*) entries="$entries,\"$host\":null" ;;
        *) entries="$entries,\"$host\":\"ecr-login\"" ;;
        esac
    done
    printf '{"credHelpers":{%s}}\n' "${entries#,}" >"$RUN/logins"
    merge "$ETC/docker-config.json" "$RUN/logins" >/dev/null
    changed=$(merge "$HOME/.docker/config.json" "$RUN/logins" 2>"$LOG.merge") ||
        fail "$current: /root/.docker/config.json: $(tail -n 1 "$LOG.merge")"
}

set_up_ecr() {
    set_up_helper
    step "configuring the docker login"
    set_up_logins
    if [ -e "$LIB/setup" ]; then cp "$helper" "$kept"; fi
}

# Scripts from before this table was there install a helper and append to config.json themselves.
look_again() {
    step "configuring the docker login"
    if ! helper_serves "$helper"; then
        say "setup_script has left an ECR helper that does not serve ($(echo "${found:-none}" | tail -n 1)): put back"
        rm -f "$helper"
        set_up_helper
    fi
    rm -f "$kept"
    set_up_logins
    [ -z "$changed" ] || say "setup_script has changed /root/.docker/config.json: the ECR hosts were put back"
}

# A worker without credentials would fail one job after another. After setup_script, which may prepare the way to the API.
check_ecr() {
    if [ -e "$LIB/setup" ]; then look_again; fi
    step "checking the ECR login"
    for host in $ecr_hosts; do
        public=false attempts=4 seconds=$ecr_seconds
        # What is public can be pulled without a login, too: it gets one try.
        case $host in public.ecr.aws | ecr-public.aws.com) public=true attempts=1 seconds=$public_seconds ;; esac
        answered=0
        # A role that was just attached may take some seconds to count.
        retry ecr_answers "$host" || answered=$?
        if [ "$answered" -eq 0 ]; then continue; fi
        $public || fail "$current: no credentials for $host: $(ecr_reason "$answered")"
        refused="$refused $host"
        say "no login to $host on this worker, its images are pulled without one: $(ecr_reason "$answered")"
    done
    [ -z "$refused" ] || set_up_logins
}

run_setup_script() {
    step "running setup_script"
    chmod 700 "$LIB/setup"
    if [ "$(head -c 2 "$LIB/setup")" = '#!' ]; then
        run "$LIB/setup"
    else
        run sh "$LIB/setup"
    fi
}

current=starting
mkdir -p "$RUN" "$BIN" "${LOG%/*}"
: >"$LOG"
trap ended EXIT
step starting
if ! have curl; then
    step "installing curl"
    install_packages "curl" "curl-minimal"
fi
# An upgrade that restarts Docker kills the job that runs; a worker lives for a day at most, its image is what is upgraded.
run systemctl disable --now apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service || true
set_up_docker
step "checking gitlab-runner"
set_up_runner
if $ecr; then set_up_ecr; fi
if [ -e "$LIB/setup" ]; then run_setup_script; fi
if $ecr; then check_ecr; fi
read -r now _ <"${ROOT:+$ROOT}/proc/uptime"
echo "${now%%.*}" >"$RUN/ready"
phase ready
