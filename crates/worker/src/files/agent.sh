#!/bin/sh
# runner-fleet's agent on a worker: reports its state, pushes configuration in, fences and stops the runner, and looks
# after the worker when its manager is gone or EC2 takes the machine back. Runs as root. State lives in files under
# /run/runner-fleet, so that every call sees the same worker and nothing outlives a reboot.
#
# Exit codes: 0 done, 2 usage, 3 not fenced, 4 busy, 5 timed out, 6 the worker is ending, 7 bad bundle, 1 anything else.
set -u
umask 077
LC_ALL=C
export LC_ALL

ROOT=${RUNNER_FLEET_ROOT:-}
RUN=$ROOT/run/runner-fleet
ETC=$ROOT/etc/runner-fleet
CONFIG=$ROOT/etc/gitlab-runner/config.toml # what the runner reads: one of the next two, whole as the manager sent it
SERVING=$CONFIG.serving
FENCED=$CONFIG.fenced
SYSTEM_ID=$ROOT/etc/gitlab-runner/.runner_system_id
DOCKER_SOCKET=$ROOT/var/run/docker.sock
UPTIME=$ROOT/proc/uptime
UNIT=runner-fleet-runner.service

single=false              # run-single, one job per machine: no metrics, no reload, and no way back from a fence
orphan_seconds=1800
stop_seconds=45           # how long `stop` waits for the runner to exit
fail_seconds=60           # how long a failed boot stays up, so that its reason can be read
imds=http://169.254.169.254
imds_seconds=5
metrics=http://127.0.0.1:9252/metrics
helper_log=${AWS_ECR_CACHE_DIR:-$ROOT/root/.ecr}/log/ecr-login.log # of the runner's own pulls; jobs log in their containers
# worker.env is rendered; the file in /etc/default is for people and tests who need another value.
# shellcheck source=/dev/null
[ ! -r "$ETC/worker.env" ] || . "$ETC/worker.env"
# shellcheck source=/dev/null
[ ! -r "$ROOT/etc/default/runner-fleet" ] || . "$ROOT/etc/default/runner-fleet"

# --- small things -----------------------------------------------------------------------------------------------------

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

power_off() {
    say "$*; powering off"
    systemctl poweroff
}

# --- what is observed ---------------------------------------------------------------------------------------------------

