#!/usr/bin/env bash
# Prints the section of CHANGELOG.md for a version, and how to verify the release.
#
# usage: release-notes.sh VERSION
set -euo pipefail
# shellcheck source=packaging/publish/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=${1:?the version}
section=$(awk -v head="## [$version]" '
    index($0, "## [") == 1 { inside = index($0, head) == 1; next }
    inside' "${RELEASE_CHANGELOG:-$root/CHANGELOG.md}")
[[ $section == *[![:space:]]* ]] || die "CHANGELOG.md has no section '## [$version]', or nothing in it"
printf '%s\n\n' "$section"
cat <<'TEXT'
### Verify

`SHA256SUMS` is signed; `allowed_signers` is in the repository, under `packaging/publish/`.

```sh
ssh-keygen -Y verify -f allowed_signers -I runner-fleet -n runner-fleet-release -s SHA256SUMS.sig <SHA256SUMS
sha256sum --check --ignore-missing SHA256SUMS
```
TEXT
