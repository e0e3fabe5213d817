#!/bin/sh
# systemd, as far as the agent and the bootstrap call it.
echo "$*" >>"$RUNNER_FLEET_ROOT/systemctl.calls"
agent=$RUNNER_FLEET_ROOT/usr/local/lib/runner-fleet/agent
case "$*" in
    "start runner-fleet-runner.service")
        # As systemd: a unit that is active is left alone, and the end of the main process runs ExecStopPost.
        [ ! -e "$RUNNER_FLEET_ROOT/run/runner-fleet/runner.pid" ] || exit 0
        # shellcheck disable=SC2086
        # shellcheck disable=SC2016 # the inner shell expands it
        setsid sh -c '
            if $SHELL_UNDER_TEST "$0" exec-runner; then result=success; else result=exit-code; fi
            SERVICE_RESULT=$result EXIT_STATUS=0 $SHELL_UNDER_TEST "$0" runner-ended
        ' "$agent" </dev/null >"$RUNNER_FLEET_ROOT/runner.log" 2>&1 &
        ;;
    "is-active --quiet ssh.service") [ ! -e "$RUNNER_FLEET_ROOT/only-sshd" ] ;;
    "reload ssh.service") [ ! -e "$RUNNER_FLEET_ROOT/only-sshd" ] && [ ! -e "$RUNNER_FLEET_ROOT/broken-sshd" ] ;;
    "reload sshd.service") [ ! -e "$RUNNER_FLEET_ROOT/broken-sshd" ] ;;
    poweroff) : >"$RUNNER_FLEET_ROOT/powered-off" ;;
esac
