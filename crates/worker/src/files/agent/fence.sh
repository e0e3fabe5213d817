# Which configuration the runner reads, and its end.

# show FILE: the runner reads FILE from now on. A link and a rename need no room, so that a full disk hinders no fence. The
# runner looks for a newer time.
show() {
    touch "$1"
    if cmp -s "$1" "$CONFIG"; then return 0; fi
    ln -f "$1" "$CONFIG.$$" || die 1 "cannot link $1"
    mv -f "$CONFIG.$$" "$CONFIG" || die 1 "cannot replace $CONFIG"
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
