#!/bin/sh
# The credential helper that Docker asks in job containers (the seed names it for each ECR host). Who logs in explicitly
# gets what he logged in with: it is kept for that host until the logout or the container's end. Otherwise the worker's
# role answers, by the helper beside this file, and where the job's own settings take that helper elsewhere, its log says
# so. Source of the protocol: docker/docker-credential-helpers, `credentials/credentials.go`.
helper=${0%/*}/docker-credential-ecr-login
[ -x "$helper" ] || helper=docker-credential-ecr-login
# Beside Docker's own logins, so that who has two configurations in a job has two sets of logins.
logins=${DOCKER_CONFIG:-${HOME:-/root}/.docker}/ecr-logins
umask 077
if ! mkdir -p "$logins" 2>/dev/null; then
    logins=${TMPDIR:-/tmp}/.ecr-logins-$(id -u)
    mkdir -p "$logins" 2>/dev/null
fi

# host_of URL: as `credHelpers` names it.
host_of() {
    host=${1#*://}
    host=${host%%/*}
}

# In one step, as another command may read it at any moment.
keep() { printf '%s\n' "$1" >"$logins/.$$" && mv -f "$logins/.$$" "$logins/$host"; }

# takes NAME [TEST]: notes a variable that is set, and whose value stands the test.
takes() {
    eval "value=\${$1:-}"
    if [ -z "$value" ] || ! { [ -z "${2:-}" ] || test "$2" "$value"; }; then return; fi
    names="${names:+$names, }$1" without="$without -u $1"
}

# elsewhere: sets why, where the helper is taken away from the worker's role. The order is that in which AWS' SDK looks. No
# value is ever shown, as it may be a secret.
elsewhere() {
    names='' without='' why=''
    for name in AWS_ACCESS_KEY_ID AWS_ACCESS_KEY AWS_WEB_IDENTITY_TOKEN_FILE AWS_PROFILE AWS_DEFAULT_PROFILE \
        AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_EC2_METADATA_SERVICE_ENDPOINT \
        AWS_ENDPOINT_URL AWS_ENDPOINT_URL_ECR AWS_ENDPOINT_URL_ECR_PUBLIC AWS_ENDPOINT_URL_STS; do
        takes "$name"
    done
    takes AWS_CONFIG_FILE -s
    takes AWS_SHARED_CREDENTIALS_FILE -s
    if [ ! -r "${AWS_CA_BUNDLE:-/}" ]; then takes AWS_CA_BUNDLE; fi
    if [ ! -r "${AWS_WEB_IDENTITY_TOKEN_FILE:-/}" ]; then
        why='AWS_WEB_IDENTITY_TOKEN_FILE has to name a file that holds the token, and names none that can be read'
    elif [ -n "$names" ]; then
        why="$names of this job takes the helper away from the worker's role; as the worker: env$without docker pull ..."
    elif [ -z "${AWS_SHARED_CREDENTIALS_FILE:-}" ] && grep -q '^\[default\]' "${HOME:-/root}/.aws/credentials" 2>/dev/null; then
        why="\$HOME/.aws/credentials of this job takes the helper away from the worker's role; as the worker: \
AWS_SHARED_CREDENTIALS_FILE=/dev/null docker pull ..."
    fi
    [ -z "$why" ] || return 0
    case ${AWS_EC2_METADATA_DISABLED:-} in
    [Tt][Rr][Uu][Ee])
        why="AWS_EC2_METADATA_DISABLED keeps this job from the worker's role, which no job reaches at \
metadata_hop_limit = 1: give it a role of its own by id_tokens, or leave the variable out"
        return
        ;;
    esac
    if [ -z "${HTTP_PROXY:-${http_proxy:-}}" ]; then return; fi
    case ${NO_PROXY:-${no_proxy:-}} in
    *169.254.169.254* | *169.254.0.0/16* | '*') ;;
    *) why='HTTP_PROXY of this job is asked for the worker'"'"'s role; as the worker: NO_PROXY=169.254.169.254 docker pull ...' ;;
    esac
}

# What the helper does with the job's own rights is said once; that there is no login, each time: it stands beside the error.
tell() {
    if grep -qxF "$1" "$logins/.told" 2>/dev/null; then return; fi
    echo "runner-fleet: $1" >&2
    { echo "$1" >>"$logins/.told"; } 2>/dev/null
}

case ${1:-} in
store)
    login=$(cat)
    host_of "$(printf '%s\n' "$login" | sed -n 's/.*"ServerURL" *: *"\([^"]*\)".*/\1/p')"
    if [ -z "$host" ] || ! keep "$login"; then
        echo "the login cannot be kept in $logins"
        exit 1
    fi
    ;;
erase)
    read -r url
    host_of "$url"
    rm -f "$logins/${host:-.none}"
    ;;
get)
    read -r url
    host_of "$url"
    if [ -f "$logins/${host:-.none}" ]; then exec cat "$logins/$host"; fi
    code=0
    answer=$(echo "$url" | "$helper" get) || code=$?
    elsewhere
    if [ "$code" -eq 0 ]; then
        [ -z "$why" ] || tell "ECR login for $host: $why"
        printf '%s\n' "$answer"
        exit
    fi
    log=${AWS_ECR_CACHE_DIR:-${HOME:-/root}/.ecr}/log/ecr-login.log
    echo "runner-fleet: no ECR login for $host: ${why:-the reason is in $log}" >&2
    # A helper that died has not said it in the words by which Docker goes on without a login.
    printf '%s\n' "${answer:-credentials not found in native keychain}"
    exit 1
    ;;
*) exec "$helper" "$@" ;;
esac
