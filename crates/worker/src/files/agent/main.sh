mkdir -p "$RUN"
case ${1:-} in
    watch) watch ;;
    report) report ;;
    host-key) host_key ;;
    configure) configure ;;
    fence) fence manager ;;
    unfence) unfence ;;
    stop) stop ;;
    hard-stop) hard_stop ;;
    exec-runner) exec_runner ;;
    runner-ended) runner_ended ;;
    deadman) deadman ;;
    spot) spot ;;
    boot-failed) boot_failed ;;
    *) die 2 "usage: agent watch | report | host-key | configure | fence | unfence | stop | hard-stop" ;;
esac
