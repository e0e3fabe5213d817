#!/usr/bin/env bash
# Installs runner-fleet on the manager's host, and starts it. cloud-init runs this at the host's first boot.
#
# What can heal (the network, a file that is not there yet) is tried again, after pauses that grow, with a sentence each time.
# What cannot heal here ends with a sentence and code 1. The sentences are in the journal (journalctl -t runner-fleet-install),
# in /var/log/cloud-init-output.log, and on the serial console.
#
# usage: install.sh [SETTINGS]
set -eEuo pipefail

settings=${1:-/etc/default/runner-fleet-install}
etc=/etc/runner-fleet
lib=/usr/local/lib/runner-fleet

say() {
    printf 'runner-fleet-install: %s\n' "$*" >&2
    logger --tag runner-fleet-install -- "$*" || true
}

give_up() {
    say "$*"
    watch_over
    exit 1
}

# Logs and health are told to CloudWatch from the first trouble on, and in any case at the end.
watch_over() {
    if [[ -n ${watched:-} ]]; then return; fi
    watched=yes
    if [[ -n ${LOG_GROUP:-} ]]; then
        systemctl start --no-block runner-fleet-logs.service || say "the log is not shipped: runner-fleet-logs.service does not start"
    fi
    if [[ -n ${READY_URL:-} ]]; then
        systemctl enable --quiet --now --no-block runner-fleet-ready.timer || say "health is not told: runner-fleet-ready.timer does not start"
    fi
}

# Says what went wrong, and waits: 5 s, 10 s, 20 s, … up to 5 minutes.
again() {
    pause=${pause:-${FIRST_PAUSE:-5}}
    say "$*; trying again in $pause s"
    watch_over
    sleep "$pause"
    pause=$((pause * 2 > ${LONGEST_PAUSE:-300} ? ${LONGEST_PAUSE:-300} : pause * 2))
}

last_line() {
    sed '/^[[:space:]]*$/d' | tail -n 1 | sed 's/^curl: //'
}

has() {
    command -v "$1" >/dev/null
}

read_settings() {
    if [[ ! -r $settings ]]; then give_up "$settings is missing: this host was not made by the Terraform module"; fi
    # shellcheck disable=SC1090
    . "$settings"
    if [[ -r $etc/environment ]]; then
        # Proxies, for the downloads.
        set -a
        # shellcheck disable=SC1091
        . "$etc/environment"
        set +a
    fi
    if has dnf; then
        kind=rpm
    elif has apt-get; then
        kind=deb
    else
        give_up "this system has neither dnf nor apt-get; use Amazon Linux 2023 or Debian"
    fi
    package=$(mktemp -d)/runner-fleet.$kind
}

run_hook() {
    if [[ ! -x $lib/$1-install ]]; then return; fi
    say "running the $1-install script"
    "$lib/$1-install" || say "the $1-install script ended with code $?; going on"
}

download() {
    case $PACKAGE_URL in
    s3://*)
        if ! has aws; then install_aws_cli; fi
        aws s3 cp --only-show-errors --region "$AWS_REGION" "$PACKAGE_URL" "$package"
        ;;
    *)
        curl --fail --silent --show-error --location --proto '=https,file' --connect-timeout 20 --max-time 900 \
            --output "$package" "$PACKAGE_URL"
        ;;
    esac
}

install_aws_cli() {
    if [[ $kind == rpm ]]; then
        dnf --quiet --assumeyes install awscli-2
    else
        apt-get --quiet update && DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes install --no-install-recommends awscli
    fi
}

fetch() {
    local why sha256
    while true; do
        if ! why=$(download 2>&1); then
            again "cannot download $PACKAGE_URL: $(last_line <<<"$why")"
            continue
        fi
        sha256=$(sha256sum "$package" | cut -d ' ' -f 1)
        if [[ $sha256 == "$PACKAGE_SHA256" ]]; then break; fi
        again "what lies at $PACKAGE_URL has sha256 $sha256, and $PACKAGE_SHA256 is expected: put the right file there, or write its sha256 as runner_package.sha256"
    done
    pause=
    say "downloaded $PACKAGE_URL"
}

check_architecture() {
    local of_package of_host
    if [[ $kind == rpm ]]; then
        of_host=$(uname -m)
        of_package=$(rpm --query --package --nosignature --queryformat '%{ARCH}' "$package" 2>/dev/null) || of_package=
    else
        of_host=$(dpkg --print-architecture)
        of_package=$(dpkg-deb --field "$package" Architecture 2>/dev/null) || of_package=
    fi
    case $of_package in
    "$of_host" | noarch | all) ;;
    '') give_up "$PACKAGE_URL is no .$kind package; write the address of one as runner_package.url" ;;
    *) give_up "$PACKAGE_URL is for $of_package, and this host is $of_host; write the address of the package for $of_host as runner_package.url" ;;
    esac
}

# Without the mirrors first: the package needs only what every image has, and closed networks have no mirrors.
install_with() {
    if [[ $kind == rpm ]]; then
        dnf --quiet --assumeyes --disablerepo='*' install "$package" || dnf --quiet --assumeyes install "$package"
    else
        install_deb || { apt-get --quiet update && install_deb; }
    fi
}

install_deb() {
    DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold install "$package"
}

install_package() {
    local why
    # apt reads the file as a user of its own.
    chmod 0755 "$(dirname "$package")"
    until why=$(install_with 2>&1); do
        again "cannot install $PACKAGE_URL: $(last_line <<<"$why")"
    done
    rm -rf "$(dirname "$package")"
    # What cloud-init wrote before the package made the group.
    chgrp -R runner-fleet "$etc"
    chmod 0750 "$etc"
    say "installed $(runner-fleet --version)"
}

# The service would refuse it, too, and systemd would not try it again.
check_configuration() {
    local report
    if report=$(runner-fleet check --config "$etc/config.toml" 2>&1); then return; fi
    systemctl enable --quiet runner-fleet.service
    give_up "the configuration is refused, so that the service is not started: $(paste --serial --delimiters ' ' <<<"$report")" \
        "Correct the module's variables, and apply again."
}

start() {
    systemctl daemon-reload
    systemctl enable --quiet --now --no-block runner-fleet-farewell.service runner-fleet.service
    watch_over
    local deadline=$((SECONDS + ${START_SECONDS:-90}))
    until [[ $(show ActiveState) == active ]] || ((SECONDS >= deadline)); do sleep 1; done
    if [[ $(show ActiveState) == active ]]; then
        say "the service runs: $(show StatusText)"
    else
        say "the service does not run yet, and systemd goes on trying: $(journalctl --unit runner-fleet.service --identifier runner-fleet --lines 1 --output cat || true)"
    fi
}

# Debian's image has none, and health is told with it.
get_aws_cli() {
    local why
    if [[ -z ${READY_URL:-} ]] || has aws; then return; fi
    until why=$(install_aws_cli 2>&1); do
        again "cannot install the aws command, with which health is told: $(last_line <<<"$why")"
    done
}

show() {
    systemctl show --property "$1" --value runner-fleet.service
}

trap 'say "stopped at line $LINENO: $BASH_COMMAND; this is a bug, or a system that is neither Amazon Linux 2023 nor Debian"' ERR
read_settings
run_hook pre
fetch
check_architecture
install_package
check_configuration
start
run_hook post
get_aws_cli
