# runner-fleet's agent on a worker: reports its state, pushes configuration in, fences and stops the runner, and looks
# after the worker when its manager is gone or EC2 takes the machine back. Runs as root. State lives in files under
# /run/runner-fleet, so that every call sees the same worker and nothing outlives a reboot.
#
# Exit codes: 0 done, 2 usage, 3 not fenced, 4 busy, 5 timed out, 6 the worker is ending, 7 bad bundle, 1 anything else.
set -u
umask 077
LC_ALL=C
export LC_ALL

ROOT=${RUNNER_FLEET_ROOT:-}
RUN=$ROOT/run/runner-fleet
ETC=$ROOT/etc/runner-fleet
CONFIG=$ROOT/etc/gitlab-runner/config.toml # a link to the next, so that the token is on no disk
SHOWN=$RUN/config.toml                     # what the runner reads: one of the next two, whole as the manager sent it
SERVING=$SHOWN.serving
FENCED=$SHOWN.fenced
SYSTEM_ID=$ROOT/etc/gitlab-runner/.runner_system_id
INSTANCE_ID=$ROOT/var/lib/cloud/data/instance-id
HOST_KEY=$ROOT/etc/ssh/ssh_host_ed25519_key # where cloud-init has put the launch template's
DOCKER_SOCKET=$ROOT/var/run/docker.sock
UPTIME=$ROOT/proc/uptime
UNIT=runner-fleet-runner.service

single=false              # run-single, one job per machine: no metrics, no reload, and no way back from a fence
orphan_seconds=1800
stop_seconds=45           # how long a runner may take to exit after SIGQUIT
shutdown_seconds=35       # and after SIGTERM: its shutdown_timeout
stuck_seconds=300         # how long a fenced runner without a manager may show no job and not end: an image may take that long
min_free_mib=5120         # of Docker's disk; below it, and below a tenth of the disk, a worker is unfit
min_inodes=250000         # the same for inodes, and a twentieth
fail_seconds=60           # how long a failed boot stays up, so that its reason can be read
imds=http://169.254.169.254
imds_seconds=5
metrics=http://127.0.0.1:9252/metrics
helper_log=${AWS_ECR_CACHE_DIR:-$ROOT/root/.ecr}/log/ecr-login.log # of the runner's own pulls; jobs log in their containers
# worker.env is rendered; the file in /etc/default is for people and tests who need another value.
# shellcheck source=/dev/null
[ ! -r "$ETC/worker.env" ] || . "$ETC/worker.env"
# shellcheck source=/dev/null
[ ! -r "$ROOT/etc/default/runner-fleet" ] || . "$ROOT/etc/default/runner-fleet"
