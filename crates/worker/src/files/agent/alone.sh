# Without a manager.

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
    # Nothing that fails here may keep the rest from being tried.
    (fence orphan)
    observe
    if runner_alive && ! deadman_ends; then return 0; fi
    : >"$RUN/stopping"
    power_off "no manager for $orphan_seconds s and no job"
}

# deadman_ends: ends a runner without a job; fails as long as it is there. One that has become empty stops by itself, one that
# has not within stuck_seconds is made to, whatever it still says.
deadman_ends() {
    if has_jobs; then
        rm -f "$RUN/stuck-since"
        return 1
    fi
    if [ "$state" = fenced ] && is_empty; then end_runner && return 0; fi
    [ -r "$RUN/stuck-since" ] || echo "$now" | put "$RUN/stuck-since"
    read -r s_since <"$RUN/stuck-since"
    if [ $((now - s_since)) -lt "$stuck_seconds" ]; then return 1; fi
    (hard_stop)
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
