# runner-fleet: ECR login for the docker CLI
runner_fleet_dir=$(
  exec 2>/dev/null
  seed=/etc/runner-fleet/docker-config.json
  umask 077
  put() { mkdir -p "$1" && cp "$seed" "$1/config.json.$$" && mv -f "$1/config.json.$$" "$1/config.json"; }
  dir="${DOCKER_CONFIG:-${HOME:-/root}/.docker}"
  if [ -f "$seed" ] && [ -r "$seed" ] && [ ! -e "$dir/config.json" ] && ! put "$dir" && [ -z "${DOCKER_CONFIG:-}" ]; then
    # A home that cannot be written, or none.
    dir=$(mktemp -d) && put "$dir" && echo "$dir"
  fi
) || true
if [ -n "$runner_fleet_dir" ]; then export DOCKER_CONFIG="$runner_fleet_dir"; fi
unset runner_fleet_dir
