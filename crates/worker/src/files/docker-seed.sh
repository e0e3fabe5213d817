# runner-fleet: ECR login for the docker CLI
runner_fleet_dir=$(
  exec 3>&2 2>/dev/null
  seed=/etc/runner-fleet/docker-config.json
  login=/usr/local/bin/docker-credential-runner-fleet-ecr
  umask 077
  say() { echo "runner-fleet: $*" >&3; }
  # Docker asks the helper that keeps what `docker login` brings; who reads the seed itself has the plain one.
  copy() { { [ -f "$login" ] && [ -x /bin/sh ] && sed 's/"ecr-login"/"runner-fleet-ecr"/g' "$seed"; } || cat "$seed"; }
  put() { mkdir -p "$1" && copy >"$1/config.json.$$" && mv -f "$1/config.json.$$" "$1/config.json"; }
  # What else Docker keeps beside its logins: plugins, contexts, certificates. Of buildx a copy, as it writes there.
  keep() {
    for entry in "$1"/* "$1"/.[!.]*; do
      case ${entry##*/} in
      config.json | ecr-logins | '*' | '.[!.]*') ;;
      buildx) cp -R "$entry" "$2" ;;
      *) ln -s "$entry" "$2" ;;
      esac
    done
  }
  # A home that cannot be written, or none.
  elsewhere() {
    rm -f "$1/config.json.$$"
    for parent in "${TMPDIR:-/tmp}" /tmp /dev/shm; do
      if new=$(mktemp -d "$parent/docker.XXXXXX") && put "$new"; then
        keep "$1" "$new"
        say "$1 cannot be written: DOCKER_CONFIG is $new"
        echo "$new"
        return
      fi
    done
    say "neither $1 nor another directory can be written: no ECR login for docker in this job"
  }
  dir=${DOCKER_CONFIG:-${HOME:-/root}/.docker}
  case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
  has=''
  if [ -e "$dir/config.json" ]; then has=$(tr -d '[:space:]' <"$dir/config.json") || has=unreadable; fi
  case $has in
  *runner-fleet-ecr*) ;;
  '' | '{}')
    if ! { [ -f "$seed" ] && [ -r "$seed" ]; }; then
      say "no ECR login for docker in this job: this worker has no $seed"
    elif ! put "$dir"; then
      elsewhere "$dir"
    fi
    ;;
  *) say "$dir/config.json is not ours and stays as it is: for ECR it has to name the hosts in credHelpers, as $seed does" ;;
  esac
  case ${DOCKER_AUTH_CONFIG:-} in
  *.dkr.ecr* | *.dkr-ecr* | *public.ecr.aws* | *ecr-login*)
    say "DOCKER_AUTH_CONFIG of this job names ECR: a token there counts before the worker's role, and ends after 12 hours; remove it"
    ;;
  esac
) || true
if [ -n "$runner_fleet_dir" ]; then export DOCKER_CONFIG="$runner_fleet_dir"; fi
unset runner_fleet_dir
case ":${PATH:-}:" in
*:/usr/local/bin:*) ;;
*)
  if [ -f /usr/local/bin/docker-credential-ecr-login ]; then
    export PATH="${PATH:+$PATH:}/usr/local/bin"
    echo "runner-fleet: /usr/local/bin, where Docker finds the ECR helper, was not in PATH: added" >&2
  fi
  ;;
esac