# Two keys to "busy": the runner's own metrics and the labels of its containers. One curl asks both.
# Prints: metrics_ok jobs requests started queue loaded docker_ok containers_with_jobs ids projects
# `loaded` counts reads of config.toml (-1: not told); ids are comma-separated, projects are `"job":project`, "-" for none.
ask() {
    set --
    $single || set -- -w '\n#metrics %{http_code}\n' "$metrics"
    if [ -S "$DOCKER_SOCKET" ]; then
        [ $# -eq 0 ] || set -- "$@" --next -sS -m 2
        set -- "$@" -w '\n#docker %{http_code}\n' --unix-socket "$DOCKER_SOCKET" \
            'http://docker/containers/json?filters=%7B%22label%22%3A%5B%22com.gitlab.gitlab-runner.managed%3Dtrue%22%5D%7D'
    fi
    { [ $# -eq 0 ] || curl -sS -m 2 "$@" 2>/dev/null; } | awk '
        BEGIN { queue = "null"; loaded = -1 }
        /^#metrics / { metrics_ok = ($2 == 200); next }
        /^#docker / { docker_ok = ($2 == 200); next }
        /^gitlab_runner_jobs[{ ]/ { if ($0 !~ /[{,]state="idle"/) jobs += $NF; next }
        /^gitlab_runner_request_concurrency[{ ]/ { requests += $NF; next }
        /^gitlab_runner_jobs_total[{ ]/ { started += $NF; next }
        /^gitlab_runner_job_queue_size[{ ]/ { if (queue == "null" || $NF > queue) queue = int($NF); next }
        /^gitlab_runner_configuration_loaded_total[{ ]/ { loaded = $NF; next }
        {
            # Labels come sorted, as Go writes maps: a container tells its job first, then its project.
            while (match($0, /"com\.gitlab\.gitlab-runner\.(job|project)\.id":"[0-9]+"/)) {
                id = substr($0, RSTART, RLENGTH)
                $0 = substr($0, RSTART + RLENGTH)
                of_project = (id ~ /project/)
                gsub(/[^0-9]/, "", id)
                sub(/^0+/, "", id)
                if (length(id) == 0 || length(id) > 18) id = ""
                if (of_project) {
                    if (job != "" && id != "" && !(job in told)) { told[job]; projects = projects ",\"" job "\":" id }
                    job = ""
                } else {
                    job = id
                    if (id != "" && !(id in seen)) { seen[id]; n++; ids = ids "," id }
                }
            }
        }
        END {
            if (queue != "null" && queue < 0) queue = 0
            printf "%d %d %d %d %s %d %d %d %s %s\n", metrics_ok, jobs, requests, started, queue, loaded, docker_ok, n, \
                (n ? substr(ids, 2) : "-"), (projects == "" ? "-" : substr(projects, 2))
        }'
}

metrics_ok=0 jobs_metrics=0 requests=0 started_raw=0 queue=null loaded=-1 docker_ok=0 jobs_docker=0 ids=- projects=-
docker_silent=0

# observe: unknown is not zero. What cannot be asked keeps its last value, and a live runner that does not answer counts
# as one that may still get a job.
observe() {
    uptime_now
    read -r a_ok a_jobs a_requests a_started a_queue a_loaded a_docker a_count a_ids a_projects <<EOT
$(ask)
EOT
    metrics_ok=${a_ok:-0}
    if [ "$metrics_ok" = 1 ]; then
        jobs_metrics=$a_jobs requests=$a_requests started_raw=$a_started queue=$a_queue loaded=$a_loaded
    fi
    docker_ok=${a_docker:-0}
    if [ "$docker_ok" = 1 ]; then
        jobs_docker=$a_count ids=$a_ids projects=$a_projects docker_silent=0
    elif [ ! -S "$DOCKER_SOCKET" ] || [ "$docker_silent" -ge 60 ]; then
        jobs_docker=0 ids=- projects=-
    else
        docker_silent=$((docker_silent + 1))
    fi
    if runner_alive; then
        if $single; then
            requests=1 jobs_metrics=0
        elif [ "$metrics_ok" != 1 ] && [ "$requests" = 0 ]; then
            requests=1
        fi
    else
        pid='' requests=0 jobs_metrics=0 queue=null
    fi
    settle
    if $single; then single_started; fi
    runner_state
    idle_time
}

# A fenced runner is empty only after it has been so for 3 s. While all its slots are busy, or its one slot polls, it holds
# one more turn of the old configuration ready, and takes it the moment a slot is free: job, nothing, request. A SIGQUIT
# into that request could lose a job that GitLab has just given to it. (Source: commands/multi.go, feedRunner.)
settle() {
    if $single || [ ! -e "$RUN/draining" ] || [ -z "$pid" ]; then return 0; fi
    if ! is_empty; then
        rm -f "$RUN/empty-since"
        return 0
    fi
    [ -r "$RUN/empty-since" ] || echo "$now" | put "$RUN/empty-since"
    read -r e_since <"$RUN/empty-since"
    if [ $((now - e_since)) -lt 3 ]; then requests=1; fi
}

# run-single has no counter: it has taken its job once a container was seen or it went away by itself.
single_started() {
    if [ "$jobs_docker" -gt 0 ]; then : >"$RUN/took-job"; fi
    started_raw=0
    if [ -e "$RUN/took-job" ]; then started_raw=1; fi
}

# runner_state: absent serving fenced stopping stopped failed.
runner_state() {
    state=absent
    if runner_alive; then
        if [ -e "$RUN/stopping" ]; then
            state=stopping
        elif fence_is_up; then
            state=fenced
        else
            state=serving
        fi
    elif [ -e "$RUN/stopping" ]; then
        state=stopped
    elif [ -r "$RUN/runner.exit" ]; then
        state=failed
        read -r result _ <"$RUN/runner.exit"
        if $single && [ "$result" = success ]; then state=stopped; fi
    fi
}

# The fence is up once the runner has read the empty file: its load counter has moved since the file was replaced, or,
# if it tells no counter, two of its 3 s looks at the file have passed. Until then it is pressed again every 5 s.
fence_is_up() {
    [ -r "$RUN/draining" ] || return 1
    if $single || [ -e "$RUN/fenced" ]; then return 0; fi
    read -r f_reason f_loaded f_since <"$RUN/draining"
    [ "$metrics_ok" = 1 ] || return 1
    if [ "$f_loaded" = - ]; then
        # The runner did not answer when it was fenced: count from here.
        echo "$f_reason $loaded $now" | put "$RUN/draining"
        reload_runner
        return 1
    fi
    f_age=$((now - f_since))
    if { [ "$loaded" -gt "$f_loaded" ] && [ "$f_age" -ge 1 ]; } || { [ "$loaded" -lt 0 ] && [ "$f_age" -ge 7 ]; }; then
        : >"$RUN/fenced"
        return 0
    fi
    if [ "$f_age" -gt 0 ] && [ $((f_age % 5)) -eq 0 ]; then reload_runner; fi
    return 1
}

# idle_time: jobs started over all runner processes, and since when none runs. Kept in a file, because watches come and
# go with the manager's connection.
stats_base=0 stats_last=0 idle_since=-1 stats_kept=''
idle_time() {
    if [ -z "$stats_kept" ] && [ -r "$RUN/stats" ]; then
        read -r stats_base stats_last idle_since <"$RUN/stats"
    fi
    if [ "$idle_since" -lt 0 ] || [ "$state" = absent ]; then
        idle_since=$now
        if [ "$pid_since" -gt 0 ]; then idle_since=$pid_since; fi
    fi
    if [ "$started_raw" -lt "$stats_last" ] && { $single || [ "$metrics_ok" = 1 ]; }; then
        stats_base=$((stats_base + stats_last)) stats_last=0
    fi
    if [ "$started_raw" -gt "$stats_last" ]; then
        stats_last=$started_raw idle_since=$now
    fi
    if [ "$jobs_metrics" -gt 0 ] || [ "$jobs_docker" -gt 0 ]; then idle_since=$now; fi
    started=$((stats_base + stats_last)) idle_seconds=$((now - idle_since))
    # While a job runs the time moves every second; a copy every 10 s is exact enough for the next watch.
    if [ "$stats_kept" != "$stats_base $stats_last $((idle_since / 10))" ]; then
        stats_kept="$stats_base $stats_last $((idle_since / 10))"
        echo "$stats_base $stats_last $idle_since" | put "$RUN/stats"
    fi
}

is_empty() { [ "$jobs_metrics" -eq 0 ] && [ "$jobs_docker" -eq 0 ] && [ "$requests" -eq 0 ]; }

# --- the line -----------------------------------------------------------------------------------------------------------

# The phase file holds "booting STEP", "ready" or "failed ERROR"; nothing yet means that cloud-init has not come to us.
phase_now() {
    phase=booting text=cloud-init
    if [ -r "$RUN/phase" ]; then read -r phase text <"$RUN/phase"; fi
    case $phase in booting | ready | failed) ;; *) phase=booting ;; esac
    if [ "$phase $text" != "${phase_kept:-}" ]; then
        phase_kept="$phase $text"
        quoted=$(printf %.400s "$text" | tr -c ' -~' '?' | sed 's/["\\]/\\&/g')
    fi
    step='' failure=''
    case $phase in booting) step=$quoted ;; failed) failure=$quoted ;; esac
}

interruption_now() {
    interruption=null rebalance=false
    if [ -r "$RUN/interruption" ]; then
        read -r when <"$RUN/interruption"
        interruption="\"$when\""
    fi
    if [ -e "$RUN/rebalance" ]; then rebalance=true; fi
}

disk='' disk_at=0
disk_free() {
    if [ -n "$disk" ] && [ $((now - disk_at)) -lt 30 ]; then return; fi
    disk_at=$now disk_of=$ROOT/var/lib/docker
    [ -d "$disk_of" ] || disk_of=${ROOT:-/}
    disk=$(df -Pk "$disk_of" 2>/dev/null | awk 'NR == 2 && $4 ~ /^[0-9]+$/ { printf "%d", $4 / 1024 }')
    disk=${disk:-null}
}

# The ECR helper tells Docker only "credentials not found"; why, it writes into its log. The last error is handed on as it
# is: the manager reads its time, and blanks what looks like a secret.
ecr_error='' ecr_error_at=0
helper_error() {
    if [ ! -r "$helper_log" ]; then
        ecr_error=''
    elif [ "$ecr_error_at" = 0 ] || [ $((now - ecr_error_at)) -ge 10 ]; then
        ecr_error_at=$now
        ecr_error=$(tail -c 16384 "$helper_log" 2>/dev/null | grep -i 'level=error' | tail -n 1 | cut -c 1-1000 |
            tr -d '\n' | tr -c ' -~' '?' | sed 's/["\\]/\\&/g')
    fi
}

# look: sets line, and key, the part of it whose change is news.
look() {
    observe
    phase_now
    interruption_now
    disk_free
    helper_error
    ids_json=$ids projects_json=$projects
    if [ "$ids" = - ]; then ids_json=''; fi
    if [ "$projects" = - ]; then projects_json=''; fi
    key="\"phase\":\"$phase\",\"step\":\"$step\",\"error\":\"$failure\",\"runner\":\"$state\""
    key="$key,\"jobs_metrics\":$jobs_metrics,\"jobs_docker\":$jobs_docker,\"job_ids\":[$ids_json],\"projects\":{$projects_json}"
    key="$key,\"requests\":$requests,\"started\":$started,\"queue_size\":$queue"
    key="$key,\"interruption\":$interruption,\"rebalance\":$rebalance,\"ecr_error\":\"$ecr_error\""
    line="{\"v\":1,$key,\"idle_seconds\":$idle_seconds,\"disk_free_mib\":$disk}"
}

report() {
    look
    printf '%s\n' "$line"
}

beat() {
    uptime_now
    echo "$now" >"$RUN/heartbeat"
    # A manager is back: what the dead man did is undone, what was done for another reason stays.
    if fenced_for orphan; then (unfence); fi
}

# watch: a line on every change and every 30 s, until stdin closes.
watch() {
    exec 3<&0 </dev/null
    (
        while read -r word <&3; do
            case $word in beat) beat ;; esac
        done
        kill -s TERM $$
    ) &
    reader=$!
    exec 3<&-
    trap 'kill "$reader" 2>/dev/null' EXIT
    trap 'exit 0' TERM INT HUP PIPE
    nap=0.8
    sleep 0.01 2>/dev/null || nap=1
    told='' told_at=0
    while :; do
        look
        if [ "$key" != "$told" ] || [ $((now - told_at)) -ge 30 ]; then
            printf '%s\n' "$line" || exit 0
            told=$key told_at=$now
        fi
        sleep "$nap"
    done
}

# --- configuration and fence --------------------------------------------------------------------------------------------

bundle_field() {
    IFS= read -r b_line || b_line=''
    b_value=${b_line#"$1 "}
    [ "$b_line" = "$1 $b_value" ] || die 7 "the bundle has no $1; nothing was changed"
}

bundle_length() {
    bundle_field "$1"
    case $b_value in '' | *[!0-9]*) die 7 "the bundle's $1 is no number; nothing was changed" ;; esac
}

# unpack OFFSET LENGTH FILE: this part of the bundle becomes FILE.
unpack() {
    head -c $(($1 + $2)) "$new" | tail -c "$2" | put "$3" || die 1 "cannot write $3"
}

# A worker from before ECR was switched on has no helper, and Docker would make directories in its place. Until it is
# replaced its jobs stay as they were.
has_ecr_files() {
    [ -f "$ROOT/usr/local/bin/docker-credential-ecr-login" ] && [ -f "$ETC/docker-config.json" ]
}

# show FILE: the runner reads FILE from now on. A link and a rename need no room, so that a full disk hinders no fence. The
# runner looks for a newer time.
show() {
    touch "$1"
    if cmp -s "$1" "$CONFIG"; then return 0; fi
    ln -f "$1" "$CONFIG.$$" || die 1 "cannot link $1"
    mv -f "$CONFIG.$$" "$CONFIG" || die 1 "cannot replace $CONFIG"
}

configure() {
    bundle_field runner-fleet-bundle
    [ "$b_value" = 2 ] || die 7 "the bundle has version $b_value, this agent reads 2; nothing was changed"
    bundle_field system-id
    case $b_value in
        [rs]_*[!0-9a-zA-Z]*) die 7 "the bundle's system id is malformed; nothing was changed" ;;
        [rs]_????????????) id=$b_value ;;
        *) die 7 "the bundle's system id is malformed; nothing was changed" ;;
    esac
    bundle_field worker-name
    name=$b_value
    bundle_length config-bytes
    full=$b_value
    bundle_length without-ecr-bytes
    without_ecr=$b_value
    bundle_length fenced-bytes
    fenced=$b_value
    mkdir -p "${CONFIG%/*}" "$RUN"
    new=$CONFIG.new.$$
    trap 'rm -f "$new"' EXIT
    cat >"$new" || die 1 "cannot write $new"
    [ "$(wc -c <"$new" | tr -d ' ')" = $((full + without_ecr + fenced)) ] ||
        die 7 "the bundle was cut; nothing was changed"
    lock
    if [ -e "$RUN/stopping" ] || [ -e "$RUN/interruption" ]; then die 6 "this worker is ending"; fi
    echo "$id" | cmp -s - "$SYSTEM_ID" || echo "$id" | put "$SYSTEM_ID" || die 1 "cannot write $SYSTEM_ID"
    printf '%s\n' "$name" | put "$RUN/name" || die 1 "cannot write $RUN/name"
    unpack $((full + without_ecr)) "$fenced" "$FENCED"
    if [ "$without_ecr" -eq 0 ] || has_ecr_files; then
        unpack 0 "$full" "$SERVING"
    else
        unpack "$full" "$without_ecr" "$SERVING"
    fi
    wanted=$SERVING
    if [ -e "$RUN/draining" ]; then wanted=$FENCED; fi
    if ! cmp -s "$wanted" "$CONFIG"; then
        show "$wanted"
        reload_runner
    fi
    chmod 600 "$SYSTEM_ID"
    unlock
    if ! runner_alive; then
        if $single && [ -e "$RUN/runner.exit" ]; then die 6 "this single-use worker has had its job"; fi
        systemctl start "$UNIT" || die 1 "cannot start $UNIT; see: journalctl -u $UNIT"
    fi
}

fenced_for() { [ -r "$RUN/draining" ] && read -r f_reason _ <"$RUN/draining" && [ "$f_reason" = "$1" ]; }

# fence REASON (manager, orphan, interruption): a later, graver reason replaces an earlier one.
fence() {
    lock
    if [ -e "$RUN/draining" ]; then
        read -r f_reason f_rest <"$RUN/draining"
        if [ "$1" != orphan ] && [ "$f_reason" != interruption ]; then echo "$1 $f_rest" | put "$RUN/draining"; fi
        unlock
        return 0
    fi
    uptime_now
    if $single; then
        echo "$1 0 $now" | put "$RUN/draining"
        # It finishes its job, or an open request and the job that comes of it, and exits.
        if runner_alive; then kill -s QUIT "$pid"; fi
    else
        # Where none has been pushed yet, there is no runner either.
        if [ -e "$FENCED" ]; then show "$FENCED"; fi
        # Read after the file was replaced: whatever is loaded from now on is the empty file.
        read -r a_ok _ _ _ _ a_loaded _ <<EOT
$(ask)
EOT
        if [ "${a_ok:-0}" != 1 ]; then
            a_loaded=0
            if runner_alive; then a_loaded=-; fi
        fi
        echo "$1 $a_loaded $now" | put "$RUN/draining"
        if [ "${a_ok:-0}" = 1 ]; then reload_runner; fi
    fi
    unlock
}

unfence() {
    lock
    if [ -e "$RUN/stopping" ] || [ -e "$RUN/interruption" ]; then die 6 "this worker is ending"; fi
    if [ -e "$RUN/draining" ]; then
        if $single; then die 6 "a single-use worker cannot be unfenced"; fi
        if [ -e "$SERVING" ]; then show "$SERVING"; fi
        rm -f "$RUN/draining" "$RUN/fenced" "$RUN/empty-since"
        reload_runner
    fi
    unlock
}

# end_runner: SIGQUIT to the main process only, and wait. Never kills a job: with one, the runner just stays.
end_runner() {
    : >"$RUN/stopping"
    if runner_alive; then kill -s QUIT "$pid"; fi
    waited=0
    while runner_alive; do
        if [ "$waited" -ge "$stop_seconds" ]; then return 1; fi
        sleep 1
        waited=$((waited + 1))
    done
}

stop() {
    observe
    # A Docker that is silent for a moment may hide a job; one that is down hides nothing that the metrics do not show.
    asked=1
    while [ -S "$DOCKER_SOCKET" ] && [ "$docker_ok" != 1 ] && [ "$asked" -lt 5 ]; do
        sleep 1
        observe
        asked=$((asked + 1))
    done
    case $state in
        absent | stopped | failed)
            [ "$jobs_docker" -eq 0 ] || die 4 "$jobs_docker jobs still have containers"
            : >"$RUN/stopping"
            return 0
            ;;
        serving) die 3 "the runner is not fenced" ;;
        fenced | stopping) ;;
    esac
    if ! $single && [ "$metrics_ok" != 1 ] && [ "$state" = fenced ]; then die 4 "the runner's metrics do not answer"; fi
    if [ "$state" = fenced ]; then
        is_empty || die 4 "jobs by metrics $jobs_metrics, by containers $jobs_docker, open requests $requests"
    fi
    end_runner || die 5 "the runner has not exited within $stop_seconds s of SIGQUIT"
}

