# What the runner and Docker answer.

# Two keys to "busy": the runner's own metrics and the labels of its containers. One curl asks both.
# Prints: metrics_ok jobs requests started queue loaded docker_ok containers_with_jobs ids projects failures
# `failures` counts jobs that failed for the runner's own reasons; `loaded` counts reads of config.toml (-1: not told); ids are comma-separated, projects are `"job":project`, "-" for none.
ask() {
    set --
    $single || set -- -w '\n#metrics %{http_code}\n' "$metrics"
    if [ -S "$DOCKER_SOCKET" ]; then
        [ $# -eq 0 ] || set -- "$@" --next -sS -m 2
        set -- "$@" -w '\n#docker %{http_code}\n' --unix-socket "$DOCKER_SOCKET" \
            'http://docker/containers/json?filters=%7B%22label%22%3A%5B%22com.gitlab.gitlab-runner.managed%3Dtrue%22%5D%7D'
    fi
    { [ $# -eq 0 ] || curl -sS -m 2 "$@" 2>/dev/null; } | awk '
        BEGIN { queue = "null"; loaded = -1 }
        /^#metrics / { metrics_ok = ($2 == 200); next }
        /^#docker / { docker_ok = ($2 == 200); next }
        /^gitlab_runner_jobs[{ ]/ { if ($0 !~ /[{,]state="idle"/) jobs += $NF; next }
        /^gitlab_runner_request_concurrency[{ ]/ { requests += $NF; next }
        /^gitlab_runner_jobs_total[{ ]/ { started += $NF; next }
        /^gitlab_runner_failed_jobs_total[{]/ { if ($0 ~ /="runner_system_failure"/) failures += $NF; next }
        /^gitlab_runner_job_queue_size[{ ]/ { if (queue == "null" || $NF > queue) queue = int($NF); next }
        /^gitlab_runner_configuration_loaded_total[{ ]/ { loaded = $NF; next }
        {
            # Labels come sorted, as Go writes maps: a container tells its job first, then its project.
            while (match($0, /"com\.gitlab\.gitlab-runner\.(job|project)\.id":"[0-9]+"/)) {
                id = substr($0, RSTART, RLENGTH)
                $0 = substr($0, RSTART + RLENGTH)
                of_project = (id ~ /project/)
                gsub(/[^0-9]/, "", id)
                sub(/^0+/, "", id)
                if (length(id) == 0 || length(id) > 18) id = ""
                if (of_project) {
                    if (job != "" && id != "" && !(job in told)) { told[job]; projects = projects ",\"" job "\":" id }
                    job = ""
                } else {
                    job = id
                    if (id != "" && !(id in seen)) { seen[id]; n++; ids = ids "," id }
                }
            }
        }
        END {
            if (queue != "null" && queue < 0) queue = 0
            printf "%d %d %d %d %s %d %d %d %s %s %d\n", metrics_ok, jobs, requests, started, queue, loaded, docker_ok, n, \
                (n ? substr(ids, 2) : "-"), (projects == "" ? "-" : substr(projects, 2)), failures
        }'
}
