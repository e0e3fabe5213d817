# Whether jobs would fail here, and faster than elsewhere, so that this worker would take all that wait. Once found unfit it
# stays so: it takes no more jobs, and the manager replaces it.

unfit=''
fit_now() {
    if [ -r "$RUN/unfit" ]; then
        read -r unfit <"$RUN/unfit"
    elif [ "$phase" = ready ]; then
        docker_fits
        disk_fits
        failures_fit
        if [ -n "$unfit" ]; then
            say "unfit to run jobs: $unfit"
            echo "$unfit" | put "$RUN/unfit"
        fi
    fi
    if [ -n "$unfit" ] && { [ ! -e "$RUN/draining" ] || fenced_for clean; }; then (fence unfit); fi
}

# A busy Docker may be slow to list its containers; it still answers a ping. One that was never there is not missed.
docker_answered=-1
docker_fits() {
    if [ "$docker_ok" = 1 ] || docker_pings; then docker_answered=$now; fi
    if [ "$docker_answered" -ge 0 ] && [ $((now - docker_answered)) -ge 60 ]; then unfit=docker; fi
}

docker_pings() {
    [ -S "$DOCKER_SOCKET" ] && curl -fsS -m 2 --unix-socket "$DOCKER_SOCKET" http://docker/_ping >/dev/null 2>&1
}

# When space runs short the worker takes no job until what Docker does not use any more is removed. That helps for an hour at
# least, or it is unfit.
disk_fits() {
    if disk_is_low; then
        if $single || [ "$docker_ok" != 1 ] || cleaned_lately; then
            unfit=$lack
            return 0
        fi
        if [ ! -e "$RUN/draining" ]; then (fence clean); fi
        if [ "$state" != fenced ] || ! is_empty; then return 0; fi
        clean
        if disk_is_low; then unfit=$lack; fi
    fi
    if [ -z "$unfit" ] && fenced_for clean; then (unfence clean); fi
}

# disk_is_low: sets lack. A tenth of a small disk is as much as 5 GiB of a large one. Some file systems count no inodes.
disk_is_low() {
    lack=''
    if [ -n "$disk_total" ] && [ "$disk" -lt "$min_free_mib" ] && [ $((disk * 10)) -lt "$disk_total" ]; then lack=disk; fi
    if [ -n "$inodes_total" ] && [ "$inodes" -lt "$min_inodes" ] && [ $((inodes * 20)) -lt "$inodes_total" ]; then
        lack=inodes
    fi
    [ -n "$lack" ]
}

cleaned_lately() { [ -r "$RUN/cleaned" ] && read -r c_at <"$RUN/cleaned" && [ $((now - c_at)) -lt 3600 ]; }

# clean: only where no job can come. The manager is not kept waiting for longer than it takes silence for.
clean() {
    say "$lack runs short; removing what Docker does not use"
    for unused in containers/prune 'images/prune?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D' \
        'volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D' 'build/prune?all=true'; do
        curl -fsS -m 15 -X POST --unix-socket "$DOCKER_SOCKET" "http://docker/$unused" >/dev/null || :
    done
    uptime_now
    echo "$now" | put "$RUN/cleaned"
    disk_at=''
    disk_free
}

# Three in a row, none between them that ended otherwise. Kept in a file, because watches come and go; both counters begin
# anew with the runner.
row=''
failures_fit() {
    if $single || [ "$metrics_ok" != 1 ]; then return 0; fi
    others=$((started_raw - jobs_metrics - failures))
    if [ -z "$row" ] && [ -r "$RUN/failures" ]; then read -r row row_failures row_others <"$RUN/failures"; fi
    row_kept="$row ${row_failures:-} ${row_others:-}"
    if [ -z "$row" ] || [ "$failures" -lt "$row_failures" ]; then row=0 row_failures=$failures row_others=$others; fi
    if [ "$others" -gt "$row_others" ]; then row=0 row_others=$others; fi
    row=$((row + failures - row_failures)) row_failures=$failures
    if [ "$row $row_failures $row_others" != "$row_kept" ]; then
        echo "$row $row_failures $row_others" | put "$RUN/failures"
    fi
    if [ "$row" -ge 3 ]; then unfit=system-failures; fi
}
