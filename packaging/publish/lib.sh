# shellcheck shell=bash
# What the scripts of a release share: the names, one way to refuse, and a private place for secrets.

# Who signs, and for what: both are part of the signature, so that one made for something else does not pass here.
# (Read by the scripts that source this.)
# shellcheck disable=SC2034
SIGNER=runner-fleet
# shellcheck disable=SC2034
NAMESPACE=runner-fleet-release

publish_home=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$publish_home/../.." && pwd)
# What is released: the folder with SHA256SUMS, and beside it each file that it lists.
RELEASE_DIR=${RELEASE_DIR:-$root/target/package}
# The public keys that may sign a release; another file only in tests.
RELEASE_SIGNERS=${RELEASE_SIGNERS:-$publish_home/allowed_signers}

say() { printf 'publish: %s\n' "$*"; }

die() {
    printf 'publish: %s\n' "$*" >&2
    exit 1
}

# A folder that only we can read, in memory where there is such a place, and gone when the script ends.
private_dir() {
    local parent=${TMPDIR:-/tmp}
    if [[ -d /dev/shm && -w /dev/shm ]]; then parent=/dev/shm; fi
    umask 077
    private=$(mktemp -d "$parent/runner-fleet-release.XXXXXX")
    trap 'rm -rf "$private"' EXIT
}

# The version in Cargo.toml.
version() { sed -n '/^\[workspace\.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml"; }

# The names that SHA256SUMS of a folder lists; each must lie beside it, so a path is refused.
listed_files() {
    local sums=$1/SHA256SUMS odd
    [[ -s $sums ]] || die "$sums is missing or empty; make it with 'make dist package'"
    odd=$(grep -vE -m 1 '^[0-9a-f]{64} [ *][A-Za-z0-9_][A-Za-z0-9._+~-]*$' "$sums") || true
    [[ -z $odd ]] || die "$sums has a line that is not 'SHA256  NAME' with a plain name: $odd"
    sed -E 's/^[0-9a-f]{64} [ *]//' "$sums"
}