# --- the unit of the runner ---------------------------------------------------------------------------------------------

exec_runner() {
    [ -s "$CONFIG" ] || die 1 "no configuration has been pushed"
    uptime_now
    rm -f "$RUN/runner.exit"
    echo "$$ $now" | put "$RUN/runner.pid"
    mkdir -p "$ROOT/var/lib/gitlab-runner"
    umask 022
    unset LC_ALL
    if $single; then
        IFS= read -r name <"$RUN/name" || die 1 "no name has been pushed"
        exec gitlab-runner run-single -c "$CONFIG" -r "$name" --max-builds 1
    fi
    # Matters to the shell executor only: its jobs run as this user, as in the official packages.
    user=root
    if id gitlab-runner >/dev/null 2>&1; then user=gitlab-runner; fi
    exec gitlab-runner run -c "$CONFIG" --working-directory "$ROOT/var/lib/gitlab-runner" --user "$user"
}

runner_ended() {
    if $single && [ "${SERVICE_RESULT:-unknown}" = success ] && [ ! -e "$RUN/draining" ]; then : >"$RUN/took-job"; fi
    echo "${SERVICE_RESULT:-unknown} ${EXIT_STATUS:-}" | put "$RUN/runner.exit"
    rm -f "$RUN/runner.pid"
}

