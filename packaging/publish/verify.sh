#!/usr/bin/env bash
# Verifies a folder of release files: the signature of SHA256SUMS by one of the allowed signers, then the checksum of each
# file that it lists. These are the two commands that docs/releases.md tells users, with a sentence for each refusal.
#
# usage: verify.sh [FOLDER]       (default: target/package)
set -euo pipefail
# shellcheck source=packaging/publish/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

folder=${1:-$RELEASE_DIR}
files=$(listed_files "$folder")
[[ -s $folder/SHA256SUMS.sig ]] || die "$folder/SHA256SUMS.sig is missing: the release is not signed"
grep -qE '^[^#[:space:]]' "$RELEASE_SIGNERS" ||
    die "$RELEASE_SIGNERS names no key yet; docs/releases.md says how to make one and where its public half goes"

said=$(ssh-keygen -Y verify -f "$RELEASE_SIGNERS" -I "$SIGNER" -n "$NAMESPACE" -s "$folder/SHA256SUMS.sig" <"$folder/SHA256SUMS" 2>&1) || {
    if ! ssh-keygen -Y check-novalidate -n "$NAMESPACE" -s "$folder/SHA256SUMS.sig" <"$folder/SHA256SUMS" &>/dev/null; then
        die "SHA256SUMS is not what was signed: it, or its signature, was changed"
    fi
    die "SHA256SUMS is signed by a key that $RELEASE_SIGNERS does not name ($(tail -n 1 <<<"$said"))"
}
wrong=$(cd "$folder" && sha256sum --check --strict --quiet SHA256SUMS 2>&1) ||
    die "a file is not the one that was signed: $(head -n 1 <<<"$wrong")"
say "$folder: $(wc -l <<<"$files") files, as signed (${said#Good })"
