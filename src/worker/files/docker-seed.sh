# runner-fleet: ECR login for the docker CLI
(
  seed=/etc/runner-fleet/docker-config.json
  dir="${DOCKER_CONFIG:-${HOME:-/root}/.docker}"
  if [ -r "$seed" ] && [ ! -e "$dir/config.json" ]; then
    umask 077
    mkdir -p "$dir" && cp "$seed" "$dir/config.json.$$" && mv -f "$dir/config.json.$$" "$dir/config.json"
  fi
) >/dev/null 2>&1 || true