# --- without a manager --------------------------------------------------------------------------------------------------

# deadman: one look, called by a timer. A worker that has heard no manager for so long takes no further job, finishes
# what it has, and ends. The bootstrap has its own time limit.
deadman() {
    [ -r "$RUN/phase" ] || return 0
    read -r phase _ <"$RUN/phase"
    [ "$phase" = ready ] || return 0
    uptime_now
    heard=0
    if [ -r "$RUN/ready" ]; then read -r heard <"$RUN/ready"; fi
    if [ -r "$RUN/heartbeat" ]; then read -r heard <"$RUN/heartbeat"; fi
    if [ $((now - ${heard:-0})) -lt "$orphan_seconds" ]; then
        if fenced_for orphan; then unfence; fi
        return 0
    fi
    [ -e "$RUN/draining" ] || say "no manager for $orphan_seconds s; taking no further job"
    fence orphan
    observe
    case $state in
        failed) ;;
        absent | stopped) [ "$jobs_docker" -eq 0 ] || return 0 ;;
        stopping) return 0 ;;
        serving) return 0 ;;
        fenced)
            is_empty || return 0
            end_runner || return 0
            ;;
    esac
    : >"$RUN/stopping"
    power_off "no manager for $orphan_seconds s and no job"
}

imds_token=''
# imds_get PATH: prints the body of a 200; fails on anything else. A fresh token after every failure but 404.
imds_get() {
    if [ -z "$imds_token" ]; then
        imds_token=$(curl -fsS -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 21600' "$imds/latest/api/token" \
            2>/dev/null) || return 1
    fi
    answer=$(curl -sS -m 2 -w '\n%{http_code}' -H "X-aws-ec2-metadata-token: $imds_token" "$imds$1" 2>/dev/null)
    case ${answer##*
} in
        200) printf '%s\n' "${answer%
*}" ;;
        404) return 1 ;;
        *)
            imds_token=''
            return 1
            ;;
    esac
}

