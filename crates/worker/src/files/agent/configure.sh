# The configuration, as the manager pushes it.

bundle_field() {
    IFS= read -r b_line || b_line=''
    b_value=${b_line#"$1 "}
    [ "$b_line" = "$1 $b_value" ] || die 7 "the bundle has no $1; nothing was changed"
}

bundle_length() {
    bundle_field "$1"
    case $b_value in '' | *[!0-9]*) die 7 "the bundle's $1 is no number; nothing was changed" ;; esac
}

# bundle_system_id: sets id; a bundle for another instance than this one is refused.
bundle_system_id() {
    bundle_field system-id
    case $b_value in
        [rs]_*[!0-9a-zA-Z]*) die 7 "the bundle's system id is malformed; nothing was changed" ;;
        [rs]_????????????) id=$b_value ;;
        *) die 7 "the bundle's system id is malformed; nothing was changed" ;;
    esac
    instance_now
    if [ -n "$instance" ] && [ "$(printf %s "$instance" | sha256sum | cut -c 1-12)" != "${id#??}" ]; then
        die 7 "the bundle is another instance's; nothing was changed"
    fi
}

# unpack OFFSET LENGTH FILE: this part of the bundle becomes FILE.
unpack() {
    head -c $(($1 + $2)) "$new" | tail -c "$2" | put "$3" || die 1 "cannot write $3"
}

# A worker from before ECR was switched on has no helper, and Docker would make directories in its place. Until it is
# replaced its jobs stay as they were.
has_ecr_files() {
    for e_file in "$ROOT/usr/local/bin/docker-credential-ecr-login" \
        "$ROOT/usr/local/bin/docker-credential-runner-fleet-ecr" "$ETC/docker-config.json"; do
        [ -f "$e_file" ] || return 1
    done
}

configure() {
    bundle_field runner-fleet-bundle
    [ "$b_value" = 2 ] || die 7 "the bundle has version $b_value, this agent reads 2; nothing was changed"
    bundle_system_id
    bundle_field worker-name
    name=$b_value
    bundle_length config-bytes
    full=$b_value
    bundle_length without-ecr-bytes
    without_ecr=$b_value
    bundle_length fenced-bytes
    fenced=$b_value
    mkdir -p "${CONFIG%/*}" "$RUN"
    new=$SHOWN.new.$$
    trap 'rm -f "$new"' EXIT
    cat >"$new" || die 1 "cannot write $new"
    [ "$(wc -c <"$new" | tr -d ' ')" = $((full + without_ecr + fenced)) ] ||
        die 7 "the bundle was cut; nothing was changed"
    lock
    if [ -e "$RUN/stopping" ] || [ -e "$RUN/interruption" ]; then die 6 "this worker is ending"; fi
    if $single && [ -e "$RUN/took-job" ]; then die 6 "this single-use worker has its job"; fi
    echo "$id" | cmp -s - "$SYSTEM_ID" || echo "$id" | put "$SYSTEM_ID" || die 1 "cannot write $SYSTEM_ID"
    printf '%s\n' "$name" | put "$RUN/name" || die 1 "cannot write $RUN/name"
    unpack $((full + without_ecr)) "$fenced" "$FENCED"
    if [ "$without_ecr" -eq 0 ] || has_ecr_files; then
        unpack 0 "$full" "$SERVING"
    else
        unpack "$full" "$without_ecr" "$SERVING"
    fi
    if [ "$(readlink "$CONFIG")" != "$SHOWN" ]; then ln -sf "$SHOWN" "$CONFIG" || die 1 "cannot link $CONFIG"; fi
    wanted=$SERVING
    if [ -e "$RUN/draining" ]; then wanted=$FENCED; fi
    if ! cmp -s "$wanted" "$SHOWN"; then
        show "$wanted"
        reload_runner
    fi
    chmod 600 "$SYSTEM_ID"
    unlock
    if ! runner_alive; then
        if $single && [ -e "$RUN/runner.exit" ]; then die 6 "this single-use worker has had its job"; fi
        systemctl start "$UNIT" || die 1 "cannot start $UNIT; see: journalctl -u $UNIT"
    fi
}
