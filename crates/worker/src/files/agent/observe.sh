# What the worker is doing, made of these answers.

metrics_ok=0 jobs_metrics=0 requests=0 started_raw=0 queue=null loaded=-1 docker_ok=0 jobs_docker=0 ids=- projects=-
docker_silent=0 failures=0

# observe: unknown is not zero. What cannot be asked keeps its last value, and a live runner that does not answer counts
# as one that may still get a job.
observe() {
    uptime_now
    read -r a_ok a_jobs a_requests a_started a_queue a_loaded a_docker a_count a_ids a_projects a_failures <<EOT
$(ask)
EOT
    metrics_ok=${a_ok:-0}
    if [ "$metrics_ok" = 1 ]; then
        jobs_metrics=$a_jobs requests=$a_requests started_raw=$a_started queue=$a_queue loaded=$a_loaded
        failures=$a_failures
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

# run-single has no counter: it has taken its job once a container was seen or it went away by itself. It reads its
# configuration once, so that nobody needs the files with the token any more.
single_started() {
    if [ "$jobs_docker" -gt 0 ]; then : >"$RUN/took-job"; fi
    started_raw=0
    if [ -e "$RUN/took-job" ]; then
        started_raw=1
        rm -f "$SHOWN" "$SERVING"
    fi
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
    if has_jobs; then idle_since=$now; fi
    started=$((stats_base + stats_last)) idle_seconds=$((now - idle_since))
    # While a job runs the time moves every second; a copy every 10 s is exact enough for the next watch.
    if [ "$stats_kept" != "$stats_base $stats_last $((idle_since / 10))" ]; then
        stats_kept="$stats_base $stats_last $((idle_since / 10))"
        echo "$stats_base $stats_last $idle_since" | put "$RUN/stats"
    fi
}

has_jobs() { [ "$jobs_metrics" -gt 0 ] || [ "$jobs_docker" -gt 0 ]; }

is_empty() { ! has_jobs && [ "$requests" -eq 0 ]; }
