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
HOME=$ROOT/root
PATH=$BIN:$PATH
DEBIAN_FRONTEND=noninteractive
export HOME PATH DEBIAN_FRONTEND

ecr=false
runner_version='' runner_url='' runner_sha256='' runner_list_url='' runner_list_sha256='' runner_list_entry=''
helper_version='' helper_url='' helper_sha256='' helper_needed='' ecr_hosts=''
retry_seconds=2
ecr_seconds=20
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

# merge FILE ADDITION: deep-merges a JSON object into FILE, the addition wins; prints "changed" if FILE is another then.
merge() {
    python3 - "$1" "$2" <<'EOT'
import json, os, sys

def merge(base, addition):
    for key, value in addition.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value

path, addition = sys.argv[1:]
base = {}
if os.path.exists(path) and os.path.getsize(path) > 0:
    with open(path, encoding="utf-8") as file:
        base = json.load(file)
if not isinstance(base, dict):
    sys.exit(path + " is no JSON object")
before = json.dumps(base)
with open(addition, encoding="utf-8") as file:
    merge(base, json.load(file))
if json.dumps(base) != before or not os.path.exists(path):
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(json.dumps(base, indent=2) + "\n")
    os.replace(path + ".new", path)
    print("changed")
EOT
}

docker_answers() { [ -S "$DOCKER_SOCKET" ] && curl -fsS -m 5 --unix-socket "$DOCKER_SOCKET" http://docker/_ping; }

set_up_docker() {
    changed=''
    # Before the installation, as Debian's package starts the daemon by itself.
    if [ -e "$ETC/daemon.json" ]; then
        changed=$(merge "$ROOT/etc/docker/daemon.json" "$ETC/daemon.json" 2>"$LOG.merge") ||
            fail "configuring docker: /etc/docker/daemon.json: $(tail -n 1 "$LOG.merge")"
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

# helper_serves PROGRAM: it runs here, and is not older than the registries need.
helper_serves() {
    found=$("$1" -v 2>/dev/null) || return 1
    found=$(echo "$found" | sed -n 's/^Version:[[:space:]]*v\{0,1\}//p')
    [ "$(printf '%s\n' "$helper_needed" "$found" | sort -V | head -n 1)" = "$helper_needed" ]
}

# ecr_answers HOST: its output is a secret.
ecr_answers() { echo "$1" | timeout "$ecr_seconds" "$helper" get >/dev/null; }

# ecr_reason CODE: the reason of a failure stands in the helper's log alone; one that had to be ended has not said it there.
ecr_reason() {
    if [ "$1" -ge 124 ]; then
        echo "ECR's API has not answered in $ecr_seconds s; the worker needs a way to it (NAT or the VPC endpoint ecr.api)"
        return
    fi
    sed -n 's/.*level=error.* error="\{0,1\}\(.*[^"]\)"\{0,1\}$/\1/Ip' "$HOME/.ecr/log/ecr-login.log" 2>/dev/null | tail -n 1
}

# The host's own pulls use root's Docker configuration; jobs get the seed and the helper as volumes.
set_up_ecr() {
    helper=$BIN/docker-credential-ecr-login
    if ! helper_serves "$helper"; then
        step "installing the ECR helper $helper_version"
        packaged=$(command -v docker-credential-ecr-login) || packaged=''
        # What the last boot left here may have been the wrong one, and would be found before the image's own.
        if [ "$packaged" = "$helper" ]; then packaged=$ROOT/usr/bin/docker-credential-ecr-login; fi
        if helper_serves "$packaged"; then
            cp "$packaged" "$helper"
        else
            download "$helper" "$helper_url" "$helper_sha256"
            chmod 755 "$helper"
        fi
        run "$helper" -v || fail "$current: the downloaded helper does not run on $(uname -m)"
    fi
    step "configuring the docker login"
    merge "$HOME/.docker/config.json" "$ETC/docker-config.json" >/dev/null 2>"$LOG.merge" ||
        fail "$current: /root/.docker/config.json: $(tail -n 1 "$LOG.merge")"
}

# A worker without credentials would fail one job after another. After setup_script, which may prepare the way to the API.
check_ecr() {
    step "checking the ECR login"
    # A role that was just attached may take some seconds to count.
    attempts=4
    for host in $ecr_hosts; do
        answered=0
        retry ecr_answers "$host" || answered=$?
        [ "$answered" -ne 0 ] || continue
        # What is public can be pulled without a login, too.
        case $host in public.ecr.aws | ecr-public.aws.com) continue ;; esac
        fail "$current: no credentials for $host: $(ecr_reason "$answered")"
    done
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
