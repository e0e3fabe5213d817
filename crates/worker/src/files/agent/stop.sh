# The runner's end.

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

# hard_stop: whatever became of a fence. SIGQUIT lets the runner finish its jobs; while nothing shows one, it gets SIGTERM after
# stop_seconds, and SIGKILL when its shutdown has had its time. Every call is one step and waits for nothing; it is called
# again until the runner is gone.
hard_stop() {
    observe
    : >"$RUN/stopping"
    runner_alive || return 0
    if has_jobs || [ ! -r "$RUN/hard-stop" ]; then echo "$now" | put "$RUN/hard-stop"; fi
    read -r h_since <"$RUN/hard-stop"
    signal=QUIT
    if [ $((now - h_since)) -ge "$stop_seconds" ]; then signal=TERM; fi
    if [ $((now - h_since)) -ge $((stop_seconds + shutdown_seconds)) ]; then signal=KILL; fi
    kill -s "$signal" "$pid"
    die 5 "the runner has got SIG$signal"
}
