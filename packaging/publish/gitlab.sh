# shellcheck shell=bash
# To GitLab: the files go to the project's generic package registry, and a release links to them. The job's token is all
# that is needed; curl reads it from a file, so that no list of processes shows it. (Sourced by publish.sh.)
# shellcheck disable=SC2154  # version, private, files, notes are set by publish.sh

[[ -n ${CI_API_V4_URL:-} && -n ${CI_PROJECT_ID:-} ]] || die "CI_API_V4_URL and CI_PROJECT_ID are not set; GitLab sets them in a job"
case $CI_API_V4_URL in
https://* | http://127.0.0.1:*) ;;
*) die "CI_API_V4_URL is $CI_API_V4_URL: without https the job's token would be sent in clear" ;;
esac

packages=$CI_API_V4_URL/projects/$CI_PROJECT_ID/packages/generic/runner-fleet/$version
releases=$CI_API_V4_URL/projects/$CI_PROJECT_ID/releases
# The largest file is some 10 MB; ten minutes are for the slowest runner that is not broken.
curl_options=(--silent --show-error --fail --connect-timeout 30 --max-time 600 --retry 3)

where() { printf '%s/%s\n' "$releases" "$RELEASE_TAG"; }

describe() {
    local file
    for file in "${files[@]}"; do say "  PUT $packages/$file ($(stat -c %s "$RELEASE_DIR/$file") bytes)"; done
    for file in "${files[@]}"; do say "  GET $packages/$file, and verify"; done
    say "  POST $releases"
    "$publish_home/gitlab-release.py" "$RELEASE_TAG" "$notes" "$packages" "${files[@]}"
}

# The release must not be there: whoever has downloaded it may trust that it does not change.
prepare() {
    local status
    [[ -n ${CI_JOB_TOKEN:-} ]] || die "CI_JOB_TOKEN is not set; GitLab sets it in a job"
    header=$private/header
    printf 'JOB-TOKEN: %s\n' "$CI_JOB_TOKEN" >"$header"
    status=$(curl "${curl_options[@]}" --no-fail --header "@$header" --output /dev/null --write-out '%{http_code}' "$(where)") ||
        die "GitLab does not answer at $CI_API_V4_URL"
    case $status in
    404) ;;
    200) die "$RELEASE_TAG is already released, and a release does not change: give the next one a new version" ;;
    401 | 403) die "GitLab does not let this job's token look at releases (HTTP $status): are releases and the package registry switched on for the project?" ;;
    *) die "GitLab answers HTTP $status to the question for the release $RELEASE_TAG" ;;
    esac
}

upload() {
    local file
    for file in "${files[@]}"; do
        curl "${curl_options[@]}" --header "@$header" --upload-file "$RELEASE_DIR/$file" --output /dev/null "$packages/$file" ||
            die "GitLab did not take $file; the release was not made, and the job can be run again"
        say "uploaded $file"
    done
}

# GitLab may send us to its object store, which must not see the token: so curl follows nothing by itself.
fetch_back() {
    local folder=$1 file next
    for file in "${files[@]}"; do
        next=$(curl "${curl_options[@]}" --header "@$header" --output "$folder/$file" --write-out '%{redirect_url}' "$packages/$file") ||
            die "GitLab does not give back $file; the release was not made"
        if [[ -n $next ]]; then
            curl "${curl_options[@]}" --output "$folder/$file" "$next" || die "GitLab's object store does not give back $file; the release was not made"
        fi
    done
}

reveal() {
    "$publish_home/gitlab-release.py" "$RELEASE_TAG" "$notes" "$packages" "${files[@]}" >"$private/release.json"
    curl "${curl_options[@]}" --header "@$header" --json "@$private/release.json" --output /dev/null "$releases" ||
        die "GitLab did not make the release; the files are in the package registry, and the job can be run again"
}
