# What every part uses.

say() { echo "runner-fleet: $*" >&2; }

die() {
    die_code=$1
    shift
    say "$*"
    exit "$die_code"
}

# Seconds since boot: unlike the wall clock it never jumps. Costs no process.
uptime_now() {
    read -r now _ <"$UPTIME"
    now=${now%%.*}
}

# put FILE: stdin becomes FILE in one step, readable by root only.
put() {
    cat >"$1.$$" && mv -f "$1.$$" "$1" && return 0
    rm -f "$1.$$"
    return 1
}

# One change of the configuration at a time: the manager, the dead man and the spot watcher may all want one.
lock() {
    exec 9>"$RUN/lock"
    if command -v flock >/dev/null 2>&1; then
        flock -w 20 9 || die 5 "another agent command holds $RUN/lock"
    fi
}

unlock() { exec 9>&-; }

# runner_alive: sets pid and pid_since.
runner_alive() {
    pid='' pid_since=0
    [ -r "$RUN/runner.pid" ] && read -r pid pid_since <"$RUN/runner.pid" && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}

# A process that has just been started would die of a SIGHUP, as it does not handle it yet. It reads the file anyway.
reload_runner() {
    if runner_alive; then
        uptime_now
        if ! $single && [ $((now - pid_since)) -ge 2 ]; then kill -s HUP "$pid"; fi
    fi
}

# instance_now: sets instance, as cloud-init has learned it from EC2; empty where it has not.
instance=''
instance_now() {
    if [ -z "$instance" ] && [ -r "$INSTANCE_ID" ]; then read -r instance <"$INSTANCE_ID"; fi
    case $instance in *[!0-9a-zA-Z-]*) instance='' ;; esac
}

power_off() {
    say "$*; powering off"
    systemctl poweroff
}
