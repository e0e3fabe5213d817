#!/bin/sh
# Runs as root on every worker at the end of its boot. Nothing secret belongs here: it travels in the workers' user-data.
set -eu
echo 'vm.max_map_count = 262144' >/etc/sysctl.d/60-ci.conf
sysctl --quiet --system