# spot: asks the metadata service every 5 s, as AWS advises, for the two-minute notice and the rebalance hint.
spot() {
    while :; do
        if [ ! -e "$RUN/interruption" ]; then spot_look; fi
        if [ -e "$RUN/interruption" ]; then break; fi
        sleep "$imds_seconds"
    done
    interrupted
}

spot_look() {
    # Not in a subshell: the token must survive.
    imds_get /latest/meta-data/spot/instance-action >"$RUN/imds.$$"
    notice=$(sed -n 's/.*"time"[^"]*"\([0-9]\{4\}-[0-9][0-9]-[0-9][0-9]T[0-9:]\{8\}Z\)".*/\1/p' "$RUN/imds.$$")
    if [ -n "$notice" ]; then
        say "EC2 takes this instance back at $notice"
        echo "$notice" | put "$RUN/interruption"
    elif [ ! -e "$RUN/rebalance" ]; then
        imds_get /latest/meta-data/events/recommendations/rebalance >"$RUN/imds.$$"
        if grep -q noticeTime "$RUN/imds.$$"; then
            say "EC2 recommends to replace this instance"
            : >"$RUN/rebalance"
        fi
    fi
    rm -f "$RUN/imds.$$"
}

# interrupted: no new job from now on; SIGQUIT once empty; SIGTERM 40 s before the end, so that the runner can still tell
# GitLab how the job ended and clean up (shutdown_timeout is 35 s).
interrupted() {
    read -r notice <"$RUN/interruption"
    fence interruption
    clock=${notice%Z}
    end=$(date -u -d "${clock%T*} ${clock#*T}" +%s) || end=$(($(date +%s) + 110))
    while :; do
        observe
        case $state in absent | stopped | failed) break ;; stopping | serving | fenced) ;; esac
        if [ $((end - $(date +%s))) -le 40 ]; then
            say "a job still runs 40 s before the end; stopping it"
            : >"$RUN/stopping"
            if runner_alive; then kill -s TERM "$pid"; fi
            break
        fi
        if [ "$state" = fenced ] && is_empty && { $single || [ "$metrics_ok" = 1 ]; }; then
            : >"$RUN/stopping"
            if runner_alive; then kill -s QUIT "$pid"; fi
        fi
        sleep 1
    done
    # Nothing more to do; the unit stays so that it is not started again.
    while :; do sleep 60; done
}

# boot_failed: started by systemd when the bootstrap has failed or taken too long. With instance-initiated shutdown set
# to terminate, powering off ends the instance.
boot_failed() {
    read -r phase text <"$RUN/phase" || phase=''
    if [ "$phase" != failed ]; then
        echo "failed bootstrap did not end at step: ${text:-cloud-init} (${MONITOR_SERVICE_RESULT:-unknown})" |
            put "$RUN/phase"
    fi
    sleep "$fail_seconds"
    power_off "the bootstrap failed"
}

mkdir -p "$RUN"
case ${1:-} in
    watch) watch ;;
    report) report ;;
    configure) configure ;;
    fence) fence manager ;;
    unfence) unfence ;;
    stop) stop ;;
    exec-runner) exec_runner ;;
    runner-ended) runner_ended ;;
    deadman) deadman ;;
    spot) spot ;;
    boot-failed) boot_failed ;;
    *) die 2 "usage: agent watch | report | configure | fence | unfence | stop" ;;
esac
