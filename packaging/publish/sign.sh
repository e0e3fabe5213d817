#!/usr/bin/env bash
# Signs target/package/SHA256SUMS, and with it every file that it lists, by the key that the environment names. The key
# comes in as a variable and never as an argument:
#
#   RELEASE_KEY_FILE   the path of an OpenSSH private key (GitLab: a variable of type File), or
#   RELEASE_KEY        the key itself (GitHub: a secret)
#
# ssh-keygen is what everybody has who has OpenSSH 8.1 or newer; nobody needs another tool to verify a release.
set -euo pipefail
# shellcheck source=packaging/publish/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Puts the key where only we can read it (GitLab's files are readable for all, and ssh-keygen refuses those), ended by
# the line break that web forms cut off, without the carriage returns that they add.
take_key() {
    private_dir
    key=$private/key
    if [[ -n ${RELEASE_KEY_FILE:-} ]]; then
        [[ -r $RELEASE_KEY_FILE ]] || die "RELEASE_KEY_FILE names $RELEASE_KEY_FILE, which cannot be read"
        { cat -- "$RELEASE_KEY_FILE" && echo; } | tr -d '\r' >"$key"
    elif [[ -n ${RELEASE_KEY:-} ]]; then
        printf '%s\n' "$RELEASE_KEY" | tr -d '\r' >"$key"
    else
        die "there is no key to sign with: set RELEASE_KEY_FILE (its path) or RELEASE_KEY (its text); docs/releases.md says how to make one"
    fi
    # -P '': a key with a passphrase fails here, instead of asking a person who is not there.
    ssh-keygen -y -P '' -f "$key" >"$private/key.pub" 2>/dev/null ||
        die "the release key is no OpenSSH private key without a passphrase; docs/releases.md says how to make one"
}

sums=$RELEASE_DIR/SHA256SUMS
listed_files "$RELEASE_DIR" >/dev/null
take_key
rm -f "$sums.sig"
ssh-keygen -q -Y sign -f "$key" -n "$NAMESPACE" "$sums" 2>"$private/said" ||
    die "ssh-keygen could not sign: $(tail -n 1 "$private/said")"
chmod 644 "$sums.sig"
say "signed SHA256SUMS with $(ssh-keygen -l -f "$private/key.pub" | cut -d ' ' -f 2)"
