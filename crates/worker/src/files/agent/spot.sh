# When EC2 takes the machine back.

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
