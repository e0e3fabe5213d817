#!/usr/bin/env bash
# Publishes what lies in target/package: signs it, verifies it as a user would, uploads it, fetches it back and verifies that,
# and only then shows it as a release. Called by `make publish`.
#
# usage: publish.sh gitlab|github
#   RELEASE_TAG        the tag that is released; must be v and the version of Cargo.toml
#   RELEASE_KEY_FILE, RELEASE_KEY   see sign.sh
#   DRY_RUN=1          does everything but talk to the server, and prints what it would say
#   gitlab: CI_API_V4_URL, CI_PROJECT_ID, CI_JOB_TOKEN, as GitLab sets them in a job
#   github: GITHUB_REPOSITORY, as GitHub sets it, and GH_TOKEN
set -euo pipefail
# shellcheck source=packaging/publish/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

to=${1:-}
case $to in
gitlab | github) ;;
*) die "say where to: make publish TO=gitlab or TO=github" ;;
esac

version=$(version)
[[ -n ${RELEASE_TAG:-} ]] || die "RELEASE_TAG is not set: it names the tag that is released, v$version"
[[ $RELEASE_TAG == "v$version" ]] || die "the tag is $RELEASE_TAG, but Cargo.toml says version $version: the tag must be v$version"

listed=$(listed_files "$RELEASE_DIR")
mapfile -t files <<<"$listed"
for path in "$RELEASE_DIR"/*; do
    name=${path##*/}
    case " ${files[*]} SHA256SUMS SHA256SUMS.sig " in
    *" $name "*) ;;
    *) say "not published, for SHA256SUMS does not list it: $name" ;;
    esac
done

private_dir
notes=$private/notes.md
"$publish_home/release-notes.sh" "$version" >"$notes"
# shellcheck source=packaging/publish/gitlab.sh
# shellcheck source=packaging/publish/github.sh
source "$publish_home/$to.sh"

"$publish_home/sign.sh"
unset RELEASE_KEY RELEASE_KEY_FILE # nothing after this needs it
"$publish_home/verify.sh" "$RELEASE_DIR"
# Last: whoever sees the signature sees a complete release.
files+=(SHA256SUMS SHA256SUMS.sig)

if [[ -n ${DRY_RUN:-} && $DRY_RUN != 0 ]]; then
    say "a dry run: nothing is sent. Otherwise this would be:"
    describe
    exit 0
fi
prepare
upload
mkdir "$private/back"
fetch_back "$private/back"
"$publish_home/verify.sh" "$private/back"
reveal
say "published $RELEASE_TAG: $(where)"
