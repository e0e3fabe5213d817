#!/usr/bin/env bash
# Builds the lab's machine image: Debian 12 with systemd, sshd, cloud-init and dockerd, as an AMI has them, and imports
# it into the Docker daemon of the lab. Prints the image's name. In two layers, each named by the hash of its recipe:
#   base   everything from the Debian archive; slow (about a minute), kept as a tar in the cache directory
#   lab    tests/lab/files on top of it: cloud-init's configuration, the stand-in for gitlab-runner, the job image; fast
#
# usage: image.sh base    only build the base's tar (needs no Docker daemon; CI runs it beside the Rust build)
#        image.sh base-name  print what the base is called, with the hash of its recipe
#        image.sh import  build what is missing and import it; DOCKER_HOST says where
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${RUNNER_FLEET_LAB_CACHE:-$(cd "$here/../.." && pwd)/.lab}

suite=bookworm
packages=(
    systemd systemd-sysv dbus udev
    openssh-server cloud-init sudo
    docker.io iptables iproute2 procps netbase
    curl ca-certificates python3 amazon-ecr-credential-helper
    busybox-static
)

say() { printf 'lab image: %s\n' "$*" >&2; }

base_hash=$(printf '%s\n' "$suite" "${packages[@]}" "recipe 3" | sha256sum | cut -c1-12)
base_tar=$cache/image/base-$base_hash.tar

build_base() {
    mkdir -p "$cache/image"
    # Two makers at the same time (CI's background set-up and the run itself): the second waits for the first.
    exec 9>"$cache/image/lock"
    flock 9
    if [[ -f $base_tar ]]; then return; fi
    say "building the base from the Debian archive, about a minute"
    local dir=$cache/image/root
    rm -rf "$dir" "$base_tar.part"
    # debootstrap alone cannot configure cloud-init (virtual packages), so apt does the rest inside.
    "$here/../../packaging/debian-packages" bootstrap "$suite" "$dir" >"$cache/image/debootstrap.log" 2>&1 \
        || { tail -n 20 "$cache/image/debootstrap.log" >&2; say "debootstrap failed"; return 1; }
    printf '#!/bin/sh\nexit 101\n' >"$dir/usr/sbin/policy-rc.d"
    chmod 755 "$dir/usr/sbin/policy-rc.d"
    printf 'path-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\nforce-unsafe-io\n' >"$dir/etc/dpkg/dpkg.cfg.d/lab"
    DEBIAN_FRONTEND=noninteractive chroot "$dir" apt-get install -y --no-install-recommends "${packages[@]}" \
        >"$cache/image/apt.log" 2>&1 || { tail -n 20 "$cache/image/apt.log" >&2; say "apt-get install failed"; return 1; }
    rm -rf "$dir/usr/sbin/policy-rc.d" "$dir/etc/apt/apt.conf.d/90-as-the-machine" "$dir"/var/cache/apt/* "$dir"/var/lib/apt/lists/*
    # As an image must be: no identity of its own.
    rm -f "$dir"/etc/ssh/ssh_host_* "$dir/etc/hostname"
    : >"$dir/etc/machine-id"
    tar --one-file-system -C "$dir" -cf "$base_tar.part" .
    mv "$base_tar.part" "$base_tar"
    rm -rf "$dir"
}

# Runs inside a container of the base; what it leaves is the lab layer.
lab_layer() {
    cat <<'LAYER'
set -e
cp /lab/99-lab.cfg /etc/cloud/cloud.cfg.d/99-lab.cfg
install -m 755 /lab/gitlab-runner /usr/local/bin/gitlab-runner
install -D -m 644 /lab/docker_executor.py /usr/local/share/lab/docker_executor.py
mkdir -p /tmp/rootfs/bin /tmp/rootfs/tmp /tmp/rootfs/root /tmp/rootfs/etc
cp /bin/busybox /tmp/rootfs/bin/busybox
chroot /tmp/rootfs /bin/busybox --install -s /bin
tar -C /tmp/rootfs -cf /usr/local/share/lab/job-image.tar .
rm -rf /tmp/rootfs
# Nothing that a worker of half an hour needs, and seconds of every boot on two cores.
systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    systemd-udevd.service systemd-udev-trigger.service systemd-timesyncd.service getty.target console-getty.service \
    systemd-resolved.service systemd-networkd.service systemd-networkd-wait-online.service
systemctl enable --quiet docker.service ssh.service
LAYER
}

# Every file of a directory, one after the other; what an interpreter keeps beside them (__pycache__) is none of it.
contents() { find "$1" -maxdepth 1 -type f -print0 | sort -z | xargs -0 cat; }

import() {
    build_base
    local base=runner-fleet-lab-base:$base_hash lab container
    lab=runner-fleet-lab:$( (echo "$base_hash"; lab_layer; contents "$here/files") | sha256sum | cut -c1-12)
    if ! docker image inspect "$base" >/dev/null 2>&1; then
        say "importing the base"
        docker import "$base_tar" "$base" >/dev/null
    fi
    if ! docker image inspect "$lab" >/dev/null 2>&1; then
        say "adding the lab's files"
        container=$(docker create --network none -v "$here/files:/lab:ro" "$base" /bin/sh -c "$(lab_layer)")
        docker start -a "$container" >&2
        docker commit --change 'CMD ["/lib/systemd/systemd"]' "$container" "$lab" >/dev/null
        docker rm "$container" >/dev/null
    fi
    printf '%s\n' "$lab"
}

case ${1:-} in
    base) build_base ;;
    base-name) basename "$base_tar" .tar ;;
    import) import ;;
    *) say "usage: image.sh base|base-name|import"; exit 2 ;;
esac
