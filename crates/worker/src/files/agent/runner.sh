# What the unit of the runner calls.

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
