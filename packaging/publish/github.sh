# shellcheck shell=bash
# To GitHub, by its own command line tool: a draft, which nobody sees, gets the files; it becomes a release when all of
# them have come back as they were. gh reads its token from GH_TOKEN. (Sourced by publish.sh.)
# shellcheck disable=SC2154  # private, files, notes are set by publish.sh

[[ -n ${GITHUB_REPOSITORY:-} ]] || die "GITHUB_REPOSITORY is not set; GitHub sets it in a workflow"
export GH_REPO=${GH_REPO:-$GITHUB_REPOSITORY} GH_PROMPT_DISABLED=1 GH_NO_UPDATE_NOTIFIER=1

where() { printf 'release %s of %s\n' "$RELEASE_TAG" "$GITHUB_REPOSITORY"; }

create=(gh release create "$RELEASE_TAG" --draft --verify-tag --title "$RELEASE_TAG" --notes-file "$notes")

describe() {
    say "  ${create[*]} ${files[*]}"
    say "  gh release download $RELEASE_TAG, and verify"
    say "  gh release edit $RELEASE_TAG --draft=false"
    cat "$notes"
}

# A draft is what an earlier run has left behind; a release does not change.
prepare() {
    local draft
    command -v gh >/dev/null || die "gh is not installed (https://cli.github.com); GitHub's machines have it"
    [[ -n ${GH_TOKEN:-} ]] || die "GH_TOKEN is not set; the workflow gives it the job's own token"
    if draft=$(gh release view "$RELEASE_TAG" --json isDraft --jq .isDraft 2>"$private/said"); then
        [[ $draft == true ]] || die "$RELEASE_TAG is already released, and a release does not change: give the next one a new version"
        say "removing the draft that an earlier run has left"
        gh release delete "$RELEASE_TAG" --yes
    elif ! grep -qi 'release not found' "$private/said"; then
        die "GitHub does not say whether $RELEASE_TAG is released: $(tail -n 1 "$private/said")"
    fi
}

upload() {
    (cd "$RELEASE_DIR" && "${create[@]}" "${files[@]}") || die "gh did not upload everything; only a draft was made, and the job can be run again"
}

fetch_back() {
    gh release download "$RELEASE_TAG" --dir "$1" || die "GitHub does not give back the files; the release is still a draft"
}

reveal() {
    gh release edit "$RELEASE_TAG" --draft=false >/dev/null || die "GitHub did not publish the draft; the job can be run again"
}
