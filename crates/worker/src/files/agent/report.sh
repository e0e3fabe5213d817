# What the manager is told.

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

# disk_numbers UNIT: what is free and what there is, from df.
disk_numbers() {
    awk -v unit="$1" 'NR == 2 && $2 ~ /^[0-9]+$/ && $2 > 0 && $4 ~ /^[0-9]+$/ { printf "%d %d", $4 / unit, $2 / unit }'
}

disk=null disk_total='' inodes=0 inodes_total='' disk_at=''
disk_free() {
    if [ -n "$disk_at" ] && [ $((now - disk_at)) -lt 30 ]; then return; fi
    disk_at=$now disk_of=$ROOT/var/lib/docker
    [ -d "$disk_of" ] || disk_of=${ROOT:-/}
    read -r disk disk_total <<EOT
$(df -Pk "$disk_of" 2>/dev/null | disk_numbers 1024)
EOT
    read -r inodes inodes_total <<EOT
$(df -Pi "$disk_of" 2>/dev/null | disk_numbers 1)
EOT
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
    instance_now
    fit_now
    unfit_json=null
    if [ -n "$unfit" ]; then unfit_json="\"$unfit\""; fi
    ids_json=$ids projects_json=$projects
    if [ "$ids" = - ]; then ids_json=''; fi
    if [ "$projects" = - ]; then projects_json=''; fi
    key="\"phase\":\"$phase\",\"step\":\"$step\",\"error\":\"$failure\",\"runner\":\"$state\""
    key="$key,\"jobs_metrics\":$jobs_metrics,\"jobs_docker\":$jobs_docker,\"job_ids\":[$ids_json],\"projects\":{$projects_json}"
    key="$key,\"requests\":$requests,\"started\":$started,\"queue_size\":$queue"
    key="$key,\"unfit\":$unfit_json,\"interruption\":$interruption,\"rebalance\":$rebalance,\"ecr_error\":\"$ecr_error\""
    line="{\"v\":1,\"instance\":\"$instance\",$key,\"idle_seconds\":$idle_seconds,\"disk_free_mib\":$disk}"
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
